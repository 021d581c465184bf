/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The PCI host in the device tree, and the functions behind it that have pools. */
#include <criterion/criterion.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fdt_expect.h"
#include "tests/unit/test_boot_support.h"

#define HOST "/pcie@e0000000"

static void *built;

static void release(void)
{
	free(built);
}

TestSuite(boot_fdt_pci, .fini = release);

/* Once in a test. */
static const void *build(const struct machine *machine)
{
	size_t len;

	built = fdt_expect_build(machine, &len);
	return built;
}

static int nr_children(const void *dtb, const char *path)
{
	int parent = fdt_expect_node(dtb, path);
	int child, n = 0;

	fdt_for_each_subnode(child, dtb, parent) n++;
	return n;
}

/* Linux, Documentation/devicetree/bindings/pci/host-generic-pci.yaml */
Test(boot_fdt_pci, host_is_as_the_binding_demands)
{
	struct machine machine = test_pci_machine();
	const void *dtb = build(&machine);

	fdt_expect_string(dtb, HOST, "compatible", "pci-host-ecam-generic");
	fdt_expect_string(dtb, HOST, "device_type", "pci");
	FDT_EXPECT_CELLS(dtb, HOST, "#address-cells", 3);
	FDT_EXPECT_CELLS(dtb, HOST, "#size-cells", 2);
	FDT_EXPECT_CELLS(dtb, HOST, "reg", 0, 0xe0000000, 0, 0x100000);
	FDT_EXPECT_CELLS(dtb, HOST, "bus-range", 0, 0);
	FDT_EXPECT_CELLS(dtb, HOST, "ranges",
			 /* 32 bits, not prefetchable */
			 0x02000000, 0, 0xd0000000, 0, 0xd0000000, 0, 0x10000000,
			 /* 64 bits, prefetchable */
			 0x43000000, 2, 0, 2, 0, 0, 0x40000000);
	FDT_EXPECT_CELLS(dtb, HOST, "msi-map", 0,
			 fdt_expect_phandle(dtb, "/interrupt-controller@fee00000"), 0, 0x10000);
}

/* What has no pool, or one in a BAR, is found without the device tree. */
Test(boot_fdt_pci, functions_name_their_pools)
{
	struct machine machine = test_pci_machine();
	const void *dtb = build(&machine);

	FDT_EXPECT_CELLS(dtb, HOST "/virtio@1,0", "reg", 0x800, 0, 0, 0, 0);
	FDT_EXPECT_CELLS(dtb, HOST "/virtio@1,0", "memory-region",
			 fdt_expect_phandle(dtb, "/reserved-memory/dma-pool@10000000"));
	cr_expect_eq(nr_children(dtb, HOST), 1);
	cr_expect_null(fdt_getprop(dtb, fdt_expect_node(dtb, HOST), "memory-region", NULL));
}

Test(boot_fdt_pci, each_device_has_a_node_of_its_transport_only)
{
	struct machine machine = test_pci_machine();
	const void *dtb = build(&machine);

	fdt_expect_node(dtb, "/soc/virtio@fe001000");
	cr_expect_eq(nr_children(dtb, "/soc"), 3, "one virtio, syscon, pvpanic");
}

Test(boot_fdt_pci, pools_that_something_else_names)
{
	struct machine machine = test_pci_machine();
	const void *dtb;

	machine.pools_in_device_tree = false;
	dtb = build(&machine);
	cr_expect_eq(nr_children(dtb, HOST), 0);
	cr_expect_eq(fdt_path_offset(dtb, "/reserved-memory"), -FDT_ERR_NOTFOUND);
}

Test(boot_fdt_pci, no_host_without_pci)
{
	struct machine machine = test_machine();

	cr_expect_eq(fdt_path_offset(build(&machine), HOST), -FDT_ERR_NOTFOUND);
}

static struct machine largest_machine(void)
{
	struct machine machine = test_pci_machine();

	machine.nr_pools = MACHINE_MAX_POOLS;
	machine.nr_device_memory = 0;
	machine.nr_virtio = MACHINE_MAX_DEVICES;
	for (size_t i = 0; i < MACHINE_MAX_DEVICES; i++) {
		machine.pools[i] = (struct machine_range){ GIB + i * 16 * MIB, 16 * MIB };
		machine.virtio[i] = (struct machine_virtio){
			.transport = MACHINE_TRANSPORT_PCI,
			.slot = (unsigned int)i + 1,
			.pool = (int)i,
			.device_memory = MACHINE_NO_POOL,
		};
	}
	return machine;
}

Test(boot_fdt_pci, a_pool_for_each_of_many_functions)
{
	struct machine machine = largest_machine();
	const void *dtb = build(&machine);

	cr_expect_eq(nr_children(dtb, HOST), MACHINE_MAX_DEVICES);
	FDT_EXPECT_CELLS(dtb, HOST "/virtio@10,0", "reg", 0x8000, 0, 0, 0, 0);
	FDT_EXPECT_CELLS(dtb, HOST "/virtio@10,0", "memory-region",
			 fdt_expect_phandle(dtb, "/reserved-memory/dma-pool@4f000000"));
}

static const char host_dts[] = "\tpcie@e0000000 {\n"
			       "\t\tcompatible = \"pci-host-ecam-generic\";\n"
			       "\t\tdevice_type = \"pci\";\n"
			       "\t\treg = <0x00 0xe0000000 0x00 0x100000>;\n"
			       "\t\t#address-cells = <0x03>;\n"
			       "\t\t#size-cells = <0x02>;\n"
			       "\t\tbus-range = <0x00 0x00>;\n"
			       "\t\tranges = <0x2000000 0x00 0xd0000000 0x00 0xd0000000 0x00 "
			       "0x10000000 0x43000000 0x02 0x00 0x02 0x00 0x00 0x40000000>;\n"
			       "\t\tmsi-map = <0x00 0x03 0x00 0x10000>;\n"
			       "\n"
			       "\t\tvirtio@1,0 {\n"
			       "\t\t\treg = <0x800 0x00 0x00 0x00 0x00>;\n"
			       "\t\t\tmemory-region = <0x10>;\n"
			       "\t\t};\n"
			       "\t};\n";

Test(boot_fdt_pci, dtc_reads_what_was_meant)
{
	const struct machine machines[] = { test_pci_machine(), largest_machine() };
	char warnings[4096];
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		void *dtb = fdt_expect_build(&machines[i], &len);
		const char *dts = fdt_expect_decompile(dtb, len, warnings, sizeof(warnings));

		cr_expect_str_eq(warnings, "");
		if (i == 0)
			cr_expect_not_null(strstr(dts, host_dts), "%s", dts);
		free(dtb);
	}
}
