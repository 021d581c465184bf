/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The control queues of MULTIPORT (virtio 1.3, 5.3.6.2):
 *
 *	driver			device
 *	DEVICE_READY	->
 *			<-	DEVICE_ADD, for each port
 *	PORT_READY	->
 *			<-	CONSOLE_PORT, PORT_NAME, PORT_OPEN, RESIZE
 *	PORT_OPEN	->	somebody in the guest opens or closes the port
 *			<-	PORT_OPEN: a peer comes or goes; RESIZE
 *
 * RESIZE has columns before rows, as in configuration space. Linux read them in the other order before
 * 6.15 and the stable kernels that have its fix.
 *
 * What the driver is to be told is remembered as one bit for each kind and port, so that a driver
 * that asks and never listens costs nothing, and reads how things are now when it does.
 */
#include <endian.h>
#include <string.h>

#include "devices/console.h"

struct console_message {
	uint32_t id;
	uint16_t event;
	uint16_t value;
};

/* In this order; a driver knows a port by its DEVICE_ADD only. */
static const enum console_event order[] = {
	CONSOLE_DEVICE_ADD, CONSOLE_CONSOLE_PORT, CONSOLE_PORT_NAME,
	CONSOLE_PORT_OPEN,  CONSOLE_RESIZE,
};

/* --- to the driver --- */

static struct console_port *next_port(struct console *console)
{
	for (unsigned int i = 0; i < console->nr_ports; i++) {
		if (console_port_kept(&console->ports[i])->pending)
			return &console->ports[i];
	}
	return NULL;
}

static enum console_event next_event(const struct console_port *port)
{
	const uint32_t pending = console_port_kept(port)->pending;
	size_t i = 0;

	while (!(pending & 1u << order[i]))
		i++;
	return order[i];
}

/* What follows the message; returns its length. */
static size_t payload(const struct console_port *port, enum console_event event, const void **data)
{
	const struct console_kept *kept = console_kept(port->device);

	*data = event == CONSOLE_RESIZE ? (const void *)kept->size : port->name;
	if (event == CONSOLE_RESIZE)
		return sizeof(kept->size);
	return event == CONSOLE_PORT_NAME ? strlen(port->name) : 0;
}

/* Fills @chain with @event; 0 when there is not enough room for all of it. */
static size_t write_message(const struct console_port *port, enum console_event event,
			    struct virtqueue_chain *chain)
{
	struct console_message message = {
		.id = htole32(port->id),
		.event = htole16(event),
		.value = htole16(event != CONSOLE_PORT_OPEN || console_port_connected(port)),
	};
	const void *data;
	size_t len = payload(port, event, &data);

	if (chain->writable_len < sizeof(message) + len)
		return 0;
	dma_buffers_write(&chain->writable, &message, sizeof(message));
	dma_buffers_write(&chain->writable, data, len);
	return sizeof(message) + len;
}

bool console_control_tell(struct device *device)
{
	struct console *console = device->state;
	struct virtqueue *vq = &device->queues[CONSOLE_QUEUE_CONTROL_INPUT].vq;
	struct virtqueue_chain chain;
	struct console_port *port;

	while ((port = next_port(console)) && virtqueue_pop(vq, &chain) > 0) {
		enum console_event event = next_event(port);
		size_t len = write_message(port, event, &chain);

		if (!len) {
			virtqueue_drop(vq, &chain);
			continue;
		}
		/* In this order: told twice by a process and its successor is better than never. */
		virtqueue_push(vq, &chain, len);
		console_port_kept(port)->pending &= ~(1u << event);
		console_port_listen(device, port);
	}
	return port;
}

/* --- from the driver --- */

static void add_ports(struct console *console)
{
	for (unsigned int i = 0; i < console->nr_ports; i++)
		console_port_kept(&console->ports[i])->pending |= 1u << CONSOLE_DEVICE_ADD;
}

static void port_ready(struct device *device, struct console_port *port, bool ready)
{
	struct console_kept_port *kept = console_port_kept(port);

	kept->ready = ready;
	kept->pending = 0;
	if (ready) {
		kept->pending = 1u << CONSOLE_PORT_OPEN;
		if (port->name[0])
			kept->pending |= 1u << CONSOLE_PORT_NAME;
		if (port->is_console)
			kept->pending |= 1u << CONSOLE_CONSOLE_PORT;
		if (port->is_console && device->features & CONSOLE_F_SIZE)
			kept->pending |= 1u << CONSOLE_RESIZE;
	} else {
		kept->guest_open = 0;
	}
	console_port_listen(device, port);
}

static void port_open(struct device *device, struct console_port *port, bool open)
{
	console_port_kept(port)->guest_open = open;
	if (open)
		device_queue_run(device, console_port_input_queue(port));
}

/* False: the message makes no sense. */
static bool obey(struct device *device, const struct console_message *message)
{
	struct console *console = device->state;
	uint32_t id = le32toh(message->id);
	uint16_t event = le16toh(message->event);
	struct console_port *port = id < console->nr_ports ? &console->ports[id] : NULL;

	if (event == CONSOLE_DEVICE_READY) {
		/* Its id means nothing. Without ports the driver will not ask for more. */
		if (message->value)
			add_ports(console);
		return true;
	}
	if (!port)
		return false;
	switch (event) {
	case CONSOLE_PORT_READY:
		port_ready(device, port, message->value);
		return true;
	case CONSOLE_PORT_OPEN:
		port_open(device, port, message->value);
		return true;
	default:
		return false;
	}
}

bool console_control_hear(struct device *device)
{
	struct virtqueue *vq = &device->queues[CONSOLE_QUEUE_CONTROL_OUTPUT].vq;
	struct virtqueue_chain chain;

	while (virtqueue_pop(vq, &chain) > 0) {
		struct console_message message;

		if (dma_buffers_read(&chain.readable, &message, sizeof(message)) <
		    sizeof(message)) {
			virtqueue_drop(vq, &chain);
			continue;
		}
		if (!obey(device, &message))
			device->report->request_errors++;
		virtqueue_push(vq, &chain, 0);
	}
	device_queue_run(device, CONSOLE_QUEUE_CONTROL_INPUT);
	return true;
}
