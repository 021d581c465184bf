// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * blk-bench [OPTION]... DEVICE read|write BYTES DEPTH COUNT: COUNT requests of BYTES each at random
 * aligned places, DEPTH of them at any time, past the page cache. Prints
 *
 *	requests=N seconds=S us=MICROSECONDS-PER-REQUEST
 *
 *	--piece BYTES  the buffer of a request is made of pieces of this size, no two of them
 *	               adjacent in memory (at most 4096)
 *	--latency      also prints p50=, p99= and max=, microseconds from submission to completion,
 *	               and late=, how many took more than a millisecond
 *
 * On SIGTERM it submits nothing more, and prints what it has done.
 *
 * blk-bench copy BYTES COUNT: copies BYTES of memory COUNT times and prints the same line.
 *
 * The kernel's asynchronous I/O, by its system calls. The places are the same in each run.
 */
#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/aio_abi.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX 256
#define PAGE	  4096

struct load {
	int fd;
	bool is_write;
	uint64_t bytes; /* of one request */
	uint64_t piece; /* bytes; 0: one buffer */
	uint64_t places;
	unsigned int depth;
	unsigned long count;
	unsigned long submitted, done;
	uint64_t random;
	aio_context_t context;
	struct iocb iocbs[DEPTH_MAX];
	uint64_t began[DEPTH_MAX]; /* nanoseconds */
	uint32_t *latencies;	   /* nanoseconds, @count of them; NULL: not wanted */
};

static volatile sig_atomic_t stopped;

static void die(const char *what)
{
	fprintf(stderr, "blk-bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void usage(void)
{
	fprintf(stderr, "usage: blk-bench [--piece BYTES] [--latency] DEVICE read|write BYTES "
			"DEPTH COUNT\n       blk-bench copy BYTES COUNT\n");
	exit(2);
}

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void print_time(unsigned long requests, uint64_t ns)
{
	printf("requests=%lu seconds=%.6f us=%.2f", requests, (double)ns / 1e9,
	       (double)ns / 1e3 / (double)requests);
}

/* Knuth's MMIX generator; its upper bits are good. */
static uint64_t next_offset(struct load *load)
{
	load->random = load->random * 6364136223846793005u + 1442695040888963407u;
	return (load->random >> 33) % load->places * load->bytes;
}

static void parse(struct load *load, char **argv)
{
	off_t end;

	load->is_write = strcmp(argv[1], "write") == 0;
	load->fd = open(argv[0], (load->is_write ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);
	if (load->fd < 0)
		die(argv[0]);
	end = lseek(load->fd, 0, SEEK_END);
	load->bytes = strtoull(argv[2], NULL, 10);
	load->depth = (unsigned int)strtoul(argv[3], NULL, 10);
	load->count = strtoul(argv[4], NULL, 10);
	if (load->bytes == 0 || end < (off_t)load->bytes || load->depth == 0 ||
	    load->depth > DEPTH_MAX || load->count < load->depth || load->piece > PAGE ||
	    (load->piece && load->bytes % load->piece)) {
		errno = EINVAL;
		die("BYTES, DEPTH, COUNT or --piece");
	}
	load->places = (uint64_t)end / load->bytes;
}

static void *create_buffer(size_t bytes, int content)
{
	void *buf;

	if (posix_memalign(&buf, PAGE, bytes))
		die("memory");
	memset(buf, content, bytes);
	return buf;
}

/* One piece in every second page: the kernel may well have given them adjacent memory. */
static struct iovec *create_pieces(const struct load *load, int content)
{
	size_t n = load->bytes / load->piece;
	uint8_t *pages = create_buffer(n * 2 * PAGE, content);
	struct iovec *pieces = calloc(n, sizeof(*pieces));

	if (!pieces)
		die("memory");
	for (size_t i = 0; i < n; i++)
		pieces[i] = (struct iovec){ pages + i * 2 * PAGE, load->piece };
	return pieces;
}

static void create_requests(struct load *load)
{
	for (unsigned int i = 0; i < load->depth; i++) {
		struct iocb *iocb = &load->iocbs[i];

		*iocb = (struct iocb){ .aio_fildes = (uint32_t)load->fd };
		if (load->piece) {
			iocb->aio_lio_opcode = load->is_write ? IOCB_CMD_PWRITEV : IOCB_CMD_PREADV;
			iocb->aio_buf = (uintptr_t)create_pieces(load, (int)i);
			iocb->aio_nbytes = load->bytes / load->piece;
		} else {
			iocb->aio_lio_opcode = load->is_write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
			iocb->aio_buf = (uintptr_t)create_buffer(load->bytes, (int)i);
			iocb->aio_nbytes = load->bytes;
		}
	}
	if (syscall(SYS_io_setup, DEPTH_MAX, &load->context))
		die("io_setup");
}

static void submit(struct load *load, struct iocb **list, long n)
{
	uint64_t now = load->latencies ? now_ns() : 0;

	for (long i = 0; i < n; i++) {
		list[i]->aio_offset = (int64_t)next_offset(load);
		load->began[list[i] - load->iocbs] = now;
	}
	if (n > 0 && syscall(SYS_io_submit, load->context, n, list) != n)
		die("io_submit");
	load->submitted += (unsigned long)n;
}

static struct iocb *complete(struct load *load, const struct io_event *event, uint64_t now)
{
	struct iocb *iocb = (struct iocb *)(uintptr_t)event->obj;

	if (event->res != (int64_t)load->bytes) {
		errno = event->res < 0 ? (int)-event->res : EIO;
		die("request");
	}
	if (load->latencies)
		load->latencies[load->done] = (uint32_t)(now - load->began[iocb - load->iocbs]);
	load->done++;
	return iocb;
}

static void run(struct load *load)
{
	struct iocb *list[DEPTH_MAX];

	for (unsigned int i = 0; i < load->depth; i++)
		list[i] = &load->iocbs[i];
	submit(load, list, load->depth);
	while (load->done < load->submitted) {
		struct io_event events[DEPTH_MAX];
		long n = syscall(SYS_io_getevents, load->context, 1, load->depth, events, NULL);
		uint64_t now = load->latencies ? now_ns() : 0;
		long again = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 1)
			die("io_getevents");
		for (long i = 0; i < n; i++) {
			struct iocb *iocb = complete(load, &events[i], now);

			if (!stopped && load->submitted + (unsigned long)again < load->count)
				list[again++] = iocb;
		}
		submit(load, list, again);
	}
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void print_latencies(struct load *load)
{
	uint32_t *list = load->latencies;
	unsigned long n = load->done, late = 0;
	unsigned long middle = n / 2, last = n - 1, slow = n * 99 / 100;

	qsort(list, n, sizeof(*list), compare);
	while (late < n && list[last - late] > 1000000)
		late++;
	printf(" p50=%.2f p99=%.2f max=%.2f late=%lu", list[middle] / 1e3, list[slow] / 1e3,
	       list[last] / 1e3, late);
}

/*
 * Four words to a round, as the memcpy() of Linux does it for a CPU without fast string instructions:
 * 12 instructions for 32 bytes. The qualifier keeps the compiler from knowing better.
 */
static void copy_words(volatile uint64_t *to, const volatile uint64_t *from, size_t bytes)
{
	for (const volatile uint64_t *end = from + bytes / sizeof(*from); from < end; from += 4) {
		uint64_t a = from[0], b = from[1], c = from[2], d = from[3];

		to[0] = a;
		to[1] = b;
		to[2] = c;
		to[3] = d;
		to += 4;
	}
}

static int copy(size_t bytes, unsigned long count)
{
	uint64_t *from, *to, begin;

	if (bytes == 0 || bytes % 32 || count == 0)
		usage();
	from = create_buffer(bytes, 1);
	to = create_buffer(bytes, 2);
	begin = now_ns();
	for (unsigned long i = 0; i < count; i++)
		copy_words(to, from, bytes);
	print_time(count, now_ns() - begin);
	printf("\n");
	return 0;
}

static void parse_options(struct load *load, int argc, char **argv, bool *latency)
{
	static const struct option known[] = {
		{ "piece", required_argument, NULL, 'p' },
		{ "latency", no_argument, NULL, 'l' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
		switch (option) {
		case 'p':
			load->piece = strtoull(optarg, NULL, 10);
			break;
		case 'l':
			*latency = true;
			break;
		default:
			usage();
		}
	}
}

int main(int argc, char **argv)
{
	struct load load = { .random = 1 };
	bool latency = false;
	uint64_t begin;

	parse_options(&load, argc, argv, &latency);
	argc -= optind;
	argv += optind;
	if (argc == 3 && strcmp(argv[0], "copy") == 0)
		return copy(strtoull(argv[1], NULL, 10), strtoul(argv[2], NULL, 10));
	if (argc != 5)
		usage();
	parse(&load, argv);
	create_requests(&load);
	if (latency) {
		load.latencies = calloc(load.count, sizeof(*load.latencies));
		if (!load.latencies)
			die("memory");
	}
	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = stop }, NULL);
	begin = now_ns();
	run(&load);
	print_time(load.done, now_ns() - begin);
	if (latency)
		print_latencies(&load);
	printf("\n");
	return 0;
}
