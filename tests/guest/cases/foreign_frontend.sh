# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# minivmm-device as the disk of QEMU: a front-end that is none of ours, and guests that know nothing of
# pools.

# serve_disk FILE SETTING...: a back-end at $work/socket; $device is the process that listens.
serve_disk() {
	local file=$1 i
	shift
	"$(dirname "$minivmm")/minivmm-device" blk "$@" --socket-path "$work/socket" --file "$file" \
		2>"$work/device" &
	device=$!
	trap 'kill "$device"' EXIT
	for ((i = 0; i < 100; i++)); do
		[ ! -S "$work/socket" ] || return 0
		sleep 0.05
	done
	fail "minivmm-device does not listen: $(cat "$work/device")"
}

# run_qemu WORDS ARG...: boots the test kernel in QEMU, whose memory is a file that it can share.
run_qemu() {
	local words=$1
	shift
	status=0
	timeout "$timeout" qemu-system-x86_64 -accel kvm -cpu host -smp 1 -m 256 \
		-nodefaults -no-user-config -display none -serial stdio \
		-object memory-backend-memfd,id=ram,size=256M,share=on -machine memory-backend=ram \
		-chardev "socket,id=back-end,path=$work/socket" -device isa-debug-exit,iobase=0xf4 \
		-kernel "$kernel" -initrd "$initramfs" -append "console=ttyS0 reboot=t quiet $words" \
		"$@" </dev/null >"$work/out" 2>"$work/err" || status=$?
	# isa-debug-exit: twice the guest's status and 1.
	expect_status 1
}

# qemu_disk MIB SETTINGS ARG...: a guest reads and writes all of its disk, starts again and reads it.
qemu_disk() {
	local mib=$1 settings=$2 before
	shift 2
	make_disk disk "$mib"
	before=$(sum_of disk)
	# shellcheck disable=SC2086 # words
	serve_disk disk $settings
	run_qemu "test=foreign-disk mib=$mib how=reboot" "$@"
	[ "$(guest_value read)" = "$before" ] || fail "the guest read something else"
	[ "$(guest_value written)" = "$(sum_of disk)" ] || fail "the guest wrote something else"
	[ "$(guest_value again)" = "$(sum_of disk)" ] || fail "after a reset the guest read something else"
	[ ! -s "$work/device" ] || fail "minivmm-device says: $(cat "$work/device")"
}

# Its firmware drives the disk, too, and with a VGA adapter it changes what is RAM while the disk is in
# use: the table of memory is another one then.
case_foreign_frontend_q35() {
	qemu_disk 1 "" -M q35 -vga std -device vhost-user-blk-pci,chardev=back-end
}

# virtio-mmio there lets a driver have the largest queue that there is.
case_foreign_frontend_microvm() {
	qemu_disk 1 queue-size=1024 -M microvm,acpi=off,pit=off,pic=off,rtc=off \
		-global virtio-mmio.force-legacy=false -device vhost-user-blk,chardev=back-end
}
