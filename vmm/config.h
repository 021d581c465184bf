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
#include "vmm/virtio/mechanism.h"

#define CONFIG_MAX_DISKS      MACHINE_MAX_DEVICES
#define CONFIG_DEFAULT_MEMORY (512ull << 20)
#define CONFIG_MIN_MEMORY     (32ull << 20)
#define CONFIG_MAX_MEMORY     ((1ull << 46) - (3ull << 30)) /* + MMIO hole and pools: 46 bits */
#define CONFIG_MEMORY_GRANULE 4096ull
#define CONFIG_DEFAULT_POOL   (16ull << 20)
#define CONFIG_MIN_POOL	      (2ull << 20)
#define CONFIG_MAX_POOL	      (256ull << 20) /* Linux cannot allocate the slot table of much more */
#define CONFIG_POOL_GRANULE   (256ull << 10) /* 128 swiotlb slots of 2 KiB */
#define CONFIG_MAX_POOLS_SIZE (1ull << 30)   /* together: below the MMIO hole, beside some RAM */
#define CONFIG_MAX_CMDLINE    2047	     /* Linux: COMMAND_LINE_SIZE - 1 */
#define CONFIG_MAX_TIMEOUT    31536000	     /* seconds: a year */
#define CONFIG_SERIAL_MAX     20	     /* virtio 1.3, 5.2.6: VIRTIO_BLK_T_GET_ID */

enum config_console { CONFIG_CONSOLE_SERIAL, CONFIG_CONSOLE_VIRTIO };

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

struct config_disk {
	char *path;			    /* owned */
	char serial[CONFIG_SERIAL_MAX + 1]; /* "" when not given */
	bool read_only;
	enum machine_transport transport;
};

struct config {
	const char *kernel; /* paths and texts point into argv and are NULL when not given */
	const char *initrd;
	const char *cmdline;
	unsigned int cpus;
	uint64_t memory; /* bytes; the pools come on top */
	struct config_disk disks[CONFIG_MAX_DISKS];
	size_t nr_disks;
	bool rng;
	enum config_console console;
	enum machine_transport transport; /* of the devices that do not say otherwise */
	enum machine_tables tables;	  /* chosen by config_check() unless given */
	bool restricted;
	enum mechanism via; /* MECHANISM_NONE when not restricted, and only then */
	enum pool_place place;
	uint64_t pool_size; /* bytes per pool */
	enum config_policy policy;
	enum config_share share;
	uint8_t group[CONFIG_GROUP_SIZE]; /* for CONFIG_SHARE_GROUP */
	struct proposal proposal;
	bool sandbox; /* false only for --sandbox=off */
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

/* How many virtio devices @config asks for. */
size_t config_device_count(const struct config *config);

/* "512M" -> bytes. Decimal digits and one optional suffix K, M or G; 0 or -EINVAL / -ERANGE. */
int config_parse_size(const char *text, uint64_t *bytes);

#endif
