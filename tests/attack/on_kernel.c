/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Interfaces of the host's kernel in which its bugs usually are, and privileges. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/attack/attack.h"

static int granted(long result)
{
	return result >= 0 ? 0 : -errno;
}

static int new_user_namespace(const struct target *target, uint8_t *secret)
{
	(void)target;
	(void)secret;
	return granted(unshare(CLONE_NEWUSER));
}

static int load_bpf(const struct target *target, uint8_t *secret)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = 4,
		.value_size = 4,
		.max_entries = 1,
	};

	(void)target;
	(void)secret;
	return granted(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
}

static int open_perf(const struct target *target, uint8_t *secret)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_TASK_CLOCK,
		.exclude_kernel = 1,
	};

	(void)target;
	(void)secret;
	return granted(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

/* Faults that user space answers make races in the kernel easy to win. */
static int open_userfaultfd(const struct target *target, uint8_t *secret)
{
	(void)target;
	(void)secret;
	return granted(syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY));
}

static int setup_io_uring(const struct target *target, uint8_t *secret)
{
	struct io_uring_params params = { 0 };

	(void)target;
	(void)secret;
	return granted(syscall(SYS_io_uring_setup, 4, &params));
}

/* Keyrings are inherited, by any child of minivmm's. */
static int read_key(const struct target *target, uint8_t *secret)
{
	long key =
		syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", ATTACK_KEY, 0);

	(void)target;
	if (key < 0)
		return -errno;
	return syscall(SYS_keyctl, KEYCTL_READ, key, secret, SECRET_LEN) == SECRET_LEN ? 0 : -errno;
}

static int make_memfd(const struct target *target, uint8_t *secret)
{
	(void)target;
	(void)secret;
	return granted(memfd_create("new", 0));
}

static int map_executable(const struct target *target, uint8_t *secret)
{
	(void)target;
	(void)secret;
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) == MAP_FAILED
		       ? -errno
		       : 0;
}

/* No new mapping: code that a guest has put into the pool. */
static int protect_executable(const struct target *target, uint8_t *secret)
{
	(void)secret;
	return granted(mprotect(target->pool, 4096, PROT_READ | PROT_EXEC));
}

static int map_pool_executable(const struct target *target, uint8_t *secret)
{
	(void)secret;
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, target->pool_fd, 0) == MAP_FAILED
		       ? -errno
		       : 0;
}

static int call_x32(const struct target *target, uint8_t *secret)
{
	(void)target;
	(void)secret;
	return granted(syscall(0x40000000 | SYS_getppid));
}

static int call_32bit(const struct target *target, uint8_t *secret)
{
	long result = 64; /* getppid() of i386 */

	(void)target;
	(void)secret;
	__asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
	return result >= 0 ? 0 : (int)result;
}

static int set_capabilities(const struct target *target, uint8_t *secret)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
		{ 1u << CAP_SYS_ADMIN, 1u << CAP_SYS_ADMIN, 0 },
	};

	(void)target;
	(void)secret;
	return granted(syscall(SYS_capset, &header, data));
}

static int ask_for_ports(const struct target *target, uint8_t *secret)
{
	(void)target;
	(void)secret;
	return granted(syscall(SYS_ioperm, 0x80, 1, 1));
}

static int become_traceable(const struct target *target, uint8_t *secret)
{
	(void)target;
	(void)secret;
	return granted(prctl(PR_SET_DUMPABLE, 1));
}

const struct attack attacks_on_kernel[] = {
	{ "unshare", "makes a user namespace, with all capabilities in it", EVIDENCE_WORD,
	  new_user_namespace, NULL },
	{ "bpf", "makes a BPF map", EVIDENCE_WORD, load_bpf, NULL },
	{ "perf", "perf_event_open()", EVIDENCE_WORD, open_perf, NULL },
	{ "userfaultfd", "userfaultfd()", EVIDENCE_WORD, open_userfaultfd, NULL },
	{ "io-uring", "io_uring_setup()", EVIDENCE_WORD, setup_io_uring, NULL },
	{ "keyring", "reads a key of minivmm's session", EVIDENCE_SECRET, read_key, NULL },
	{ "memfd", "memfd_create()", EVIDENCE_WORD, make_memfd, NULL },
	{ "map-executable", "maps memory to write and execute", EVIDENCE_WORD, map_executable,
	  NULL },
	{ "protect-executable", "makes its pool executable", EVIDENCE_WORD, protect_executable,
	  NULL },
	{ "map-pool-executable", "maps its pool to execute, before the seal", EVIDENCE_WORD, NULL,
	  map_pool_executable },
	{ "x32", "a call of the x32 ABI", EVIDENCE_WORD, call_x32, NULL },
	{ "int80", "a call of the 32-bit ABI", EVIDENCE_WORD, call_32bit, NULL },
	{ "capset", "takes CAP_SYS_ADMIN", EVIDENCE_WORD, set_capabilities, NULL },
	{ "ioperm", "asks for I/O ports", EVIDENCE_WORD, ask_for_ports, NULL },
	{ "dumpable", "makes itself dumpable again", EVIDENCE_WORD, become_traceable, NULL },
	{ 0 },
};
