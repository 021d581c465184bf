/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * virtio-console (virtio 1.3, 5.3): byte streams between the guest and files, pipes, terminals and
 * sockets of the host. One of them may be the guest's console.
 *
 *	names=NAME:NAME...	of ports 0, 1, ...; port 0 is the console if it has no name. Without this
 *				setting there is the console and nothing else.
 *	inputs=PORT:PORT...	ports that do not read what they write to
 *
 * The first descriptors are those of the ports, in their order. Then come the inputs, in theirs.
 *
 *	stream socket, terminal		both directions, unless there is a separate input
 *	FIFO, regular file		output
 *	socket that listens		both directions with one peer at a time; the driver is told
 *					when one comes and goes
 *
 * A console alone is a device without MULTIPORT, which the simplest of drivers know.
 */
#include "devices/console.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "devices/core/log.h"

/* Configuration space (5.3.4). */
struct console_config {
	uint8_t size[4];
	uint32_t max_nr_ports;
	uint32_t emerg_wr; /* of EMERG_WRITE, which is not offered */
};

/* Takes the next part of a list like "a::b" off @list; NULL when there is none. */
static const char *next_part(const char **list, size_t *len)
{
	const char *part = *list;

	if (!part)
		return NULL;
	*len = strcspn(part, ":");
	*list = part[*len] ? part + *len + 1 : NULL;
	return part;
}

/* Returns 0, or -EINVAL after a line in the log. */
static int name_ports(struct console *console, const struct device_options *options)
{
	const char *list = device_setting(options, "names");
	const char *name;
	size_t len;

	while ((name = next_part(&list, &len))) {
		if (console->nr_ports == CONSOLE_MAX_PORTS || len > CONSOLE_NAME_MAX) {
			device_log("names: more than %d, or longer than %d bytes",
				   CONSOLE_MAX_PORTS, CONSOLE_NAME_MAX);
			return -EINVAL;
		}
		memcpy(console->ports[console->nr_ports++].name, name, len);
	}
	if (!console->nr_ports)
		console->nr_ports = 1;
	return 0;
}

static struct console_port *port_of_text(struct console *console, const char *text, size_t len)
{
	unsigned int id = (unsigned char)text[0] - '0';

	return len == 1 && id < console->nr_ports ? &console->ports[id] : NULL;
}

/* Gives the descriptors behind those of the ports away. 0, or -EINVAL after a line in the log. */
static int place_inputs(struct device *device, struct console *console,
			const struct device_options *options)
{
	const char *list = device_setting(options, "inputs");
	unsigned int next = console->nr_ports;
	const char *text;
	size_t len;

	while ((text = next_part(&list, &len))) {
		struct console_port *port = port_of_text(console, text, len);

		if (!port || port->input || next >= device->nr_backends) {
			device_log("inputs: %s: not a port, or one without a descriptor", text);
			return -EINVAL;
		}
		port->input = &device->backends[next++];
	}
	if (next == device->nr_backends)
		return 0;
	device_log("%u descriptors for %u ports and %u inputs", device->nr_backends,
		   console->nr_ports, next - console->nr_ports);
	return -EINVAL;
}

static bool is_listening(int fd)
{
	int listening = 0;
	socklen_t len = sizeof(listening);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening;
}

static int make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ? -errno : 0;
}

/* What the descriptor of @port is good for. Its own input, if it has one, is placed already. */
static int place_output(struct console_port *port, struct device_source *source)
{
	struct stat st;

	if (fstat(source->fd, &st))
		return -errno;
	if (S_ISSOCK(st.st_mode) && is_listening(source->fd)) {
		if (port->input)
			return -EINVAL;
		port->listener = source;
		return make_nonblocking(source->fd);
	}
	port->output = source;
	if (S_ISREG(st.st_mode))
		return 0;
	if (!S_ISSOCK(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return -ENOSTR;
	if (!port->input && !S_ISFIFO(st.st_mode))
		port->input = source;
	return make_nonblocking(source->fd);
}

static int create_ports(struct device *device, struct console *console,
			const struct device_options *options)
{
	int rc = name_ports(console, options);

	if (!rc)
		rc = place_inputs(device, console, options);
	for (unsigned int i = 0; i < console->nr_ports && !rc; i++) {
		struct console_port *port = &console->ports[i];

		port->device = device;
		port->id = i;
		port->is_console = i == 0 && !port->name[0];
		if (port->input)
			rc = make_nonblocking(port->input->fd);
		if (!rc)
			rc = place_output(port, &device->backends[i]);
	}
	return rc;
}

static int console_create(struct device *device, const struct device_options *options)
{
	struct console *console = calloc(1, sizeof(*console));
	bool multiport;
	int rc;

	if (!console)
		return -ENOMEM;
	device->state = console;
	for (unsigned int i = 0; i < CONSOLE_MAX_PORTS; i++)
		console->ports[i].peer =
			(struct device_source){ .fd = -1, .id = DEVICE_MAX_BACKENDS + i };
	rc = create_ports(device, console, options);
	if (rc)
		return rc;
	multiport = console->nr_ports > 1 || !console->ports[0].is_console;
	if (multiport)
		device->offered |= CONSOLE_F_MULTIPORT;
	if (console->ports[0].is_console)
		device->offered |= CONSOLE_F_SIZE;
	device->nr_queues = multiport ? 2 * (console->nr_ports + 1) : CONSOLE_QUEUE_OUTPUT + 1;
	return 0;
}

static void console_destroy(struct device *device)
{
	struct console *console = device->state;

	for (unsigned int i = 0; console && i < CONSOLE_MAX_PORTS; i++) {
		if (console->ports[i].peer.fd >= 0)
			close(console->ports[i].peer.fd);
	}
	free(console);
}

static void console_get_config(struct device *device, void *config)
{
	const struct console *console = device->state;
	struct console_config fields = { .max_nr_ports = htole32(console->nr_ports) };

	memcpy(fields.size, console_kept(device)->size, sizeof(fields.size));
	memcpy(config, &fields, sizeof(fields));
}

/*
 * The size of the terminal is all that a front-end may change. With MULTIPORT drivers do not look at
 * configuration space for it (5.3.6.2).
 */
static int console_set_config(struct device *device, uint32_t offset, const void *data,
			      uint32_t len)
{
	struct console *console = device->state;
	struct console_kept *kept = console_kept(device);

	if (!console->ports[0].is_console || offset > sizeof(kept->size) ||
	    len > sizeof(kept->size) - offset)
		return -EINVAL;
	memcpy(kept->size + offset, data, len);
	if (device->features & CONSOLE_F_SIZE)
		console_port_tell(device, &console->ports[0], CONSOLE_RESIZE);
	return 0;
}

/* A driver begins. Peers stay: they will talk to it as to the one before. */
static void console_set_features(struct device *device)
{
	struct console *console = device->state;

	console->multiport = device->features & CONSOLE_F_MULTIPORT;
	for (unsigned int i = 0; i < console->nr_ports; i++) {
		struct console_port *port = &console->ports[i];
		/* Without MULTIPORT there is nothing but port 0, and nothing to be told about it. */
		const bool known = i == 0 && !console->multiport;

		*console_port_kept(port) = (struct console_kept_port){ known, known, 0 };
		console_port_listen(device, port);
	}
}

/* The peers that came to a listening socket have gone with the process that had accepted them. */
static void console_resume(struct device *device)
{
	struct console *console = device->state;

	console->multiport = device->features & CONSOLE_F_MULTIPORT;
	for (unsigned int i = 0; i < console->nr_ports; i++) {
		struct console_port *port = &console->ports[i];

		console_port_kept(port)->pending &= CONSOLE_EVENTS_TOLD;
		if (port->listener)
			console_port_tell(device, port, CONSOLE_PORT_OPEN);
		console_port_listen(device, port);
	}
}

/* NULL for the control queues, and for all that a driver without MULTIPORT cannot mean. */
static struct console_port *port_of_queue(struct console *console, unsigned int index)
{
	if (index < CONSOLE_QUEUE_CONTROL_INPUT)
		return &console->ports[0];
	if (index < CONSOLE_QUEUE_PORTS || !console->multiport)
		return NULL;
	return &console->ports[index / 2 - 1];
}

static bool console_handle_queue(struct device *device, unsigned int index)
{
	struct console *console = device->state;
	bool multiport = console->multiport;
	struct console_port *port = port_of_queue(console, index);

	if (port) {
		console_port_listen(device, port);
		return index % 2 == CONSOLE_QUEUE_INPUT ? console_port_receive(device, port)
							: console_port_send(device, port);
	}
	if (!multiport)
		return false;
	return index == CONSOLE_QUEUE_CONTROL_INPUT ? console_control_tell(device)
						    : console_control_hear(device);
}

static void console_handle_host(struct device *device, uint32_t id, uint32_t events)
{
	struct console *console = device->state;
	const struct device_source *source =
		id < DEVICE_MAX_BACKENDS ? &device->backends[id]
					 : &console->ports[id - DEVICE_MAX_BACKENDS].peer;

	for (unsigned int i = 0; i < console->nr_ports; i++)
		console_port_event(device, &console->ports[i], source, events);
}

static void console_stop_queue(struct device *device, unsigned int index)
{
	struct console_port *port = port_of_queue(device->state, index);

	if (!port)
		return;
	if (index % 2 == CONSOLE_QUEUE_INPUT)
		console_port_stop_input(device, port);
	else
		console_port_stop_output(device, port);
}

static const char *const settings[] = { "names", "inputs", NULL };

static const int syscalls[] = {
	SYS_readv,   /* input of the host, into the guest's buffers */
	SYS_writev,  /* output of the guest */
	SYS_accept4, /* the next peer of a socket that listens */
	-1,
};

const struct device_ops console_device_ops = {
	.settings = settings,
	.min_backends = 1,
	.max_backends = DEVICE_MAX_BACKENDS,
	.max_fds = CONSOLE_MAX_PORTS, /* a peer of each */
	.writes_files = true,
	.syscalls = syscalls,
	.create = console_create,
	.get_config = console_get_config,
	.set_config = console_set_config,
	.set_features = console_set_features,
	.resume = console_resume,
	.handle_queue = console_handle_queue,
	.handle_host = console_handle_host,
	.stop_queue = console_stop_queue,
	.destroy = console_destroy,
};
