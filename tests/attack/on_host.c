/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Attacks on what else the host has: files, services, programs, and its patience. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"

/* What minivmm's queue of messages is called; see victim.c. */
#define QUEUE_KEY 0x6d696e69

static int read_file(const struct target *target, const char *name, uint8_t *secret)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", target->dir, name);
	fd = openat(AT_FDCWD, path, O_RDONLY);
	if (fd < 0)
		return -errno;
	return read(fd, secret, SECRET_LEN) == SECRET_LEN ? 0 : -errno;
}

static int open_public(const struct target *target, uint8_t *secret)
{
	return read_file(target, "public", secret);
}

static int open_private(const struct target *target, uint8_t *secret)
{
	return read_file(target, "private", secret);
}

/* A handle names a file without a path. */
static int open_by_handle(const struct target *target, uint8_t *secret)
{
	struct {
		struct file_handle handle;
		unsigned char bytes[MAX_HANDLE_SZ];
	} handle = { .handle.handle_bytes = MAX_HANDLE_SZ };
	char path[96];
	int mount_id, root, fd;

	snprintf(path, sizeof(path), "%s/public", target->dir);
	root = open(target->dir, O_RDONLY | O_DIRECTORY);
	if (root < 0 || name_to_handle_at(AT_FDCWD, path, &handle.handle, &mount_id, 0))
		return -errno;
	fd = open_by_handle_at(root, &handle.handle, O_RDONLY);
	if (fd < 0)
		return -errno;
	return read(fd, secret, SECRET_LEN) == SECRET_LEN ? 0 : -errno;
}

static int read_from(int sock, const void *address, socklen_t len, uint8_t *secret)
{
	if (sock < 0 || connect(sock, address, len))
		return -errno;
	return read(sock, secret, SECRET_LEN) == SECRET_LEN ? 0 : -errno;
}

static int connect_tcp(const struct target *target, uint8_t *secret)
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
					     .sin_port = htons(target->port),
					     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return read_from(socket(AF_INET, SOCK_STREAM, 0), &address, sizeof(address), secret);
}

static int connect_unix(const struct target *target, bool abstract, uint8_t *secret)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char *path = address.sun_path + abstract;
	int len = snprintf(path, sizeof(address.sun_path) - 1, "%s/socket", target->dir);

	return read_from(
		socket(AF_UNIX, SOCK_STREAM, 0), &address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + abstract + (size_t)len),
		secret);
}

static int connect_abstract(const struct target *target, uint8_t *secret)
{
	return connect_unix(target, true, secret);
}

static int connect_path(const struct target *target, uint8_t *secret)
{
	return connect_unix(target, false, secret);
}

static int message_queue(const struct target *target, uint8_t *secret)
{
	struct {
		long type;
		uint8_t secret[SECRET_LEN];
	} message;
	int queue = msgget(QUEUE_KEY, 0);

	(void)target;
	if (queue < 0 || msgrcv(queue, &message, SECRET_LEN, 0, IPC_NOWAIT) != SECRET_LEN)
		return -errno;
	memcpy(secret, message.secret, SECRET_LEN);
	return 0;
}

static int host_name(const struct target *target, uint8_t *secret)
{
	(void)target;
	(void)secret;
	return sethostname(ATTACK_HOST_NAME, strlen(ATTACK_HOST_NAME)) == 0 ? 0 : -errno;
}

/* Where the host has put minivmm, which may tell whose it is. */
static int cgroup_path(const struct target *target, uint8_t *secret)
{
	char text[1024] = "";
	int fd = open("/proc/self/cgroup", O_RDONLY);

	(void)target;
	(void)secret;
	if (fd < 0)
		return -errno;
	if (read(fd, text, sizeof(text) - 1) <= 0)
		return -errno;
	return strstr(text, "minivmm-attack") ? 0 : -EACCES;
}

/* A mount that the host would see. */
static int mount_over(const struct target *target, uint8_t *secret)
{
	(void)secret;
	return mount("tmpfs", target->dir, "tmpfs", 0, NULL) == 0 ? 0 : -errno;
}

static int mount_own(const struct target *target, uint8_t *secret)
{
	(void)target;
	(void)secret;
	return mount("tmpfs", "/", "tmpfs", 0, NULL) == 0 ? 0 : -errno;
}

static int open_kvm(const struct target *target, uint8_t *secret)
{
	(void)target;
	(void)secret;
	if (open("/dev/kvm", O_RDWR) >= 0)
		return 0;
	return errno == ENOENT ? -ENOSYS : -errno;
}

/* Only the kernel could keep the child from being one: what it does does not matter. */
static int reap(pid_t pid)
{
	int status;

	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(42);
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 42 ? 0 : -EACCES;
}

static int do_fork(const struct target *target, uint8_t *secret)
{
	(void)target;
	(void)secret;
	return reap((pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static int do_clone3(const struct target *target, uint8_t *secret)
{
	const uint64_t args[8] = { [4] = SIGCHLD };

	(void)target;
	(void)secret;
	return reap((pid_t)syscall(SYS_clone3, args, sizeof(args)));
}

/* A program that says the magic word in our place. */
static int do_exec(const struct target *target, uint8_t *secret)
{
	static char sh[] = "/bin/sh", c[] = "-c", script[] = "echo attack: done >&2; sleep 10";
	char *const argv[] = { sh, c, script, NULL };
	char *const none[] = { NULL };

	(void)target;
	(void)secret;
	execve(sh, argv, none);
	return -errno;
}

/* In a user namespace, its root gets all that the bounding set leaves, by any program. */
static int regain_by_exec(const struct target *target, uint8_t *secret)
{
	static char sh[] = "/bin/sh", c[] = "-c",
		    script[] =
			    "if grep -q '^CapEff:.0*$' /proc/self/status; then echo attack: denied;"
			    "else echo attack: done; fi >&2; sleep 10";
	char *const argv[] = { sh, c, script, NULL };
	static char path[] = "PATH=/bin:/usr/bin";
	char *const environment[] = { path, NULL };

	(void)target;
	(void)secret;
	execve(sh, argv, environment);
	return -errno;
}

/* More than any device needs, by far. */
static int hoard_descriptors(const struct target *target, uint8_t *secret)
{
	(void)target;
	(void)secret;
	for (int i = 0; i < 1000; i++)
		if (dup(STDERR_FILENO) < 0)
			return -errno;
	return 0;
}

static int hoard_locked(const struct target *target, uint8_t *secret)
{
	(void)secret;
	return mlock(target->pool, target->pool_size) == 0 ? 0 : -errno;
}

static int hoard_memory(const struct target *target, uint8_t *secret)
{
	(void)target;
	(void)secret;
	return mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) == MAP_FAILED
		       ? -errno
		       : 0;
}

/* Memory that is charged to nobody's address space. */
static int hoard_memfd(const struct target *target, uint8_t *secret)
{
	int fd = memfd_create("hoard", 0);

	(void)target;
	if (fd < 0)
		return -errno;
	return pwrite(fd, secret, SECRET_LEN, 64 << 20) == SECRET_LEN ? 0 : -errno;
}

static int raise_limit(const struct target *target, uint8_t *secret)
{
	const struct rlimit limit = { 4096, 4096 };

	(void)target;
	(void)secret;
	return prlimit(0, RLIMIT_NOFILE, &limit, NULL) == 0 ? 0 : -errno;
}

const struct attack attacks_on_host[] = {
	{ "open", "reads a file of the host", EVIDENCE_SECRET, open_public, NULL },
	{ "open-private", "reads a file that only minivmm's user may read", EVIDENCE_SECRET,
	  open_private, NULL },
	{ "open-by-handle", "reads one by open_by_handle_at()", EVIDENCE_SECRET, open_by_handle,
	  NULL },
	{ "open-kvm", "opens /dev/kvm", EVIDENCE_WORD, open_kvm, NULL },
	{ "connect-tcp", "connects to a service of the host", EVIDENCE_SECRET, connect_tcp, NULL },
	{ "connect-abstract", "connects to an abstract socket", EVIDENCE_SECRET, connect_abstract,
	  NULL },
	{ "connect-path", "connects to a socket by its path", EVIDENCE_SECRET, connect_path, NULL },
	{ "message-queue", "takes messages from a System V queue", EVIDENCE_SECRET, message_queue,
	  NULL },
	{ "host-name", "sets the host's name", EVIDENCE_HARM, host_name, NULL },
	{ "cgroup-path", "reads the name of its cgroup", EVIDENCE_WORD, cgroup_path, NULL },
	{ "mount-over", "mounts over a folder of the host", EVIDENCE_HARM, mount_over, NULL },
	{ "mount-own", "mounts in its own namespace", EVIDENCE_WORD, mount_own, NULL },
	{ "fork", "makes processes", EVIDENCE_WORD, do_fork, NULL },
	{ "clone3", "likewise", EVIDENCE_WORD, do_clone3, NULL },
	{ "execve", "runs a program of the host", EVIDENCE_WORD, do_exec, NULL },
	{ "regain-by-exec", "runs one that gives capabilities", EVIDENCE_WORD, regain_by_exec,
	  NULL },
	{ "hoard-descriptors", "opens a thousand descriptors", EVIDENCE_WORD, hoard_descriptors,
	  NULL },
	{ "hoard-locked", "locks its pool in memory", EVIDENCE_WORD, hoard_locked, NULL },
	{ "hoard-memory", "maps 64 MiB", EVIDENCE_WORD, hoard_memory, NULL },
	{ "hoard-memfd", "makes a memory file of 64 MiB", EVIDENCE_WORD, hoard_memfd, NULL },
	{ "raise-limit", "raises its own limit", EVIDENCE_WORD, raise_limit, NULL },
	{ 0 },
};
