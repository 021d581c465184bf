# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The VMMs to compare. vmm NAME WORDS leaves the command line of the VMM called NAME in $command, with
# WORDS added to the guest's command line. The names say what is compared:
#
#	minivmm            all guest memory is one window
#	minivmm-pool       restricted to a pool, device process in its sandbox
#	qemu               QEMU microvm
#	qemu-bounce        the same, with all DMA of the guest bounced
#
# followed by -vmlinux for vmlinux in place of bzImage, and by -disk for one disk.

# shellcheck disable=SC2034 # used by the sourcing script
ram=128
# minivmm's own, but for earlycon and the device tree.
qemu_cmdline="console=ttyS0 reboot=t panic=-1"

# Paths are those below $bench_root, where everything lies in memory.
qemu_base=(/bench/qemu-system-x86_64 -L /bench/qemu -accel kvm -cpu host -smp 1 -m "$ram"
	-M microvm,acpi=off,pit=off,pic=off,rtc=off,isa-serial=on,auto-kernel-cmdline=on
	-nodefaults -no-user-config -no-reboot -display none -serial stdio
	-global virtio-mmio.force-legacy=false)
minivmm_base=(/bench/minivmm --memory "${ram}M")

vmm() {
	local name=$1 words=$2 initrd=${initrd:-/bench/boot.cpio} kernel=/bench/bzImage disk=
	local dma="" swiotlb=""
	case $name in *-disk*) disk=1 ;; esac
	case $name in *-vmlinux*) kernel=/bench/vmlinux ;; esac
	case $name in
	minivmm*)
		command=("${minivmm_base[@]}" --kernel "$kernel" --initrd "$initrd" --cmdline "$words")
		case $name in *-pool*) command+=(--restricted-dma) ;; esac
		[ -z "$disk" ] || command+=(--disk /bench/disk)
		;;
	qemu*)
		case $name in
		*-bounce*)
			dma=,iommu_platform=on
			swiotlb=" swiotlb=force"
			;;
		esac
		command=("${qemu_base[@]}" -kernel "$kernel" -initrd "$initrd"
			-append "$qemu_cmdline $words$swiotlb")
		[ -z "$disk" ] ||
			command+=(-drive "file=/bench/disk,format=raw,if=none,id=disk${qemu_drive:-}"
				-device "virtio-blk-device,drive=disk$dma")
		;;
	esac
}
