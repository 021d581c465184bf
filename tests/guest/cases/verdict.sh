# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Guests that know nothing of a mechanism, for every mechanism and policy: what becomes of them. Each
# table is printed. "require" refuses what makes no promise; "hope" lets it go on until the first
# address outside. ACCESS_PLATFORM is a promise that every Linux makes, so that with a device tree only
# the addresses tell.

# verdict KERNEL TRANSPORT VIA POLICY EXPECTED: one cell.
verdict() {
	local kernel_name=$1 transport=$2 via=$3 policy=$4 expected=$5 initrd=$initramfs image found
	image=$top/build/guest/$kernel_name-bzImage
	[ "$kernel_name" != minivmm ] || image=$kernel
	if [ -e "$top/build/guest/$kernel_name-modules.cpio" ]; then
		cat "$initramfs" "$top/build/guest/$kernel_name-modules.cpio" >initrd
		initrd=initrd
	fi
	# A disk that does not answer would keep the kernel from booting.
	boot --kernel "$image" --initrd "$initrd" --cmdline "quiet test=true" --transport "$transport" \
		--restricted-dma="via=$via,policy=$policy" --rng
	found=$(jq -r '.devices[0].verdict' report.json)
	printf '  %-12s %-5s %-17s %-8s %s\n' "$kernel_name" "$transport" "$via" "$policy" "$found"
	[ "$found" = "$expected" ] || fail "$kernel_name, $transport, $via, $policy: $found, not $expected"
	case $expected in
	refused) expect_err '^minivmm: rng0: FEATURES_OK refused: the driver did not accept VIRTIO_F_' ;;
	violation) expect_err '^minivmm: rng0: queue 0: descriptor table at 0x[0-9a-f]+, [0-9]+ bytes: outside' ;;
	esac
	case $expected in
	confined) expect_status 0 ;;
	*) expect_status 105 ;;
	esac
}

# The pools of the device tree are what this kernel knows; of the proposals it has not heard.
case_verdict_unpatched() {
	local via
	echo "  kernel       on    via               policy   verdict"
	verdict minivmm mmio dt require confined
	verdict minivmm mmio dt hope confined
	verdict minivmm pci dt require confined
	verdict minivmm pci dt hope confined
	for via in cap cap,place=bar config dmb; do
		verdict minivmm pci "$via" require refused
		verdict minivmm pci "$via" hope violation
	done
}

# No device tree: these kernels accept ACCESS_PLATFORM and use any memory.
verdict_stock() {
	local via
	echo "  kernel       on    via               policy   verdict"
	for via in cap dmb; do
		verdict "$1" pci "$via" require refused
		verdict "$1" pci "$via" hope violation
	done
}

case_verdict_stock_6_12() { verdict_stock debian-6.12; }
case_verdict_stock_6_1() { verdict_stock debian-6.1; }
