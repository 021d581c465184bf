# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Guests that do not keep to their pool: what is refused, what is said, and that minivmm lives on.
# The payload virtio-blk.elf does what its command line says and checks what becomes of it.

pool=1fe00000 # of the first device of a guest of 512 MiB
ram=2000000

# payload POLICY WORDS: the guest itself checks the outcome and ends with 0.
payload() {
	[ -e disk ] || make_disk disk 1
	boot --kernel "$top/build/guest/virtio-blk.elf" --restricted-dma="policy=$1" --disk disk \
		--cmdline "$2"
	expect_out 'payload: all true'
}

case_good_payload() {
	payload require "ring=$pool buffer=1fe10000 accept=1 expect=3"
	expect_status 0
	expect_confined
}

# --policy=require: without ACCESS_PLATFORM there is no FEATURES_OK, whatever the driver means to do.
case_access_platform_refused() {
	payload require "ring=$pool buffer=1fe10000 accept=0 expect=1 good=$pool"
	expect_status 105
	expect_err '^minivmm: blk0: FEATURES_OK refused: .*VIRTIO_F_ACCESS_PLATFORM'
	expect_report '.devices[0].verdict == "refused" and .devices[0].refusals.total == 1'
}

# policy=hope: a driver that does not promise anything, but keeps to the pool, is served ...
case_hope_inside() {
	payload hope "ring=$pool buffer=1fe10000 accept=0 expect=3"
	expect_status 0
	expect_confined
}

# ... and caught at the first address outside.
case_hope_outside() {
	payload hope "ring=$ram buffer=1fe10000 accept=0 expect=2 good=$pool"
	expect_status 105
	expect_err "^minivmm: blk0: queue 0: descriptor table at 0x$ram, 128 bytes: outside"
	expect_report '.devices[0].verdict == "violation" and .devices[0].violations.first[0].purpose == "ring"'
}

case_ring_outside() {
	payload require "ring=$ram buffer=1fe10000 accept=1 expect=2 good=$pool"
	expect_status 105
	expect_err "^minivmm: blk0: queue 0: descriptor table at 0x$ram, 128 bytes: outside.*CONFIG_DMA_RESTRICTED_POOL"
	expect_report '.devices[0].violations.first[0].address == "0x2000000"'
}

case_buffer_outside() {
	payload require "ring=$pool buffer=$ram accept=1 expect=2 good=$pool"
	expect_status 105
	expect_err "^minivmm: blk0: queue 0: buffer at 0x$ram, 16 bytes: outside"
	expect_report '.devices[0].violations.first[0].purpose == "buffer"'
	expect_report '.devices[0].counters.addresses.buffer.outside == 1'
}

# The last byte of the pool is inside, the one after it is not.
case_buffer_at_the_edge() {
	payload require "ring=$pool buffer=20dffdef accept=1 expect=3"
	expect_status 0
	payload require "ring=$pool buffer=20dffdf0 accept=1 expect=2 good=$pool"
	expect_status 105
}

# A Linux guest that drives the device without its device tree node, and so without its pool.
case_linux_without_pool() {
	make_disk disk 1
	boot --cmdline "quiet test=no-pool virtio_mmio.device=512@0xfe000000:5" \
		--restricted-dma --disk disk
	expect_status 105
	expect_out '^still here'
	expect_err '^minivmm: blk0: queue 0: descriptor table at 0x[0-9a-f]+, 4096 bytes: outside.*CONFIG_DMA_RESTRICTED_POOL'
	expect_report '.devices[0].verdict == "violation"'
}
