/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The cage of a device process, closed in two steps around its only mapping step.
 *
 *	sandbox_enter()   before the first byte from the front-end is read
 *	   dies with its parent, cannot be dumped or traced by its own uid
 *	   namespaces: is the first process of its own ones, made by whoever started it
 *	   empty root: a read-only tmpfs without a single file, and nothing else mounted
 *	   descriptors: only the ones in use, and no more than the rings will bring
 *	   limits: no core file, no new process, no locked memory, ...
 *	   capabilities: none in any set
 *	   system calls: the allow-list, with the mapping of windows
 *	sandbox_seal()    when the windows are mapped
 *	   address space: not a byte more
 *	   system calls: no mapping either
 *
 * Who serves a foreign front-end stays between the two: see devices/core/windows.h.
 *
 * A layer that cannot be had is an error that names it. There is no "as far as possible".
 */
#ifndef DEVICES_CORE_SANDBOX_H
#define DEVICES_CORE_SANDBOX_H

#include <linux/filter.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#define SANDBOX_FILTER_MAX 256 /* instructions */

/* What whoever starts a device process puts it into; flags for clone(2). */
#define SANDBOX_NAMESPACES                                                                         \
	(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | \
	 CLONE_NEWCGROUP)

struct sandbox_filter {
	struct sock_filter instructions[SANDBOX_FILTER_MAX];
	unsigned short len;
};

struct sandbox {
	bool full;		     /* false: --sandbox=off, both steps do nothing */
	bool writes_files;	     /* the device may make a file longer */
	bool keeps_mapping;	     /* windows come and go: it is never sealed */
	const int *syscalls;	     /* the device's own; ends with -1 */
	const unsigned long *ioctls; /* likewise requests of ioctl(2); ends with 0; NULL: none */
	const int *fds;		     /* to be kept besides 0, 1 and 2; ends with -1 */
	unsigned int later_fds; /* descriptors that will come or be opened, at most at one time */
	/* Ready-made at sandbox_enter(), so that sandbox_seal() needs no memory: */
	struct sandbox_filter seal;
};

/* Both return 0, or -errno after a line in the log that names the layer. */
int sandbox_enter(struct sandbox *sandbox);
int sandbox_seal(const struct sandbox *sandbox);

/* Single layers of sandbox_enter(). Both return 0 or -errno. */
int sandbox_empty_root(void);
int sandbox_drop_capabilities(void);

/*
 * Compiles the allow-list with the device's own calls added, and the filter that takes the mapping
 * calls back. Returns 0 or -errno.
 */
int sandbox_compile_filters(const struct sandbox *sandbox, struct sandbox_filter *enter,
			    struct sandbox_filter *seal);

/* Puts @filter in force, on top of those that already are; needs no_new_privs. 0 or -errno. */
int sandbox_load_filter(const struct sandbox_filter *filter);

#endif
