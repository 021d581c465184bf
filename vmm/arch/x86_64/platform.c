/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The devices of an x86 guest that are not virtio. */
#include "vmm/platform.h"

#include "boot/x86_64/layout.h"
#include "vmm/arch/arch.h"
#include "vmm/exit_status.h"
#include "vmm/power.h"

#define PORT_DEBUG_EXIT 0xf4 /* QEMU's isa-debug-exit, but the code is taken as it is */
#define PORT_I8042	0x60 /* data 0x60, command and status 0x64 */
#define I8042_SIZE	5
#define I8042_COMMAND	(LAYOUT_RESET_PORT - PORT_I8042)

/*
 * "Output buffer full" for ever: Linux's driver drains it in vain and finds no controller, and its
 * reboot code, which waits for "input buffer full" to clear, does not wait.
 */
#define I8042_STATUS 0x01

static enum bus_result debug_exit_access(void *opaque, struct bus_access *access)
{
	int status = EXIT_STATUS_GUEST_MAX;

	if (!access->is_write)
		return BUS_UNHANDLED;
	if (access->value < EXIT_STATUS_GUEST_MAX)
		status = (int)access->value;
	ending_set(opaque, status, "guest wrote %llu to port 0xf4",
		   (unsigned long long)access->value);
	return BUS_HANDLED;
}

static enum bus_result i8042_access(void *opaque, struct bus_access *access)
{
	if (access->size != 1)
		return BUS_UNHANDLED;
	if (!access->is_write)
		access->value = access->offset == I8042_COMMAND ? I8042_STATUS : 0;
	else if (access->offset == I8042_COMMAND && access->value == LAYOUT_RESET_VALUE)
		ending_set(opaque, EXIT_STATUS_REBOOT, "guest asked for a reset");
	return BUS_HANDLED;
}

int arch_platform_setup(struct platform *platform)
{
	const struct bus_region ports[] = {
		{ LAYOUT_UART_PORT, UART_REGISTERS, "uart", uart_access, &platform->uart },
		{ PORT_DEBUG_EXIT, 4, "debug-exit", debug_exit_access, platform->ending },
		{ PORT_I8042, I8042_SIZE, "i8042", i8042_access, platform->ending },
	};
	const struct bus_region windows[] = {
		{ LAYOUT_SYSCON, LAYOUT_SYSCON_SIZE, "syscon", power_syscon_access,
		  platform->ending },
		{ LAYOUT_SLEEP, LAYOUT_SLEEP_SIZE, "sleep", power_sleep_access, platform->ending },
		{ LAYOUT_PVPANIC, LAYOUT_PVPANIC_SIZE, "pvpanic", power_pvpanic_access,
		  platform->ending },
	};
	const struct bus_region pci = { LAYOUT_PCI_PORT, LAYOUT_PCI_PORTS, "pci",
					pci_host_ports_access, &platform->pci };
	int ret = 0;

	if (platform->pci.places.present)
		ret = bus_add(&platform->pio, &pci);
	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]) && !ret; i++)
		ret = bus_add(&platform->pio, &ports[i]);
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]) && !ret; i++)
		ret = bus_add(&platform->mmio, &windows[i]);
	return ret;
}
