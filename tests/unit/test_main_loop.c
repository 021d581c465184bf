/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/fd_count.h"
#include "vmm/main_loop.h"

/* A source: an eventfd whose handler keeps count, and may do one thing to the loop. */
struct source {
	struct main_loop *loop;
	int fd;
	unsigned int calls;
	uint32_t events;
	bool drain;
	bool stop;
	void (*act)(struct source *source);
	struct source *other;
};

static void source_handle(void *opaque, uint32_t events)
{
	struct source *source = opaque;
	eventfd_t count;

	source->calls++;
	source->events = events;
	if (source->drain)
		eventfd_read(source->fd, &count);
	if (source->act)
		source->act(source);
	if (source->stop)
		main_loop_stop(source->loop);
}

static void source_open(struct source *source, struct main_loop *loop, unsigned int value)
{
	*source = (struct source){ .loop = loop, .drain = true };
	source->fd = eventfd(value, EFD_CLOEXEC | EFD_NONBLOCK);
	cr_assert_geq(source->fd, 0);
	cr_assert_eq(main_loop_add(loop, source->fd, EPOLLIN, source_handle, source), 0);
}

/* A few rounds of the loop, each ended by a source of its own, enough for all that is ready now. */
static void run_until_idle(struct main_loop *loop)
{
	struct source last;

	source_open(&last, loop, 1);
	last.drain = false;
	last.stop = true;
	for (int round = 0; round < 4; round++) {
		loop->stopped = false;
		main_loop_run(loop);
	}
	main_loop_remove(loop, last.fd);
	close(last.fd);
}

Test(loop, handlers_are_called_while_their_source_is_ready)
{
	struct main_loop loop;
	struct source ready, idle;

	cr_assert_eq(main_loop_init(&loop), 0);
	source_open(&ready, &loop, 1);
	source_open(&idle, &loop, 0);
	run_until_idle(&loop);
	cr_expect_eq(ready.calls, 1);
	cr_expect_eq(ready.events, EPOLLIN);
	cr_expect_eq(idle.calls, 0);
	eventfd_write(idle.fd, 1);
	run_until_idle(&loop);
	cr_expect_eq(ready.calls, 1);
	cr_expect_eq(idle.calls, 1);
	main_loop_destroy(&loop);
}

Test(loop, a_hang_up_is_told_without_being_asked_for)
{
	struct main_loop loop;
	struct source source = { .loop = &loop, .stop = true };
	int pair[2];

	cr_assert_eq(main_loop_init(&loop), 0);
	cr_assert_eq(pipe(pair), 0);
	cr_assert_eq(main_loop_add(&loop, pair[0], 0, source_handle, &source), 0);
	close(pair[1]);
	main_loop_run(&loop);
	cr_expect_eq(source.calls, 1);
	cr_expect(source.events & EPOLLHUP);
	main_loop_destroy(&loop);
}

Test(loop, removed_sources_are_silent)
{
	struct main_loop loop;
	struct source source;

	cr_assert_eq(main_loop_init(&loop), 0);
	source_open(&source, &loop, 1);
	main_loop_remove(&loop, source.fd);
	main_loop_remove(&loop, source.fd);
	run_until_idle(&loop);
	cr_expect_eq(source.calls, 0);
	main_loop_destroy(&loop);
}

static void remove_other(struct source *source)
{
	main_loop_remove(source->loop, source->other->fd);
}

/* Both are ready in the same batch; whichever comes first silences the other. */
Test(loop, a_handler_may_remove_another_of_its_batch)
{
	struct main_loop loop;
	struct source a, b;

	cr_assert_eq(main_loop_init(&loop), 0);
	source_open(&a, &loop, 1);
	source_open(&b, &loop, 1);
	a.act = remove_other;
	a.other = &b;
	b.act = remove_other;
	b.other = &a;
	run_until_idle(&loop);
	cr_expect_eq(a.calls + b.calls, 1);
	main_loop_destroy(&loop);
}

static void remove_self(struct source *source)
{
	main_loop_remove(source->loop, source->fd);
	close(source->fd);
}

Test(loop, a_handler_may_remove_itself)
{
	struct main_loop loop;
	struct source source;

	cr_assert_eq(main_loop_init(&loop), 0);
	source_open(&source, &loop, 1);
	source.drain = false;
	source.act = remove_self;
	run_until_idle(&loop);
	cr_expect_eq(source.calls, 1);
	main_loop_destroy(&loop);
}

/* Puts a source that is not ready where the other was: the same slot, the same descriptor. */
static void replace_other(struct source *source)
{
	struct source *other = source->other;
	const int fd = other->fd;
	int idle;

	main_loop_remove(source->loop, fd);
	idle = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	cr_assert_eq(dup2(idle, fd), fd);
	close(idle);
	cr_assert_eq(main_loop_add(source->loop, fd, EPOLLIN, source_handle, other), 0);
}

Test(loop, an_event_does_not_reach_a_successor)
{
	struct main_loop loop;
	struct source a, b;

	cr_assert_eq(main_loop_init(&loop), 0);
	source_open(&a, &loop, 1);
	source_open(&b, &loop, 1);
	a.act = replace_other;
	a.other = &b;
	b.act = replace_other;
	b.other = &a;
	run_until_idle(&loop);
	cr_expect_eq(a.calls + b.calls, 1);
	main_loop_destroy(&loop);
}

Test(loop, stop_ends_the_batch)
{
	struct main_loop loop;
	struct source a, b;

	cr_assert_eq(main_loop_init(&loop), 0);
	source_open(&a, &loop, 1);
	source_open(&b, &loop, 1);
	a.stop = true;
	b.stop = true;
	main_loop_run(&loop);
	cr_expect_eq(a.calls + b.calls, 1);
	main_loop_destroy(&loop);
}

Test(loop, a_stop_before_the_run_counts)
{
	struct main_loop loop;

	cr_assert_eq(main_loop_init(&loop), 0);
	main_loop_stop(&loop);
	main_loop_run(&loop);
	main_loop_destroy(&loop);
}

Test(loop, slots_have_an_end_and_are_used_again)
{
	struct main_loop loop;
	struct source sources[MAIN_LOOP_MAX_SOURCES];
	int extra = eventfd(0, EFD_CLOEXEC);

	cr_assert_eq(main_loop_init(&loop), 0);
	for (size_t i = 0; i < MAIN_LOOP_MAX_SOURCES; i++)
		source_open(&sources[i], &loop, 0);
	cr_expect_eq(main_loop_add(&loop, extra, EPOLLIN, source_handle, NULL), -ENOSPC);
	main_loop_remove(&loop, sources[7].fd);
	cr_expect_eq(main_loop_add(&loop, extra, EPOLLIN, source_handle, NULL), 0);
	cr_expect_eq(main_loop_add(&loop, sources[7].fd, EPOLLIN, source_handle, NULL), -ENOSPC);
	main_loop_destroy(&loop);
}

Test(loop, what_cannot_be_watched_takes_no_slot)
{
	struct main_loop loop;
	struct source source;
	FILE *file = tmpfile();

	cr_assert_eq(main_loop_init(&loop), 0);
	source_open(&source, &loop, 0);
	for (size_t i = 0; i < 2 * MAIN_LOOP_MAX_SOURCES; i++) {
		cr_expect_eq(main_loop_add(&loop, fileno(file), EPOLLIN, source_handle, NULL),
			     -EPERM);
		cr_expect_eq(main_loop_add(&loop, source.fd, EPOLLIN, source_handle, NULL),
			     -EEXIST);
		cr_expect_eq(main_loop_add(&loop, -1, EPOLLIN, source_handle, NULL), -EBADF);
	}
	eventfd_write(source.fd, 1);
	run_until_idle(&loop);
	cr_expect_eq(source.calls, 1, "the first one is still there");
	main_loop_destroy(&loop);
}

Test(loop, descriptors_are_given_back)
{
	const unsigned int fds = fd_count();
	struct main_loop loop;

	cr_assert_eq(main_loop_init(&loop), 0);
	cr_expect_eq(fd_count(), fds + 1);
	main_loop_destroy(&loop);
	cr_expect_eq(fd_count(), fds);
}

/* However often its other end writes. */
Test(loop, a_source_that_is_heard_of_once)
{
	struct main_loop loop;
	struct source source;
	uint64_t token;

	cr_assert_eq(main_loop_init(&loop), 0);
	source_open(&source, &loop, 0);
	main_loop_remove(&loop, source.fd);
	cr_assert_eq(main_loop_add_once(&loop, source.fd, EPOLLIN, source_handle, &source, &token),
		     0);
	for (int i = 0; i < 3; i++) {
		eventfd_write(source.fd, 1);
		run_until_idle(&loop);
		cr_expect_eq(source.calls, 1);
	}
	cr_expect_eq(main_loop_arm(&loop, source.fd, EPOLLIN, token), 0);
	run_until_idle(&loop);
	cr_expect_eq(source.calls, 2, "what was written meanwhile");
	run_until_idle(&loop);
	cr_expect_eq(source.calls, 2);
	main_loop_remove(&loop, source.fd);
	cr_expect_lt(main_loop_arm(&loop, source.fd, EPOLLIN, token), 0, "not after its end");
	main_loop_destroy(&loop);
	close(source.fd);
}
