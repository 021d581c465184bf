# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Device processes that are hostile. HOSTILE_SCALE=N makes N times as many of what is repeated.

scale=${HOSTILE_SCALE:-1}

# What the program in the place of minivmm-device can do from inside the sandbox, with and without its
# layers; see tests/attack/.
case_hostile_attacks() {
	[ "$(id -u)" -eq 0 ] || skip "only root can take the user namespace away"
	"$(dirname "$minivmm")/attack" >out 2>err || fail "$(grep -v ^PASS out | head -n 5)"
}
