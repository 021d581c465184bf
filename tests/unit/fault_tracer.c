/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/unit/fault_tracer.h"

#include <criterion/criterion.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define NR_FAULTS (sizeof(((struct fault_tracer *)0)->faults) / sizeof(struct fault))

/* A system call that has been changed on its way in, to be mended on its way out. */
struct changed_call {
	bool pending;
	const struct fault *fault;
	struct user_regs_struct regs; /* as the process had them */
};

static bool is_vector(long syscall)
{
	return syscall == SYS_preadv || syscall == SYS_pwritev || syscall == SYS_readv ||
	       syscall == SYS_writev;
}

/* The fault that is due for this call, counted off; NULL: none. */
static const struct fault *next_fault(struct fault_tracer *tracer, long syscall)
{
	for (size_t i = 0; i < NR_FAULTS; i++) {
		struct fault *fault = &tracer->faults[i];

		if (!fault->count || fault->syscall != syscall)
			continue;
		if (fault->after) {
			fault->after--;
			continue;
		}
		fault->count--;
		return fault;
	}
	return NULL;
}

static void change_call(struct fault_tracer *tracer, struct changed_call *call)
{
	struct user_regs_struct regs;

	ptrace(PTRACE_GETREGS, tracer->pid, NULL, &regs);
	if ((long)regs.orig_rax == tracer->faults[0].syscall)
		atomic_fetch_add(&tracer->seen, 1);
	call->fault = next_fault(tracer, (long)regs.orig_rax);
	if (!call->fault)
		return;
	call->regs = regs;
	call->pending = true;
	if (call->fault->error) {
		regs.orig_rax = SYS_close;
		regs.rdi = -1ull;
	} else if (is_vector(call->fault->syscall)) {
		regs.rdx = 1;
	} else if (regs.rdx > call->fault->bytes) {
		regs.rdx = call->fault->bytes;
	}
	ptrace(PTRACE_SETREGS, tracer->pid, NULL, &regs);
}

static void mend_call(struct fault_tracer *tracer, struct changed_call *call)
{
	struct user_regs_struct regs;

	ptrace(PTRACE_GETREGS, tracer->pid, NULL, &regs);
	call->regs.rax = call->fault->error ? (unsigned long long)-call->fault->error : regs.rax;
	call->regs.rcx = regs.rcx;
	call->regs.r11 = regs.r11;
	ptrace(PTRACE_SETREGS, tracer->pid, NULL, &call->regs);
	call->pending = false;
	atomic_fetch_add(&tracer->done, 1);
}

/* The process has stopped: what for? Returns the signal that it is to get. */
static int handle_stop(struct fault_tracer *tracer, struct changed_call *call, int status)
{
	struct __ptrace_syscall_info info;

	if (WSTOPSIG(status) != (SIGTRAP | 0x80))
		return status >> 16 ? 0 : WSTOPSIG(status);
	if (ptrace(PTRACE_GET_SYSCALL_INFO, tracer->pid, sizeof(info), &info) <= 0)
		return 0;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		change_call(tracer, call);
	else if (info.op == PTRACE_SYSCALL_INFO_EXIT && call->pending)
		mend_call(tracer, call);
	return 0;
}

/* Waits for the next stop; false when the test has had enough, or the process has ended. */
static bool wait_stop(struct fault_tracer *tracer, const struct changed_call *call, int *status)
{
	bool interrupted = false;

	for (;;) {
		pid_t pid = waitpid(tracer->pid, status, __WALL | WNOHANG);

		if (pid == tracer->pid && !WIFSTOPPED(*status))
			return false;
		if (pid == tracer->pid)
			return call->pending || !atomic_load(&tracer->stop);
		if (pid < 0)
			return false;
		if (atomic_load(&tracer->stop) && !interrupted && !call->pending) {
			ptrace(PTRACE_INTERRUPT, tracer->pid, NULL, NULL);
			interrupted = true;
		}
		usleep(50);
	}
}

static void *trace(void *opaque)
{
	struct fault_tracer *tracer = opaque;
	struct changed_call call = { 0 };
	int status;

	if (ptrace(PTRACE_SEIZE, tracer->pid, NULL, PTRACE_O_TRACESYSGOOD) ||
	    ptrace(PTRACE_INTERRUPT, tracer->pid, NULL, NULL))
		return NULL;
	atomic_store(&tracer->attached, true);
	while (wait_stop(tracer, &call, &status)) {
		int signal = handle_stop(tracer, &call, status);

		ptrace(PTRACE_SYSCALL, tracer->pid, NULL, (void *)(intptr_t)signal);
	}
	ptrace(PTRACE_DETACH, tracer->pid, NULL, NULL);
	return NULL;
}

void fault_tracer_start(struct fault_tracer *tracer)
{
	atomic_store(&tracer->seen, 0);
	atomic_store(&tracer->done, 0);
	atomic_store(&tracer->stop, false);
	atomic_store(&tracer->attached, false);
	cr_assert_eq(pthread_create(&tracer->thread, NULL, trace, tracer), 0);
	for (int ms = 0; ms < 2000 && !atomic_load(&tracer->attached); ms++)
		usleep(1000);
	cr_assert(atomic_load(&tracer->attached), "the process cannot be traced");
}

unsigned int fault_tracer_stop(struct fault_tracer *tracer)
{
	atomic_store(&tracer->stop, true);
	pthread_join(tracer->thread, NULL);
	return atomic_load(&tracer->done);
}
