/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/attack/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

uint64_t layers_removed;
bool layers_building;
int (*layers_without_exec)(int argc, char **argv);

const char *layer_name(enum layer layer)
{
	static const char *const names[] = {
#define NAME(constant, name) name,
		LAYERS(NAME)
#undef NAME
	};

	return names[layer];
}

uint64_t layers_closure(uint64_t removed)
{
	/* The place of the empty root must not be somebody else's. */
	if (removed & ONLY(LAYER_MOUNT_NS))
		removed |= ONLY(LAYER_ROOT);
	if (removed & ONLY(LAYER_USER_NS))
		removed |= ONLY(LAYER_NOBODY);
	/* Without capabilities the kernel loads no filter for who might gain privileges. */
	if (removed & ONLY(LAYER_NO_NEW_PRIVS))
		removed |= ONLY(LAYER_SECCOMP);
	if (removed & ONLY(LAYER_SECCOMP))
		removed |= ONLY(LAYER_SEAL);
	return removed;
}

const char *layers_text(uint64_t set)
{
	static char text[512];
	size_t used = 0;

	text[0] = '\0';
	for (int layer = 0; layer < NR_LAYERS && used < sizeof(text); layer++)
		if (set & ONLY(layer))
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
						 used ? ", " : "", layer_name(layer));
	return text;
}

/*
 * By --wrap=NAME a call of NAME from another file is one of __wrap_NAME, and one of __real_NAME goes
 * to the C library. Those names are the linker's; ours are these.
 */
#define WRAP(name) __asm__("__wrap_" #name)
#define REAL(name) __asm__("__real_" #name)

long real_syscall(long number, ...) REAL(syscall);
long wrap_syscall(long number, ...) WRAP(syscall);
int real_prctl(int option, ...) REAL(prctl);
int wrap_prctl(int option, ...) WRAP(prctl);
int real_fcntl(int fd, int command, ...) REAL(fcntl);
int wrap_fcntl(int fd, int command, ...) WRAP(fcntl);
int real_setrlimit(int resource, const struct rlimit *limit) REAL(setrlimit);
int wrap_setrlimit(int resource, const struct rlimit *limit) WRAP(setrlimit);
pid_t real_getpid(void) REAL(getpid);
pid_t wrap_getpid(void) WRAP(getpid);
int real_madvise(void *addr, size_t len, int advice) REAL(madvise);
int wrap_madvise(void *addr, size_t len, int advice) WRAP(madvise);
int real_close_range(unsigned int first, unsigned int last, int flags) REAL(close_range);
int wrap_close_range(unsigned int first, unsigned int last, int flags) WRAP(close_range);
int real_close(int fd) REAL(close);
int wrap_close(int fd) WRAP(close);
int real_open(const char *path, int flags, ...) REAL(open);
int wrap_open(const char *path, int flags, ...) WRAP(open);
ssize_t real_write(int fd, const void *data, size_t len) REAL(write);
ssize_t wrap_write(int fd, const void *data, size_t len) WRAP(write);
int real_mount(const char *source, const char *target, const char *type, unsigned long flags,
	       const void *data) REAL(mount);
int wrap_mount(const char *source, const char *target, const char *type, unsigned long flags,
	       const void *data) WRAP(mount);
int real_umount2(const char *target, int flags) REAL(umount2);
int wrap_umount2(const char *target, int flags) WRAP(umount2);
int real_chdir(const char *path) REAL(chdir);
int wrap_chdir(const char *path) WRAP(chdir);

/* Of the layers that the device process makes for itself, while it does. */
static bool is_left_out(enum layer layer)
{
	return layers_building && layer_is_removed(layer);
}

static unsigned long without_namespaces(unsigned long flags)
{
	static const struct {
		enum layer layer;
		unsigned long flag;
	} namespaces[] = {
		{ LAYER_USER_NS, CLONE_NEWUSER },     { LAYER_PID_NS, CLONE_NEWPID },
		{ LAYER_MOUNT_NS, CLONE_NEWNS },      { LAYER_NET_NS, CLONE_NEWNET },
		{ LAYER_IPC_NS, CLONE_NEWIPC },	      { LAYER_UTS_NS, CLONE_NEWUTS },
		{ LAYER_CGROUP_NS, CLONE_NEWCGROUP },
	};

	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
		if (layer_is_removed(namespaces[i].layer))
			flags &= ~namespaces[i].flag;
	return flags;
}

/* In the child that minivmm has cloned, all but on its way to another program. */
static long execute(long args[6])
{
	char **argv = (char **)args[2];
	int argc = 0;

	if (layer_is_removed(LAYER_EXEC)) {
		while (argv[argc])
			argc++;
		_exit(layers_without_exec(argc, argv));
	}
	if (layer_is_removed(LAYER_ENV))
		args[3] = (long)environ;
	return real_syscall(SYS_execveat, args[0], args[1], args[2], args[3], args[4]);
}

/* The first filter is that of sandbox_enter(), the second that of sandbox_seal(). */
static bool filter_is_left_out(void)
{
	static unsigned int filters;

	return layers_building && layer_is_removed(filters++ == 0 ? LAYER_SECCOMP : LAYER_SEAL);
}

/* Who made no user namespace may set no ids there, and is nobody else. */
static bool identity_is_kept(long number)
{
	return layer_is_removed(LAYER_USER_NS) &&
	       (number == SYS_setgroups || number == SYS_setresuid || number == SYS_setresgid);
}

long wrap_syscall(long number, ...)
{
	long args[6];
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		args[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_clone)
		args[0] = (long)without_namespaces((unsigned long)args[0]);
	else if (number == SYS_execveat)
		return execute(args);
	else if ((number == SYS_capset && is_left_out(LAYER_CAPABILITIES)) ||
		 (number == SYS_pivot_root && is_left_out(LAYER_ROOT)) ||
		 (number == SYS_close_range && is_left_out(LAYER_FDS)) ||
		 (number == SYS_seccomp && filter_is_left_out()) || identity_is_kept(number))
		return 0;
	return real_syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

int wrap_prctl(int option, ...)
{
	unsigned long args[4];
	va_list list;

	va_start(list, option);
	for (int i = 0; i < 4; i++)
		args[i] = va_arg(list, unsigned long);
	va_end(list);
	if ((option == PR_SET_PDEATHSIG && is_left_out(LAYER_DEATH_SIGNAL)) ||
	    (option == PR_SET_DUMPABLE && is_left_out(LAYER_DUMPABLE)) ||
	    (option == PR_SET_NO_NEW_PRIVS && is_left_out(LAYER_NO_NEW_PRIVS)))
		return 0;
	/* As if there were no capability at all. */
	if (option == PR_CAPBSET_DROP && is_left_out(LAYER_BOUNDING_SET)) {
		errno = EINVAL;
		return -1;
	}
	return real_prctl(option, args[0], args[1], args[2], args[3]);
}

int wrap_fcntl(int fd, int command, ...)
{
	va_list list;
	long arg;

	va_start(list, command);
	arg = va_arg(list, long);
	va_end(list);
	if (command == F_ADD_SEALS && layer_is_removed(LAYER_MEMFD_SEALS))
		return 0;
	return real_fcntl(fd, command, arg);
}

int wrap_setrlimit(int resource, const struct rlimit *limit)
{
	static const enum layer layers[RLIM_NLIMITS] = {
		[RLIMIT_CORE] = LAYER_LIMIT_CORE,	[RLIMIT_NPROC] = LAYER_LIMIT_NPROC,
		[RLIMIT_MEMLOCK] = LAYER_LIMIT_MEMLOCK, [RLIMIT_NOFILE] = LAYER_LIMIT_NOFILE,
		[RLIMIT_FSIZE] = LAYER_LIMIT_FSIZE,	[RLIMIT_AS] = LAYER_ADDRESS_SPACE,
	};

	return is_left_out(layers[resource]) ? 0 : real_setrlimit(resource, limit);
}

/* Being the first of a pid namespace is how a device process knows that it has namespaces. */
pid_t wrap_getpid(void)
{
	return is_left_out(LAYER_PID_NS) ? 1 : real_getpid();
}

int wrap_madvise(void *addr, size_t len, int advice)
{
	if (advice == MADV_DONTFORK && layer_is_removed(LAYER_DONTFORK))
		return 0;
	return real_madvise(addr, len, advice);
}

int wrap_close_range(unsigned int first, unsigned int last, int flags)
{
	return layer_is_removed(LAYER_FDS_AT_START) ? 0 : real_close_range(first, last, flags);
}

/* How close_other_fds() begins; what else a device process closes does not matter here. */
int wrap_close(int fd)
{
	return fd > STDERR_FILENO && is_left_out(LAYER_FDS) ? 0 : real_close(fd);
}

static bool is_id_map(const char *path)
{
	static const char *const names[] = { "/uid_map", "/gid_map", "/setgroups" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const size_t len = strlen(path), name = strlen(names[i]);

		if (len > name && strcmp(path + len - name, names[i]) == 0)
			return true;
	}
	return false;
}

/* Where there is no user namespace there are no ids to map. */
int wrap_open(const char *path, int flags, ...)
{
	va_list list;
	mode_t mode;

	va_start(list, flags);
	mode = va_arg(list, mode_t);
	va_end(list);
	if (layer_is_removed(LAYER_USER_NS) && is_id_map(path))
		path = "/dev/null";
	return real_open(path, flags, mode);
}

/* Root of the new namespace is root outside. */
ssize_t wrap_write(int fd, const void *data, size_t len)
{
	static const char nobody[] = "0 65534 1", root[] = "0 0 1";

	if (len != sizeof(nobody) - 1 || memcmp(data, nobody, len) != 0 ||
	    !layer_is_removed(LAYER_NOBODY))
		return real_write(fd, data, len);
	return real_write(fd, root, sizeof(root) - 1) < 0 ? -1 : (ssize_t)len;
}

int wrap_mount(const char *source, const char *target, const char *type, unsigned long flags,
	       const void *data)
{
	return is_left_out(LAYER_ROOT) ? 0 : real_mount(source, target, type, flags, data);
}

int wrap_umount2(const char *target, int flags)
{
	return is_left_out(LAYER_ROOT) ? 0 : real_umount2(target, flags);
}

int wrap_chdir(const char *path)
{
	return is_left_out(LAYER_ROOT) ? 0 : real_chdir(path);
}
