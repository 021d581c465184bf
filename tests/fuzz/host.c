/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/fuzz/host.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#define PATTERN	     (128u << 10)
#define MAX_MAPPINGS 16

static struct host_fd files[HOST_MAX_FDS];
static unsigned int nr_files; /* numbers below have been in use */

static struct {
	void *address;
	size_t len;
} mappings[MAX_MAPPINGS];
static unsigned int nr_mappings;

static unsigned int fail_in; /* 0: never */
static int fail_with;
static size_t limit;

struct host_disk host_disk;
void (*host_sent)(int fd);

int host_open(enum host_kind kind)
{
	for (unsigned int i = 0; i < HOST_MAX_FDS; i++) {
		if (files[i].kind != HOST_CLOSED)
			continue;
		memset(&files[i], 0, sizeof(files[i]));
		files[i].kind = kind;
		files[i].room = UINT64_MAX;
		if (i >= nr_files)
			nr_files = i + 1;
		return HOST_FIRST_FD + (int)i;
	}
	errno = EMFILE;
	return -1;
}

struct host_fd *host_get(int fd)
{
	const unsigned int index = (unsigned int)fd - HOST_FIRST_FD;

	if (fd < HOST_FIRST_FD || index >= nr_files || files[index].kind == HOST_CLOSED)
		return NULL;
	return &files[index];
}

unsigned int host_count(void)
{
	unsigned int n = nr_mappings;

	for (unsigned int i = 0; i < nr_files; i++)
		n += files[i].kind != HOST_CLOSED;
	return n;
}

void host_keep(struct host_snapshot *snapshot)
{
	fuzz_check(nr_files <= HOST_MAX_KEPT && !nr_mappings);
	memcpy(snapshot->files, files, nr_files * sizeof(files[0]));
	snapshot->nr_files = nr_files;
	snapshot->disk = host_disk;
}

void host_begin(const struct host_snapshot *snapshot)
{
	for (unsigned int i = snapshot->nr_files; i < nr_files; i++)
		files[i].kind = HOST_CLOSED;
	memcpy(files, snapshot->files, snapshot->nr_files * sizeof(files[0]));
	nr_files = snapshot->nr_files;
	host_disk = snapshot->disk;
	nr_mappings = 0;
	fail_in = 0;
	limit = 0;
}

const uint8_t *host_pattern(void)
{
	static uint8_t pattern[PATTERN];

	if (!pattern[1])
		for (size_t i = 0; i < sizeof(pattern); i++)
			pattern[i] = (uint8_t)i;
	return pattern;
}

void host_feed_fds(int fd, const uint8_t *bytes, size_t len, const enum host_kind *fds,
		   unsigned int nr_fds)
{
	struct host_fd *file = host_get(fd);
	struct host_chunk *chunk;

	/* Nothing is no message of a stream, whatever would come with it. */
	if (!file || (!len && file->kind == HOST_STREAM) || file->nr_chunks == HOST_CHUNKS ||
	    file->hung_up || nr_fds > HOST_CHUNK_FDS)
		return;
	chunk = &file->chunks[(file->first_chunk + file->nr_chunks++) % HOST_CHUNKS];
	*chunk = (struct host_chunk){ bytes ? bytes : host_pattern(), len, (uint8_t)nr_fds, { 0 } };
	if (!bytes && len > PATTERN)
		chunk->len = PATTERN;
	for (unsigned int i = 0; i < nr_fds; i++)
		chunk->fds[i] = (uint8_t)fds[i];
}

void host_feed(int fd, const uint8_t *bytes, size_t len)
{
	if (len)
		host_feed_fds(fd, bytes, len, NULL, 0);
}

bool host_consume(struct host_fd *file, size_t len)
{
	struct host_chunk *chunk = &file->chunks[file->first_chunk];

	chunk->nr_fds = 0;
	chunk->bytes += len;
	chunk->len -= len;
	if (chunk->len && file->kind == HOST_STREAM)
		return false;
	file->first_chunk = (file->first_chunk + 1) % HOST_CHUNKS;
	file->nr_chunks--;
	return true;
}

void host_fail(unsigned int after, int error)
{
	fail_in = after + 1;
	fail_with = error;
}

bool host_call_fails(void)
{
	if (!fail_in || --fail_in)
		return false;
	errno = fail_with;
	return true;
}

void host_limit(size_t bytes)
{
	limit = bytes;
}

size_t host_shorten(size_t len)
{
	return limit && len > limit ? limit : len;
}

static uint32_t ready(const struct host_fd *file)
{
	uint32_t events = 0;

	if (file->nr_chunks || file->hung_up || file->shut || file->waiting)
		events |= EPOLLIN;
	if (file->room)
		events |= EPOLLOUT;
	if (file->hung_up)
		events |= EPOLLHUP;
	return events;
}

unsigned int host_events(struct host_event *events, unsigned int max, unsigned int from)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < nr_files && n < max; i++) {
		const struct host_fd *file = &files[(from + i) % nr_files];
		const uint32_t told = ready(file) & (file->events | EPOLLHUP | EPOLLERR);

		if (file->kind != HOST_CLOSED && file->watched && file->kind != HOST_EVENT && told)
			events[n++] = (struct host_event){ file->source, told };
	}
	return n;
}

int host_pick(enum host_kind kind, unsigned int n)
{
	unsigned int there = 0;

	for (unsigned int i = 0; i < nr_files; i++)
		there += files[i].kind == kind;
	if (!there)
		return -1;
	n %= there;
	for (unsigned int i = 0; i < nr_files; i++)
		if (files[i].kind == kind && n-- == 0)
			return HOST_FIRST_FD + (int)i;
	return -1;
}

uint8_t *host_memory(void)
{
	static uint8_t memory[HOST_MEMORY_SIZE] __attribute__((aligned(4096)));

	return memory;
}

uint8_t *host_disk_bytes(void)
{
	static uint8_t disk[HOST_DISK_MAX];

	return disk;
}

void host_map(void *address, size_t len)
{
	fuzz_check(nr_mappings < MAX_MAPPINGS, "too many mappings");
	mappings[nr_mappings].address = address;
	mappings[nr_mappings++].len = len;
}

void host_unmap(const void *address, size_t len)
{
	unsigned int i = 0;

	while (i < nr_mappings && (mappings[i].address != address || mappings[i].len != len))
		i++;
	fuzz_check(i < nr_mappings, "munmap() of what was not mapped");
	mappings[i] = mappings[--nr_mappings];
}
