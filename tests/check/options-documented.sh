#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The options in `minivmm --help` and those in the manual page are the same, short names included;
# so are the exit statuses there and in vmm/exit_status.h.
#
# usage: options-documented.sh [MINIVMM]      (from the top of the source tree)
set -eu

minivmm=${1:-build/minivmm}
page=docs/minivmm.1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# "-k --kernel", or "--rng"
"$minivmm" --help |
	sed -nE 's/^  (-[a-z])?,? +(--[a-z-]+).*/\1 \2/p' | sed 's/^ //' | sort >"$work/help"
sed -nE '/^\.Sh OPTIONS/,/^\.Sh CONSOLE/s/^\.It (.*)/\1/p' "$page" | grep '^Fl ' |
	sed -E 's/^Fl ([a-z])( .*)? , Fl Fl ([a-z-]+).*/-\1 --\3/; s/^Fl Fl ([a-z-]+).*/--\1/' |
	sort >"$work/page"

sed -nE 's/^\tEXIT_STATUS_[A-Z_]+ = *([0-9]+),?.*/\1/p; s/^\t\t([0-9]+),.*/\1/p' \
	vmm/exit_status.h | sort >"$work/statuses"
sed -nE '/^\.Sh EXIT STATUS/,/^\.Sh EXAMPLES/s/^\.It (1 to )?([0-9]+)( \+ N)?$/\2/p' "$page" |
	sort >"$work/documented"

[ -s "$work/help" ] && [ -s "$work/statuses" ]
status=0
diff -u "$work/help" "$work/page" >&2 || {
	echo "options-documented: $minivmm --help and $page differ" >&2
	status=1
}
diff -u "$work/statuses" "$work/documented" >&2 || {
	echo "options-documented: vmm/exit_status.h and $page differ" >&2
	status=1
}
exit $status
