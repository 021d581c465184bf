/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What stands for minivmm: guest RAM and two pools by vmm/memory.c, a device process by
 * vmm/vhost/worker.c, the first pool and a queue given to it by vmm/vhost/frontend.c. One process for
 * each attack, because some of them are the end of it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"
#include "tests/attack/layers.h"
#include "vmm/vhost/frontend.h"
#include "vmm/vhost/worker.h"
#include "vmm/virtio/device.h"

#define RAM_SIZE    0x400000ull
#define POOL_SIZE   ATTACK_POOL_SIZE
#define SECRET_AT   0x1000 /* in RAM */
#define DEADLINE_MS 5000
#define VERDICT_MS  5000
#define QUEUE_KEY   0x6d696e69
#define DISK_SIZE   0x10000
#define HIGH_FD	    100 /* above all that a device process has */
#define USER	    1000

uint8_t attack_global_secret[SECRET_LEN];
static volatile sig_atomic_t signals;

struct victim {
	const struct trial *trial;
	uint8_t secret[SECRET_LEN];
	char dir[48];
	int tcp, path, abstract; /* sockets that listen */
	uint16_t port;
	int disk;
	int queue; /* of messages */
	struct guest_memory memory;
	struct dma_window given[1]; /* to the device process */
	int other_fd;		    /* of another device's pool */
	struct worker worker;
	struct vhost_frontend frontend;
};

static const struct machine machine = {
	.ram = { { 0, RAM_SIZE } },
	.nr_ram = 1,
	.pools = { { RAM_SIZE, POOL_SIZE }, { RAM_SIZE + POOL_SIZE, POOL_SIZE } },
	.nr_pools = 2,
};

/* The test itself went wrong: says where. */
__attribute__((noreturn)) static void broken(const char *what)
{
	fprintf(stderr, "attack: %s: %s\n", what, strerror(errno));
	_exit(TRIAL_BROKEN);
}

static void need(bool good, const char *what)
{
	if (!good)
		broken(what);
}

static void count_signal(int number)
{
	(void)number;
	signals = 1;
}

static void path_of(const struct victim *victim, const char *name, char path[96])
{
	snprintf(path, 96, "%s/%s", victim->dir, name);
}

static void make_file(const struct victim *victim, const char *name, mode_t mode)
{
	char path[96];
	int fd;

	path_of(victim, name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	need(fd >= 0 && write(fd, victim->secret, SECRET_LEN) == SECRET_LEN, path);
	close(fd);
}

static int listen_at(int sock, const void *address, socklen_t len)
{
	need(sock >= 0 && bind(sock, address, len) == 0 && listen(sock, 1) == 0, "listen");
	return sock;
}

static void make_services(struct victim *victim)
{
	struct sockaddr_in tcp = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un path = { .sun_family = AF_UNIX }, abstract = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(tcp);
	int n;

	victim->tcp = listen_at(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), &tcp, sizeof(tcp));
	need(getsockname(victim->tcp, (struct sockaddr *)&tcp, &len) == 0, "getsockname");
	victim->port = ntohs(tcp.sin_port);
	path_of(victim, "socket", path.sun_path);
	victim->path =
		listen_at(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), &path, sizeof(path));
	need(chmod(path.sun_path, 0666) == 0, "chmod");
	n = snprintf(abstract.sun_path + 1, sizeof(abstract.sun_path) - 1, "%s/socket",
		     victim->dir);
	victim->abstract =
		listen_at(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), &abstract,
			  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n));
}

/* Each holds the secret, or leads to it. */
static void make_treasures(struct victim *victim)
{
	struct {
		long type;
		uint8_t secret[SECRET_LEN];
	} message = { .type = 1 };
	char hex[2 * SECRET_LEN + 1], path[96];

	make_file(victim, "public", 0644);
	make_file(victim, "private", 0600);
	make_file(victim, "disk", 0600);
	path_of(victim, "disk", path);
	need(truncate(path, DISK_SIZE) == 0, path);
	victim->disk = open(path, O_RDONLY | O_CLOEXEC);
	make_services(victim);
	memcpy(message.secret, victim->secret, SECRET_LEN);
	victim->queue = msgget(QUEUE_KEY, IPC_CREAT | 0666);
	need(victim->queue >= 0 && msgsnd(victim->queue, &message, SECRET_LEN, IPC_NOWAIT) == 0,
	     "message queue");
	memcpy(attack_global_secret, victim->secret, SECRET_LEN);
	for (int i = 0; i < SECRET_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02x", victim->secret[i]);
	setenv(ATTACK_ENVIRONMENT, hex, 1);
	/* A host without keyrings has none to attack. */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0)
		(void)syscall(SYS_add_key, "user", ATTACK_KEY, victim->secret, SECRET_LEN,
			      KEY_SPEC_SESSION_KEYRING);
}

/* A cgroup of its own, in a hierarchy that nobody else looks at; not where there is none. */
static void enter_cgroup(const char *dir)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/minivmm-attack/cgroup.procs", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!write(fd, "0", 1);
	close(fd);
}

static void create_memory(struct victim *victim)
{
	struct dma_window other;

	need(guest_memory_create(&victim->memory, &machine, layer_is_removed(LAYER_RESTRICTED)) ==
		     0,
	     "guest memory");
	need(guest_memory_write(&victim->memory, SECRET_AT, victim->secret, SECRET_LEN) == 0,
	     "guest memory");
	guest_memory_seal(&victim->memory);
	other = guest_memory_pool_window(&victim->memory, 1);
	need(pwrite(other.fd, victim->secret, SECRET_LEN, 0) == SECRET_LEN, "other pool");
	/* Without that layer, the mistake that it would take: one that an exec does not close. */
	victim->other_fd =
		fcntl(other.fd, layer_is_removed(LAYER_FDS_AT_START) ? F_DUPFD : F_DUPFD_CLOEXEC,
		      HIGH_FD);
	need(victim->other_fd >= 0, "other pool");
	victim->given[0] = guest_memory_pool_window(&victim->memory, 0);
	if (layer_is_removed(LAYER_RESTRICTED))
		guest_memory_ram_windows(&victim->memory, victim->given, 1);
}

static const uint8_t *host_of(const struct victim *victim, uint64_t gpa)
{
	for (size_t i = 0; i < victim->memory.nr_regions; i++) {
		const struct guest_region *region = &victim->memory.regions[i];

		if (machine_range_contains(&region->range, gpa, 1))
			return region->host + (gpa - region->range.base);
	}
	return NULL;
}

static void clean_up(const struct victim *victim)
{
	static const char *const names[] = { "public", "private", "disk", "socket", "core" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[96];

		path_of(victim, names[i], path);
		unlink(path);
	}
	rmdir(victim->dir);
	msgctl(victim->queue, IPC_RMID, NULL);
}

static void start_worker(struct victim *victim)
{
	const bool is_disk = strcmp(victim->trial->kind, "blk") == 0;
	char settings[WORKER_MAX_SETTINGS][80];
	const char *list[WORKER_MAX_SETTINGS + 1] = { NULL };
	const struct worker_request request = {
		.name = "attacker",
		.kind = victim->trial->kind,
		.settings = list,
		.backend_fds = &victim->disk,
		.nr_backends = is_disk,
		.sandbox = true,
	};
	int exe = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	int n = 0;

	snprintf(settings[n++], 80, "attack=%s", victim->trial->attack->name);
	snprintf(settings[n++], 80, "removed=%llx", (unsigned long long)layers_removed);
	snprintf(settings[n++], 80, "vmm=%lx", syscall(SYS_getpid));
	snprintf(settings[n++], 80, "ram=%lx", (unsigned long)host_of(victim, SECRET_AT));
	snprintf(settings[n++], 80, "other=%lx",
		 (unsigned long)host_of(victim, RAM_SIZE + POOL_SIZE));
	snprintf(settings[n++], 80, "other-fd=%x", victim->other_fd);
	snprintf(settings[n++], 80, "dir=%s", victim->dir);
	snprintf(settings[n++], 80, "port=%x", victim->port);
	for (int i = 0; i < n; i++)
		list[i] = settings[i];
	need(exe >= 0, "executable");
	/* A layer that cannot be had together with the others counts as one that holds. */
	if (worker_start(&victim->worker, exe, &request)) {
		clean_up(victim);
		_exit(TRIAL_DENIED);
	}
	/* As guest_start_devices() does it. */
	if (!layer_is_removed(LAYER_VMM_DUMPABLE))
		need(prctl(PR_SET_DUMPABLE, 0) == 0, "dumpable");
}

/* An early attack, or a layer that is missing, leaves us without an answer: the verdict tells. */
static void connect_worker(struct victim *victim)
{
	const uint64_t base = layer_is_removed(LAYER_RESTRICTED) ? 0x8000 : RAM_SIZE + 0x8000;
	const struct virtio_queue queue = {
		.size = 16,
		.addr = { [VIRTIO_RING_DESC] = base,
			  [VIRTIO_RING_AVAIL] = base + 0x1000,
			  [VIRTIO_RING_USED] = base + 0x2000 },
	};
	const struct vhost_queue_fds fds = {
		.kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
	int rc = vhost_frontend_open(&victim->frontend, victim->worker.control, DEADLINE_MS, -1,
				     victim->given, 1);

	/* The connection is the front-end's now. */
	victim->worker.control = -1;
	if (!rc)
		rc = vhost_frontend_set_features(&victim->frontend, victim->frontend.features);
	if (!rc)
		(void)vhost_frontend_start_queue(&victim->frontend, 0, &queue, &fds);
}

/* What the device process says, until it has said enough or is gone. */
static void read_verdict(const struct victim *victim, char *text, size_t size)
{
	struct pollfd fds[] = {
		{ .fd = victim->worker.log, .events = POLLIN },
		{ .fd = victim->worker.pidfd, .events = POLLIN },
	};
	size_t used = 0;

	text[0] = '\0';
	while (used == 0 || text[used - 1] != '\n' || !strstr(text, "attack: ")) {
		/* A signal is no verdict, but may be what it is about. */
		int ready = poll(fds, 2, VERDICT_MS);
		ssize_t n;

		need(ready > 0 || (ready < 0 && errno == EINTR), "no verdict");
		n = read(victim->worker.log, text + used, size - 1 - used);
		if (n <= 0 && fds[1].revents)
			break;
		if (n <= 0)
			continue;
		used += (size_t)n;
		text[used] = '\0';
	}
	if (getenv("ATTACK_VERBOSE"))
		fputs(text, stderr);
}

/* What was made shorter ends us here. */
static bool window_is_damaged(const struct victim *victim)
{
	const struct dma_window *given = &victim->given[0];
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	int now = fcntl(given->fd, F_GET_SEALS);
	struct stat st;

	(void)*(const volatile uint8_t *)host_of(victim, given->range.base);
	need(fstat(given->fd, &st) == 0, "fstat");
	return (uint64_t)st.st_size != given->range.size ||
	       (layer_is_removed(LAYER_MEMFD_SEALS) ? now != 0 : now != seals);
}

/* Something is mounted over it. */
static bool folder_is_hidden(const struct victim *victim)
{
	char path[96];

	path_of(victim, "public", path);
	return access(path, F_OK) != 0;
}

static bool is_harmed(const struct victim *victim)
{
	uint8_t disk[SECRET_LEN] = { 0 };
	struct rlimit limit;
	char name[64] = "";

	need(pread(victim->disk, disk, SECRET_LEN, 0) == SECRET_LEN, "disk");
	(void)gethostname(name, sizeof(name));
	(void)getrlimit(RLIMIT_MSGQUEUE, &limit);
	return signals || window_is_damaged(victim) ||
	       memcmp(host_of(victim, SECRET_AT), victim->secret, SECRET_LEN) != 0 ||
	       memcmp(disk, victim->secret, SECRET_LEN) != 0 ||
	       strcmp(name, ATTACK_HOST_NAME) == 0 || limit.rlim_max == 1 ||
	       folder_is_hidden(victim);
}

static bool secret_is_out(const struct victim *victim, const char *text)
{
	char line[64] = "attack: done ";

	for (int i = 0; i < SECRET_LEN; i++)
		snprintf(line + strlen(line), 3, "%02x", victim->secret[i]);
	return strstr(text, line) != NULL;
}

/* Where a program gets all dumps, no limit and no root of ours counts. */
static bool dumps_go_to_a_program(void)
{
	int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);
	char first = '\0';

	need(fd >= 0 && read(fd, &first, 1) >= 0, "core_pattern");
	close(fd);
	return first == '|';
}

static enum trial_result judge(struct victim *victim, const char *text, pid_t *survivor)
{
	bool said_so = strstr(text, "attack: done") != NULL;
	bool success = said_so;
	int status;

	if (strstr(text, "attack: absent"))
		return TRIAL_ABSENT;
	switch (victim->trial->attack->evidence) {
	case EVIDENCE_SECRET:
		success = secret_is_out(victim, text);
		break;
	case EVIDENCE_HARM:
		/* It may take a moment until a signal is delivered. */
		for (int ms = 0; said_so && ms < 300 && !is_harmed(victim); ms++)
			usleep(1000);
		success = is_harmed(victim);
		break;
	case EVIDENCE_WORD:
		break;
	case EVIDENCE_CORE:
		status = worker_end(&victim->worker, VERDICT_MS);
		need(WIFSIGNALED(status), "it did not crash");
		if (dumps_go_to_a_program())
			return TRIAL_ABSENT;
		return WCOREDUMP(status) ? TRIAL_SUCCEEDED : TRIAL_DENIED;
	case EVIDENCE_ALIVE:
		if (said_so)
			*survivor = victim->worker.pid;
		return said_so ? TRIAL_SUCCEEDED : TRIAL_DENIED;
	}
	return success ? TRIAL_SUCCEEDED : TRIAL_DENIED;
}

/* A host whose own services hand out the secret to whoever comes. */
static void *serve_secret(void *opaque)
{
	const struct victim *victim = opaque;
	struct pollfd fds[] = {
		{ .fd = victim->tcp, .events = POLLIN },
		{ .fd = victim->path, .events = POLLIN },
		{ .fd = victim->abstract, .events = POLLIN },
	};

	while (poll(fds, 3, -1) > 0) {
		for (int i = 0; i < 3; i++) {
			int peer = fds[i].revents ? accept(fds[i].fd, NULL, NULL) : -1;

			if (peer >= 0)
				(void)!write(peer, victim->secret, SECRET_LEN);
		}
	}
	return NULL;
}

/* What an attack that succeeds does to the host must stay in here. */
static void go_apart(void)
{
	need(unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC) == 0 &&
		     mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0,
	     "namespaces");
}

static void become_user(void)
{
	need(setgroups(0, NULL) == 0 && setresgid(USER, USER, USER) == 0 &&
		     setresuid(USER, USER, USER) == 0,
	     "user");
	/* As after an exec by that user. Yama must not be what protects us. */
	need(prctl(PR_SET_DUMPABLE, 1) == 0, "dumpable");
	(void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
}

enum trial_result victim_run(const struct trial *trial, const char *cgroups, pid_t *survivor)
{
	struct victim victim = { .trial = trial };
	const struct rlimit core = { RLIM_INFINITY, RLIM_INFINITY };
	enum trial_result result;
	pthread_t server;
	char text[4096];

	layers_removed = trial->removed;
	go_apart();
	setpgid(0, 0);
	signal(SIGUSR1, count_signal);
	enter_cgroup(cgroups);
	if (trial->as_user)
		become_user();
	need(getrandom(victim.secret, SECRET_LEN, 0) == SECRET_LEN, "getrandom");
	trial_folder_template(victim.dir, sizeof(victim.dir));
	need(mkdtemp(victim.dir) && chmod(victim.dir, 0755) == 0 && chdir(victim.dir) == 0,
	     victim.dir);
	if (trial->attack->evidence == EVIDENCE_CORE)
		(void)setrlimit(RLIMIT_CORE, &core);
	make_treasures(&victim);
	create_memory(&victim);
	start_worker(&victim);
	need(pthread_create(&server, NULL, serve_secret, &victim) == 0, "thread");
	connect_worker(&victim);
	read_verdict(&victim, text, sizeof(text));
	result = judge(&victim, text, survivor);
	if (trial->attack->evidence != EVIDENCE_ALIVE)
		worker_end(&victim.worker, 0);
	if (folder_is_hidden(&victim))
		(void)umount2(victim.dir, MNT_DETACH);
	clean_up(&victim);
	return result;
}
