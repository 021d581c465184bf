/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Entropy, console and vsock whose host side fails: see fault_tracer.h. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/console_bench.h"
#include "tests/unit/fault_tracer.h"
#include "tests/unit/mock_process.h"
#include "tests/unit/unix_peer.h"
#include "tests/unit/vsock_bench.h"

static struct fault_tracer tracer;

/* @a and then @b, which may have no count. */
static void begin_faults(const struct mock_frontend *fe, struct fault a, struct fault b)
{
	tracer = (struct fault_tracer){ .pid = fe->pid, .faults = { a, b } };
	fault_tracer_start(&tracer);
}

static const struct fault none;

/* --- rng --- */

Test(device_fault_streams, entropy, .init = mock_use_process)
{
	static const struct {
		const char *what;
		struct fault faults[2];
		uint32_t len;
	} rows[] = {
		{ "EINTR", { { SYS_getrandom, 0, 3, EINTR, 0 } }, 4096 },
		{ "EAGAIN", { { SYS_getrandom, 0, 1, EAGAIN, 0 } }, 0 },
		{ "ENOSYS", { { SYS_getrandom, 0, 1, ENOSYS, 0 } }, 0 },
		{ "nothing", { { 0 } }, 4096 },
	};
	static const struct device_options no_options = { 0 };
	static struct mock_frontend fe;

	mock_start(&fe, "rng", &no_options, true);
	mock_connect(&fe, 1, 64);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin_faults(&fe, rows[i].faults[0], rows[i].faults[1]);
		mock_submit_buffer(&fe.queues[0], 0, 4096, VIRTQ_DESC_F_WRITE);
		cr_expect_eq(mock_complete(&fe, 0).len, rows[i].len, "%s", rows[i].what);
		cr_expect_eq(fault_tracer_stop(&tracer), rows[i].faults[0].count, "%s",
			     rows[i].what);
	}
	cr_expect_eq(mock_report(&fe).request_errors, 2);
	cr_expect_eq(mock_stop(&fe), 0);
}

/* --- console --- */

static struct mock_frontend console;
static int end; /* ours, of the console's stream */

static void start_console(void)
{
	int pair[2];

	mock_use_process();
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	end = pair[0];
	console_connect(&console, &pair[1], 1, NULL, 2, true);
}

static void stop_console(void)
{
	cr_expect_eq(mock_stop(&console), 0);
	close(end);
}

/* What cannot be written is lost, and what comes after it is not. */
Test(device_fault_streams, console_output, .init = start_console, .fini = stop_console)
{
	static const struct {
		const char *what;
		struct fault fault;
		const char *heard;
	} rows[] = {
		{ "EINTR", { SYS_writev, 0, 3, EINTR, 0 }, "text\n" },
		{ "EAGAIN", { SYS_writev, 0, 1, EAGAIN, 0 }, "text\n" },
		{ "EIO", { SYS_writev, 0, 1, EIO, 0 }, "" },
		{ "ENOSPC", { SYS_writev, 0, 1, ENOSPC, 0 }, "" },
		{ "EPIPE", { SYS_writev, 0, 1, EPIPE, 0 }, "" },
		{ "ENOBUFS", { SYS_writev, 0, 1, ENOBUFS, 0 }, "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin_faults(&console, rows[i].fault, none);
		console_write(&console, 0, 0, "text\n");
		mock_wait_used(&console, console_out(0));
		cr_expect_eq(fault_tracer_stop(&tracer), rows[i].fault.count, "%s", rows[i].what);
		console_expect_host_reads(end, rows[i].heard);
		console_write(&console, 0, 1, "next\n");
		mock_wait_used(&console, console_out(0));
		console_expect_host_reads(end, "next\n");
	}
}

/* However often that happens, it is not said for ever: mock_stop() counts the lines. */
Test(device_fault_streams, console_output_that_always_fails, .init = start_console,
     .fini = stop_console)
{
	begin_faults(&console, (struct fault){ SYS_writev, 0, 500, EIO, 0 }, none);
	for (int i = 0; i < 500; i++) {
		console_write(&console, 0, 0, "lost");
		mock_wait_used(&console, console_out(0));
		console.queues[console_out(0)].next_free -= 16;
	}
	cr_expect_eq(fault_tracer_stop(&tracer), 500);
	console_write(&console, 0, 1, "next");
	mock_wait_used(&console, console_out(0));
	console_expect_host_reads(end, "next");
}

Test(device_fault_streams, console_input, .init = start_console, .fini = stop_console)
{
	struct virtq_used_elem elem;

	begin_faults(&console, (struct fault){ SYS_readv, 0, 3, EINTR, 0 }, none);
	mock_submit_buffer(&console.queues[0], 0, 64, VIRTQ_DESC_F_WRITE);
	mock_kick(&console, 0);
	cr_assert_eq(write(end, "typed", 5), 5);
	cr_expect_eq(mock_wait_used(&console, 0).len, 5);
	cr_expect_eq(fault_tracer_stop(&tracer), 3);
	/* An error is the end of the input, as for any reader; output goes on. */
	begin_faults(&console, (struct fault){ SYS_readv, 0, 1, EIO, 0 }, none);
	mock_submit_buffer(&console.queues[0], 1, 64, VIRTQ_DESC_F_WRITE);
	mock_kick(&console, 0);
	cr_assert_eq(write(end, "more", 4), 4);
	cr_expect_not(mock_poll_used(&console, 0, MOCK_FULL, &elem));
	cr_expect_eq(fault_tracer_stop(&tracer), 1);
	mock_expect_idle(&console, "input that failed");
	console_write(&console, 0, 0, "out");
	mock_wait_used(&console, console_out(0));
	console_expect_host_reads(end, "out");
}

/* In its sandbox the process is the first of its pid namespace, and hears no such signal anyway. */
Test(device_fault_streams, console_output_to_nobody_without_a_sandbox)
{
	int pair[2];

	mock_use_process();
	unsetenv("MINIVMM_DEVICE_SANDBOX");
	cr_assert_eq(pipe2(pair, O_CLOEXEC), 0);
	console_connect(&console, &pair[1], 1, NULL, 2, false);
	close(pair[0]);
	console_write(&console, 0, 0, "lost");
	mock_wait_used(&console, console_out(0));
	cr_expect_eq(mock_stop(&console), 0);
}

/*
 * No descriptor or no memory for a peer: it waits, nobody spins, and what happens next at the port lets
 * it in.
 */
Test(device_fault_streams, console_peers_that_cannot_be_taken, .init = mock_use_process)
{
	static const int errors[] = { EMFILE, ENFILE, ENOMEM, ENOBUFS };
	static const char *const settings[] = { "names=agent", NULL };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(addr);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int listening = dup(listener);

	/* With a family alone the kernel chooses an abstract name. */
	cr_assert_eq(bind(listener, (struct sockaddr *)&addr, sizeof(addr.sun_family)), 0);
	cr_assert_eq(listen(listener, 4), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	console_connect(&console, &listening, 1, settings, 4, true);
	close(listener);
	console_offer(&console, CONSOLE_QUEUE_SIZE, 64);
	console_open_port(&console, 0);
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		int peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		begin_faults(&console, (struct fault){ SYS_accept4, 0, 1000000, errors[i], 0 },
			     none);
		cr_assert_eq(connect(peer, (struct sockaddr *)&addr, len), 0);
		usleep(100 * 1000);
		cr_expect_leq(atomic_load(&tracer.seen), 3, "%s: tried %u times",
			      strerror(errors[i]), atomic_load(&tracer.seen));
		fault_tracer_stop(&tracer);
		mock_expect_idle(&console, strerror(errors[i]));
		console_write(&console, 0, 0, "hello");
		console_expect(&console, 0, CONSOLE_PORT_OPEN, 1);
		console_expect_host_reads(peer, "hello");
		mock_wait_used(&console, console_out(0));
		close(peer);
		console_expect(&console, 0, CONSOLE_PORT_OPEN, 0);
	}
	cr_expect_eq(mock_stop(&console), 0);
}

/* --- vsock --- */

static struct vsock_bench vsock;

static void start_vsock(void)
{
	mock_use_process();
	bench_start(&vsock, true);
	bench_give(&vsock, 0, BENCH_BUFFERS);
}

static void stop_vsock(void)
{
	bench_expect_alive(&vsock);
	bench_stop(&vsock);
}

Test(device_fault_streams, vsock_clients_that_cannot_be_taken, .init = start_vsock,
     .fini = stop_vsock)
{
	static const int errors[] = { EMFILE, ENFILE, ENOMEM, ENOBUFS };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct bench_packet packet;
		int client;

		begin_faults(&vsock.fe, (struct fault){ SYS_accept4, 0, 1000000, errors[i], 0 },
			     none);
		client = bench_client(&vsock, "CONNECT 52\n");
		usleep(100 * 1000);
		cr_expect_leq(atomic_load(&tracer.seen), 3, "%s: tried %u times",
			      strerror(errors[i]), atomic_load(&tracer.seen));
		fault_tracer_stop(&tracer);
		mock_expect_idle(&vsock.fe, strerror(errors[i]));
		/* A packet of the guest that means nothing, or another client, and it goes on. */
		if (i % 2)
			bench_send(&vsock, VSOCK_OP_RST, 9, 9, 0, NULL, 0);
		else
			close(bench_client(&vsock, ""));
		packet = bench_wait(&vsock);
		cr_expect_eq(packet.header.op, VSOCK_OP_REQUEST);
		bench_send(&vsock, VSOCK_OP_RST, 52, packet.header.src_port, 0, NULL, 0);
		bench_expect_text(client, "");
		close(client);
	}
}

/* Bytes that the host side does not take now are kept, and those that it never takes end it. */
Test(device_fault_streams, vsock_bytes_for_the_host, .init = start_vsock, .fini = stop_vsock)
{
	static const struct {
		const char *what;
		struct fault fault;
		bool over;
	} rows[] = {
		{ "EINTR", { SYS_writev, 0, 3, EINTR, 0 }, false },
		{ "EAGAIN", { SYS_writev, 0, 2, EAGAIN, 0 }, false },
		{ "EPIPE", { SYS_writev, 0, 1, EPIPE, 0 }, true },
		{ "ENOBUFS", { SYS_writev, 0, 1, ENOBUFS, 0 }, true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bench_stream stream = bench_open_by_guest(&vsock, 1025 + i, 80);

		begin_faults(&vsock.fe, rows[i].fault, none);
		bench_write(&vsock, &stream, "bytes", 5);
		if (rows[i].over)
			cr_expect_eq(
				bench_expect(&vsock, VSOCK_OP_SHUTDOWN, 1025 + i, 80).header.flags,
				VSOCK_SHUTDOWN_RCV, "%s", rows[i].what);
		else
			bench_expect_text(stream.fd, "bytes");
		cr_expect_eq(fault_tracer_stop(&tracer), rows[i].fault.count, "%s", rows[i].what);
		bench_say(&vsock, &stream, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_BOTH);
		bench_expect(&vsock, VSOCK_OP_RST, 1025 + i, 80);
		close(stream.fd);
	}
}

Test(device_fault_streams, vsock_bytes_for_the_guest, .init = start_vsock, .fini = stop_vsock)
{
	struct bench_stream stream = bench_open_by_guest(&vsock, 1025, 80);
	struct bench_packet packet;

	begin_faults(&vsock.fe, (struct fault){ SYS_readv, 0, 3, EINTR, 0 }, none);
	cr_assert_eq(write(stream.fd, "bytes", 5), 5);
	packet = bench_expect(&vsock, VSOCK_OP_RW, 1025, 80);
	cr_expect_eq(packet.header.len, 5);
	cr_expect_eq(fault_tracer_stop(&tracer), 3);
	begin_faults(&vsock.fe, (struct fault){ SYS_readv, 0, 1, ECONNRESET, 0 }, none);
	cr_assert_eq(write(stream.fd, "bytes", 5), 5);
	packet = bench_expect(&vsock, VSOCK_OP_SHUTDOWN, 1025, 80);
	cr_expect_eq(packet.header.flags, VSOCK_SHUTDOWN_BOTH);
	cr_expect_eq(fault_tracer_stop(&tracer), 1);
	close(stream.fd);
}
