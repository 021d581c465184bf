/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a device process reports about the guest's DMA: the payload of MINIVMM_GET_REPORT.
 * Host byte order; fixed size; a device process can lie in it about itself only.
 */
#ifndef DEVICES_PROTO_REPORT_H
#define DEVICES_PROTO_REPORT_H

#include <stdint.h>

/* What an address was meant for. */
enum dma_purpose {
	DMA_RING,	    /* descriptor table, available ring or used ring */
	DMA_INDIRECT_TABLE, /* table named by an INDIRECT descriptor */
	DMA_BUFFER,	    /* data of a request */
	DMA_NR_PURPOSES,
};

/* Direction as the guest names it (virtio 1.3, 2.7.5). */
enum dma_direction {
	DMA_TO_DEVICE,	   /* device-readable */
	DMA_FROM_DEVICE,   /* device-writable */
	DMA_BIDIRECTIONAL, /* rings */
};

#define DEVICE_REPORT_VIOLATIONS 16
#define DEVICE_REPORT_TRICKS	 32 /* room for EVIL_NR_TRICKS */
#define DEVICE_REPORT_PLAYS	 16

/* One access that was refused because it is not inside one window. */
struct dma_violation {
	uint64_t dma_addr;
	uint64_t length;
	uint32_t purpose;   /* enum dma_purpose */
	uint32_t direction; /* enum dma_direction */
	uint32_t queue;
	uint32_t descriptor; /* index in its table; UINT32_MAX for a ring */
};

/* A trick of an evil device (devices/proto/evil.h). */
struct evil_play {
	uint64_t completion; /* of the queue, counted from 1; of reads of configuration space */
	uint16_t trick;	     /* enum evil_trick */
	uint16_t queue;	     /* UINT16_MAX: configuration space */
	uint32_t padding;
};

struct device_report_wire {
	uint64_t requests;	 /* chains completed */
	uint64_t request_errors; /* of those, completed with an error status */
	uint64_t bytes_to_device;
	uint64_t bytes_from_device;
	uint64_t addresses_inside[DMA_NR_PURPOSES];
	uint64_t addresses_outside[DMA_NR_PURPOSES]; /* every one of them was refused */
	uint64_t malformed_chains;		     /* dropped: loops, bad indices, wrong order */
	uint64_t broken_queues;	  /* queues stopped because the ring itself was unusable */
	uint64_t kicks;		  /* wake-ups by the guest */
	uint64_t calls;		  /* interrupts sent */
	uint64_t pool_high_water; /* highest end of an access, bytes from its window's start */
	uint32_t nr_violations;	  /* entries of violations[]; further ones are only counted above */
	uint32_t padding;
	struct dma_violation violations[DEVICE_REPORT_VIOLATIONS];
	uint64_t plays;			       /* tricks played by an evil device */
	uint32_t tricks[DEVICE_REPORT_TRICKS]; /* how often each of them, by enum evil_trick */
	struct evil_play last_plays[DEVICE_REPORT_PLAYS]; /* number N at N % DEVICE_REPORT_PLAYS */
};

#endif
