/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The command line -> struct config. Nothing else in minivmm reads argv.
 */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "boot/machine.h"
#include "devices/proto/evil.h"
#include "vmm/virtio/mechanism.h"

#define CONFIG_DEFAULT_MEMORY (512ull << 20)
#define CONFIG_MIN_MEMORY     (32ull << 20)
#define CONFIG_MAX_MEMORY     ((1ull << 46) - (3ull << 30)) /* + MMIO hole and pools: 46 bits */
#define CONFIG_MEMORY_GRANULE 4096ull
#define CONFIG_DEFAULT_POOL   (16ull << 20) /* one pair of queues of a network device, or less */
#define CONFIG_POOL_PER_PAIR  (8ull << 20)  /* 128 packets of 64 KiB */
#define CONFIG_POOL_BASE      (CONFIG_DEFAULT_POOL - CONFIG_POOL_PER_PAIR)
#define CONFIG_MIN_POOL	      (2ull << 20)
#define CONFIG_MAX_POOL	      (256ull << 20) /* Linux cannot allocate the slot table of much more */
#define CONFIG_POOL_GRANULE   (256ull << 10) /* 128 swiotlb slots of 2 KiB */
#define CONFIG_MAX_POOLS_SIZE (1ull << 30)   /* together: below the MMIO hole, beside some RAM */
#define CONFIG_MAX_CMDLINE    2047	     /* Linux: COMMAND_LINE_SIZE - 1 */
#define CONFIG_MAX_TIMEOUT    31536000	     /* seconds: a year */
#define CONFIG_SERIAL_MAX     20	     /* virtio 1.3, 5.2.6: VIRTIO_BLK_T_GET_ID */
#define CONFIG_MAX_QUEUES     16	     /* blk; requests of fs */
#define CONFIG_MAX_PAIRS      8		     /* net: of a receive and a transmit queue */
#define CONFIG_MAX_QUEUE_SIZE 1024
#define CONFIG_MAX_FORWARDS   16
#define CONFIG_MAX_PORTS      8	   /* of the console device, the console itself among them */
#define CONFIG_PORT_NAME_MAX  31   /* bytes */
#define CONFIG_TAG_MAX	      36   /* virtio 1.3, 5.11.4 */
#define CONFIG_MIN_CID	      3ull /* virtio 1.3, 5.10.4: smaller ones are reserved */
#define CONFIG_MAX_CID	      0xfffffffeull /* likewise 2^32 - 1 */

/* Towards a guest that does not promise to use its pool. */
enum config_policy {
	CONFIG_POLICY_REQUIRE, /* FEATURES_OK is refused */
	CONFIG_POLICY_HOPE,    /* it may go on; every address is checked all the same */
};

enum config_share {
	CONFIG_SHARE_DEVICE, /* one pool per device */
	CONFIG_SHARE_ALL,    /* one pool for all devices */
	CONFIG_SHARE_GROUP,  /* one, of the first device; the others refer to it by a UUID */
};

#define CONFIG_GROUP_SIZE 16 /* bytes of a UUID, in the order of its text (RFC 9562, 4) */

/* Where bytes of a console or a port come from and go to. */
enum config_stream_kind {
	CONFIG_STREAM_STDIO,  /* the user's terminal */
	CONFIG_STREAM_FILE,   /* output only; made empty first */
	CONFIG_STREAM_PIPE,   /* two FIFOs that exist, PATH.in and PATH.out */
	CONFIG_STREAM_SOCKET, /* a Unix socket that we listen at; one peer at a time */
	CONFIG_STREAM_EXIT,   /* the guest tells its exit code there: --exit-code-from port */
};

struct config_stream {
	enum config_stream_kind kind;
	char *path; /* owned; NULL for those that have none */
};

struct config_port {
	char name[CONFIG_PORT_NAME_MAX + 1]; /* "" for the console */
	struct config_stream stream;
};

enum config_device_kind {
	CONFIG_DISK,
	CONFIG_NET,
	CONFIG_PLAIN, /* of the registry, without a host side */
	CONFIG_VSOCK,
	CONFIG_VHOST_USER,
	CONFIG_CONSOLE, /* at most one, the last: the console and all the ports are in it */
};

enum config_cache {
	CONFIG_CACHE_WRITEBACK, /* the host's page cache; a flush of the guest's writes it out */
	CONFIG_CACHE_NONE,	/* O_DIRECT */
};

struct config_disk {
	char *path;			    /* owned */
	char serial[CONFIG_SERIAL_MAX + 1]; /* "" when not given */
	bool read_only;
	enum config_cache cache;
};

enum config_net_kind {
	CONFIG_NET_TAP,	   /* an interface of the host */
	CONFIG_NET_USER,   /* through passt */
	CONFIG_NET_SOCKET, /* frames over a Unix stream socket, as QEMU and passt know them */
};

struct config_net {
	enum config_net_kind kind;
	char *name; /* owned; of the interface, or path of the socket; NULL for user */
	uint8_t mac[6];
	bool has_mac;
	char *forwards
		[CONFIG_MAX_FORWARDS]; /* owned; checked: "tcp:127.0.0.1:2222-:22", "udp::1-:1" */
	size_t nr_forwards;
};

struct config_plain {
	const char *kind; /* a name of devices/registry.h: a static string */
};

struct config_vsock {
	uint32_t cid;
	char *path; /* owned */
};

struct config_vhost_user {
	const char *kind;	      /* "blk", "net", "fs" or "generic": a static string */
	uint32_t virtio_id;	      /* of generic; else what the kind says */
	char *path;		      /* owned */
	char tag[CONFIG_TAG_MAX + 1]; /* fs */
};

/* One virtio device, in the order of the command line. */
struct config_device {
	enum config_device_kind kind;
	enum machine_transport transport;
	unsigned int
		queues; /* blk; net: pairs; vhost-user: but the extra one of fs; 0: not given */
	unsigned int queue_size; /* 0: not given */
	bool evil;		 /* its process misbehaves on purpose: */
	struct evil_settings evil_settings;
	union {
		struct config_disk disk;
		struct config_net net;
		struct config_plain plain;
		struct config_vsock vsock;
		struct config_vhost_user vhost_user;
	};
};

#define CONFIG_MAX_CRASHES	  100
#define CONFIG_MAX_CRASH_SECONDS  86400u
#define CONFIG_DEFAULT_CRASHES	  5
#define CONFIG_DEFAULT_CRASH_TIME 10

enum config_exit_code_from {
	CONFIG_EXIT_CODE_POWER, /* how the guest ends, see vmm/exit_status.h */
	CONFIG_EXIT_CODE_PORT,	/* what it wrote to the console port "org.minivmm.exit" */
	CONFIG_EXIT_CODE_VSOCK, /* what it sent to the host's vsock port CONFIG_EXIT_CODE_PORT_NUMBER */
};

#define CONFIG_EXIT_CODE_PORT_NAME   "org.minivmm.exit"
#define CONFIG_EXIT_CODE_PORT_NUMBER 1024u

struct config {
	const char *kernel; /* paths and texts point into argv and are NULL when not given */
	const char *initrd;
	const char *cmdline;
	unsigned int cpus;
	uint64_t memory; /* bytes; the pools come on top */
	struct config_device devices[MACHINE_MAX_DEVICES];
	size_t nr_devices;
	bool virtio_console;	      /* else the UART is the console */
	struct config_stream console; /* of the one or the other: STDIO or FILE */
	struct config_port
		ports[CONFIG_MAX_PORTS]; /* with virtio_console, the first is the console */
	size_t nr_ports;
	enum machine_transport transport; /* of the devices that do not say otherwise */
	enum machine_tables tables;	  /* chosen by config_check() unless given */
	bool restricted;
	enum mechanism via; /* MECHANISM_NONE when not restricted, and only then */
	enum pool_place place;
	uint64_t pool_size; /* bytes per pool; chosen by config_check() unless given */
	enum config_policy policy;
	enum config_share share;
	uint8_t group[CONFIG_GROUP_SIZE]; /* for CONFIG_SHARE_GROUP */
	struct proposal proposal;
	bool sandbox;		      /* false only for --sandbox=off */
	unsigned int restart_crashes; /* a device fails when so many of its processes end ... */
	unsigned int restart_seconds; /* ... in so short a time. 0 crashes: at the first */
	enum config_exit_code_from exit_code_from;
	const char *events; /* a path, or "fd:N" */
	const char *dump_dtb;
	const char *report;
	unsigned int timeout; /* seconds; 0: none */
	bool verbose;
};

enum config_result {
	CONFIG_RUN,   /* go on */
	CONFIG_DONE,  /* --help or --version was printed to @out */
	CONFIG_ERROR, /* one line was printed to @err */
};

/*
 * Parses argv. On CONFIG_RUN the caller releases @config with config_destroy(); otherwise there is
 * nothing to release. A refusal reads "minivmm: --option: value: why". Not thread-safe (getopt).
 */
enum config_result config_parse(struct config *config, int argc, char **argv, FILE *out, FILE *err);
void config_destroy(struct config *config);

/* "512M" -> bytes. Decimal digits and one optional suffix K, M or G; 0 or -EINVAL / -ERANGE. */
int config_parse_size(const char *text, uint64_t *bytes);

#endif
