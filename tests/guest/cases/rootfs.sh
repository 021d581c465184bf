# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# A whole Debian behind pools: disk, network, a folder of the host, and a clean end.

rootfs=$top/build/guest/rootfs.ext4
rootfs_key=$top/build/guest/rootfs-key
# Not the same in halves of the cases that run at once.
rootfs_port=$((20000 + $$ % 10000))

# rootfs_ssh COMMAND: as root in the guest. The key exchange that emulated CPUs do fastest.
rootfs_ssh() {
	ssh -i "$rootfs_key" -p "$rootfs_port" -o BatchMode=yes -o ConnectTimeout=10 \
		-o KexAlgorithms=curve25519-sha256 -o StrictHostKeyChecking=no \
		-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR root@127.0.0.1 "$1" </dev/null
}

# Until the console has a shell. Nothing polls: here the guest needs all of an emulated CPU.
wait_login() {
	grep -qa 'automatic login' < <(exec tail -n +1 -f --pid="$vmm" "$work/out") ||
		fail "no login: $(tail -c 600 "$work/out"); stderr: $(head -c 600 "$work/err")"
}

# What a user does in it: all in one session, since each takes seconds where KVM is emulated.
rootfs_session='
	echo "state=$(systemctl is-system-running --wait) $(systemctl --failed --plain --no-legend)"
	echo "read=$(md5sum </mnt/shared/from-host)"
	echo "written=$(head -c 1M /dev/urandom | tee /mnt/shared/from-guest | md5sum)"
	systemctl poweroff'

# use_rootfs KERNEL ARG...: boots it, uses it by SSH, and sees it off.
use_rootfs() {
	local kernel=$1 i
	shift
	[ -r "$rootfs_key" ] || skip "$rootfs_key: not there, or not for this user"
	cp --sparse=always "$rootfs" root
	# See vhost_user.sh: a folder with one file of random bytes.
	serve_share
	"$minivmm" --timeout "$timeout" --report "$work/report.json" --kernel "$kernel" \
		--cmdline "root=/dev/vda rw quiet" --disk root --rng \
		--net "user,hostfwd=tcp:127.0.0.1:$rootfs_port-:22" \
		--vhost-user "fs,socket=$work/socket,tag=shared" "$@" \
		</dev/null >"$work/out" 2>"$work/err" &
	vmm=$!
	wait_login
	for ((i = 0; i < 30; i++)); do
		rootfs_ssh "$rootfs_session" >session 2>ssh || true
		[ ! -s session ] || break
		sleep 0.5
	done
	[ -s session ] || fail "no SSH: $(cat ssh)"
	wait_guest
	expect_status 0
	expect_report '[.devices[].verdict == "confined"] | all'
	grep -qx 'state=running ' session || fail "not running well: $(cat session ssh)"
	grep -qxF "read=$(md5sum <share/from-host)" session ||
		fail "the guest read something else from the shared folder"
	[ "$(stat -c %s share/from-guest)" -eq $((1 << 20)) ] &&
		grep -qxF "written=$(md5sum <share/from-guest)" session ||
		fail "the shared folder holds something else than the guest wrote"
	e2fsck -fn root >fsck 2>&1 || fail "the file system is not clean: $(cat fsck)"
	! grep -q 'journal recovery' fsck || fail "not unmounted: $(cat fsck)"
}

case_rootfs() {
	use_rootfs "$kernel" --restricted-dma
}

case_rootfs_proposals_pci() {
	use_rootfs "$proposals" --transport pci --restricted-dma=via=cap
}
