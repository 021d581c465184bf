# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# What the checks print: a line for each check and one with the sums.

passed=0
failed=0

# check NAME COMMAND...: passes when the command prints nothing and succeeds; shows what it says if not.
check() {
	check_name=$1
	shift
	if findings=$("$@" 2>&1) && [ -z "$findings" ]; then
		echo "PASS $check_name"
		passed=$((passed + 1))
	else
		printf '%s\n' "${findings:-exit status not 0}" | sed 's/^/  /'
		echo "FAIL $check_name"
		failed=$((failed + 1))
	fi
}

# The last line, and the exit status of the script.
check_summary() {
	echo "$passed passed, $failed failed, 0 skipped"
	[ "$failed" -eq 0 ]
}
