# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# What the guest tests are written with. A case is a function `case_NAME` in cases/*.sh; it runs in a
# subshell with `set -e` in an empty directory of its own, $work, and fails by `fail WHY`.

# shellcheck disable=SC2034 # used by the cases
kernel=$top/build/guest/bzImage
vmlinux=$top/build/guest/vmlinux
# The kernel with our patches for the proposals.
proposals=$top/build/guest/proposals-bzImage
initramfs=$top/build/guest/initramfs.cpio
minivmm=${MINIVMM:-$top/build/minivmm}
# The longest any guest may take; a hang is a failure, not an endless wait.
timeout=${GUEST_TIMEOUT:-180}

fail() {
	printf '%s\n' "$*" >"$work/why"
	exit 1
}

# The case cannot be told here, and why.
skip_status=77
skip() {
	printf '%s\n' "$*" >"$work/why"
	exit "$skip_status"
}

# boot ARG...: runs minivmm with the test kernel and initramfs unless ARG names another kernel. Leaves
# $status, $work/out (the serial console), $work/err and $work/report.json.
boot() {
	local args=("$@")
	case " $* " in
	*" --kernel "*) ;;
	*) args=(--kernel "$kernel" --initrd "$initramfs" "$@") ;;
	esac
	status=0
	"$minivmm" --timeout "$timeout" --report "$work/report.json" "${args[@]}" \
		<"${input:-/dev/null}" >"$work/out" 2>"$work/err" || status=$?
}

# run_inside TEST WORDS ARG...: boots with test=TEST and further WORDS on the command line, and
# expects it to pass.
run_inside() {
	local test=$1 words=$2
	shift 2
	boot --cmdline "quiet test=$test $words" "$@"
	expect_status 0
}

expect_status() {
	[ "$status" -eq "$1" ] ||
		fail "exit status $status, expected $1; stderr: $(head -c 600 "$work/err"); console: $(tail -c 600 "$work/out")"
}

# Lines that match, in the guest's console output or on minivmm's stderr.
expect_out() {
	grep -qaE -- "$1" "$work/out" || fail "console: no line matches '$1': $(tail -c 600 "$work/out")"
}

expect_err() {
	grep -qaE -- "$1" "$work/err" || fail "stderr: no line matches '$1': $(head -c 600 "$work/err")"
}

# What the guest printed as "NAME=VALUE".
guest_value() {
	tr -d '\r' <"$work/out" | sed -n "s/^$1=//p" | head -n 1
}

# A jq expression over the report, as it is now, that must be true. The case asks at its end, all at once:
# where KVM is emulated, jq takes a third of a second to start.
expect_report() {
	cat "$work/report.json" >>"$work/reports" || fail "no report that says: $1"
	printf '%s\n' "${1//$'\n'/ }" >>"$work/claims"
}

# Whether all that was expected of reports is so.
ask_reports() {
	local claims program='' i wrong
	[ -e "$work/claims" ] || return 0
	mapfile -t claims <"$work/claims"
	for i in "${!claims[@]}"; do
		program+="${program:+, }try ([.[$i] | ${claims[i]}] == [true]) catch false"
	done
	wrong=$(jq -s "if length == ${#claims[@]} then [$program] | index(false) // empty
		else error(\"of ${#claims[@]} reports there are \\(length)\") end" \
		"$work/reports" 2>&1) || fail "reports: $wrong"
	[ -z "$wrong" ] || fail "report: not true: ${claims[wrong]}: $(jq -sc ".[$wrong]" "$work/reports" | head -c 800)"
}

# Every address that the devices saw lay in a window of theirs, and there were some of each purpose.
expect_confined() {
	expect_report '.devices != [] and ([.devices[] | .verdict == "confined"
		and ([.counters.addresses[].outside] | add == 0)
		and (.counters.addresses | .ring.inside > 0 and .buffer.inside > 0)] | all)'
}

# start_guest ARG...: boots in the background; $vmm is its process id. Input through $work/in.
start_guest() {
	mkfifo "$work/in"
	"$minivmm" --timeout "$timeout" --report "$work/report.json" \
		--kernel "$kernel" --initrd "$initramfs" "$@" \
		<>"$work/in" >"$work/out" 2>"$work/err" &
	vmm=$!
}

# ended PID: whether our child has ended; kill -0 finds it until it is waited for.
ended() {
	local state
	state=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) || return 0
	[ "${state%% *}" = Z ]
}

# wait_out REGEX: until the console shows a line like it.
wait_out() {
	local i
	for ((i = 0; i < timeout * 10; i++)); do
		grep -qaE -- "$1" "$work/out" 2>/dev/null && return
		! ended "$vmm" || break
		sleep 0.1
	done
	fail "console: waited in vain for '$1': $(tail -c 600 "$work/out"); stderr: $(head -c 600 "$work/err")"
}

# Waits for the guest in the background; leaves $status.
wait_guest() {
	status=0
	wait "$vmm" || status=$?
}

# The device processes of $vmm, by their process ids.
device_pids() {
	local pid
	# shellcheck disable=SC2013 # one line of words
	for pid in $(cat "/proc/$vmm/task/$vmm/children"); do
		echo "$pid"
	done
}

# make_disk FILE MIB: a file of random bytes.
make_disk() {
	head -c "$(($2 << 20))" /dev/urandom >"$1"
}

sum_of() {
	md5sum "$1" | cut -d' ' -f1
}
