/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * System calls that a device process may make. Any other one kills it.
 *
 * Rules without conditions on arguments are worth having: the kernel remembers them per call number
 * and does not even run the filter for them, so the data path pays next to nothing.
 */
#include "devices/core/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "devices/core/sanitizer.h"

/* For as long as the process lives. Devices add their own. */
static const int always_allowed[] = {
	SYS_epoll_pwait,   /* wait for messages, kicks and host input */
	SYS_epoll_ctl,	   /* queues start and stop */
	SYS_recvmsg,	   /* messages of the front-end */
	SYS_sendmsg,	   /* answers */
	SYS_ppoll,	   /* ... with a deadline */
	SYS_clock_gettime, /* ... where the vDSO cannot tell the time by itself */
	SYS_write,	   /* interrupts and errors by eventfd; lines of the log */
	SYS_close,	   /* descriptors of stopped queues, and superfluous ones */
	SYS_exit_group,	   /* the front-end has gone */
};

/* Until sandbox_seal(); each of them with conditions, see allow_handshake(). */
static const int handshake_only[] = {
	SYS_mmap,      /* windows: shared, readable and writable, nothing else */
	SYS_prlimit64, /* the limit on address space, for ourselves */
	SYS_seccomp,   /* the filter that takes these three away */
};

/* What the run-time of a sanitizer calls by itself: no part of the design. */
static const int sanitizer_allowed[] = {
	SYS_mmap,	  SYS_munmap,	SYS_mprotect, SYS_madvise,     SYS_sigaltstack,
	SYS_rt_sigaction, SYS_futex,	SYS_read,     SYS_sched_yield, SYS_getpid,
	SYS_gettid,	  SYS_readlink, SYS_openat,
};

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static int add_rules(scmp_filter_ctx filter, uint32_t action, const int *syscalls, size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++)
		rc = seccomp_rule_add(filter, action, syscalls[i], 0);
	return rc;
}

static int allow_device(scmp_filter_ctx filter, const int *syscalls)
{
	size_t n = 0;

	while (syscalls[n] >= 0)
		n++;
	return add_rules(filter, SCMP_ACT_ALLOW, syscalls, n);
}

static int allow_ioctls(scmp_filter_ctx filter, const unsigned long *ioctls)
{
	int rc = 0;

	for (; ioctls && *ioctls && !rc; ioctls++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SYS_ioctl, 1,
				      SCMP_A1(SCMP_CMP_EQ, *ioctls, 0));
	return rc;
}

static int allow_handshake(scmp_filter_ctx filter)
{
	int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SYS_mmap, 2,
				  SCMP_A2(SCMP_CMP_EQ, PROT_READ | PROT_WRITE, 0),
				  SCMP_A3(SCMP_CMP_EQ, MAP_SHARED, 0));

	if (!rc)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SYS_prlimit64, 2,
				      SCMP_A0(SCMP_CMP_EQ, 0, 0),
				      SCMP_A1(SCMP_CMP_EQ, RLIMIT_AS, 0));
	if (!rc)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SYS_seccomp, 1,
				      SCMP_A0(SCMP_CMP_EQ, SECCOMP_SET_MODE_FILTER, 0));
	return rc;
}

static int add_enter_rules(scmp_filter_ctx filter, const struct sandbox *sandbox)
{
	int rc = add_rules(filter, SCMP_ACT_ALLOW, always_allowed, ARRAY_SIZE(always_allowed));

	if (!rc)
		rc = allow_device(filter, sandbox->syscalls);
	if (!rc)
		rc = allow_ioctls(filter, sandbox->ioctls);
	if (!rc)
		rc = allow_handshake(filter);
	if (!rc && sandbox->keeps_mapping)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SYS_munmap, 0);
	if (!rc && HAVE_SANITIZER)
		rc = add_rules(filter, SCMP_ACT_ALLOW, sanitizer_allowed,
			       ARRAY_SIZE(sanitizer_allowed));
	return rc;
}

/* Filters only ever tighten: the second one names what it takes away from the first. */
static int add_seal_rules(scmp_filter_ctx filter)
{
	const int first = HAVE_SANITIZER ? 1 : 0; /* a sanitizer keeps mmap() */

	return add_rules(filter, SCMP_ACT_KILL_PROCESS, handshake_only + first,
			 ARRAY_SIZE(handshake_only) - first);
}

/* libseccomp writes a program to a descriptor only; a pipe holds 4 KiB at least. */
static int export_program(scmp_filter_ctx filter, struct sandbox_filter *program)
{
	ssize_t len;
	int fds[2];
	int rc;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	rc = seccomp_export_bpf(filter, fds[1]);
	len = read(fds[0], program->instructions, sizeof(program->instructions));
	close(fds[0]);
	close(fds[1]);
	if (rc)
		return rc;
	/* Full to the brim: it may have been longer. */
	if (len <= 0 || len == sizeof(program->instructions))
		return -E2BIG;
	program->len = len / sizeof(program->instructions[0]);
	return 0;
}

/* @sandbox: of the device for the allow-list; NULL for the seal. */
static int compile(uint32_t default_action, const struct sandbox *sandbox,
		   struct sandbox_filter *program)
{
	scmp_filter_ctx filter = seccomp_init(default_action);
	int rc;

	if (!filter)
		return -ENOMEM;
	rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!rc)
		rc = sandbox ? add_enter_rules(filter, sandbox) : add_seal_rules(filter);
	if (!rc)
		rc = export_program(filter, program);
	seccomp_release(filter);
	return rc;
}

int sandbox_compile_filters(const struct sandbox *sandbox, struct sandbox_filter *enter,
			    struct sandbox_filter *seal)
{
	int rc = compile(SCMP_ACT_KILL_PROCESS, sandbox, enter);

	return rc ? rc : compile(SCMP_ACT_ALLOW, NULL, seal);
}

int sandbox_load_filter(const struct sandbox_filter *filter)
{
	const struct sock_fprog program = {
		.len = filter->len,
		.filter = (struct sock_filter *)filter->instructions,
	};

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) ? -errno : 0;
}
