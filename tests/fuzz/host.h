/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A host without a kernel: the system calls of the code under test end here (the linker's --wrap), in
 * a table of descriptors, so that a run costs no system call, and so that every descriptor is
 * accounted for. A call on one that is closed is a failure of the target. Numbers below HOST_FIRST_FD
 * are the real host's.
 */
#ifndef TESTS_FUZZ_HOST_H
#define TESTS_FUZZ_HOST_H

#include "tests/fuzz/fuzz.h"

#define HOST_FIRST_FD  0x10000
#define HOST_MAX_FDS   320
#define HOST_CHUNKS    8
#define HOST_CHUNK_FDS 10

enum host_kind {
	HOST_CLOSED,
	HOST_EVENT,
	HOST_LOOP,     /* epoll */
	HOST_DISK,     /* there is one */
	HOST_STREAM,   /* connected socket */
	HOST_LISTENER, /* of stream sockets */
	HOST_PACKETS,  /* connected socket that keeps messages apart */
	HOST_TAP,
	HOST_FILE,   /* regular, for output */
	HOST_MEMORY, /* that can be mapped: there is one */
};

/* What somebody at the other end wrote at once, with descriptors. */
struct host_chunk {
	const uint8_t *bytes; /* not owned */
	size_t len;
	uint8_t nr_fds;
	uint8_t fds[HOST_CHUNK_FDS]; /* enum host_kind */
};

struct host_fd {
	enum host_kind kind;
	bool watched;
	uint32_t source, events; /* as in the loop */
	struct host_chunk chunks[HOST_CHUNKS];
	unsigned int first_chunk, nr_chunks;
	bool hung_up;	      /* by the other end */
	bool shut;	      /* reading, by us */
	uint64_t room;	      /* bytes that it takes */
	uint64_t taken;	      /* bytes that were written, over all */
	uint8_t last[64];     /* the start of what was written last */
	unsigned int waiting; /* HOST_LISTENER: clients */
};

struct host_disk {
	bool direct; /* wants alignment */
	bool read_only;
	uint64_t size;	/* bytes */
	bool was_short; /* a transfer has ended in the middle of a block */
};

#define HOST_DISK_MAX	 UINT64_C(0x8000)
#define HOST_DISK_BLOCK	 1024u /* with direct I/O, like the alignment of memory */
#define HOST_MEMORY_SIZE UINT64_C(0x8000)

extern struct host_disk host_disk;

int host_open(enum host_kind kind);
struct host_fd *host_get(int fd); /* NULL: not open, or a real one */
unsigned int host_count(void);	  /* of open descriptors, and of mappings */

#define HOST_MAX_KEPT 32

/* What is there before a run. Zeroed: nothing. */
struct host_snapshot {
	struct host_fd files[HOST_MAX_KEPT];
	unsigned int nr_files;
	struct host_disk disk;
};

void host_keep(struct host_snapshot *snapshot);

/* All is as it was then, and nothing fails: whoever calls it has checked host_count(). */
void host_begin(const struct host_snapshot *snapshot);

/* What the other end does. @bytes stay the caller's; NULL: any bytes. */
void host_feed(int fd, const uint8_t *bytes, size_t len);
void host_feed_fds(int fd, const uint8_t *bytes, size_t len, const enum host_kind *fds,
		   unsigned int nr_fds);

/* Call number @after from now on fails with @error, if it can. */
void host_fail(unsigned int after, int error);

/* No transfer moves more than that at once; 0: no limit. */
void host_limit(size_t bytes);

struct host_event {
	uint32_t source, events;
};

/* What the loop would tell, at most @max; returns how many. From descriptor number @from on. */
unsigned int host_events(struct host_event *events, unsigned int max, unsigned int from);

/* Descriptor number @n of those with @kind, modulo how many there are; -1: none. */
int host_pick(enum host_kind kind, unsigned int n);

/* Called when a message went to descriptor @fd, if it is not NULL: its other end may answer. */
extern void (*host_sent)(int fd);

/* Where HOST_MEMORY is. */
uint8_t *host_memory(void);

/* For host_calls.c: takes the first chunk, or @len bytes of it, off. True: it is gone. */
bool host_consume(struct host_fd *file, size_t len);
const uint8_t *host_pattern(void); /* 128 KiB */
uint8_t *host_disk_bytes(void);
bool host_call_fails(void); /* errno is set */
size_t host_shorten(size_t len);
void host_map(void *address, size_t len);
void host_unmap(const void *address, size_t len);

#endif
