# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Files that fail under a running guest, and a guest that floods: the guest gets an error, and goes on.

# expect_values NAME=VALUE...: what the guest printed.
expect_values() {
	local pair
	for pair; do
		[ "$(guest_value "${pair%%=*}")" = "${pair#*=}" ] ||
			fail "$pair expected, the guest printed '$(guest_value "${pair%%=*}")': $(tail -c 600 "$work/out")"
	done
}

# mount_small SIZE DIRECTORY...: file systems of that size; they end with the case.
mount_small() {
	local size=$1 dir
	shift
	[ "$(id -u)" -eq 0 ] || skip "only root can mount"
	mounts=("$@")
	for dir; do
		mkdir "$dir"
		mount -t tmpfs -o "size=$size" tmpfs "$dir"
	done
	trap 'umount "${mounts[@]}"' EXIT
}

# Images with more sectors than their file system has room for.
case_faults_disk_full() {
	mount_small 4m full filled
	truncate -s 16M full/disk filled/disk
	run_inside fault-full room=4 --disk full/disk --disk filled/disk,transport=pci --restricted-dma
	expect_confined
	expect_values first=ok across=error behind=error again=ok flush=ok read=ok \
		small=ok large=error files=ok
	expect_report '.devices[0].counters.request_errors > 0'
}

# limit_files BYTES: minivmm is started with that RLIMIT_FSIZE from now on.
limit_files() {
	# shellcheck disable=SC2016 # the script expands it
	printf '#!/bin/sh\nexec prlimit --fsize=%d:unlimited %s "$@"\n' "$1" "${vmm_file:=$minivmm}" >limited
	chmod +x limited
	minivmm=$work/limited
}

# Past RLIMIT_FSIZE there is a signal besides the error. Pools are files, too.
case_faults_file_limit() {
	truncate -s 32M disk
	limit_files $((24 << 20))
	run_inside fault-full room=24 --disk disk --restricted-dma
	expect_confined
	expect_values first=ok across=error behind=error again=ok flush=ok read=ok
	[ "$(stat -c %s disk)" -eq $((32 << 20)) ] || fail "the image has $(stat -c %s disk) bytes"
	limit_files $((8 << 20))
	boot --disk disk --restricted-dma
	expect_status 112
	expect_err '^minivmm: guest memory: .*: File too large$'
	[ "$(wc -l <err)" -eq 1 ] || fail "stderr: $(head -c 600 err)"
}

# A loop device takes what its file system has no room for; writing back fails.
case_faults_flush() {
	mount_small 2m full
	truncate -s 16M full/disk
	loop=$(losetup --find --show full/disk)
	trap 'losetup --detach "$loop"; umount "${mounts[@]}"' EXIT
	run_inside fault-flush "" --disk "$loop" --restricted-dma
	expect_confined
	expect_values before=ok write=ok flush=error again=error once_more=error read=ok write_again=ok
}

case_faults_image_size() {
	make_disk disk 4
	start_guest --cmdline "quiet test=fault-size" --restricted-dma --disk disk
	wait_out '^ready'
	truncate -s 1536K disk
	echo go >in
	wait_out '^shrunk'
	truncate -s 8M disk
	echo go >in
	wait_guest
	expect_status 0
	expect_confined
	expect_values gone=error half=error there=ok write=ok written=ok last=ok size=8192 behind=error line=go
	[ "$(stat -c %s disk)" -eq $((8 << 20)) ] || fail "the image has $(stat -c %s disk) bytes"
}

# own_memory PID...: KiB of theirs in RAM. What is larger than 8 MiB is the guest's, or only reserved.
own_memory() {
	local pid
	for pid; do cat "/proc/$pid/smaps"; done |
		awk '/^Size:/ { own = $2 <= 8192 } /^Anonymous:/ && own { kib += $2 } END { print kib + 0 }'
}

# flood_console ARG...: nobody reads what the guest writes without end. minivmm does what it is told
# at once, has nothing to say about it, and grows by no more than 4 MiB with its processes.
flood_console() {
	local line='' start before after
	mkfifo pipe
	exec 5<>pipe
	"$minivmm" --timeout "$timeout" --kernel "$kernel" --initrd "$initramfs" \
		--cmdline "quiet test=flood-console" "$@" </dev/null >pipe 2>err &
	vmm=$!
	while [ "$line" != flooding ]; do
		read -r -t "$timeout" line <&5 || fail "nothing is written: $(head -c 600 err)"
		line=${line%$'\r'}
	done
	# shellcheck disable=SC2046 # a list of them
	before=$(own_memory "$vmm" $(device_pids))
	sleep 2
	! ended "$vmm" || fail "it has ended: $(head -c 600 err)"
	# shellcheck disable=SC2046
	after=$(own_memory "$vmm" $(device_pids))
	[ $((after - before)) -le 4096 ] || fail "memory: $before KiB, then $after KiB"
	start=$(date +%s%N)
	kill -TERM "$vmm"
	wait_guest
	# 0.2 s in an emulated host.
	[ $(($(date +%s%N) - start)) -lt 2000000000 ] || fail "SIGTERM took $((($(date +%s%N) - start) / 1000000)) ms"
	expect_status 143
	[ "$(wc -l <err)" -le 3 ] || fail "stderr: $(head -c 600 err)"
}

case_faults_serial_flood() { flood_console; }
case_faults_console_flood() { flood_console --console virtio --restricted-dma; }
