# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# What becomes of minivmm in the long run, here in the short run: tests/long-run sets LONG_RUN_BOOTS,
# LONG_RUN_RESETS and LONG_RUN_KILLS to what makes a day. Each case prints a line of figures for its table.

# usage_of PID...: memory in KiB without the guest's (shared, or kept from children), and descriptors, of
# all of them.
usage_of() {
	local pid kib=0 fds=0
	for pid; do
		kib=$((kib + $(awk '
			/^[0-9a-f]+-/ { shared = $2 ~ /s$/ }
			/^Rss:/ { rss = $2 }
			/^VmFlags:/ && !shared && !/ dc( |$)/ { sum += rss }
			END { print sum + 0 }' "/proc/$pid/smaps")))
		fds=$((fds + $(find "/proc/$pid/fd" -type l | wc -l)))
	done
	echo "$kib $fds"
}

# growth BEFORE AFTER: of usage_of; leaves $rss_kib and $fds, which must not be more than a MiB and 0.
growth() {
	local before after
	read -r -a before <<<"$1"
	read -r -a after <<<"$2"
	rss_kib=$((after[0] - before[0]))
	fds=$((after[1] - before[1]))
	[ "$rss_kib" -le 1024 ] || fail "memory has grown by $rss_kib KiB"
	[ "$fds" -eq 0 ] || fail "descriptors have grown by $fds"
}

# What a run could leave behind, one line each.
leavings() {
	find "${TMPDIR:-/tmp}" /dev/shm -mindepth 1 ! -path "$work*" 2>/dev/null | sort
	find /sys/class/net -mindepth 1
	awk '{ print $2 }' /proc/mounts
	find /proc/[0-9]*/ns/net -printf '%l\n' 2>/dev/null | sort -u
	awk 'NR > 1 && NF > 7 { print $8 }' /proc/net/unix | sort
	cat /proc/[0-9]*/comm 2>/dev/null | grep -c '^minivmm' || true
}

# Starts and ends. What is left in memory files shows as shared memory.
case_long_run_boots() {
	local boots=${LONG_RUN_BOOTS:-3} begin=$SECONDS i before shared
	make_disk disk 1
	for ((i = 0; i <= boots; i++)); do
		boot --kernel "$top/build/guest/virtio-blk.elf" --restricted-dma --disk disk --rng \
			--port log=file:log --vsock cid=3,path=v \
			--cmdline "ring=1fe00000 buffer=1fe10000 accept=1 expect=3"
		expect_status 0
		# The first one is for what is made once.
		if [ "$i" -eq 0 ]; then
			before=$(leavings)
			shared=$(awk '/^Shmem:/ { print $2 }' /proc/meminfo)
		fi
	done
	[ "$(leavings)" = "$before" ] || fail "left behind: $(diff <(echo "$before") <(leavings))"
	rss_kib=$(($(awk '/^Shmem:/ { print $2 }' /proc/meminfo) - shared))
	[ "$rss_kib" -le 1024 ] || fail "$rss_kib KiB of shared memory are left"
	echo "figures: kind=vm-boots boots=$boots seconds=$((SECONDS - begin)) rss_kib=$rss_kib fds=0"
}

# Drivers come and go, on both transports.
case_long_run_resets() {
	local resets=${LONG_RUN_RESETS:-10} begin=$SECONDS before after
	make_disk disk 1
	make_disk other 1
	start_guest --cmdline "quiet test=long-run-resets resets=$resets" --memory 96M --restricted-dma \
		--disk disk --disk other,transport=pci
	wait_out '^begins'
	mapfile -t pids < <(echo "$vmm"; device_pids)
	before=$(usage_of "${pids[@]}")
	echo go >"$work/in"
	wait_out '^ends'
	after=$(usage_of "${pids[@]}")
	growth "$before" "$after"
	echo go >"$work/in"
	wait_guest
	expect_status 0
	expect_confined
	expect_report "[.devices[].resets >= $resets] | all"
	echo "figures: kind=vm-resets resets=$((2 * resets)) boots=1 seconds=$((SECONDS - begin))" \
		"rss_kib=$rss_kib fds=$fds"
}

# restarts: how often minivmm has said so.
restarts() {
	grep -c 'blk0: device process .*: restarted in' "$work/err" || true
}

# The process of a disk is killed while the guest writes and reads: the guest does not notice. Not more
# often than every two seconds, or minivmm would give it up.
case_long_run_kills() {
	local kills=${LONG_RUN_KILLS:-3} begin=$SECONDS i wait before='' device
	make_disk disk 1
	start_guest --cmdline "quiet test=long-run-kills" --memory 96M --restricted-dma --disk disk
	wait_out '^begins'
	for ((i = 1; i <= kills; i++)); do
		sleep "2.$((RANDOM % 10))"
		device=$(device_pids)
		# The new process must be at work, and its memory touched.
		[ -n "$before" ] || before=$(usage_of "$vmm" "$device")
		kill -KILL "$device"
		for ((wait = 0; wait < 100; wait++)); do
			[ "$(restarts)" -lt "$i" ] || break
			sleep 0.05
		done
		[ "$(restarts)" -eq "$i" ] || fail "after kill $i: $(restarts) restarts: $(tail -n 2 err)"
	done
	sleep 2
	growth "$before" "$(usage_of "$vmm" "$(device_pids)")"
	echo stop >"$work/in"
	wait_guest
	expect_status 0
	expect_confined
	expect_report ".devices[0].restarts == $kills"
	[ "$(guest_value rounds)" -gt "$kills" ] || fail "the guest was at rest"
	echo "figures: kind=vm-kills requests=$(jq .devices[0].counters.requests report.json) kills=$kills" \
		"boots=1 seconds=$((SECONDS - begin)) rss_kib=$rss_kib fds=$fds" \
		"restart_ms=$(sed -nE 's/.*restarted in ([0-9]+) ms.*/\1/p' err | sort -n | tail -n 1)"
}
