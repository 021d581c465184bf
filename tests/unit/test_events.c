/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What --events writes, against docs/events.md, and that nobody has to wait for it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/document.h"
#include "vmm/events.h"
#include "vmm/exit_status.h"

#define DOCUMENT "docs/events.md"

static const struct dma_violation violation = {
	.dma_addr = 0x20fff000,
	.length = 0x2000,
	.purpose = DMA_BUFFER,
	.direction = DMA_FROM_DEVICE,
	.queue = 0,
	.descriptor = 7,
};

static char path[] = "/tmp/minivmm-events-XXXXXX";

static void make_file(void)
{
	const int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, "old\n", 4), 4);
	close(fd);
}

static void remove_file(void)
{
	events_close();
	unlink(path);
}

/* All lines of @file, each an object, as an array. */
static json_t *read_lines(FILE *file)
{
	json_t *lines = json_array();
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&line, &size, file)) > 0) {
		json_error_t error;
		json_t *event = json_loads(line, 0, &error);

		cr_assert_not_null(event, "%s: %s", line, error.text);
		cr_assert_eq(line[len - 1], '\n', "half a line: %s", line);
		json_array_append_new(lines, event);
	}
	free(line);
	return lines;
}

static json_t *read_file(void)
{
	FILE *file = fopen(path, "r");
	json_t *lines;

	cr_assert_not_null(file);
	lines = read_lines(file);
	fclose(file);
	return lines;
}

static json_int_t number(json_t *event, const char *key)
{
	return json_integer_value(json_object_get(event, key));
}

/* What the examples of the document are of. */
static void write_examples(void)
{
	events_phase("vm");
	events_device("blk0", "failed", "killed by signal 11");
	events_violation("blk1", &violation);
	events_exit(EXIT_STATUS_PANIC, "guest kernel panicked");
}

Test(events, as_documented, .init = make_file, .fini = remove_file)
{
	char *document = document_read(DOCUMENT);
	char *at = document;
	json_t *events, *event, *value;
	const char *key;
	size_t i;

	cr_assert_eq(events_open(path), 0);
	write_examples();
	events = read_file();
	cr_expect_eq(json_array_size(events), 4);
	json_array_foreach(events, i, event)
	{
		char *start = strstr(at, "```json\n");
		char *end;
		json_t *shown;

		cr_assert_not_null(start);
		start += strlen("```json\n");
		end = strstr(start, "```");
		/* Byte for byte but for the time: a line is a line there too. */
		cr_expect_eq(memchr(start, '\n', (size_t)(end - start)), end - 1);
		shown = json_loadb(start, (size_t)(end - start), 0, NULL);
		cr_expect_gt(number(event, "time_us"), 0);
		json_object_set_new(shown, "time_us", json_integer(number(event, "time_us")));
		cr_expect(json_equal(shown, event), "example %zu", i);
		json_decref(shown);
		at = end;
		json_object_foreach(event, key, value)
		{
			char row[64];

			snprintf(row, sizeof(row), "\n| `%s` |", key);
			cr_expect_not_null(strstr(document, row), "no row for %s", key);
		}
	}
	cr_expect_null(strstr(at + 3, "```json\n"), "an example too many");
	json_decref(events);
	free(document);
}

Test(events, nothing_before_and_after, .init = make_file, .fini = remove_file)
{
	json_t *events;

	write_examples();
	cr_assert_eq(events_open(path), 0);
	events_phase("start");
	events_close();
	write_examples();
	events = read_file();
	cr_expect_eq(json_array_size(events), 1, "and what was there is gone");
	json_decref(events);
}

Test(events, files_that_cannot_be)
{
	cr_expect_eq(events_open("/nonexistent/file"), -ENOENT);
	cr_expect_eq(events_open("/tmp"), -EISDIR);
	cr_expect_eq(events_open("fd:1000"), -EBADF);
	write_examples();
}

Test(events, errno_is_kept, .init = make_file, .fini = remove_file)
{
	cr_assert_eq(events_open("/dev/full"), 0);
	errno = ENOTTY;
	write_examples();
	cr_expect_eq(errno, ENOTTY);
}

Test(events, texts_of_strangers_are_escaped, .init = make_file, .fini = remove_file)
{
	char text[2000];
	json_t *events, *event;

	memset(text, '\xff', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	cr_assert_eq(events_open(path), 0);
	events_device("blk0", "failed", "\x1b[2J\"\\\n");
	events_device("blk0", "failed", text);
	events_device("blk0", "reset", NULL);
	events = read_file();
	cr_assert_eq(json_array_size(events), 3);
	event = json_array_get(events, 0);
	cr_expect_str_eq(json_string_value(json_object_get(event, "detail")), "\\x1b[2J\"\\\\x0a");
	event = json_array_get(events, 1);
	cr_expect_lt(json_string_length(json_object_get(event, "detail")), 512);
	event = json_array_get(events, 2);
	cr_expect(json_is_null(json_object_get(event, "detail")));
	json_decref(events);
}

Test(events, a_descriptor_stays_as_it_was)
{
	char where[16];
	int ends[2];
	json_t *events;
	FILE *file;

	cr_assert_eq(pipe(ends), 0);
	snprintf(where, sizeof(where), "fd:%d", ends[1]);
	cr_assert_eq(events_open(where), 0);
	cr_expect_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0, "others may have it too");
	cr_expect(fcntl(ends[1], F_GETFD) & FD_CLOEXEC, "children do not inherit it");
	write_examples();
	events_close();
	close(ends[1]);
	file = fdopen(ends[0], "r");
	events = read_lines(file);
	cr_expect_eq(json_array_size(events), 4);
	json_decref(events);
	fclose(file);
}

/* A file that somebody else has written to before. */
Test(events, a_descriptor_is_written_where_it_stands, .init = make_file, .fini = remove_file)
{
	const int fd = open(path, O_WRONLY | O_APPEND);
	char where[16], text[5] = "";
	FILE *file;

	snprintf(where, sizeof(where), "fd:%d", fd);
	cr_assert_eq(events_open(where), 0);
	events_phase("start");
	file = fopen(path, "r");
	cr_expect_eq(fread(text, 1, 4, file), 4);
	cr_expect_str_eq(text, "old\n");
	json_decref(read_lines(file));
	fclose(file);
	close(fd);
}

/*
 * Writes many lines after the @before that were, then lets @read_end be read, and counts what came
 * and what was said of the rest.
 */
static void fill(int read_end, int before, int lines)
{
	json_t *events, *later, *last;
	FILE *file;

	for (int i = 0; i < lines; i++)
		events_phase("run");
	/* Makes room for the last one. */
	file = fdopen(dup(read_end), "r");
	fcntl(read_end, F_SETFL, O_NONBLOCK);
	events = read_lines(file);
	events_exit(0, "over");
	clearerr(file);
	later = read_lines(file);
	json_array_extend(events, later);
	json_decref(later);
	last = json_array_get(events, json_array_size(events) - 1);
	cr_assert_str_eq(json_string_value(json_object_get(last, "event")), "exit");
	cr_expect_gt(number(last, "dropped"), 0);
	cr_expect_eq(number(last, "dropped") + (json_int_t)json_array_size(events),
		     before + lines + 1);
	json_decref(events);
	fclose(file);
}

Test(events, a_full_pipe_costs_lines, .timeout = 20)
{
	char where[16];
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	snprintf(where, sizeof(where), "fd:%d", ends[1]);
	cr_assert_eq(events_open(where), 0);
	fill(ends[0], 0, 5000);
	events_close();
}

/* Its flags are those of a descriptor that cannot be opened anew. */
Test(events, a_full_socket_costs_lines, .timeout = 20)
{
	char where[16];
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	snprintf(where, sizeof(where), "fd:%d", ends[1]);
	cr_assert_eq(events_open(where), 0);
	fill(ends[0], 0, 20000);
	events_close();
}

Test(events, a_named_pipe_needs_no_reader, .init = make_file, .fini = remove_file, .timeout = 20)
{
	int fd;

	unlink(path);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_eq(events_open(path), 0);
	events_phase("start");
	fd = open(path, O_RDONLY | O_NONBLOCK);
	fill(fd, 1, 5000);
	close(fd);
}

Test(events, a_reader_that_is_gone, .timeout = 20)
{
	char where[16];
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	for (int kind = 0; kind < 2; kind++) {
		if (kind == 0)
			cr_assert_eq(pipe(ends), 0);
		else
			cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
		snprintf(where, sizeof(where), "fd:%d", ends[1]);
		cr_assert_eq(events_open(where), 0);
		close(ends[0]);
		write_examples();
		events_close();
		close(ends[1]);
	}
}

/* A line of which only a part was taken is ended before the next one. */
Test(events, lines_stay_whole, .init = make_file, .fini = remove_file)
{
	struct rlimit limit;
	json_t *events, *last;

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_assert_eq(events_open(path), 0);
	events_phase("start");
	for (rlim_t size = 60; size < 80; size++) {
		const struct rlimit small = { .rlim_cur = size, .rlim_max = limit.rlim_max };

		cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
		events_phase("run");
	}
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	events_exit(0, "over");
	events = read_file();
	last = json_array_get(events, json_array_size(events) - 1);
	cr_expect_eq(json_array_size(events), 3);
	cr_expect_eq(number(last, "dropped"), 19);
	json_decref(events);
}

Test(events, a_guest_does_not_fill_the_disk, .init = make_file, .fini = remove_file)
{
	json_t *events, *last;
	json_int_t seconds;

	cr_assert_eq(events_open(path), 0);
	for (int i = 0; i < 10000; i++)
		events_device("blk0", "reset", NULL);
	for (int i = 0; i < 1000; i++)
		events_phase("run");
	events_exit(0, "over");
	events = read_file();
	last = json_array_get(events, json_array_size(events) - 1);
	seconds = number(last, "time_us") / 1000000 + 1;
	cr_expect_leq((json_int_t)json_array_size(events), seconds * EVENTS_MAX_RATE + 1001);
	cr_expect_eq(number(last, "dropped") + (json_int_t)json_array_size(events), 11001);
	json_decref(events);
}

static void *write_many(void *name)
{
	for (int i = 0; i < 500; i++)
		events_phase(name);
	return NULL;
}

Test(events, threads, .init = make_file, .fini = remove_file)
{
	pthread_t threads[4];
	json_int_t before = 0;
	json_t *events, *event;
	size_t i;

	cr_assert_eq(events_open(path), 0);
	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, write_many, "run");
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	events = read_file();
	cr_expect_eq(json_array_size(events), 2000);
	json_array_foreach(events, i, event)
	{
		cr_expect_geq(number(event, "time_us"), before);
		before = number(event, "time_us");
	}
	json_decref(events);
}
