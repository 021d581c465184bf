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
# followed by -vmlinux for vmlinux in place of bzImage, and by -disk for one disk. Where transports and
# mechanisms are compared:
#
#	minivmm-mmio       all guest memory, on either transport
#	minivmm-pci
#	minivmm-mmio-dt    a pool by device tree
#	minivmm-pci-dt
#	minivmm-pci-cap    ... by capability; followed by -bar: in a BAR
#	minivmm-pci-config ... by the common configuration
#	minivmm-pci-dmb    ... by VIRTIO_F_DMB
#
# followed by -shared for one pool for all devices, by its size, and by -unpatched for a kernel without
# our patches.
#
# Where other devices are compared:
#
#	minivmm-...-tap    a network interface that is a tap of the host
#	qemu...-tap
#	minivmm-...-user   one behind passt; QEMU's is started by $helper, a command line
#	qemu...-user
#	minivmm-...-vsock
#	minivmm-...-all    a disk, a tap, an entropy source, vsock and a console port
#	qemu...-all        likewise, without vsock
#
# The caller may set $initrd, $kernel and $disks, their number.

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

# The value of --restricted-dma, nothing for all of memory.
restricted_dma() {
	local value
	case $1 in
	*-pool* | *-dt*) value=via=dt ;;
	*-cap-bar*) value=via=cap,place=bar ;;
	*-cap*) value=via=cap,place=memory ;;
	*-config*) value=via=config ;;
	*-dmb*) value=via=dmb ;;
	*) return ;;
	esac
	case $1 in *-shared*) value+=,share=all ;; esac
	case $1 in *-[0-9]*M) value+=,size=${1##*-} ;; esac
	echo "$value"
}

# passt as minivmm calls it where there is no route.
passt_command=(passt --foreground --quiet --ipv4-only --interface lo --address 10.0.2.15
	--netmask 24 --gateway 10.0.2.2 --mac-addr 52:55:0a:00:02:02)

# Adds all devices but disks.
minivmm_devices() {
	case $1 in *-tap | *-all) command+=(--net tap=tap0) ;; esac
	case $1 in *-user) command+=(--net user) ;; esac
	case $1 in *-vsock | *-all) command+=(--vsock cid=3,path=/tmp/vsock) ;; esac
	case $1 in *-all) command+=(--rng --port bench=file:/tmp/port) ;; esac
}

# The same of QEMU, with $dma for each.
qemu_devices() {
	local net=virtio-net-device,netdev=net$dma
	case $1 in
	*-tap | *-all)
		command+=(-netdev tap,id=net,ifname=tap0,script=no,downscript=no,vhost=off
			-device "$net")
		;;
	*-user)
		helper=("${passt_command[@]}" --one-off --socket /tmp/passt.socket)
		command+=(-netdev stream,id=net,server=off,addr.type=unix,addr.path=/tmp/passt.socket
			-device "$net")
		;;
	esac
	case $1 in
	*-all)
		command+=(-device "virtio-rng-device$dma" -device "virtio-serial-device$dma"
			-chardev file,id=port,path=/tmp/port
			-device virtserialport,chardev=port,name=bench)
		;;
	esac
}

minivmm_command() {
	local name=$1 i dma
	command=("${minivmm_base[@]}" --kernel "$kernel" --initrd "$initrd" --cmdline "$words")
	case $name in *-pci*) command+=(--transport pci) ;; esac
	dma=$(restricted_dma "$name")
	[ -z "$dma" ] || command+=("--restricted-dma=$dma")
	for ((i = 0; i < disks; i++)); do
		command+=(--disk "/bench/disk$i")
	done
	minivmm_devices "$name"
}

qemu_command() {
	local name=$1 i dma="" swiotlb=""
	case $name in
	*-bounce*)
		dma=,iommu_platform=on
		swiotlb=" swiotlb=force"
		;;
	esac
	command=("${qemu_base[@]}" -kernel "$kernel" -initrd "$initrd"
		-append "$qemu_cmdline $words$swiotlb")
	for ((i = 0; i < disks; i++)); do
		command+=(-drive "file=/bench/disk$i,format=raw,if=none,id=disk$i"
			-device "virtio-blk-device,drive=disk$i$dma")
	done
	qemu_devices "$name"
}

vmm() {
	local name=$1 words=$2 disks=${disks:-0}
	local initrd=${initrd:-/bench/boot.cpio} kernel=${kernel:-/bench/bzImage}
	helper=()
	case $name in *-disk* | *-all) disks=1 ;; esac
	case $name in
	*-vmlinux*) kernel=/bench/vmlinux ;;
	*-unpatched*) kernel=/bench/bzImage ;;
	esac
	case $name in
	minivmm*) minivmm_command "$name" ;;
	qemu*) qemu_command "$name" ;;
	esac
}
