# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Every way to tell a guest of its pool, with every way to share it: two disks, the entropy source and
# the console at work with the guest's memory full, drivers that come and go. One vCPU and a power-off
# at the end, or four and a reboot.

# mechanism CPUS TRANSPORT LIST: LIST as for --restricted-dma.
mechanism() {
	local cpus=$1 transport=$2 list=$3 how=poweroff ends=0 kernel=$kernel read_sum
	[ "$cpus" -eq 1 ] || how=reboot ends=100
	case $list in
	via=dt*) ;;
	*) kernel=$proposals ;;
	esac
	make_disk disk 2
	make_disk scratch 2
	read_sum=$(sum_of disk)
	boot --kernel "$kernel" --initrd "$initramfs" --cmdline "quiet test=mechanism how=$how" \
		--cpus "$cpus" --memory 96M --transport "$transport" --restricted-dma="$list" \
		--disk disk --disk scratch --rng --console virtio
	expect_status "$ends"
	[ "$(guest_value filled)" = yes ] || fail "the guest's memory was not full"
	[ "$(guest_value read)" = "$read_sum" ] || fail "the guest read something else"
	[ "$(guest_value rebound)" = "$read_sum" ] || fail "after rebinding the guest read something else"
	[ "$(sum_of disk)" = "$read_sum" ] || fail "a disk that was only read has changed"
	[ "$(guest_value written)" = "$(sum_of scratch)" ] || fail "the guest wrote something else"
	expect_confined
	expect_report "[.devices[] | .transport == \"$transport\"] | all"
	expect_report '.devices[0].resets > 0'
	expect_pools_apart "$list"
}

# Pools of one's own are different ones, a shared pool is the same.
expect_pools_apart() {
	local pools=4
	case $1 in
	*via=dmb*) return ;; # every window begins at offset 1
	*share=all* | *share=group*) pools=1 ;;
	esac
	expect_report "([.devices[].windows] | unique | length) == $pools"
}

group=share=group=6f5e2b1c-93d4-4c0a-8f1e-7a2b3c4d5e6f

case_mechanism_mmio_dt_1() { mechanism 1 mmio via=dt; }
case_mechanism_mmio_dt_4() { mechanism 4 mmio via=dt; }
case_mechanism_mmio_dt_all_1() { mechanism 1 mmio via=dt,share=all; }
case_mechanism_mmio_dt_all_4() { mechanism 4 mmio via=dt,share=all; }
case_mechanism_pci_dt_1() { mechanism 1 pci via=dt; }
case_mechanism_pci_dt_4() { mechanism 4 pci via=dt; }
case_mechanism_pci_dt_all_1() { mechanism 1 pci via=dt,share=all; }
case_mechanism_pci_dt_all_4() { mechanism 4 pci via=dt,share=all; }
case_mechanism_cap_memory_1() { mechanism 1 pci via=cap,place=memory; }
case_mechanism_cap_memory_4() { mechanism 4 pci via=cap,place=memory; }
case_mechanism_cap_memory_all_1() { mechanism 1 pci via=cap,place=memory,share=all; }
case_mechanism_cap_memory_all_4() { mechanism 4 pci via=cap,place=memory,share=all; }
case_mechanism_cap_memory_group_1() { mechanism 1 pci "via=cap,place=memory,$group"; }
case_mechanism_cap_memory_group_4() { mechanism 4 pci "via=cap,place=memory,$group"; }
case_mechanism_cap_bar_1() { mechanism 1 pci via=cap,place=bar; }
case_mechanism_cap_bar_4() { mechanism 4 pci via=cap,place=bar; }
case_mechanism_cap_bar_group_1() { mechanism 1 pci "via=cap,place=bar,$group"; }
case_mechanism_cap_bar_group_4() { mechanism 4 pci "via=cap,place=bar,$group"; }
case_mechanism_config_1() { mechanism 1 pci via=config; }
case_mechanism_config_4() { mechanism 4 pci via=config; }
case_mechanism_config_all_1() { mechanism 1 pci via=config,share=all; }
case_mechanism_config_all_4() { mechanism 4 pci via=config,share=all; }
case_mechanism_dmb_1() { mechanism 1 pci via=dmb; }
case_mechanism_dmb_4() { mechanism 4 pci via=dmb; }
