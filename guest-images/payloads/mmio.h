/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Registers of virtio-mmio (virtio 1.3, 4.2.2). */
#ifndef PAYLOAD_MMIO_H
#define PAYLOAD_MMIO_H

#define MMIO_MAGIC		 0x000u
#define MMIO_VERSION		 0x004u
#define MMIO_DEVICE_ID		 0x008u
#define MMIO_VENDOR_ID		 0x00cu
#define MMIO_DEVICE_FEATURES	 0x010u
#define MMIO_DEVICE_FEATURES_SEL 0x014u
#define MMIO_DRIVER_FEATURES	 0x020u
#define MMIO_DRIVER_FEATURES_SEL 0x024u
#define MMIO_QUEUE_SEL		 0x030u
#define MMIO_QUEUE_NUM_MAX	 0x034u
#define MMIO_QUEUE_NUM		 0x038u
#define MMIO_QUEUE_READY	 0x044u
#define MMIO_QUEUE_NOTIFY	 0x050u
#define MMIO_INTERRUPT_STATUS	 0x060u
#define MMIO_INTERRUPT_ACK	 0x064u
#define MMIO_STATUS		 0x070u
#define MMIO_QUEUE_DESC		 0x080u
#define MMIO_QUEUE_DRIVER	 0x090u
#define MMIO_QUEUE_DEVICE	 0x0a0u
#define MMIO_SHM_SEL		 0x0acu
#define MMIO_SHM_LEN		 0x0b0u
#define MMIO_SHM_BASE		 0x0b8u
#define MMIO_CONFIG_GENERATION	 0x0fcu
#define MMIO_CONFIG		 0x100u
#define MMIO_WINDOW_SIZE	 0x200u

#endif
