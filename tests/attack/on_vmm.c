/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Attacks on minivmm as a process. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"

static int vm_readv(const struct target *target, uint8_t *secret)
{
	const struct iovec local = { secret, SECRET_LEN };
	const struct iovec remote = { (void *)target->ram, SECRET_LEN };

	return process_vm_readv(target->vmm, &local, 1, &remote, 1, 0) == SECRET_LEN ? 0 : -errno;
}

static int vm_writev(const struct target *target, uint8_t *secret)
{
	const struct iovec local = { secret, SECRET_LEN };
	const struct iovec remote = { (void *)target->ram, SECRET_LEN };

	return process_vm_writev(target->vmm, &local, 1, &remote, 1, 0) == SECRET_LEN ? 0 : -errno;
}

static int open_proc(const struct target *target, const char *file, int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", target->vmm, file);
	fd = open(path, flags);
	return fd < 0 ? -errno : fd;
}

static int read_at(int fd, uint64_t at, uint8_t *secret)
{
	if (fd < 0)
		return fd;
	return pread(fd, secret, SECRET_LEN, (off_t)at) == SECRET_LEN ? 0 : -errno;
}

static int proc_mem(const struct target *target, uint8_t *secret)
{
	return read_at(open_proc(target, "mem", O_RDONLY), (uint64_t)target->ram, secret);
}

static int proc_mem_write(const struct target *target, uint8_t *secret)
{
	int fd = open_proc(target, "mem", O_RDWR);

	if (fd < 0)
		return fd;
	return pwrite(fd, secret, SECRET_LEN, (off_t)target->ram) == SECRET_LEN ? 0 : -errno;
}

static int proc_fd(const struct target *target, uint8_t *secret)
{
	char name[32];

	snprintf(name, sizeof(name), "fd/%d", target->other_fd);
	return read_at(open_proc(target, name, O_RDWR), 0, secret);
}

static int proc_map_files(const struct target *target, uint8_t *secret)
{
	char name[64];

	snprintf(name, sizeof(name), "map_files/%lx-%lx", (unsigned long)target->other,
		 (unsigned long)(target->other + ATTACK_POOL_SIZE));
	return read_at(open_proc(target, name, O_RDWR), 0, secret);
}

static int proc_maps(const struct target *target, uint8_t *secret)
{
	char maps[512];
	int fd = open_proc(target, "maps", O_RDONLY);

	(void)secret;
	if (fd < 0)
		return fd;
	return read(fd, maps, sizeof(maps)) > 0 ? 0 : -EACCES;
}

static int proc_auxv(const struct target *target, uint8_t *secret)
{
	int fd = open_proc(target, "auxv", O_RDONLY);

	if (fd < 0)
		return fd;
	return read(fd, secret, SECRET_LEN) > 0 ? 0 : -EACCES;
}

static int join_namespaces(const struct target *target, uint8_t *secret)
{
	int fd = open_proc(target, "ns/net", O_RDONLY);

	(void)secret;
	if (fd < 0)
		return fd;
	return setns(fd, 0) == 0 ? 0 : -errno;
}

static int open_pidfd(const struct target *target)
{
	int fd = (int)syscall(SYS_pidfd_open, target->vmm, 0);

	return fd < 0 ? -errno : fd;
}

static int pidfd_getfd(const struct target *target, uint8_t *secret)
{
	int pidfd = open_pidfd(target), fd;

	if (pidfd < 0)
		return pidfd;
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, target->other_fd, 0);
	return fd < 0 ? -errno : read_at(fd, 0, secret);
}

static int peek(const struct target *target, uint8_t *secret)
{
	long word;
	int status;

	if (waitpid(target->vmm, &status, __WALL) != target->vmm)
		return -errno;
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, target->vmm, target->ram, 0);
	if (errno)
		return -errno;
	memcpy(secret, &word, SECRET_LEN);
	return ptrace(PTRACE_DETACH, target->vmm, 0, 0) == 0 ? 0 : -errno;
}

static int trace_attach(const struct target *target, uint8_t *secret)
{
	if (ptrace(PTRACE_ATTACH, target->vmm, 0, 0))
		return -errno;
	return peek(target, secret);
}

static int trace_seize(const struct target *target, uint8_t *secret)
{
	if (ptrace(PTRACE_SEIZE, target->vmm, 0, 0) || ptrace(PTRACE_INTERRUPT, target->vmm, 0, 0))
		return -errno;
	return peek(target, secret);
}

static int signal_vmm(const struct target *target, uint8_t *secret)
{
	(void)secret;
	return kill(target->vmm, SIGUSR1) == 0 ? 0 : -errno;
}

/* It has no number in our pid namespace, but it is in our process group. */
static int signal_group(const struct target *target, uint8_t *secret)
{
	(void)target;
	(void)secret;
	return kill(0, SIGUSR1) == 0 ? 0 : -errno;
}

static int limit_vmm(const struct target *target, uint8_t *secret)
{
	const struct rlimit limit = { 1, 1 };

	(void)secret;
	return prlimit(target->vmm, RLIMIT_MSGQUEUE, &limit, NULL) == 0 ? 0 : -errno;
}

static int pin_vmm(const struct target *target, uint8_t *secret)
{
	cpu_set_t cpus;

	(void)secret;
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	return sched_setaffinity(target->vmm, sizeof(cpus), &cpus) == 0 ? 0 : -errno;
}

static int copied_globals(const struct target *target, uint8_t *secret)
{
	(void)target;
	memcpy(secret, attack_global_secret, SECRET_LEN);
	return 0;
}

/* Where there is nothing we die of it. */
static int copied_ram(const struct target *target, uint8_t *secret)
{
	memcpy(secret, target->ram, SECRET_LEN);
	return 0;
}

static int environment(const struct target *target, uint8_t *secret)
{
	const char *text = getenv(ATTACK_ENVIRONMENT);

	(void)target;
	for (int i = 0; text && i < SECRET_LEN; i++) {
		char digits[3] = { text[2 * i], text[2 * i + 1] };

		secret[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return text ? 0 : -ENOENT;
}

static int stay(const struct target *target, uint8_t *secret)
{
	(void)target;
	(void)secret;
	return 0;
}

static int shed_death_signal(const struct target *target, uint8_t *secret)
{
	(void)target;
	(void)secret;
	return prctl(PR_SET_PDEATHSIG, 0) == 0 ? 0 : -errno;
}

const struct attack attacks_on_vmm[] = {
	{ "process-vm-readv", "reads guest RAM by process_vm_readv()", EVIDENCE_SECRET, vm_readv,
	  NULL },
	{ "process-vm-writev", "writes guest RAM by process_vm_writev()", EVIDENCE_HARM, vm_writev,
	  NULL },
	{ "proc-mem", "reads /proc/VMM/mem", EVIDENCE_SECRET, proc_mem, NULL },
	{ "proc-mem-write", "writes /proc/VMM/mem", EVIDENCE_HARM, proc_mem_write, NULL },
	{ "proc-fd", "opens another's pool by /proc/VMM/fd", EVIDENCE_SECRET, proc_fd, NULL },
	{ "proc-map-files", "opens it by /proc/VMM/map_files", EVIDENCE_SECRET, proc_map_files,
	  NULL },
	{ "proc-maps", "reads /proc/VMM/maps", EVIDENCE_WORD, proc_maps, NULL },
	{ "proc-auxv", "reads /proc/VMM/auxv", EVIDENCE_WORD, proc_auxv, NULL },
	{ "setns", "joins minivmm's network namespace", EVIDENCE_WORD, join_namespaces, NULL },
	{ "pidfd-getfd", "takes another's pool by pidfd_getfd()", EVIDENCE_SECRET, pidfd_getfd,
	  NULL },
	{ "ptrace-attach", "PTRACE_ATTACH, reads guest RAM", EVIDENCE_SECRET, trace_attach, NULL },
	{ "ptrace-seize", "PTRACE_SEIZE, reads guest RAM", EVIDENCE_SECRET, trace_seize, NULL },
	{ "kill", "sends minivmm a signal", EVIDENCE_HARM, signal_vmm, NULL },
	{ "kill-group", "sends its process group a signal", EVIDENCE_HARM, signal_group, NULL },
	{ "prlimit", "changes a limit of minivmm's", EVIDENCE_HARM, limit_vmm, NULL },
	{ "affinity", "pins minivmm to a CPU", EVIDENCE_WORD, pin_vmm, NULL },
	{ "copied-globals", "reads what a copy of minivmm's program has", EVIDENCE_SECRET,
	  copied_globals, NULL },
	{ "copied-ram", "reads guest RAM in a copy of minivmm", EVIDENCE_SECRET, copied_ram, NULL },
	{ "environment", "reads minivmm's environment", EVIDENCE_SECRET, environment, NULL },
	{ "outlive", "goes on when minivmm is gone", EVIDENCE_ALIVE, stay, NULL },
	{ "shed-death-signal", "takes back PDEATHSIG, and goes on", EVIDENCE_ALIVE,
	  shed_death_signal, NULL },
	{ 0 },
};
