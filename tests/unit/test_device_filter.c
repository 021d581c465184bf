/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The allow-lists of all devices: exactly what is written down, and nothing that is not needed. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "devices/core/sanitizer.h"
#include "devices/device.h"
#include "tests/unit/filter_verdict.h"
#include "tests/unit/mock_frontend.h"

#define MANY	600 /* numbers of every ABI that are tried one by one */
#define ABI_X32 0x40000000u

#if !HAVE_SANITIZER /* whose calls are no part of the lists */

/* All tests run as on a host whose vDSO cannot tell the time: this is what clock_gettime() is. */
int tell_time_by_syscall(clockid_t clock, struct timespec *now) __asm__("clock_gettime");

int tell_time_by_syscall(clockid_t clock, struct timespec *now)
{
	return (int)syscall(SYS_clock_gettime, clock, now);
}

/* The beginning of a message that never goes on, and what a device does last. */
#define OF_ALL "device_backend/a_message_that_stops_half_way*|device_confined/a_bad_message_inside"

/* What docs/architecture.md counts: any device, all of its life. */
static const int always[] = {
	SYS_epoll_pwait, SYS_epoll_ctl, SYS_recvmsg,	   SYS_sendmsg,	   SYS_ppoll,
	SYS_write,	 SYS_close,	SYS_clock_gettime, SYS_exit_group,
};

enum stage { ENTERED, SEALED };

static bool is_in(const int *list, size_t len, int number)
{
	for (size_t i = 0; i < len && list[i] >= 0; i++)
		if (list[i] == number)
			return true;
	return false;
}

/* With arguments for which no condition holds. */
static bool is_listed(const struct device_ops *ops, int number)
{
	return is_in(always, sizeof(always) / sizeof(always[0]), number) ||
	       is_in(ops->syscalls, SIZE_MAX, number);
}

static void compile(const struct device_ops *ops, struct sandbox_filter filters[2])
{
	const struct sandbox sandbox = { .syscalls = ops->syscalls, .ioctls = ops->ioctls };

	cr_assert_eq(sandbox_compile_filters(&sandbox, &filters[ENTERED], &filters[SEALED]), 0);
}

/* Of two filters in force the one that forbids more counts. */
static bool lets_through(const struct sandbox_filter filters[2], enum stage stage,
			 const struct seccomp_data *call)
{
	return filter_verdict(&filters[ENTERED], call) == SECCOMP_RET_ALLOW &&
	       (stage == ENTERED || filter_verdict(&filters[SEALED], call) == SECCOMP_RET_ALLOW);
}

static void kill_other_abis(const struct sandbox_filter filters[2], const char *kind)
{
	static const uint32_t archs[] = {
		AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM, 0,
		UINT32_MAX
	};
	const uint32_t native = seccomp_arch_native();

	for (size_t i = 0; i < sizeof(archs) / sizeof(archs[0]); i++) {
		for (uint32_t number = 0; number <= MANY; number++) {
			struct seccomp_data call = { .nr = (int)number, .arch = archs[i] };

			if (archs[i] == native)
				call.nr = (int)(number | ABI_X32);
			cr_expect_eq(filter_verdict(&filters[ENTERED], &call),
				     SECCOMP_RET_KILL_PROCESS, "%s: ABI %#x, call %#x", kind,
				     call.arch, (unsigned int)call.nr);
		}
	}
}

static void check_list(const struct device_kind *kind)
{
	struct sandbox_filter filters[2];

	compile(kind->ops, filters);
	for (int number = -MANY; number <= 2 * MANY; number++) {
		const struct seccomp_data call = {
			.nr = number,
			.arch = seccomp_arch_native(),
			/* No request, no protection and no limit is like this. */
			.args = { 0x55555555, 0x55555555, 0x55555555, 0x55555555 },
		};
		const bool listed = is_listed(kind->ops, number);

		cr_expect_eq(lets_through(filters, ENTERED, &call), listed, "%s: call %d",
			     kind->name, number);
		cr_expect_eq(lets_through(filters, SEALED, &call), listed, "%s: call %d, sealed",
			     kind->name, number);
	}
	kill_other_abis(filters, kind->name);
}

Test(device_filter, lists_are_exact)
{
	device_kind_list(check_list);
}

/* Calls with a condition: the arguments for which they are let through, and only until the seal. */
static void check_conditions(const struct device_kind *kind)
{
	static const struct {
		int number;
		uint64_t args[4];
	} good[] = {
		{ SYS_mmap, { 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED } },
		{ SYS_prlimit64, { 0, RLIMIT_AS } },
		{ SYS_seccomp, { SECCOMP_SET_MODE_FILTER } },
	};
	struct sandbox_filter filters[2];

	compile(kind->ops, filters);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct seccomp_data call = { .nr = good[i].number, .arch = seccomp_arch_native() };
		const unsigned int first = good[i].number == SYS_mmap ? 2 : 0;
		const unsigned int last = good[i].number == SYS_mmap	    ? 3
					  : good[i].number == SYS_prlimit64 ? 1
									    : 0;

		memcpy(call.args, good[i].args, sizeof(good[i].args));
		cr_expect(lets_through(filters, ENTERED, &call), "%s: %d", kind->name, call.nr);
		cr_expect_not(lets_through(filters, SEALED, &call), "%s: %d", kind->name, call.nr);
		/* Any other bit in an argument, in its upper half as well. */
		for (unsigned int arg = first; arg <= last; arg++) {
			for (int bit = 0; bit < 64; bit++) {
				call.args[arg] ^= 1ull << bit;
				cr_expect_not(lets_through(filters, ENTERED, &call),
					      "%s: %d, argument %u, bit %d", kind->name, call.nr,
					      arg, bit);
				call.args[arg] ^= 1ull << bit;
			}
		}
	}
}

Test(device_filter, conditions_are_exact)
{
	device_kind_list(check_conditions);
}

/* Requests of ioctl() that the device lists, each bit of which counts. */
static void check_ioctls(const struct device_kind *kind)
{
	const unsigned long *ioctls = kind->ops->ioctls;
	struct sandbox_filter filters[2];

	compile(kind->ops, filters);
	for (; ioctls && *ioctls; ioctls++) {
		struct seccomp_data call = { .nr = SYS_ioctl,
					     .arch = seccomp_arch_native(),
					     .args = { 5, *ioctls } };

		cr_expect(lets_through(filters, SEALED, &call), "%s: %#lx", kind->name, *ioctls);
		for (int bit = 0; bit < 64; bit++) {
			call.args[1] = *ioctls ^ 1ull << bit;
			cr_expect_not(lets_through(filters, ENTERED, &call), "%s: %#lx, bit %d",
				      kind->name, *ioctls, bit);
		}
	}
}

Test(device_filter, requests_of_ioctl_are_exact)
{
	device_kind_list(check_ioctls);
}

/* Runs @tests in a device process that dies of call @number; see MOCK_WITHOUT. */
static pid_t run_without(const char *tests, int number)
{
	char without[16];
	pid_t pid;

	snprintf(without, sizeof(without), "%d", number);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid > 0)
		return pid;
	dup2(open("/dev/null", O_RDWR | O_CLOEXEC), STDOUT_FILENO);
	dup2(STDOUT_FILENO, STDERR_FILENO);
	/* Nothing by which Criterion would take it for a test of this run. */
	clearenv();
	setenv(MOCK_WITHOUT, without, 1);
	execl("/proc/self/exe", "unit-tests", "--filter", tests, "-j1", "--timeout", "20", NULL);
	_exit(99);
}

struct removal {
	int number;
	pid_t pid;
};

static bool passes(const struct removal *removal)
{
	int status;

	cr_assert_eq(waitpid(removal->pid, &status, 0), removal->pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) != 99);
	return WEXITSTATUS(status) == 0;
}

/*
 * @tests are some of the device @name that make all of its calls between them: they pass, and they
 * fail when any of the calls is taken away.
 */
static void need_each_call(const char *name, const char *tests)
{
	const struct device_ops *ops = device_kind_find(name)->ops;
	struct removal removals[32];
	unsigned int n = 0;

	/* One that no test makes. */
	removals[n++] = (struct removal){ .number = SYS_reboot };
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		removals[n++].number = always[i];
	for (const int *call = ops->syscalls; *call >= 0; call++)
		removals[n++].number = *call;
	if (ops->ioctls)
		removals[n++].number = SYS_ioctl;
	for (unsigned int i = 0; i < n; i++)
		removals[i].pid = run_without(tests, removals[i].number);
	cr_expect(passes(&removals[0]), "%s: with all calls", name);
	for (unsigned int i = 1; i < n; i++)
		cr_expect_not(passes(&removals[i]), "%s: call %d is not needed", name,
			      removals[i].number);
}

Test(device_filter, blk_needs_each_call, .timeout = 60)
{
	need_each_call("blk", "@(device_confined/blk_requests_inside|" OF_ALL ")");
}

Test(device_filter, console_needs_each_call, .timeout = 60)
{
	need_each_call("console", "@(device_console_peers/in_the_sandbox|" OF_ALL ")");
}

Test(device_filter, net_needs_each_call, .timeout = 60)
{
	need_each_call(
		"net",
		"@(device_net_ctrl/inside_the_sandbox|device_net_pairs/inside_the_sandbox|" OF_ALL
		")");
}

Test(device_filter, rng_needs_each_call, .timeout = 60)
{
	need_each_call("rng", "@(device_rng/fills_what_is_offered|" OF_ALL ")");
}

Test(device_filter, vsock_needs_each_call, .timeout = 60)
{
	need_each_call("vsock", "@(device_vsock/in_the_sandbox|" OF_ALL ")");
}

#endif
