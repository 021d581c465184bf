/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * System calls of a device process that fail, or that do less than was asked, as a disk or a network
 * would have them: by ptrace(2), from outside, so that the process is the real one in its sandbox.
 *
 * strace(1) cannot do this here: it skips a call by giving it a number that does not exist, and that
 * kills a process whose filter lists what is allowed. This tracer has it do one that is allowed and
 * harmless instead, close(-1).
 */
#ifndef TESTS_UNIT_FAULT_TRACER_H
#define TESTS_UNIT_FAULT_TRACER_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

struct fault {
	long syscall;
	unsigned int after; /* so many such calls go well first */
	unsigned int count; /* and then so many do not */
	int error;	    /* 0: it does less, see below */
	/*
	 * Without an error: of a call with a list of pieces only the first one, of one with a length
	 * no more than so many bytes.
	 */
	size_t bytes;
};

struct fault_tracer {
	pid_t pid;
	struct fault faults[3]; /* as many as have a count; the first one that fits is used */
	atomic_uint seen;	/* calls of the first kind since the start */
	atomic_uint done;	/* faults so far, of all kinds */
	atomic_bool stop;
	atomic_bool attached;
	pthread_t thread;
};

/* Fill in pid and faults before. The process is traced until fault_tracer_stop(). */
void fault_tracer_start(struct fault_tracer *tracer);

/* To be called before anybody waits for the process. Returns how many faults there were. */
unsigned int fault_tracer_stop(struct fault_tracer *tracer);

#endif
