# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Networks and vsock by the mechanisms that are not standards; the device tree's pools are in net.sh
# and vsock.sh, the other devices in mechanism.sh and vhost_user.sh.

# by_mechanism VIA TEST ARG...: TEST of another file, on the kernel that knows the proposals.
by_mechanism() {
	local via=$1
	shift
	kernel=$proposals
	"$@" --transport pci "--restricted-dma=via=$via"
	expect_confined
}

case_net_tap_cap() { by_mechanism cap net_tap; }
case_net_tap_cap_bar() { by_mechanism cap,place=bar net_tap; }
case_net_tap_config() { by_mechanism config net_tap; }
case_net_tap_dmb() { by_mechanism dmb net_tap; }

case_vsock_cap() { by_mechanism cap vsock_streams 4; }
case_vsock_cap_bar() { by_mechanism cap,place=bar vsock_streams 4; }
case_vsock_config() { by_mechanism config vsock_streams 4; }
case_vsock_dmb() { by_mechanism dmb vsock_streams 4; }
