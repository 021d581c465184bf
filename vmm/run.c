/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* From the first vCPU's start to the moment when something ends the run. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "vmm/events.h"
#include "vmm/exit_status.h"
#include "vmm/guest.h"
#include "vmm/log.h"

/* The main thread's own descriptors while the guest runs. */
struct run {
	struct guest *guest;
	int signal_fd;
	int tick_fd; /* once a second */
	int hint_fd; /* signalfd: what does not end the run */
	unsigned int seconds;
};

/* What ends a run in good order. */
static const int endings[] = { SIGINT, SIGTERM, SIGHUP, 0 };

static void handle_ending(void *opaque, uint32_t events)
{
	struct run *run = opaque;

	(void)events;
	main_loop_stop(&run->guest->loop);
}

static void handle_signal(void *opaque, uint32_t events)
{
	struct run *run = opaque;
	struct signalfd_siginfo info;

	(void)events;
	if (read(run->signal_fd, &info, sizeof(info)) == sizeof(info))
		ending_set(&run->guest->ending, EXIT_STATUS_SIGNAL + (int)info.ssi_signo,
			   "signal %u", info.ssi_signo);
}

/* SIGUSR1: disks may have other sizes now. SIGWINCH: the terminal has. SIGCHLD: who was stopped? */
static void handle_hint(void *opaque, uint32_t events)
{
	struct run *run = opaque;
	struct signalfd_siginfo info;

	(void)events;
	if (read(run->hint_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGUSR1)
		devices_refresh(&run->guest->devices);
	else if (info.ssi_signo == SIGCHLD)
		devices_check_stopped(&run->guest->devices);
	else
		console_resized(&run->guest->console);
}

static bool all_halted(const struct guest *guest)
{
	for (unsigned int i = 0; i < guest->nr_vcpus; i++)
		if (!atomic_load(&guest->vcpus[i].halted))
			return false;
	return true;
}

static void handle_tick(void *opaque, uint32_t events)
{
	struct run *run = opaque;
	struct guest *guest = run->guest;
	uint64_t expirations;

	(void)events;
	if (read(run->tick_fd, &expirations, sizeof(expirations)) != sizeof(expirations))
		return;
	run->seconds += (unsigned int)expirations;
	if (guest->config->timeout > 0 && run->seconds >= guest->config->timeout)
		ending_set(&guest->ending, EXIT_STATUS_TIMEOUT, "--timeout: %u seconds are over",
			   guest->config->timeout);
	/* The answers to the question of the last tick. */
	if (all_halted(guest))
		ending_set(&guest->ending, EXIT_STATUS_HALT,
			   "every vCPU is halted with interrupts off");
	for (unsigned int i = 0; i < guest->nr_vcpus; i++)
		vcpu_check_halt(&guest->vcpus[i]);
	devices_check_alive(&guest->devices);
}

/* @signals ends with 0. They are blocked before any thread starts, so that none takes them. */
static sigset_t block_signals(const int *signals)
{
	sigset_t set;

	sigemptyset(&set);
	for (; *signals; signals++)
		sigaddset(&set, *signals);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return set;
}

static int open_signals(const int *signals)
{
	sigset_t set = block_signals(signals);

	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

void guest_hold_signals(void)
{
	block_signals(endings);
}

int guest_check_signals(void)
{
	sigset_t pending;

	if (sigpending(&pending))
		return 0;
	for (const int *number = endings; *number; number++) {
		if (!sigismember(&pending, *number))
			continue;
		log_error("signal %d", *number);
		return EXIT_STATUS_SIGNAL + *number;
	}
	return 0;
}

static int open_tick(void)
{
	const struct itimerspec every_second = {
		.it_interval = { .tv_sec = 1 },
		.it_value = { .tv_sec = 1 },
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0)
		timerfd_settime(fd, 0, &every_second, NULL);
	return fd;
}

static int watch(struct run *run)
{
	static const int hints[] = { SIGUSR1, SIGWINCH, SIGCHLD, 0 };
	struct guest *guest = run->guest;
	struct main_loop *loop = &guest->loop;
	int ret = 0;

	run->signal_fd = open_signals(endings);
	run->hint_fd = open_signals(hints);
	run->tick_fd = open_tick();
	if (run->signal_fd < 0 || run->hint_fd < 0 || run->tick_fd < 0)
		ret = -errno;
	if (!ret)
		ret = main_loop_add(loop, run->signal_fd, EPOLLIN, handle_signal, run);
	if (!ret)
		ret = main_loop_add(loop, run->hint_fd, EPOLLIN, handle_hint, run);
	if (!ret)
		ret = main_loop_add(loop, run->tick_fd, EPOLLIN, handle_tick, run);
	if (!ret)
		ret = main_loop_add(loop, guest->ending.event_fd, EPOLLIN, handle_ending, run);
	if (ret) {
		log_error("event loop: %s", strerror(-ret));
		return ret;
	}
	ret = guest_watch_devices(guest);
	if (!ret)
		ret = console_start(&guest->console, loop, &guest->ending);
	return ret;
}

static int start_vcpus(struct guest *guest)
{
	int ret = 0;

	bus_freeze(&guest->platform.mmio);
	bus_freeze(&guest->platform.pio);
	for (unsigned int i = 0; i < guest->nr_vcpus && !ret; i++)
		ret = vcpu_start(&guest->vcpus[i]);
	return ret;
}

int guest_run(struct guest *guest)
{
	struct run run = { .guest = guest, .signal_fd = -1, .tick_fd = -1, .hint_fd = -1 };
	int ret = main_loop_init(&guest->loop);

	if (ret) {
		log_error("event loop: %s", strerror(-ret));
		return EXIT_STATUS_HOST;
	}
	guest->has_loop = true;
	ret = watch(&run);
	if (!ret)
		ret = start_vcpus(guest);
	if (!ret) {
		events_phase("run");
		guest_memory_collapse_pools(&guest->memory);
		main_loop_run(&guest->loop);
	}
	for (unsigned int i = 0; i < guest->nr_vcpus; i++)
		vcpu_stop(&guest->vcpus[i]);
	if (run.signal_fd >= 0)
		close(run.signal_fd);
	if (run.hint_fd >= 0)
		close(run.hint_fd);
	if (run.tick_fd >= 0)
		close(run.tick_fd);
	return ret ? EXIT_STATUS_HOST : 0;
}
