/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a vCPU's thread makes of each end of KVM_RUN, also of those that no guest can cause. KVM is played by
 * a seccomp listener: it answers KVM_RUN of a descriptor that is none of KVM's.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/kvm.h>
#include <poll.h>
#include <seccomp.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "vmm/exit_status.h"
#include "vmm/vcpu.h"

#define PATIENCE 10 /* seconds */

static struct kvm_run run;
static struct ending ending;
static struct bus bus;
static struct vcpu vcpu;
static scmp_filter_ctx filter;
static int listener;

static void set_up(void)
{
	filter = seccomp_init(SCMP_ACT_ALLOW);
	cr_assert_not_null(filter);
	cr_assert_eq(ending_init(&ending), 0);
	vcpu = (struct vcpu){ .index = 3,
			      .fd = eventfd(0, EFD_CLOEXEC),
			      .run = &run,
			      .mmio = &bus,
			      .pio = &bus,
			      .ending = &ending };
	cr_assert(vcpu.fd >= 0);
	cr_assert_eq(seccomp_rule_add(filter, SCMP_ACT_NOTIFY, SCMP_SYS(ioctl), 1,
				      SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, KVM_RUN)),
		     0);
	cr_assert_eq(seccomp_load(filter), 0);
	listener = seccomp_notify_fd(filter);
	cr_assert(listener >= 0);
	cr_assert_eq(vcpu_start(&vcpu), 0);
}

static void tear_down(void)
{
	seccomp_release(filter);
	close(vcpu.fd);
	ending_destroy(&ending);
}

TestSuite(vcpu, .init = set_up, .fini = tear_down);

static void expect_run(void)
{
	struct pollfd pfd = { .fd = listener, .events = POLLIN };

	cr_assert_eq(poll(&pfd, 1, PATIENCE * 1000), 1, "KVM_RUN is not called");
}

/* The next KVM_RUN ends with @exit_reason, or fails with @error if that is not 0. */
static void run_ends(uint32_t exit_reason, int error)
{
	struct seccomp_notif *request;
	struct seccomp_notif_resp *response;

	cr_assert_eq(seccomp_notify_alloc(&request, &response), 0);
	expect_run();
	cr_assert_eq(seccomp_notify_receive(listener, request), 0);
	run.exit_reason = exit_reason;
	response->id = request->id;
	response->error = -error;
	cr_assert_eq(seccomp_notify_respond(listener, response), 0);
	seccomp_notify_free(request, response);
}

/* The thread has ended by itself, and said why. */
static void expect_end(int status, const char *reason)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += PATIENCE;
	cr_assert_eq(pthread_timedjoin_np(vcpu.thread, NULL, &deadline), 0, "it runs again");
	cr_assert(ending.over);
	cr_assert_eq(ending.status, status);
	cr_assert_str_eq(ending.reason, reason);
}

Test(vcpu, an_entry_that_fails)
{
	run.fail_entry.hardware_entry_failure_reason = 0x80000021;
	run_ends(KVM_EXIT_FAIL_ENTRY, 0);
	expect_end(EXIT_STATUS_VCPU, "vcpu 3: KVM_EXIT_FAIL_ENTRY: 0x80000021");
}

Test(vcpu, an_internal_error)
{
	run.internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run_ends(KVM_EXIT_INTERNAL_ERROR, 0);
	expect_end(EXIT_STATUS_VCPU, "vcpu 3: KVM_EXIT_INTERNAL_ERROR: suberror 1");
}

Test(vcpu, a_shutdown)
{
	run_ends(KVM_EXIT_SHUTDOWN, 0);
	expect_end(EXIT_STATUS_TRIPLE_FAULT, "vcpu 3: triple fault");
}

Test(vcpu, an_exit_that_nobody_knows)
{
	run_ends(4711, 0);
	expect_end(EXIT_STATUS_VCPU, "vcpu 3: unexpected KVM exit 4711");
}

Test(vcpu, an_error)
{
	run_ends(0, EFAULT);
	expect_end(EXIT_STATUS_VCPU, "vcpu 3: KVM_RUN: Bad address");
}

/* The stand-in has no state that could be KVM_MP_STATE_UNINITIALIZED. */
Test(vcpu, refusals_in_a_row)
{
	for (int i = 0; i < 15; i++)
		run_ends(0, EAGAIN);
	run_ends(KVM_EXIT_INTR, 0);
	for (int i = 0; i < 16; i++)
		run_ends(0, EAGAIN);
	expect_end(EXIT_STATUS_VCPU, "vcpu 3: KVM_RUN: Resource temporarily unavailable");
}

Test(vcpu, interruptions_are_no_end)
{
	run_ends(KVM_EXIT_INTR, 0);
	run_ends(0, EINTR);
	run_ends(KVM_EXIT_INTR, 0);
	expect_run();
	vcpu_stop(&vcpu);
	cr_assert(!ending.over);
}
