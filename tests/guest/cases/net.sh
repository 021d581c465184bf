# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# virtio-net: over a tap interface in a network namespace of the case's own, and through passt.

# make_net: a network namespace that ends with the case. minivmm is started there from now on.
make_net() {
	local user=()
	[ "$(id -u)" -eq 0 ] || user=(-U -r)
	unshare "${user[@]}" -n sleep 600 &
	net_processes=($!)
	trap end_net EXIT
	enter=(nsenter -t $! -n)
	[ "$(id -u)" -eq 0 ] || enter+=(-U --preserve-credentials)
	wait_namespace $! self
	printf '#!/bin/sh\nexec %s %s "$@"\n' "${enter[*]}" "$minivmm" >vmm-in-net
	chmod +x vmm-in-net
	minivmm=$work/vmm-in-net
	# Nobody looks for routers: what the case sends is all there is.
	set_net ipv6/conf/default/disable_ipv6 1
	in_net ip link set lo up
}

# wait_namespace PID OTHER: until it has left the namespace of the other process.
wait_namespace() {
	while [ "$(readlink "/proc/$1/ns/net")" = "$(readlink "/proc/$2/ns/net")" ]; do
		sleep 0.02
	done
}

end_net() {
	kill "${net_processes[@]}" 2>/dev/null || true
}

in_net() {
	"${enter[@]}" "$@"
}

# set_net NAME VALUE: below /proc/sys/net, of the namespace.
set_net() {
	# shellcheck disable=SC2016 # the inner shell expands it
	in_net sh -c 'echo "$2" >"/proc/sys/net/$1"' set_net "$1" "$2"
}

# net_serve COMMAND...: in the namespace and in the background; ends with the case at the latest.
net_serve() {
	"${enter[@]}" "$@" >>served 2>&1 &
	net_processes+=($!)
}

# wait_port PORT: until somebody listens there.
wait_port() {
	local i hex
	hex=$(printf '%04X' "$1")
	for ((i = 0; i < 100; i++)); do
		grep -qE ":$hex [0-9A-F]+:0000 0A" "/proc/${net_processes[0]}/net/tcp" && return
		sleep 0.1
	done
	fail "nobody listens at port $1: $(cat served)"
}

# Peers for both files of inside/net-traffic, at ADDRESS.
serve_files() {
	head -c 2097152 /dev/urandom >down
	net_serve socat -u "TCP-LISTEN:9001,bind=$1" CREATE:up
	net_serve socat -u FILE:down "TCP-LISTEN:9002,bind=$1"
	wait_port 9001
	wait_port 9002
}

expect_files() {
	[ "$(guest_value up)" = "$(sum_of up)" ] || fail "the host received something else"
	[ "$(guest_value down)" = "$(sum_of down)" ] || fail "the guest received something else"
}

# A tap interface for guests at 10.7.0.2, the host is 10.7.0.1.
make_tap() {
	make_net
	in_net ip tuntap add dev tap0 mode tap multi_queue
	in_net ip address add 10.7.0.1/24 dev tap0
	in_net ip link set tap0 up
}

# What such a guest has on its command line.
tap_words="address=10.7.0.2/24 peer=10.7.0.1"

# tap_count rx|tx packets|dropped: as the host counts: it receives what the guest sends.
tap_count() {
	in_net ip -json -statistics link show tap0 | jq ".[0].stats64.$1.$2"
}

# The tools of the network inside, too.
with_net_tools() {
	cat "$initramfs" "$top/build/guest/net-tools.cpio" >initrd
	initramfs=$work/initrd
}

# net_tap ARG...: data both ways, with sums of both sides.
net_tap() {
	make_tap
	serve_files 10.7.0.1
	run_inside net-traffic "$tap_words" --net tap=tap0,mac=52:54:00:00:07:02 "$@"
	expect_files
	[ "$(guest_value mac)" = 52:54:00:00:07:02 ] || fail "mac: $(guest_value mac)"
	[ "$(guest_value tso)" = yes ] || fail "the guest sends no large segments"
}

case_net_tap() {
	net_tap
}

case_net_tap_restricted() {
	net_tap --restricted-dma
	expect_confined
}

case_net_tap_pci() {
	net_tap --transport pci
}

case_net_tap_pci_restricted() {
	net_tap --transport pci --restricted-dma
	expect_confined
}

# 100000 small packets each way, as fast as both can. None is lost between the interface and the
# guest: what the interface's queue had no room for, it has counted.
case_net_small_packets() {
	local sent received flood
	make_tap
	with_net_tools
	net_serve iperf3 --server --bind 10.7.0.1
	wait_port 5201
	start_guest --cmdline "quiet test=net-small $tap_words" --restricted-dma \
		--net tap=tap0
	wait_out '^ready'
	in_net iperf3 --client 10.7.0.2 --udp --bitrate 0 --length 64 --blockcount 100000 >sent 2>&1 ||
		fail "iperf3: $(tail -n 5 sent)"
	echo go >"$work/in"
	wait_guest
	expect_status 0
	expect_confined
	flood=$(($(tap_count tx packets) + $(tap_count tx dropped)))
	[ "$flood" -ge 100000 ] || fail "the host sent $flood packets"
	[ "$(guest_value tx_packets)" -ge 100000 ] || fail "the guest sent $(guest_value tx_packets) packets"
	# The last ones may have come after the guest had counted.
	received=$(($(tap_count rx packets) - $(guest_value tx_packets)))
	sent=$(($(tap_count tx packets) - $(guest_value rx_packets)))
	[ "$received" -ge 0 ] && [ "$received" -le 10 ] || fail "$received packets came from nowhere"
	[ "$sent" -ge 0 ] && [ "$sent" -le 10 ] || fail "$sent packets did not get to the guest"
	expect_report '.devices[0].counters.request_errors == 0'
}

# Both vCPUs have a pair of queues of their own.
case_net_queues() {
	local queue
	make_tap
	with_net_tools
	net_serve iperf3 --server --bind 10.7.0.1
	wait_port 5201
	run_inside net-iperf "$tap_words" --transport pci --restricted-dma --cpus 2 \
		--net tap=tap0,queues=2
	expect_confined
	[ "$(guest_value queues)" = "./rx-0 ./rx-1 ./tx-0 ./tx-1" ] || fail "queues: $(guest_value queues)"
	for queue in input.0 input.1 output.0 output.1; do
		[ "$(guest_value "$queue")" -gt 0 ] || fail "queue $queue was not used"
	done
}

# The driver goes and comes back, and so does the link, with traffic in both directions.
case_net_rebind() {
	make_tap
	with_net_tools
	net_serve iperf3 --server --bind 10.7.0.1
	wait_port 5201
	run_inside net-rebind "$tap_words" --restricted-dma --net tap=tap0 --cpus 2
	expect_confined
	expect_report '.devices[0].counters.broken_queues == 0'
}

# cpu_ticks PID: processor time, in ticks of 10 ms.
cpu_ticks() {
	sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}

# A guest that does not run takes no frames: the ring is empty, the host's queue full, and the device
# rests. Afterwards all goes on.
case_net_flood() {
	local device before
	make_tap
	start_guest --cmdline "quiet test=net-stalled $tap_words" --restricted-dma --net tap=tap0
	wait_out '^ready'
	device=$(device_pids)
	kill -STOP "$vmm"
	in_net bash -c 'for ((i = 0; i < 3000; i++)); do echo flood >/dev/udp/10.7.0.2/9; done'
	[ "$(tap_count tx dropped)" -gt 1000 ] || fail "the queue of the interface was not full"
	before=$(cpu_ticks "$device")
	sleep 0.5
	[ $(($(cpu_ticks "$device") - before)) -le 10 ] || fail "the device is busy with nothing"
	kill -CONT "$vmm"
	echo go >"$work/in"
	wait_guest
	expect_status 0
	expect_confined
}

# make_uplink: the namespace gets a way out, to another one that is its gateway.
make_uplink() {
	make_net
	"${enter[@]}" unshare -n sleep 600 &
	net_processes+=($!)
	gateway=(nsenter -t $! -n)
	[ "$(id -u)" -eq 0 ] || gateway+=(-U --preserve-credentials)
	wait_namespace $! self
	wait_namespace $! "${net_processes[0]}"
	in_net ip link add up0 type veth peer name up1 netns $!
	in_net ip address add 10.9.0.2/24 dev up0
	in_net ip link set up0 up
	"${gateway[@]}" ip address add 10.9.0.1/24 dev up1
	"${gateway[@]}" ip link set up1 up
	in_net ip route add default via 10.9.0.1
	# passt sends pings without privileges.
	set_net ipv4/ping_group_range "0 $(if [ "$(id -u)" -eq 0 ]; then echo 2147483647; else echo 0; fi)"
}

# The passt that $vmm has started.
passt_pid() {
	local pid
	for pid in $(device_pids); do
		if [[ $(cat "/proc/$pid/comm") == passt* ]]; then
			echo "$pid"
		fi
	done
}

# net_user ARG...: an address by DHCP, pings of the gateway, which stands for the host's loopback, and
# data both ways; then passt dies.
net_user() {
	make_uplink
	serve_files 127.0.0.1
	start_guest --cmdline "quiet test=net-user peer=10.9.0.1" --net user "$@"
	wait_out '^ready'
	expect_files
	[ "$(guest_value address)" = 10.9.0.2/24 ] || fail "address: $(guest_value address)"
	[ "$(guest_value carrier)" = 1 ] || fail "no link"
	kill "$(passt_pid)"
	wait_out '^unplugged'
	echo go >"$work/in"
	wait_guest
	expect_status 0
}

case_net_user() {
	net_user --transport pci
}

case_net_user_restricted() {
	net_user --restricted-dma
	expect_confined
}

# A passt that somebody else has started.
case_net_socket() {
	make_uplink
	serve_files 127.0.0.1
	net_serve passt --foreground --quiet --runas 0 --socket "$work/passt"
	while [ ! -S passt ]; do sleep 0.02; done
	run_inside net-traffic peer=10.9.0.1 --restricted-dma --net "socket=$work/passt"
	expect_files
	expect_confined
}
