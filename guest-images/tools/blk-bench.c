// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * blk-bench DEVICE read|write BYTES DEPTH COUNT: COUNT requests of BYTES each at random aligned
 * places, DEPTH of them at any time, past the page cache. Prints
 *
 *	requests=N seconds=S us=MICROSECONDS-PER-REQUEST
 *
 * The kernel's asynchronous I/O, by its system calls. The places are the same in each run.
 */
#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX 64

struct load {
	int fd;
	uint16_t opcode;
	uint64_t bytes; /* of one request */
	uint64_t places;
	unsigned int depth;
	unsigned long count;
	uint64_t random;
	aio_context_t context;
	struct iocb iocbs[DEPTH_MAX];
};

static void die(const char *what)
{
	fprintf(stderr, "blk-bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Knuth's MMIX generator; its upper bits are good. */
static uint64_t next_offset(struct load *load)
{
	load->random = load->random * 6364136223846793005u + 1442695040888963407u;
	return (load->random >> 33) % load->places * load->bytes;
}

static void parse(struct load *load, char **argv)
{
	int is_write = strcmp(argv[2], "write") == 0;
	off_t end;

	load->fd = open(argv[1], (is_write ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);
	if (load->fd < 0)
		die(argv[1]);
	end = lseek(load->fd, 0, SEEK_END);
	load->opcode = is_write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
	load->bytes = strtoull(argv[3], NULL, 10);
	load->depth = (unsigned int)strtoul(argv[4], NULL, 10);
	load->count = strtoul(argv[5], NULL, 10);
	if (load->bytes == 0 || end < (off_t)load->bytes || load->depth == 0 ||
	    load->depth > DEPTH_MAX || load->count < load->depth) {
		errno = EINVAL;
		die("BYTES, DEPTH or COUNT");
	}
	load->places = (uint64_t)end / load->bytes;
}

static void create_requests(struct load *load)
{
	for (unsigned int i = 0; i < load->depth; i++) {
		void *buf;

		if (posix_memalign(&buf, 4096, load->bytes))
			die("memory");
		memset(buf, (int)i, load->bytes);
		load->iocbs[i] = (struct iocb){
			.aio_lio_opcode = load->opcode,
			.aio_fildes = (uint32_t)load->fd,
			.aio_buf = (uintptr_t)buf,
			.aio_nbytes = load->bytes,
		};
	}
	if (syscall(SYS_io_setup, DEPTH_MAX, &load->context))
		die("io_setup");
}

static void submit(struct load *load, struct iocb **list, long n)
{
	for (long i = 0; i < n; i++)
		list[i]->aio_offset = (int64_t)next_offset(load);
	if (n > 0 && syscall(SYS_io_submit, load->context, n, list) != n)
		die("io_submit");
}

static void run(struct load *load)
{
	struct iocb *list[DEPTH_MAX];
	unsigned long submitted = load->depth, done = 0;

	for (unsigned int i = 0; i < load->depth; i++)
		list[i] = &load->iocbs[i];
	submit(load, list, load->depth);
	while (done < load->count) {
		struct io_event events[DEPTH_MAX];
		long n = syscall(SYS_io_getevents, load->context, 1, load->depth, events, NULL);
		long again = 0;

		if (n < 1)
			die("io_getevents");
		for (long i = 0; i < n; i++) {
			if (events[i].res != (int64_t)load->bytes) {
				errno = events[i].res < 0 ? (int)-events[i].res : EIO;
				die("request");
			}
			done++;
			if (submitted < load->count) {
				submitted++;
				list[again++] = (struct iocb *)(uintptr_t)events[i].obj;
			}
		}
		submit(load, list, again);
	}
}

int main(int argc, char **argv)
{
	struct load load = { .random = 1 };
	struct timespec begin, end;
	double seconds;

	if (argc != 6) {
		fprintf(stderr, "usage: blk-bench DEVICE read|write BYTES DEPTH COUNT\n");
		return 2;
	}
	parse(&load, argv);
	create_requests(&load);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	run(&load);
	clock_gettime(CLOCK_MONOTONIC, &end);
	seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
	printf("requests=%lu seconds=%.6f us=%.2f\n", load.count, seconds,
	       seconds * 1e6 / (double)load.count);
	return 0;
}
