# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# vsock: streams between the guest and Unix sockets of the host.

# serve PORT ADDRESS: a server at the host's port, for any number of guests' connections.
serve() {
	socat -t 60 "UNIX-LISTEN:$work/v_$1,fork,backlog=100" "$2" 2>/dev/null &
	servers+=($!)
	while [ ! -S "v_$1" ]; do sleep 0.02; done
}

end_servers() {
	kill "${servers[@]}"
	wait "${servers[@]}" 2>/dev/null || true
}

# knock PORT: standard input to the guest's port, its bytes to standard output. Fails when it is
# refused.
knock() {
	{
		echo "CONNECT $1"
		cat
	} | socat -t 60 - "UNIX-CONNECT:$work/v" 2>/dev/null | {
		read -r answer port || return 1
		[ "$answer" = OK ] && [ "$port" -gt 0 ] || return 1
		cat
	}
}

# vsock_streams MANY ARG...: data both ways, with sums of both sides; so many connections at a time,
# each way; refusals.
vsock_streams() {
	local kib=64 many=$1 i pids=()
	servers=()
	shift
	head -c "$((kib << 10))" /dev/urandom >data
	serve 1000 SYSTEM:"md5sum"
	serve 1001 OPEN:data,rdonly
	echo "no socket" >v_1003
	start_guest --cmdline "quiet test=vsock-streams kib=$kib many=$many" --memory 256M \
		--vsock "cid=3,path=v" "$@"
	wait_out '^ready'
	[ "$(guest_value answer)" = "$(guest_value data)" ] || fail "the host received something else"
	[ "$(guest_value received)" = "$(sum_of data)" ] || fail "the guest received something else"
	[ "$(guest_value alike)" = " $many $(sum_of data)" ] || fail "many: $(guest_value alike)"

	[ "$(knock 51 </dev/null | md5sum)" = "$(guest_value data)  -" ] || fail "of port 51 came something else"
	[ "$(knock 52 <data)" = "$(sum_of data)  -" ] || fail "port 52 received something else"
	for ((i = 0; i < many; i++)); do
		knock 52 <data >"answer$i" &
		pids+=($!)
	done
	wait "${pids[@]}" || fail "not all clients were let in"
	[ "$(sort -u answer*)" = "$(sum_of data)  -" ] || fail "of many, not all got through"
	knock 99 </dev/null >refused && fail "port 99 accepted" || true
	[ ! -s refused ] || fail "port 99 says $(cat refused)"

	echo go >"$work/in"
	wait_guest
	expect_status 0
	end_servers
	[ ! -e v ] || fail "the socket is left behind"
	expect_report '.devices[0].counters.malformed_chains == 0'
}

case_vsock() {
	vsock_streams 64 --restricted-dma
	expect_confined
}
case_vsock_pci() {
	vsock_streams 4 --restricted-dma --transport pci --cpus 2
	expect_confined
}
case_vsock_unrestricted() { vsock_streams 4; }
case_vsock_pci_unrestricted() { vsock_streams 4 --transport pci; }

# KiB that a process has for itself.
private_kib() {
	awk '/^Private_/ { sum += $2 } END { print sum }' "/proc/$1/smaps_rollup"
}

# A reader that is slow, clients that go, a flood of requests, a driver that comes and goes.
case_vsock_load() {
	local device
	servers=()
	serve 1000 SYSTEM:"until [ -s go ]; do sleep 0.1; done; md5sum >slow"
	serve 1001 SYSTEM:"echo hello"
	serve 1002 OPEN:/dev/zero
	start_guest --cmdline "quiet test=vsock-load" --vsock "cid=3,path=v" --restricted-dma
	wait_out '^sending'
	device=$(device_pids)
	sleep 1
	[ "$(private_kib "$device")" -le 700 ] || fail "$(private_kib "$device") KiB private"

	# Clients that read a little and go, and one that takes nothing.
	[ "$(knock 53 </dev/null | head -c 100000 | wc -c)" -eq 100000 ] || fail "port 53"
	knock 53 </dev/null | (sleep 2) &
	[ "$(knock 53 </dev/null | head -c 100000 | wc -c)" -eq 100000 ] || fail "port 53 again"
	echo go >go
	echo go >"$work/in"
	wait_out '^sent'
	while [ ! -s slow ]; do sleep 0.1; done
	[ "$(cut -d' ' -f1 slow)" = "$(guest_value data)" ] || fail "the slow reader got something else"

	wait_out '^after_rebind'
	[ "$(guest_value after_flood)" = hello ] || fail "after the flood: '$(guest_value after_flood)'"
	[ "$(guest_value after_rebind)" = hello ] || fail "after rebinding: '$(guest_value after_rebind)'"
	[ "$(find "/proc/$vmm/fd" -type l | wc -l)" -lt 60 ] || fail "minivmm has many descriptors"
	echo go >"$work/in"
	wait_guest
	expect_status 0
	end_servers
	expect_confined
	expect_report '.devices[0].resets >= 3'
}

# Paths where there is something else.
case_vsock_path() {
	echo "a file" >v
	boot --cmdline quiet --vsock cid=3,path=v
	expect_status 111
	expect_err '--vsock: v: exists, and is not a socket'
	rm v
	socat UNIX-LISTEN:v,fork SYSTEM:true &
	servers=($!)
	while [ ! -S v ]; do sleep 0.02; done
	boot --cmdline quiet --vsock cid=3,path=v
	expect_status 111
	expect_err '--vsock: v: somebody listens there already'
	end_servers
}
