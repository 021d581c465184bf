/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The layers around a device process, as something that this test can take away one by one. There is
 * no switch for that in the product: this executable is linked with the linker's --wrap, so that the
 * C library's functions by which the product makes its layers come here first. For a layer that was
 * removed they claim success and do nothing.
 */
#ifndef TESTS_ATTACK_LAYERS_H
#define TESTS_ATTACK_LAYERS_H

#include <stdbool.h>
#include <stdint.h>

/* X(constant, name in tables and on the command line) */
#define LAYERS(X)                               \
	X(LAYER_EXEC, "exec")                   \
	X(LAYER_ENV, "environment")             \
	X(LAYER_DONTFORK, "dontfork")           \
	X(LAYER_VMM_DUMPABLE, "vmm-dumpable")   \
	X(LAYER_MEMFD_SEALS, "memfd-seals")     \
	X(LAYER_RESTRICTED, "pool-only")        \
	X(LAYER_USER_NS, "user-ns")             \
	X(LAYER_NOBODY, "nobody")               \
	X(LAYER_PID_NS, "pid-ns")               \
	X(LAYER_MOUNT_NS, "mount-ns")           \
	X(LAYER_NET_NS, "net-ns")               \
	X(LAYER_IPC_NS, "ipc-ns")               \
	X(LAYER_UTS_NS, "uts-ns")               \
	X(LAYER_CGROUP_NS, "cgroup-ns")         \
	X(LAYER_ROOT, "empty-root")             \
	X(LAYER_FDS_AT_START, "fds-at-start")   \
	X(LAYER_FDS, "fds")                     \
	X(LAYER_LIMIT_CORE, "limit-core")       \
	X(LAYER_LIMIT_NPROC, "limit-nproc")     \
	X(LAYER_LIMIT_MEMLOCK, "limit-memlock") \
	X(LAYER_LIMIT_NOFILE, "limit-nofile")   \
	X(LAYER_LIMIT_FSIZE, "limit-fsize")     \
	X(LAYER_DEATH_SIGNAL, "death-signal")   \
	X(LAYER_DUMPABLE, "dumpable")           \
	X(LAYER_CAPABILITIES, "capabilities")   \
	X(LAYER_BOUNDING_SET, "bounding-set")   \
	X(LAYER_NO_NEW_PRIVS, "no-new-privs")   \
	X(LAYER_SECCOMP, "seccomp")             \
	X(LAYER_SEAL, "seccomp-seal")           \
	X(LAYER_ADDRESS_SPACE, "address-space")

enum layer {
#define LAYER(constant, name) constant,
	LAYERS(LAYER)
#undef LAYER
		NR_LAYERS
};

#define ALL_LAYERS ((1ull << NR_LAYERS) - 1)

#define ONLY(layer) (1ull << (layer))

/* What an ordinary user can have in a user namespace of its own only. */
#define LAYERS_OF_USER_NS                                                                      \
	(ONLY(LAYER_PID_NS) | ONLY(LAYER_MOUNT_NS) | ONLY(LAYER_NET_NS) | ONLY(LAYER_IPC_NS) | \
	 ONLY(LAYER_UTS_NS) | ONLY(LAYER_CGROUP_NS) | ONLY(LAYER_BOUNDING_SET))

/* What has been taken away in this process. */
extern uint64_t layers_removed; /* a bit for each layer */

/* This is the device process, and it is making its own layers. */
extern bool layers_building;

static inline bool layer_is_removed(enum layer layer)
{
	return layers_removed & ONLY(layer);
}

const char *layer_name(enum layer layer);

/* Removing one layer takes others with it that are not possible without. */
uint64_t layers_closure(uint64_t removed);

/* "seccomp, pid-ns"; a buffer of the function's own. */
const char *layers_text(uint64_t set);

/* What runs in the place of the executable when "exec" is removed. Returns an exit status. */
extern int (*layers_without_exec)(int argc, char **argv);

#endif
