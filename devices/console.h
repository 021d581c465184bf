/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Between the files of the console device: what it is made of.
 *
 *	console.c		the device: its ports, queues and configuration space
 *	console_control.c	what device and driver tell each other about ports
 *	console_port.c		the bytes of one port, and who is at its other end
 */
#ifndef DEVICES_CONSOLE_H
#define DEVICES_CONSOLE_H

#include "devices/device.h"

#define CONSOLE_MAX_PORTS 8
#define CONSOLE_NAME_MAX  31 /* bytes */

#define CONSOLE_F_SIZE	    (1ull << 0)
#define CONSOLE_F_MULTIPORT (1ull << 1)

/* Queues (virtio 1.3, 5.3.2): port 0, then control, then all other ports; of each the input first. */
enum console_queue {
	CONSOLE_QUEUE_INPUT,
	CONSOLE_QUEUE_OUTPUT,
	CONSOLE_QUEUE_CONTROL_INPUT, /* as the driver sees it: it reads what we tell */
	CONSOLE_QUEUE_CONTROL_OUTPUT,
	CONSOLE_QUEUE_PORTS, /* input of port 1 */
};

/* Control messages (5.3.6.2). */
enum console_event {
	CONSOLE_DEVICE_READY,
	CONSOLE_DEVICE_ADD,
	CONSOLE_DEVICE_REMOVE,
	CONSOLE_PORT_READY,
	CONSOLE_CONSOLE_PORT,
	CONSOLE_RESIZE,
	CONSOLE_PORT_OPEN,
	CONSOLE_PORT_NAME,
};

/* Of a port, what the driver has said, and what it is still to be told: outlives the process. */
struct console_kept_port {
	uint8_t ready;	    /* the driver knows the port */
	uint8_t guest_open; /* somebody in the guest reads it */
	uint32_t pending;   /* 1 << enum console_event */
};

/* device->kept->state */
struct console_kept {
	struct console_kept_port ports[CONSOLE_MAX_PORTS];
	uint8_t size[4]; /* columns and rows, le16: the start of configuration space */
};

/* Those that a driver is told; it is the driver that tells the others. */
#define CONSOLE_EVENTS_TOLD                                                                \
	(1u << CONSOLE_DEVICE_ADD | 1u << CONSOLE_CONSOLE_PORT | 1u << CONSOLE_PORT_NAME | \
	 1u << CONSOLE_PORT_OPEN | 1u << CONSOLE_RESIZE)

struct console_port {
	struct device *device;
	unsigned int id;
	bool is_console;
	char name[CONSOLE_NAME_MAX + 1]; /* "": none */

	/*
	 * Of device->backends[], or the peer. Both are the same where one descriptor is for both
	 * directions. NULL: there is nothing to read, nobody to write to.
	 */
	struct device_source *input;
	struct device_source *output;
	/* Where peers come from, one at a time; NULL: input and output are there for good. */
	struct device_source *listener;
	struct device_source peer; /* fd owned; -1: nobody is connected */
	bool hung_up;		   /* the peer has gone: what it wrote can still be read */

	bool input_ready;  /* there may be something to read */
	bool input_closed; /* nothing will come any more */
	bool await_input;  /* the event loop is to tell when there is something to read */
	bool await_output; /* ... or room to write */
	bool sending;	   /* chain is not complete */
	struct virtqueue_chain chain;
};

struct console {
	struct console_port ports[CONSOLE_MAX_PORTS];
	unsigned int nr_ports;
	bool multiport; /* negotiated */
};

static inline struct console_kept *console_kept(const struct device *device)
{
	return (struct console_kept *)device->kept->state;
}

static inline struct console_kept_port *console_port_kept(const struct console_port *port)
{
	return &console_kept(port->device)->ports[port->id];
}

unsigned int console_port_input_queue(const struct console_port *port);
unsigned int console_port_output_queue(const struct console_port *port);

/* Work of the queues; return what handle_queue() does. */
bool console_port_receive(struct device *device, struct console_port *port);
bool console_port_send(struct device *device, struct console_port *port);
bool console_control_tell(struct device *device);
bool console_control_hear(struct device *device);

/*
 * Each of these functions may run queues further to the right, never to the left, so that no queue is
 * run by its own work:
 *
 *	control output -> input of a port -> its output -> control input
 */

/* @source of the host side became ready; ignored if it is none of this port's. */
void console_port_event(struct device *device, struct console_port *port,
			const struct device_source *source, uint32_t events);

/* Nobody waits for the host side on behalf of a queue that does not run. */
void console_port_stop_input(struct device *device, struct console_port *port);
void console_port_stop_output(struct device *device, struct console_port *port);

/* Takes the next peer, if there is none and if the driver knows that the last one has gone. */
void console_port_listen(struct device *device, struct console_port *port);

/* Whether somebody on the host is at the other end. */
bool console_port_connected(const struct console_port *port);

/* The driver is to be told @event of @port, if it knows it. */
void console_port_tell(struct device *device, struct console_port *port, enum console_event event);

#endif
