/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/attack/table.h"

#include <string.h>

#include "tests/attack/attack.h"
#include "tests/attack/layers.h"

static const struct attack *const lists[] = {
	attacks_on_vmm,
	attacks_on_pool,
	attacks_on_host,
	attacks_on_kernel,
};

void attack_each(void (*visit)(const struct attack *attack, void *opaque), void *opaque)
{
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		for (const struct attack *attack = lists[i]; attack->name; attack++)
			visit(attack, opaque);
}

const struct attack *attack_find(const char *name)
{
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		for (const struct attack *attack = lists[i]; attack->name; attack++)
			if (strcmp(attack->name, name) == 0)
				return attack;
	return NULL;
}

/* Who is not root has no other namespace without this one, and keeps its bounding set. */
#define AS_USER (ONLY(LAYER_USER_NS) | LAYERS_OF_USER_NS)

/*
 * Of what is the same on every host. What the owner of /dev/kvm, a sysctl or the accounting of a
 * kernel decides as well (open-kvm, bpf, perf, io-uring, ioperm) is only tried with all layers and with none.
 */
const struct row attack_table[] = {
	{ "process-vm-readv", "rng",
	  ONLY(LAYER_USER_NS) | ONLY(LAYER_PID_NS) | ONLY(LAYER_CAPABILITIES) | ONLY(LAYER_SECCOMP),
	  false },
	{ "process-vm-writev", "rng",
	  ONLY(LAYER_USER_NS) | ONLY(LAYER_PID_NS) | ONLY(LAYER_CAPABILITIES) | ONLY(LAYER_SECCOMP),
	  false },
	{ "proc-mem", "rng",
	  ONLY(LAYER_USER_NS) | ONLY(LAYER_ROOT) | ONLY(LAYER_CAPABILITIES) | ONLY(LAYER_SECCOMP),
	  false },
	{ "proc-mem-write", "rng",
	  ONLY(LAYER_USER_NS) | ONLY(LAYER_ROOT) | ONLY(LAYER_CAPABILITIES) | ONLY(LAYER_SECCOMP),
	  false },
	{ "proc-fd", "rng",
	  ONLY(LAYER_USER_NS) | ONLY(LAYER_ROOT) | ONLY(LAYER_CAPABILITIES) | ONLY(LAYER_SECCOMP),
	  false },
	{ "proc-map-files", "rng",
	  ONLY(LAYER_USER_NS) | ONLY(LAYER_ROOT) | ONLY(LAYER_CAPABILITIES) | ONLY(LAYER_SECCOMP),
	  false },
	{ "proc-maps", "rng",
	  ONLY(LAYER_USER_NS) | ONLY(LAYER_ROOT) | ONLY(LAYER_CAPABILITIES) | ONLY(LAYER_SECCOMP),
	  false },
	{ "proc-auxv", "rng",
	  ONLY(LAYER_USER_NS) | ONLY(LAYER_ROOT) | ONLY(LAYER_CAPABILITIES) | ONLY(LAYER_SECCOMP),
	  false },
	{ "setns", "rng",
	  ONLY(LAYER_USER_NS) | ONLY(LAYER_ROOT) | ONLY(LAYER_CAPABILITIES) | ONLY(LAYER_SECCOMP),
	  false },
	{ "pidfd-getfd", "rng",
	  ONLY(LAYER_USER_NS) | ONLY(LAYER_PID_NS) | ONLY(LAYER_CAPABILITIES) | ONLY(LAYER_SECCOMP),
	  false },
	{ "ptrace-attach", "rng",
	  ONLY(LAYER_USER_NS) | ONLY(LAYER_PID_NS) | ONLY(LAYER_CAPABILITIES) | ONLY(LAYER_SECCOMP),
	  false },
	{ "ptrace-seize", "rng",
	  ONLY(LAYER_USER_NS) | ONLY(LAYER_PID_NS) | ONLY(LAYER_CAPABILITIES) | ONLY(LAYER_SECCOMP),
	  false },
	{ "kill", "rng", ONLY(LAYER_NOBODY) | ONLY(LAYER_PID_NS) | ONLY(LAYER_SECCOMP), false },
	{ "kill-group", "rng", ONLY(LAYER_NOBODY) | ONLY(LAYER_SECCOMP), false },
	{ "prlimit", "rng", ONLY(LAYER_NOBODY) | ONLY(LAYER_PID_NS) | ONLY(LAYER_SECCOMP), false },
	{ "affinity", "rng",
	  ONLY(LAYER_NOBODY) | ONLY(LAYER_PID_NS) | ONLY(LAYER_CAPABILITIES) | ONLY(LAYER_SECCOMP),
	  false },
	{ "copied-globals", "rng", ONLY(LAYER_EXEC), false },
	{ "copied-ram", "rng", ONLY(LAYER_EXEC) | ONLY(LAYER_DONTFORK), false },
	{ "environment", "rng", ONLY(LAYER_ENV), false },
	{ "outlive", "rng", ONLY(LAYER_DEATH_SIGNAL), false },
	{ "shed-death-signal", "rng", ONLY(LAYER_SECCOMP), false },
	{ "pool-shrink", "rng", ONLY(LAYER_MEMFD_SEALS) | ONLY(LAYER_SECCOMP), false },
	{ "pool-grow", "rng",
	  ONLY(LAYER_MEMFD_SEALS) | ONLY(LAYER_LIMIT_FSIZE) | ONLY(LAYER_SECCOMP), false },
	{ "pool-grow-by-fallocate", "blk", ONLY(LAYER_MEMFD_SEALS), false },
	{ "pool-grow-by-pwrite", "blk", ONLY(LAYER_MEMFD_SEALS), false },
	{ "pool-add-seals", "rng", ONLY(LAYER_MEMFD_SEALS) | ONLY(LAYER_SECCOMP), false },
	{ "leaked-descriptor", "rng", ONLY(LAYER_FDS_AT_START) | ONLY(LAYER_FDS), false },
	{ "map-after-seal", "rng", ONLY(LAYER_SEAL) | ONLY(LAYER_ADDRESS_SPACE), false },
	{ "ram-in-window", "rng", ONLY(LAYER_RESTRICTED), false },
	{ "reopen-disk", "blk", ONLY(LAYER_NOBODY) | ONLY(LAYER_ROOT) | ONLY(LAYER_SECCOMP),
	  false },
	{ "core-dump", "rng",
	  ONLY(LAYER_NOBODY) | ONLY(LAYER_ROOT) | ONLY(LAYER_LIMIT_CORE) | ONLY(LAYER_DUMPABLE),
	  false },
	{ "open", "rng", ONLY(LAYER_ROOT) | ONLY(LAYER_SECCOMP), false },
	{ "open-private", "rng", ONLY(LAYER_NOBODY) | ONLY(LAYER_ROOT) | ONLY(LAYER_SECCOMP),
	  false },
	{ "open-by-handle", "rng",
	  ONLY(LAYER_USER_NS) | ONLY(LAYER_ROOT) | ONLY(LAYER_CAPABILITIES) | ONLY(LAYER_SECCOMP),
	  false },
	{ "connect-tcp", "rng", ONLY(LAYER_NET_NS) | ONLY(LAYER_SECCOMP), false },
	{ "connect-abstract", "rng", ONLY(LAYER_NET_NS) | ONLY(LAYER_SECCOMP), false },
	{ "connect-path", "rng", ONLY(LAYER_ROOT) | ONLY(LAYER_SECCOMP), false },
	{ "message-queue", "rng", ONLY(LAYER_IPC_NS) | ONLY(LAYER_SECCOMP), false },
	{ "host-name", "rng",
	  ONLY(LAYER_USER_NS) | ONLY(LAYER_UTS_NS) | ONLY(LAYER_CAPABILITIES) | ONLY(LAYER_SECCOMP),
	  false },
	{ "cgroup-path", "rng", ONLY(LAYER_CGROUP_NS) | ONLY(LAYER_ROOT) | ONLY(LAYER_SECCOMP),
	  false },
	{ "mount-over", "rng",
	  ONLY(LAYER_USER_NS) | ONLY(LAYER_MOUNT_NS) | ONLY(LAYER_CAPABILITIES) |
		  ONLY(LAYER_SECCOMP),
	  false },
	{ "mount-own", "rng", ONLY(LAYER_CAPABILITIES) | ONLY(LAYER_SECCOMP), false },
	{ "fork", "rng", ONLY(LAYER_LIMIT_NPROC) | ONLY(LAYER_SECCOMP), false },
	{ "clone3", "rng", ONLY(LAYER_LIMIT_NPROC) | ONLY(LAYER_SECCOMP), false },
	{ "execve", "rng", ONLY(LAYER_ROOT) | ONLY(LAYER_SECCOMP) | ONLY(LAYER_ADDRESS_SPACE),
	  false },
	{ "regain-by-exec", "rng",
	  ONLY(LAYER_ROOT) | ONLY(LAYER_LIMIT_NPROC) | ONLY(LAYER_BOUNDING_SET) |
		  ONLY(LAYER_NO_NEW_PRIVS) | ONLY(LAYER_ADDRESS_SPACE),
	  false },
	{ "hoard-descriptors", "rng", ONLY(LAYER_LIMIT_NOFILE) | ONLY(LAYER_SECCOMP), false },
	{ "hoard-locked", "rng", ONLY(LAYER_LIMIT_MEMLOCK) | ONLY(LAYER_SECCOMP), false },
	{ "hoard-memory", "rng", ONLY(LAYER_SECCOMP) | ONLY(LAYER_ADDRESS_SPACE), false },
	{ "hoard-memfd", "rng", ONLY(LAYER_LIMIT_FSIZE) | ONLY(LAYER_SECCOMP), false },
	{ "raise-limit", "rng", ONLY(LAYER_LIMIT_NOFILE) | ONLY(LAYER_SECCOMP), false },
	{ "unshare", "rng", ONLY(LAYER_SECCOMP), false },
	{ "userfaultfd", "rng", ONLY(LAYER_SECCOMP), false },
	{ "keyring", "rng", ONLY(LAYER_SECCOMP), false },
	{ "memfd", "rng", ONLY(LAYER_SECCOMP), false },
	{ "map-executable", "rng", ONLY(LAYER_SECCOMP) | ONLY(LAYER_ADDRESS_SPACE), false },
	{ "protect-executable", "rng", ONLY(LAYER_SECCOMP), false },
	{ "map-pool-executable", "rng", ONLY(LAYER_SECCOMP), false },
	{ "x32", "rng", ONLY(LAYER_SECCOMP), false },
	{ "int80", "rng", ONLY(LAYER_SECCOMP), false },
	{ "capset", "rng", ONLY(LAYER_CAPABILITIES) | ONLY(LAYER_SECCOMP), false },
	{ "dumpable", "rng", ONLY(LAYER_SECCOMP), false },
	{ "process-vm-readv", "rng", AS_USER | ONLY(LAYER_VMM_DUMPABLE) | ONLY(LAYER_SECCOMP),
	  true },
	{ "proc-mem", "rng", AS_USER | ONLY(LAYER_VMM_DUMPABLE) | ONLY(LAYER_SECCOMP), true },
	{ "proc-fd", "rng", AS_USER | ONLY(LAYER_VMM_DUMPABLE) | ONLY(LAYER_SECCOMP), true },
	{ "ptrace-attach", "rng", AS_USER | ONLY(LAYER_VMM_DUMPABLE) | ONLY(LAYER_SECCOMP), true },
};

const size_t attack_table_len = sizeof(attack_table) / sizeof(attack_table[0]);
