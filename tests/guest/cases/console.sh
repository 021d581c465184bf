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

# Ctrl-A h helps, Ctrl-A x quits, on a terminal only; the terminal is as before afterwards.
case_console_escapes() {
	local before after
	mkfifo keys
	# script(1) gives minivmm a terminal; what is typed comes through keys.
	script -qefc "stty >before; $minivmm --kernel $kernel --initrd $initramfs --timeout $timeout \
		--cmdline quiet; echo status=\$?; stty >after" /dev/null <>keys >out 2>&1 &
	vmm=$!
	wait_out '^/ # '
	printf '\001h' >keys
	wait_out 'Ctrl-A x'
	printf '\001x' >keys
	wait "$vmm" || fail "script(1) failed"
	expect_out '^status=0'
	before=$(cat before) after=$(cat after)
	[ "$before" = "$after" ] || fail "terminal before: $before, after: $after"
}
