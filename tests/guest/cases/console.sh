# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# What a user at the console sees.

# The kernel's log, printed while it boots, appears once.
case_console_log_once() {
	boot --cmdline "test=true"
	expect_status 0
	[ "$(grep -ac '\] Linux version' "$work/out")" -eq 1 ] ||
		fail "the log was printed $(grep -ac '\] Linux version' "$work/out") times"
}

# on_terminal COMMANDS: starts them in the background with a terminal, which script(1) makes; MINIVMM
# stands for minivmm with the test kernel. What is written to keys is typed. $vmm is script's process.
on_terminal() {
	local start="$minivmm --kernel $kernel --initrd $initramfs --timeout $timeout --report report.json"
	mkfifo keys
	script -qefc "${1//MINIVMM/$start}" /dev/null <>keys >out 2>&1 &
	vmm=$!
}

# Ctrl-A h helps, Ctrl-A x quits, on a terminal only; the terminal is as before afterwards.
case_console_escapes() {
	local before after
	on_terminal "stty >before; MINIVMM --cmdline quiet; echo status=\$?; stty >after"
	wait_out '^/ # '
	printf '\001h' >keys
	wait_out 'Ctrl-A x'
	printf '\001x' >keys
	wait "$vmm" || fail "script(1) failed"
	expect_out '^status=0'
	before=$(cat before) after=$(cat after)
	[ "$before" = "$after" ] || fail "terminal before: $before, after: $after"
}

# The guest sees the terminal's size at the start and each new one.
terminal_size() {
	on_terminal "tty >terminal; stty columns 132 rows 43; MINIVMM --console virtio $* \
		--cmdline 'quiet test=console-size last=30x100'; echo status=\$?"
	wait_out '^size=43 132'
	stty -F "$(cat terminal)" columns 90 rows 20
	wait_out '^size=20 90'
	stty -F "$(cat terminal)" columns 100 rows 30
	wait "$vmm" || fail "script(1) failed"
	expect_out '^size=30 100'
	expect_out '^status=0'
}

case_console_size() { terminal_size --transport pci; }

# With ports there are control messages for it.
case_console_size_with_ports() {
	terminal_size --restricted-dma --port log=file:log
	expect_confined
}

# The console in a file: nothing of it on stdout, nothing of stdin in the guest.
console_in_file() {
	echo "what is there before" >console
	boot --console "$@" --cmdline "test=true"
	expect_status 0
	[ ! -s out ] || fail "stdout: $(head -c 600 out)"
	[ "$(grep -ac 'as init process' console)" -eq 1 ] || fail "the file: $(head -c 600 console)"
	! grep -qa 'what is there before' console || fail "the file was not emptied"
}

case_console_in_file() { console_in_file file:console; }

case_virtio_console_in_file() { console_in_file virtio,file:console --restricted-dma; }

# Ports to a file, two FIFOs and a socket, and back.
ports_both_ways() {
	local kib=256
	mkfifo pipe.in pipe.out
	head -c "$((kib << 10))" /dev/urandom >data
	start_guest --cmdline "quiet test=console-ports kib=$kib" --port log=file:log \
		--port pipe=pipe:pipe --port agent=socket:agent "$@"
	timeout "$timeout" cat data 1<>pipe.in
	timeout "$timeout" head -c "$((kib << 10))" 0<>pipe.out >pipe_sent
	wait_out '^ready'
	# The guest writes to the first peer, and hears the second.
	socat -u "UNIX-CONNECT:agent,readbytes=$((kib << 10))" CREATE:agent_sent
	socat -u OPEN:data UNIX-CONNECT:agent
	wait_guest
	expect_status 0
	[ "$(guest_value log_sent)" = "$(sum_of log)" ] || fail "the file: not what the guest wrote"
	[ "$(guest_value pipe_sent)" = "$(sum_of pipe_sent)" ] || fail "pipe: not what the guest wrote"
	[ "$(guest_value agent_sent)" = "$(sum_of agent_sent)" ] || fail "socket: not what the guest wrote"
	[ "$(guest_value pipe_received)" = "$(sum_of data)" ] || fail "pipe: the guest read something else"
	[ "$(guest_value agent_received)" = "$(sum_of data)" ] || fail "socket: the guest read something else"
	[ "$(guest_value nobody)" = 0 ] || fail "the guest read from nobody"
	[ ! -e agent ] || fail "the socket was left behind"
}

case_console_ports() {
	ports_both_ways --restricted-dma --console virtio
	expect_confined
}

case_console_ports_pci() { ports_both_ways --transport pci --cpus 2; }

# A peer that takes nothing, one that takes something and goes, one that floods: the console is not
# held up by any of them.
case_console_peers() {
	local peer
	start_guest --cmdline "quiet test=console-peers word=busy" --restricted-dma --console virtio \
		--port agent=socket:agent --port flood=socket:flood
	wait_out '^writing'
	socat -u UNIX-CONNECT:agent SYSTEM:'sleep 30' &
	peer=$!
	socat -u OPEN:/dev/zero UNIX-CONNECT:flood 2>/dev/null &
	sleep 1
	kill "$peer"
	socat -u UNIX-CONNECT:agent,readbytes=1000000 CREATE:heard
	[ "$(tr -d 'busy\n' <heard | wc -c)" -eq 0 ] || fail "the second peer heard something else"
	echo typed >in
	wait_guest
	expect_status 0
	expect_out '^read=typed'
	[ "$(guest_value flood)" = 0 ] || fail "the guest read something else"
	expect_confined
}

# A driver that goes while a port is written to, and comes again, finds the peer where it was.
case_console_rebind() {
	start_guest --cmdline "quiet test=console-rebind" --restricted-dma --transport pci \
		--port log=file:log --port agent=socket:agent
	until [ -S agent ]; do
		kill -0 "$vmm" || fail "minivmm: $(cat err)"
		sleep 0.1
	done
	socat UNIX-CONNECT:agent EXEC:cat &
	wait_guest
	expect_status 0
	for question in before after1 after2 after3; do
		[ "$(guest_value $question)" = $question ] || fail "no answer $question"
	done
	[ "$(sort -u log)" = y ] || fail "the file has something else"
	expect_confined
}
