/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Each layer of the device process' cage by itself. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/core/sandbox.h"
#include "devices/core/sanitizer.h"

static const int no_syscalls[] = { -1 };

/* Runs @child in a process of its own and returns how it ended. */
static int run(unsigned long flags, void (*child)(const void *), const void *opaque)
{
	pid_t pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
	int status = -1;

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		child(opaque);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static bool killed_by_filter(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

struct call {
	const char *what;
	long number;
	long args[6];
};

/* Which filters are in force when the call is made. */
enum stage { ENTERED, SEALED };

struct attempt {
	enum stage stage;
	const struct call *call;
};

static void make_call(const void *opaque)
{
	const struct attempt *attempt = opaque;
	const struct call *call = attempt->call;
	const int device_syscalls[] = { SYS_getrandom, -1 };
	const unsigned long device_ioctls[] = { TUNSETOFFLOAD, 0 };
	const struct sandbox sandbox = { .syscalls = device_syscalls, .ioctls = device_ioctls };
	struct sandbox_filter enter, seal;

	if (sandbox_compile_filters(&sandbox, &enter, &seal) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || sandbox_load_filter(&enter) ||
	    (attempt->stage == SEALED && sandbox_load_filter(&seal)))
		_exit(1);
	syscall(call->number, call->args[0], call->args[1], call->args[2], call->args[3],
		call->args[4], call->args[5]);
}

static int attempt(enum stage stage, const struct call *call)
{
	const struct attempt what = { stage, call };

	return run(0, make_call, &what);
}

#define RW     (PROT_READ | PROT_WRITE)
#define WINDOW 0, 4096, RW, MAP_SHARED, -1, 0

Test(device_sandbox, calls_that_a_device_makes)
{
	static const struct call calls[] = {
		{ "epoll_pwait", SYS_epoll_pwait, { -1 } },
		{ "write", SYS_write, { -1 } },
		{ "clock_gettime", SYS_clock_gettime, { -1 } },
		{ "the device's own", SYS_getrandom, { 0 } },
		{ "its request of ioctl", SYS_ioctl, { -1, TUNSETOFFLOAD } },
		{ "close", SYS_close, { -1 } },
		{ "exit_group", SYS_exit_group, { 0 } },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		cr_expect_eq(attempt(ENTERED, &calls[i]), 0, "%s", calls[i].what);
		cr_expect_eq(attempt(SEALED, &calls[i]), 0, "%s, sealed", calls[i].what);
	}
}

Test(device_sandbox, calls_until_the_windows_are_mapped)
{
	static const struct call calls[] = {
		{ "map a window", SYS_mmap, { WINDOW } },
		{ "limit the address space", SYS_prlimit64, { 0, RLIMIT_AS, 0, 0 } },
		{ "tighten the filter", SYS_seccomp, { SECCOMP_SET_MODE_FILTER, 0, 0 } },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		bool kept = HAVE_SANITIZER && calls[i].number == SYS_mmap;

		cr_expect_eq(attempt(ENTERED, &calls[i]), 0, "%s", calls[i].what);
		cr_expect_eq(killed_by_filter(attempt(SEALED, &calls[i])), !kept, "%s, sealed",
			     calls[i].what);
	}
}

Test(device_sandbox, calls_that_kill)
{
	static const struct call calls[] = {
		{ "open_by_handle_at", SYS_open_by_handle_at, { 0 } },
		{ "socket", SYS_socket, { 1, 1, 0 } },
		{ "connect", SYS_connect, { 0 } },
		{ "execve", SYS_execve, { 0 } },
		{ "clone", SYS_clone, { SIGCHLD } },
		{ "clone3", SYS_clone3, { 0 } },
		{ "unshare", SYS_unshare, { CLONE_NEWUSER } },
		{ "mount", SYS_mount, { 0 } },
		{ "ptrace", SYS_ptrace, { 0 } },
		{ "process_vm_readv", SYS_process_vm_readv, { 1 } },
		{ "process_vm_writev", SYS_process_vm_writev, { 1 } },
		{ "pidfd_open", SYS_pidfd_open, { 1 } },
		{ "pidfd_getfd", SYS_pidfd_getfd, { 0 } },
		{ "kill", SYS_kill, { 1, 0 } },
		{ "bpf", SYS_bpf, { 0 } },
		{ "perf_event_open", SYS_perf_event_open, { 0 } },
		{ "userfaultfd", SYS_userfaultfd, { 0 } },
		{ "io_uring_setup", SYS_io_uring_setup, { 0 } },
		{ "keyctl", SYS_keyctl, { 0 } },
		{ "memfd_create", SYS_memfd_create, { 0 } },
		{ "ftruncate", SYS_ftruncate, { 0 } },
		{ "fcntl", SYS_fcntl, { 0 } },
		{ "ioctl", SYS_ioctl, { 0 } },
		{ "prctl", SYS_prctl, { 0 } },
		{ "mremap", SYS_mremap, { 0 } },
		{ "fdatasync is another device's", SYS_fdatasync, { -1 } },
		{ "limit something else", SYS_prlimit64, { 0, RLIMIT_NOFILE, 0, 0 } },
		{ "limit somebody else", SYS_prlimit64, { 1, RLIMIT_AS, 0, 0 } },
		{ "strict mode", SYS_seccomp, { SECCOMP_SET_MODE_STRICT, 0, 0 } },
		{ "listen to the filter", SYS_seccomp, { SECCOMP_GET_NOTIF_SIZES, 0, 0 } },
		{ "a number of the x32 ABI", SYS_write | 0x40000000, { -1 } },
		{ "no call at all", 100000, { 0 } },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		cr_expect(killed_by_filter(attempt(ENTERED, &calls[i])), "%s", calls[i].what);
}

#if !HAVE_SANITIZER /* a sanitizer maps, protects and opens by itself */

Test(device_sandbox, calls_that_kill_in_a_normal_build)
{
	static const struct call calls[] = {
		{ "openat", SYS_openat, { AT_FDCWD, 0, 0 } },
		{ "read", SYS_read, { -1 } },
		{ "mprotect", SYS_mprotect, { 0 } },
		{ "map to execute", SYS_mmap, { 0, 4096, RW | PROT_EXEC, MAP_SHARED, -1, 0 } },
		{ "map read-only", SYS_mmap, { 0, 4096, PROT_READ, MAP_SHARED, -1, 0 } },
		{ "map private", SYS_mmap, { 0, 4096, RW, MAP_PRIVATE, -1, 0 } },
		{ "map anonymous", SYS_mmap, { 0, 4096, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0 } },
		{ "map over", SYS_mmap, { 0, 4096, RW, MAP_SHARED | MAP_FIXED, -1, 0 } },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		cr_expect(killed_by_filter(attempt(ENTERED, &calls[i])), "%s", calls[i].what);
}

Test(device_sandbox, nothing_else_survives, .timeout = 60)
{
	unsigned int survivors = 0;

	for (long number = 0; number < 600; number++) {
		const struct call call = { "any", number, { -1, -1, -1, -1, -1, -1 } };

		/* No calls on 64-bit machines, but for those of uprobes: the kernel lets them pass. */
		if (number >= 335 && number < 424)
			continue;
		survivors += !killed_by_filter(attempt(SEALED, &call));
	}
	cr_expect_eq(survivors, 9 + 1, "the table, and the one call of the device: %u", survivors);
}

#endif

static void check_empty_root(const void *opaque)
{
	unsigned int entries = 0;
	DIR *root;

	(void)opaque;
	if (sandbox_empty_root())
		_exit(1);
	root = opendir("/");
	while (root && readdir(root))
		entries++;
	/* The directory itself and its parent. */
	if (entries != 2)
		_exit(2);
	if (open("/etc/passwd", O_RDONLY) >= 0 || open("../../etc/passwd", O_RDONLY) >= 0)
		_exit(3);
	if (mkdir("/x", 0700) == 0 || errno != EROFS)
		_exit(4);
}

Test(device_sandbox, empty_root)
{
	cr_expect_eq(run(SANDBOX_NAMESPACES, check_empty_root, NULL), 0);
	cr_expect_eq(access("/etc/passwd", R_OK), 0, "ours is still there");
}

static void check_capabilities(const void *opaque)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	(void)opaque;
	if (syscall(SYS_capget, &header, data) || !data[0].effective)
		_exit(1); /* nothing to drop would prove nothing */
	if (sandbox_drop_capabilities())
		_exit(2);
	if (syscall(SYS_capget, &header, data))
		_exit(3);
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		if (data[i].effective || data[i].permitted || data[i].inheritable)
			_exit(4);
	}
	for (int cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_READ, cap) == 1)
			_exit(5);
	}
}

Test(device_sandbox, no_capabilities)
{
	cr_expect_eq(run(SANDBOX_NAMESPACES, check_capabilities, NULL), 0);
}

static void enter_without_namespaces(const void *opaque)
{
	const int fds[] = { -1 };
	struct sandbox sandbox = { .full = true, .syscalls = no_syscalls, .fds = fds };

	(void)opaque;
	_exit(sandbox_enter(&sandbox) == -EPERM ? 42 : 0);
}

Test(device_sandbox, a_layer_that_is_missing_is_an_error)
{
	cr_expect_eq(WEXITSTATUS(run(0, enter_without_namespaces, NULL)), 42);
	cr_expect_eq(access("/etc/passwd", R_OK), 0, "and nothing of ours was changed");
}
