/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* System calls on files, memory and taps: see host_calls.c. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/host_calls.h"

ssize_t fake_pread(int fd, void *bytes, size_t len, off_t offset) WRAP_OF(pread);
ssize_t real_pread(int fd, void *bytes, size_t len, off_t offset) WRAPPED(pread);
ssize_t fake_pwrite(int fd, const void *bytes, size_t len, off_t offset) WRAP_OF(pwrite);
ssize_t fake_preadv(int fd, const struct iovec *iov, int count, off_t offset) WRAP_OF(preadv);
ssize_t fake_pwritev(int fd, const struct iovec *iov, int count, off_t offset) WRAP_OF(pwritev);

static bool is_aligned(const struct iovec *iov, int count, off_t offset)
{
	uint64_t all = (uint64_t)offset;

	for (int i = 0; i < count; i++)
		all |= (uintptr_t)iov[i].iov_base | iov[i].iov_len;
	return all % HOST_DISK_BLOCK == 0;
}

/*
 * Bytes from @offset on, at most @iov; -1 when the call fails. Direct I/O that is not aligned is
 * wrong, unless it goes on after a transfer that was short.
 */
static ssize_t disk_room(int fd, const struct iovec *iov, int count, off_t offset)
{
	size_t len = host_total(iov, count);
	uint64_t left;

	fuzz_check(host_must_get(fd, "pread")->kind == HOST_DISK && offset >= 0);
	fuzz_check(count > 0 && count <= 1024);
	if (host_disk.direct && !is_aligned(iov, count, offset)) {
		fuzz_check(host_disk.was_short, "direct I/O is not aligned");
		return host_error(EINVAL);
	}
	if (host_call_fails())
		return -1;
	if ((uint64_t)offset >= host_disk.size)
		return 0;
	left = host_disk.size - (uint64_t)offset;
	left = left < host_shorten(len) ? left : host_shorten(len);
	host_disk.was_short |= left < len;
	return (ssize_t)(len < left ? len : left);
}

ssize_t fake_preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
	const ssize_t len = disk_room(fd, iov, count, offset);

	if (len < 0)
		return -1;
	host_scatter(iov, count, host_disk_bytes() + offset, (size_t)len);
	return len;
}

ssize_t fake_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	const ssize_t len = disk_room(fd, iov, count, offset);
	size_t left = len < 0 ? 0 : (size_t)len;
	uint8_t *to = host_disk_bytes() + offset;

	fuzz_check(!host_disk.read_only, "a disk to be read only was written to");
	/* Growing is none of a device's. */
	if (len == 0)
		return host_error(ENOSPC);
	for (int i = 0; i < count && left; i++) {
		const size_t n = left < iov[i].iov_len ? left : iov[i].iov_len;

		memcpy(to, iov[i].iov_base, n);
		to += n;
		left -= n;
	}
	return len;
}

ssize_t fake_pread(int fd, void *bytes, size_t len, off_t offset)
{
	const struct iovec iov = { bytes, len };

	return host_is_ours(fd) ? fake_preadv(fd, &iov, 1, offset)
				: real_pread(fd, bytes, len, offset);
}

ssize_t fake_pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
	const struct iovec iov = { (void *)bytes, len };

	return fake_pwritev(fd, &iov, 1, offset);
}

int fake_fdatasync(int fd) WRAP_OF(fdatasync);
int fake_fallocate(int fd, int mode, off_t offset, off_t len) WRAP_OF(fallocate);
off_t fake_lseek(int fd, off_t offset, int whence) WRAP_OF(lseek);
int fake_fstat(int fd, struct stat *st) WRAP_OF(fstat);
int real_fstat(int fd, struct stat *st) WRAPPED(fstat);
int fake_statx(int fd, const char *path, int flags, unsigned int mask, struct statx *stx)
	WRAP_OF(statx);
int fake_fcntl(int fd, int command, ...) WRAP_OF(fcntl);
int real_fcntl(int fd, int command, ...) WRAPPED(fcntl);
int fake_ioctl(int fd, unsigned long request, ...) WRAP_OF(ioctl);

int fake_fdatasync(int fd)
{
	host_must_get(fd, "fdatasync");
	return host_call_fails() ? -1 : 0;
}

int fake_fallocate(int fd, int mode, off_t offset, off_t len)
{
	fuzz_check(host_must_get(fd, "fallocate")->kind == HOST_DISK && !host_disk.read_only);
	fuzz_check(offset >= 0 && len > 0 && mode & FALLOC_FL_KEEP_SIZE);
	if (host_call_fails())
		return -1;
	if ((uint64_t)offset < host_disk.size && (uint64_t)len <= host_disk.size - (uint64_t)offset)
		memset(host_disk_bytes() + offset, 0, (size_t)len);
	return 0;
}

off_t fake_lseek(int fd, off_t offset, int whence)
{
	fuzz_check(host_must_get(fd, "lseek")->kind == HOST_DISK && whence == SEEK_END && !offset);
	return host_call_fails() ? -1 : (off_t)host_disk.size;
}

int fake_fstat(int fd, struct stat *st)
{
	static const mode_t modes[] = {
		[HOST_DISK] = S_IFREG,	    [HOST_FILE] = S_IFREG,     [HOST_STREAM] = S_IFSOCK,
		[HOST_LISTENER] = S_IFSOCK, [HOST_PACKETS] = S_IFSOCK, [HOST_TAP] = S_IFCHR,
		[HOST_MEMORY] = S_IFREG,
	};

	if (!host_is_ours(fd))
		return real_fstat(fd, st);
	memset(st, 0, sizeof(*st));
	st->st_mode = modes[host_must_get(fd, "fstat")->kind];
	return 0;
}

int fake_statx(int fd, const char *path, int flags, unsigned int mask, struct statx *stx)
{
	(void)path;
	(void)flags;
	host_must_get(fd, "statx");
	memset(stx, 0, sizeof(*stx));
	stx->stx_mask = mask;
	stx->stx_dio_mem_align = stx->stx_dio_offset_align = HOST_DISK_BLOCK;
	return 0;
}

int fake_fcntl(int fd, int command, ...)
{
	if (!host_is_ours(fd))
		return real_fcntl(fd, command, 0);
	/* Whether a descriptor is open is asked in this way. */
	if (command == F_GETFL && !host_get(fd))
		return host_error(EBADF);
	host_must_get(fd, "fcntl");
	if (command != F_GETFL)
		return 0;
	return host_disk.direct ? O_RDWR | O_DIRECT : O_RDWR;
}

int fake_ioctl(int fd, unsigned long request, ...)
{
	struct ifreq *ifr;
	va_list args;

	fuzz_check(host_must_get(fd, "ioctl")->kind == HOST_TAP);
	if (request != TUNGETIFF)
		return host_call_fails() ? -1 : 0;
	va_start(args, request);
	ifr = va_arg(args, struct ifreq *);
	va_end(args);
	ifr->ifr_flags = IFF_TAP | IFF_VNET_HDR | IFF_MULTI_QUEUE;
	return 0;
}

ssize_t fake_getrandom(void *bytes, size_t len, unsigned int flags) WRAP_OF(getrandom);

/* At most 256 bytes are sure to come at once (getrandom(2)). */
ssize_t fake_getrandom(void *bytes, size_t len, unsigned int flags)
{
	(void)flags;
	if (host_call_fails())
		return -1;
	len = host_shorten(len);
	memset(bytes, 0x5a, len);
	return (ssize_t)len;
}

/* --- memory --- */

void *fake_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset) WRAP_OF(mmap);
void *real_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset) WRAPPED(mmap);
int fake_munmap(void *address, size_t len) WRAP_OF(munmap);
int real_munmap(void *address, size_t len) WRAPPED(munmap);

/* What is not there would be SIGBUS later: no front-end of ours makes such, so it is an error. */
void *fake_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (fd < HOST_FIRST_FD)
		return real_mmap(at, len, prot, flags, fd, offset);
	fuzz_check(flags == MAP_SHARED && !(prot & PROT_EXEC) && len > 0 && offset % 4096 == 0);
	if (host_must_get(fd, "mmap")->kind != HOST_MEMORY ||
	    (uint64_t)offset >= HOST_MEMORY_SIZE || len > HOST_MEMORY_SIZE - (uint64_t)offset) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	host_map(host_memory() + offset, len);
	return host_memory() + offset;
}

int fake_munmap(void *address, size_t len)
{
	const uint8_t *at = address;

	if (at < host_memory() || at >= host_memory() + HOST_MEMORY_SIZE)
		return real_munmap(address, len);
	host_unmap(address, len);
	return 0;
}
