# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Back-ends of others, unmodified, behind a pool: qemu-storage-daemon and virtiofsd of Debian.

# wait_backend COMMAND...: until it succeeds.
wait_backend() {
	local i
	for ((i = 0; i < 200; i++)); do
		! "$@" || return 0
		sleep 0.05
	done
	fail "waited in vain for: $*; the back-end says: $(cat "$work/back-end")"
}

# serve_backend COMMAND...: starts a back-end that listens at $work/socket; $backend is its process.
serve_backend() {
	"$@" </dev/null >"$work/back-end" 2>&1 &
	backend=$!
	trap 'kill -KILL "$backend" 2>/dev/null || true' EXIT
	wait_backend test -S "$work/socket"
}

serve_qemu_disk() {
	serve_backend qemu-storage-daemon --blockdev driver=file,node-name=disk,filename=disk --export \
		"type=vhost-user-blk,id=export,node-name=disk,writable=on,num-queues=2,addr.type=unix,addr.path=$work/socket"
}

serve_share() {
	[ "$(id -u)" -eq 0 ] || skip "virtiofsd wants to be root"
	mkdir share
	make_disk share/from-host 2
	: >share/unwanted
	serve_backend /usr/lib/qemu/virtiofsd --socket-path="$work/socket" -o "source=$work/share" \
		-o sandbox=chroot
}

# What the back-end has mapped of memory files: bytes and names.
mapped_bytes() {
	local range total=0
	while read -r range; do
		total=$((total + 0x${range#*-} - 0x${range%-*}))
	done < <(sed -n 's/ .*\/memfd:.*//p' "/proc/$backend/maps")
	echo "$total"
}

mapped_files() {
	sed -n 's/.*\/memfd:\([^ ]*\).*/\1/p' "/proc/$backend/maps" | sort -u
}

# The back-end has one pool of 16 MiB, and nothing else that belongs to the guest.
expect_pool_only() {
	[ "$(mapped_files)" = dma-pool ] && [ "$(mapped_bytes)" -eq $((16 << 20)) ] ||
		fail "the back-end has mapped: $(grep memfd "/proc/$backend/maps")"
}

# That the above can tell: without restriction it has all of RAM.
expect_ram() {
	[ "$(mapped_files)" != dma-pool ] && [ "$(mapped_bytes)" -ge $((96 << 20)) ] ||
		fail "the back-end has mapped: $(grep memfd "/proc/$backend/maps")"
}

# foreign_disk LIST ARG...: a guest with one or two CPUs and queues reads and writes all of the disk, and
# then waits, see inside/foreign-disk. LIST as for --vhost-user.
foreign_disk() {
	local list=$1 before
	shift
	make_disk disk 1
	before=$(sum_of disk)
	serve_qemu_disk
	start_guest --memory 96M --vhost-user "blk,socket=$work/socket$list" \
		--cmdline "quiet test=foreign-disk mib=1 how=wait-line" "$@"
	wait_out '^waiting'
	[ "$(guest_value read)" = "$before" ] || fail "the guest read something else"
	[ "$(guest_value rebound)" = "$(guest_value written)" ] ||
		fail "after rebinding the guest read something else"
}

finish_disk() {
	echo go >"$work/in"
	wait_guest
	expect_status 0
	[ "$(guest_value after)" = good ] || fail "the disk did not go on"
	[ "$(guest_value written)" = "$(sum_of disk)" ] || fail "the guest wrote something else"
}

# restricted_disk LIST ARG...: and nothing but the pool is known to the back-end.
restricted_disk() {
	foreign_disk "$@"
	expect_pool_only
	finish_disk
	expect_report '.devices[0] | .verdict == "confined" and .sandbox == "foreign"'
	expect_report '.devices[0] | .mechanism != "none" and .resets > 0'
}

case_vhost_user_blk_mmio() { restricted_disk "" --restricted-dma; }

case_vhost_user_blk_pci() {
	restricted_disk ,num-queues=2 --restricted-dma --transport pci --cpus 2
	[ "$(guest_value queues)" -eq 2 ] || fail "the guest has $(guest_value queues) queues"
}

case_vhost_user_blk_cap_memory() { proposed_disk via=cap,place=memory; }
case_vhost_user_blk_cap_bar() { proposed_disk via=cap,place=bar; }
case_vhost_user_blk_config() { proposed_disk via=config; }
# Addresses are offsets there, and the window begins at byte 1.
case_vhost_user_blk_dmb() { proposed_disk via=dmb; }

proposed_disk() {
	local kernel=$proposals
	restricted_disk "" --transport pci --restricted-dma="$1"
}

case_vhost_user_blk_unrestricted() {
	foreign_disk ""
	expect_ram
	finish_disk
	expect_report '.devices[0].verdict == "unrestricted"'
}

# The disk grows, we are told to look, and the guest sees it. (qemu-storage-daemon would say so itself
# from version 8.1 on; ours serves a file here as a back-end like any other.)
case_vhost_user_blk_grows() {
	make_disk disk 1
	serve_backend "$(dirname "$minivmm")/minivmm-device" blk --socket-path "$work/socket" --file disk
	start_guest --memory 96M --vhost-user "blk,socket=$work/socket" --restricted-dma \
		--cmdline "quiet test=foreign-disk mib=1 how=grow"
	wait_out '^waiting'
	truncate -s 3M disk
	kill -USR1 "$vmm"
	wait_guest
	expect_status 0
	[ "$(guest_value sectors)" -eq 6144 ] || fail "the guest sees $(guest_value sectors) sectors"
}

# A back-end that dies costs its own device: the guest lives on without.
case_vhost_user_blk_killed() {
	foreign_disk "" --restricted-dma
	kill -KILL "$backend"
	wait "$backend" 2>/dev/null || true
	echo end >"$work/in"
	wait_guest
	expect_status 106
	expect_err '^minivmm: blk0: back-end failed: closed its connection: device stopped'
	expect_report '.devices[0].verdict == "failed"'
}

# One that answers no more is found out when it is asked for something, here to let go of the rings.
case_vhost_user_blk_hung() {
	foreign_disk "" --restricted-dma
	kill -STOP "$backend"
	echo unbind >"$work/in"
	wait_guest
	expect_status 106
	expect_err '^minivmm: blk0: back-end failed: missed its deadline for a reset: device stopped'
}

case_vhost_user_nobody_there() {
	boot --vhost-user "blk,socket=$work/socket"
	expect_status 111
	expect_err "^minivmm: --vhost-user: $work/socket: No such file or directory"
}

case_vhost_user_wrong_kind() {
	serve_share
	boot --vhost-user "blk,socket=$work/socket"
	expect_status 111
	expect_err "^minivmm: --vhost-user: $work/socket: the back-end has no configuration space"
}

# Any device by its virtio id. The back-end has no larger queue, and no way to say so.
case_vhost_user_generic() {
	serve_backend "$(dirname "$minivmm")/minivmm-device" rng --socket-path "$work/socket"
	run_inside rng "" --restricted-dma --transport pci --vhost-user "generic:4,socket=$work/socket,queue-size=64"
	expect_confined
}

# Frames go through a back-end and come back; and when its own peer leaves, it says so on its channel, and
# the guest's link goes down.
case_vhost_user_net() {
	local device peer
	device="$(dirname "$minivmm")/minivmm-device net --socket-path $work/socket --backend-fd 3"
	socat UNIX-LISTEN:"$work/peer" EXEC:cat &
	peer=$!
	wait_backend test -S "$work/peer"
	# socat becomes minivmm-device, with a connected socket.
	serve_backend socat UNIX-CONNECT:"$work/peer" EXEC:"$device",nofork,fdin=3,fdout=3
	start_guest --restricted-dma --vhost-user "net,socket=$work/socket" \
		--cmdline "quiet test=net-echo"
	wait_out '^waiting'
	[ "$(guest_value carrier)" = 1 ] || fail "the link is not up"
	kill "$peer"
	wait_guest
	expect_status 0
	expect_confined
}

# shared_folder ARG...: files go both ways; then the guest waits.
shared_folder() {
	serve_share
	start_guest --memory 96M --vhost-user "fs,socket=$work/socket,tag=share" \
		--cmdline "quiet test=share mib=2 how=wait-line" "$@"
	wait_out '^waiting'
	[ "$(guest_value read)" = "$(sum_of share/from-host)" ] || fail "the guest read something else"
	[ "$(guest_value written)" = "$(sum_of share/folder/moved)" ] ||
		fail "the guest wrote something else"
	[ "$(guest_value list)" = "./folder/moved ./from-host " ] || fail "files: $(guest_value list)"
}

finish_share() {
	echo go >"$work/in"
	wait_guest
	expect_status 0
}

case_vhost_user_fs_mmio() {
	shared_folder --restricted-dma
	expect_pool_only
	finish_share
}

case_vhost_user_fs_dmb() {
	local kernel=$proposals
	shared_folder --transport pci --restricted-dma=via=dmb
	expect_pool_only
	finish_share
}

case_vhost_user_fs_unrestricted() {
	shared_folder --transport pci
	expect_ram
	finish_share
}
