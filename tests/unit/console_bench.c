/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/unit/console_bench.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define W VIRTQ_DESC_F_WRITE

unsigned int console_in(unsigned int id)
{
	return id == 0 ? 0 : 2 * id + 2;
}

unsigned int console_out(unsigned int id)
{
	return console_in(id) + 1;
}

void console_connect(struct mock_frontend *fe, const int *fds, unsigned int nr_fds,
		     const char *const *settings, unsigned int nr_queues, bool confined)
{
	const struct device_options options = {
		.backend_fds = fds,
		.nr_backends = nr_fds,
		.settings = settings,
	};

	mock_start(fe, "console", &options, confined);
	for (unsigned int i = 0; i < nr_fds; i++)
		close(fds[i]);
	mock_connect(fe, nr_queues, CONSOLE_QUEUE_SIZE);
}

void console_say(struct mock_frontend *fe, uint32_t id, uint16_t event, uint16_t value)
{
	struct mock_driver *driver = &fe->queues[CONSOLE_CONTROL_OUT];
	const struct {
		uint32_t id;
		uint16_t event;
		uint16_t value;
	} message = { htole32(id), htole16(event), htole16(value) };
	uint64_t addr = mock_submit_buffer(driver, 0, sizeof(message), 0);

	memcpy(mock_ptr(driver, addr), &message, sizeof(message));
	mock_complete(fe, CONSOLE_CONTROL_OUT);
}

void console_offer(struct mock_frontend *fe, unsigned int nr_buffers, uint32_t len)
{
	struct mock_driver *driver = &fe->queues[CONSOLE_CONTROL_IN];

	for (unsigned int i = 0; i < nr_buffers; i++)
		mock_submit_buffer(driver, driver->avail_idx % CONSOLE_QUEUE_SIZE, len, W);
	mock_kick(fe, CONSOLE_CONTROL_IN);
}

struct console_told console_hear(struct mock_frontend *fe)
{
	struct mock_driver *driver = &fe->queues[CONSOLE_CONTROL_IN];
	struct virtq_used_elem elem = mock_wait_used(fe, CONSOLE_CONTROL_IN);
	const uint8_t *bytes = mock_ptr(driver, mock_desc_table(driver)[elem.id].addr);
	struct console_told told = { .len = elem.len - 8 };

	cr_assert_geq(elem.len, 8, "a message of %u bytes", elem.len);
	cr_assert_leq(told.len, sizeof(told.data));
	memcpy(&told.id, bytes, 4);
	memcpy(&told.event, bytes + 4, 2);
	memcpy(&told.value, bytes + 6, 2);
	memcpy(told.data, bytes + 8, told.len);
	told.id = le32toh(told.id);
	told.event = le16toh(told.event);
	told.value = le16toh(told.value);
	return told;
}

void console_expect(struct mock_frontend *fe, uint32_t id, uint16_t event, uint16_t value)
{
	struct console_told told = console_hear(fe);

	cr_expect(told.id == id && told.event == event && told.value == value,
		  "port %u event %u value %u, expected %u %u %u", told.id, told.event, told.value,
		  id, event, value);
	cr_expect_eq(told.len, 0);
}

void console_expect_nothing(struct mock_frontend *fe, unsigned int index, const char *when)
{
	struct virtq_used_elem elem;

	/* The second answer comes after all that happened before the first one was asked for. */
	mock_report(fe);
	usleep(20000);
	mock_report(fe);
	cr_expect_not(mock_take_used(&fe->queues[index], &elem), "%s", when);
}

void console_open_port(struct mock_frontend *fe, uint32_t id)
{
	struct console_told told;

	console_say(fe, id, CONSOLE_PORT_READY, 1);
	do
		told = console_hear(fe);
	while (told.event != CONSOLE_PORT_OPEN);
	console_say(fe, id, CONSOLE_PORT_OPEN, 1);
}

void console_write(struct mock_frontend *fe, uint32_t id, uint16_t head, const char *text)
{
	struct mock_driver *driver = &fe->queues[console_out(id)];
	uint64_t addr = mock_alloc(driver, strlen(text));

	/* The text comes first: the device may be looking. */
	memcpy(mock_ptr(driver, addr), text, strlen(text));
	mock_set_desc(mock_desc_table(driver), head,
		      (struct virtq_desc){ addr, strlen(text), 0, 0 });
	mock_submit(driver, head);
	mock_kick(fe, console_out(id));
}

void console_expect_host_reads(int fd, const char *text)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	size_t want = strlen(text), done = 0;
	char got[256] = "";

	while (done < want && poll(&pfd, 1, MOCK_TIMEOUT) > 0) {
		ssize_t n = read(fd, got + done, want - done);

		if (n <= 0)
			break;
		done += n;
	}
	cr_expect_str_eq(got, text);
	cr_expect_eq(poll(&pfd, 1, 0) > 0 && pfd.revents & POLLIN, 0, "more than \"%s\"", text);
}
