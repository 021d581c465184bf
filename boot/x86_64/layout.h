/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Where everything is in an x86-64 guest's physical address space.
 *
 *	0x00000000  RAM; the first MiB holds what the boot protocol hands over:
 *	  0x01000     GDT
 *	  0x07000     boot_params (zero page) or PVH start_info
 *	  0x09000     page tables (PML4, PDPT, 4 PDs: identity map of 4 GiB)
 *	  0x20000     command line
 *	  0x40000     setup_data chain with the device tree, up to 0x9f000
 *	  0x9fc00     EBDA, reserved
 *	  0xa0000     legacy area, not reported as RAM; 0xf0000 reserved, for ACPI tables
 *	0x00100000  RAM; kernel, initrd
 *	    ...     pools (2 MiB aligned)
 *	    ...     the last 2 MiB of RAM: Linux ends its direct map at the last range of plain
 *	            RAM, and a range reserved through setup_data, as a pool is, does not count
 *	0xc0000000  MMIO hole
 *	  0xd0000000  PCI: low window
 *	  0xe0000000  PCI: ECAM of bus 0. Below 4 GiB: with a device tree Linux on x86 takes the lower
 *	              half of its address for a PCI domain and the upper half for a NUMA node
 *	  0xfe000000  virtio-mmio windows, 0x1000 apart
 *	  0xfe100000  system controller (poweroff), pvpanic, ACPI sleep registers
 *	  0xfec00000  IO-APIC
 *	  0xfee00000  local APIC
 *	0x100000000 RAM above 4 GiB
 *	    ...     PCI: high window, at the next GiB or more above all RAM
 */
#ifndef BOOT_X86_64_LAYOUT_H
#define BOOT_X86_64_LAYOUT_H

#define LAYOUT_GDT	      0x1000ull
#define LAYOUT_BOOT_PARAMS    0x7000ull
#define LAYOUT_PAGE_TABLES    0x9000ull
#define LAYOUT_CMDLINE	      0x20000ull
#define LAYOUT_CMDLINE_MAX    0x10000ull /* bytes, with the terminating NUL */
#define LAYOUT_SETUP_DATA     0x40000ull
#define LAYOUT_SETUP_DATA_END 0x9f000ull
#define LAYOUT_EBDA	      0x9fc00ull
#define LAYOUT_EBDA_END	      0xa0000ull
#define LAYOUT_BIOS	      0xf0000ull /* reserved up to LAYOUT_HIGH_MEMORY */
#define LAYOUT_HIGH_MEMORY    0x100000ull

/* The root pointer comes first: Linux without boot_params looks for it at 0xe0000 and above. */
#define LAYOUT_ACPI	 LAYOUT_BIOS
#define LAYOUT_ACPI_SIZE 0x1000ull

/*
 * Selectors in the GDT, all flat: base 0, limit 4 GiB. A 64-bit boot starts with CODE64 and DATA
 * (Linux: __BOOT_CS, __BOOT_DS), PVH with CODE32 and DATA. There is no TSS descriptor: the vCPU's
 * TR is set without one.
 */
#define LAYOUT_GDT_CODE32 0x08u
#define LAYOUT_GDT_CODE64 0x10u
#define LAYOUT_GDT_DATA	  0x18u
#define LAYOUT_GDT_SIZE	  0x20u /* bytes; the limit is one less */

#define LAYOUT_LOW_RAM_END 0xc0000000ull /* low RAM and pools stay below */
#define LAYOUT_HIGH_RAM	   0x100000000ull
#define LAYOUT_POOL_ALIGN  0x200000ull
#define LAYOUT_RAM_TAIL	   0x200000ull /* RAM above the pools */

#define LAYOUT_VIRTIO_MMIO   0xfe000000ull
#define LAYOUT_VIRTIO_STRIDE 0x1000ull
#define LAYOUT_VIRTIO_SIZE   0x200ull
#define LAYOUT_SYSCON	     0xfe100000ull /* one 32-bit register: MACHINE_SYSCON_* */
#define LAYOUT_SYSCON_SIZE   0x1000ull
#define LAYOUT_PVPANIC	     0xfe101000ull
#define LAYOUT_PVPANIC_SIZE  0x2ull
#define LAYOUT_SLEEP	     0xfe102000ull /* ACPI sleep control and status registers */
#define LAYOUT_SLEEP_SIZE    0x2ull
#define LAYOUT_IOAPIC	     0xfec00000ull
#define LAYOUT_LAPIC	     0xfee00000ull

#define LAYOUT_PCI_LOW	     0xd0000000ull
#define LAYOUT_PCI_LOW_SIZE  0x10000000ull
#define LAYOUT_PCI_ECAM	     0xe0000000ull
#define LAYOUT_PCI_ECAM_SIZE 0x100000ull   /* bus 0: 256 functions of 4 KiB */
#define LAYOUT_PCI_HIGH_MIN  0x40000000ull /* of the high window: its size, and alignment */
#define LAYOUT_PCI_PORT	     0xcf8u	   /* configuration mechanism #1: address, data */
#define LAYOUT_PCI_PORTS     8u

#define LAYOUT_RESET_PORT  0x64u /* command port of the keyboard controller */
#define LAYOUT_RESET_VALUE 0xfeu

#define LAYOUT_UART_PORT  0x3f8u
#define LAYOUT_UART_PORTS 8u
#define LAYOUT_UART_IRQ	  4u
#define LAYOUT_UART_CLOCK 1843200u

#endif
