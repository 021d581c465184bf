/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <criterion/criterion.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>

#include "boot/fdt.h"
#include "boot/x86_64/layout.h"
#include "tests/unit/fdt_expect.h"
#include "tests/unit/test_boot_support.h"

static void *built;

static void release(void)
{
	free(built);
}

TestSuite(boot_fdt, .fini = release);

/* Once in a test. */
static const void *build(const struct machine *machine, size_t *len)
{
	built = fdt_expect_build(machine, len);
	return built;
}

Test(boot_fdt, virtio_devices_name_their_pools)
{
	struct machine machine = test_machine();
	size_t len;
	const void *dtb = build(&machine, &len);

	FDT_EXPECT_CELLS(dtb, "/reserved-memory/dma-pool@10000000", "reg", 0, 0x10000000, 0,
			 0x400000);
	fdt_expect_string(dtb, "/reserved-memory/dma-pool@10000000", "compatible",
			  "restricted-dma-pool");
	FDT_EXPECT_CELLS(dtb, "/soc/virtio@fe000000", "memory-region",
			 fdt_expect_phandle(dtb, "/reserved-memory/dma-pool@10000000"));
	fdt_expect_string(dtb, "/soc/virtio@fe000000", "compatible", "virtio,mmio");
	FDT_EXPECT_CELLS(dtb, "/soc/virtio@fe000000", "reg", 0, 0xfe000000, 0, 0x200);
	FDT_EXPECT_CELLS(dtb, "/soc/virtio@fe000000", "interrupts", 5, 3);
	FDT_EXPECT_CELLS(dtb, "/soc/virtio@fe001000", "interrupts", 7, 3);
	cr_expect_null(fdt_getprop(dtb, fdt_expect_node(dtb, "/soc/virtio@fe001000"),
				   "memory-region", NULL));
}

/* What makes Linux ignore a pool or, worse, go on without it. */
Test(boot_fdt, reserved_memory_is_as_linux_demands)
{
	struct machine machine = test_machine();
	size_t len;
	const void *dtb = build(&machine, &len);
	int pool = fdt_expect_node(dtb, "/reserved-memory/dma-pool@10000000");

	FDT_EXPECT_CELLS(dtb, "/", "#address-cells", 2);
	FDT_EXPECT_CELLS(dtb, "/", "#size-cells", 2);
	FDT_EXPECT_CELLS(dtb, "/reserved-memory", "#address-cells", 2);
	FDT_EXPECT_CELLS(dtb, "/reserved-memory", "#size-cells", 2);
	cr_expect_not_null(
		fdt_getprop(dtb, fdt_expect_node(dtb, "/reserved-memory"), "ranges", NULL));
	cr_expect_null(fdt_getprop(dtb, pool, "no-map", NULL));
	cr_expect_null(fdt_getprop(dtb, pool, "reusable", NULL));
}

Test(boot_fdt, no_pools_no_reserved_memory)
{
	struct machine machine = test_machine();
	const void *dtb;
	size_t len;

	machine.nr_pools = 0;
	machine.virtio[0].pool = MACHINE_NO_POOL;
	dtb = build(&machine, &len);
	cr_expect_eq(fdt_path_offset(dtb, "/reserved-memory"), -FDT_ERR_NOTFOUND);
}

/* The pools are there, and the guest hears of them in another way. */
Test(boot_fdt, pools_that_something_else_names)
{
	struct machine machine = test_machine();
	const void *dtb;
	size_t len;

	machine.pools_in_device_tree = false;
	dtb = build(&machine, &len);
	cr_expect_eq(fdt_path_offset(dtb, "/reserved-memory"), -FDT_ERR_NOTFOUND);
	cr_expect_null(fdt_getprop(dtb, fdt_expect_node(dtb, "/soc/virtio@fe000000"),
				   "memory-region", NULL));
}

Test(boot_fdt, devices_may_share_a_pool)
{
	struct machine machine = test_machine();
	uint32_t pool;
	const void *dtb;
	size_t len;

	machine.virtio[1].pool = 0;
	dtb = build(&machine, &len);
	pool = fdt_expect_phandle(dtb, "/reserved-memory/dma-pool@10000000");
	FDT_EXPECT_CELLS(dtb, "/soc/virtio@fe000000", "memory-region", pool);
	FDT_EXPECT_CELLS(dtb, "/soc/virtio@fe001000", "memory-region", pool);
}

Test(boot_fdt, addresses_above_4_gib_have_two_cells)
{
	struct machine machine = test_machine();
	const void *dtb;
	size_t len;

	machine.pools[0] = (struct machine_range){ 0x123400000000, 0x500000000 };
	dtb = build(&machine, &len);
	FDT_EXPECT_CELLS(dtb, "/reserved-memory/dma-pool@123400000000", "reg", 0x1234, 0, 5, 0);
}

/* A listed CPU that is absent costs Linux 10 s, one that is not listed stays off. */
Test(boot_fdt, lists_exactly_the_cpus)
{
	struct machine machine = test_machine();
	const void *dtb;
	int node, cpus;
	size_t len;
	uint32_t n = 0;

	machine.nr_cpus = 12;
	dtb = build(&machine, &len);
	cpus = fdt_expect_node(dtb, "/cpus");
	fdt_for_each_subnode(node, dtb, cpus)
	{
		char path[32];

		snprintf(path, sizeof(path), "/cpus/cpu@%x", n);
		FDT_EXPECT_CELLS(dtb, path, "reg", n);
		fdt_expect_string(dtb, path, "device_type", "cpu");
		n++;
	}
	cr_expect_eq(n, 12);
}

Test(boot_fdt, platform_devices)
{
	struct machine machine = test_machine();
	size_t len;
	const void *dtb = build(&machine, &len);
	const char *lapic = "/interrupt-controller@fee00000";
	const char *ioapic = "/interrupt-controller@fec00000";

	fdt_expect_string(dtb, lapic, "compatible", "intel,ce4100-lapic");
	cr_expect_not_null(
		fdt_getprop(dtb, fdt_expect_node(dtb, lapic), "intel,virtual-wire-mode", NULL));
	fdt_expect_string(dtb, ioapic, "compatible", "intel,ce4100-ioapic");
	FDT_EXPECT_CELLS(dtb, ioapic, "#interrupt-cells", 2);
	FDT_EXPECT_CELLS(dtb, "/", "interrupt-parent", fdt_expect_phandle(dtb, ioapic));

	fdt_expect_string(dtb, "/isa@0/serial@i3f8", "compatible", "ns16550a");
	FDT_EXPECT_CELLS(dtb, "/isa@0/serial@i3f8", "reg", 1, 0x3f8, 8);
	FDT_EXPECT_CELLS(dtb, "/isa@0/serial@i3f8", "interrupts", 4, 3);
	FDT_EXPECT_CELLS(dtb, "/isa@0/serial@i3f8", "clock-frequency", 1843200);

	fdt_expect_string(dtb, "/soc/syscon@fe100000", "compatible", "syscon");
	FDT_EXPECT_CELLS(dtb, "/soc/syscon@fe100000", "reg", 0, 0xfe100000, 0, 0x1000);
	fdt_expect_string(dtb, "/poweroff", "compatible", "syscon-poweroff");
	FDT_EXPECT_CELLS(dtb, "/poweroff", "regmap",
			 fdt_expect_phandle(dtb, "/soc/syscon@fe100000"));
	FDT_EXPECT_CELLS(dtb, "/poweroff", "offset", 0);
	FDT_EXPECT_CELLS(dtb, "/poweroff", "value", MACHINE_SYSCON_POWEROFF);
	FDT_EXPECT_CELLS(dtb, "/poweroff", "mask", 0xffffffff);
	fdt_expect_string(dtb, "/soc/pvpanic@fe101000", "compatible", "qemu,pvpanic-mmio");
	FDT_EXPECT_CELLS(dtb, "/soc/pvpanic@fe101000", "reg", 0, 0xfe101000, 0, 2);
}

static struct machine largest_machine(void)
{
	struct machine machine = {
		.nr_cpus = MACHINE_MAX_CPUS,
		.ram = { { 0, GIB }, { 4 * GIB, GIB } },
		.nr_ram = 2,
		.nr_pools = MACHINE_MAX_POOLS,
		.pools_in_device_tree = true,
		.nr_virtio = MACHINE_MAX_DEVICES,
	};

	for (size_t i = 0; i < MACHINE_MAX_POOLS; i++)
		machine.pools[i] = (struct machine_range){ GIB + i * 16 * MIB, 16 * MIB };
	for (size_t i = 0; i < MACHINE_MAX_DEVICES; i++)
		machine.virtio[i] = (struct machine_virtio){
			.window = { LAYOUT_VIRTIO_MMIO + i * LAYOUT_VIRTIO_STRIDE,
				    LAYOUT_VIRTIO_SIZE },
			.irq = (unsigned int)(8 + i),
			.pool = (int)i,
		};
	return machine;
}

/* More than the first buffer holds: every node must still be there. */
Test(boot_fdt, largest_machine_fits)
{
	struct machine machine = largest_machine();
	size_t len;
	const void *dtb = build(&machine, &len);

	cr_expect_gt(len, 4096);
	cr_expect_lt(len, 0x40000 - 16, "more than setup_data takes");
	for (size_t i = 0; i < MACHINE_MAX_DEVICES; i++) {
		char device[64], pool[64];

		snprintf(device, sizeof(device), "/soc/virtio@%lx", machine.virtio[i].window.base);
		snprintf(pool, sizeof(pool), "/reserved-memory/dma-pool@%lx",
			 machine.pools[i].base);
		FDT_EXPECT_CELLS(dtb, device, "memory-region", fdt_expect_phandle(dtb, pool));
	}
	fdt_expect_node(dtb, "/cpus/cpu@3f");
	fdt_expect_node(dtb, "/isa@0");
}

static void write_too_much(struct fdt_writer *writer, const struct machine *machine)
{
	(void)machine;
	fdt_writer_begin(writer, "%s", "");
	for (int i = 0; i < 100000; i++)
		fdt_writer_string(writer, "property", "a value that takes some room");
	fdt_writer_end(writer);
}

/* Leaves the tree in a state in which libfdt goes on with nothing. */
static void write_finished(struct fdt_writer *writer, const struct machine *machine)
{
	(void)machine;
	fdt_writer_begin(writer, "%s", "");
	fdt_writer_end(writer);
	fdt_finish(writer->fdt);
}

Test(boot_fdt, gives_up_instead_of_growing_forever)
{
	struct machine machine = test_machine();
	size_t len = 0;
	void *dtb = NULL;

	cr_expect_lt(fdt_build(write_too_much, &machine, &dtb, &len), 0);
	cr_expect_lt(fdt_build(write_finished, &machine, &dtb, &len), 0);
	cr_expect_null(dtb);
}

static const char small_machine_dts[] = "/dts-v1/;\n"
					"\n"
					"/ {\n"
					"\t#address-cells = <0x02>;\n"
					"\t#size-cells = <0x02>;\n"
					"\tcompatible = \"minivmm,x86\";\n"
					"\tmodel = \"minivmm\";\n"
					"\tinterrupt-parent = <0x01>;\n"
					"\n"
					"\tcpus {\n"
					"\t\t#address-cells = <0x01>;\n"
					"\t\t#size-cells = <0x00>;\n"
					"\n"
					"\t\tcpu@0 {\n"
					"\t\t\tdevice_type = \"cpu\";\n"
					"\t\t\tcompatible = \"intel,x86\";\n"
					"\t\t\treg = <0x00>;\n"
					"\t\t};\n"
					"\t};\n"
					"\n"
					"\treserved-memory {\n"
					"\t\t#address-cells = <0x02>;\n"
					"\t\t#size-cells = <0x02>;\n"
					"\t\tranges;\n"
					"\n"
					"\t\tdma-pool@10000000 {\n"
					"\t\t\tcompatible = \"restricted-dma-pool\";\n"
					"\t\t\treg = <0x00 0x10000000 0x00 0x400000>;\n"
					"\t\t\tphandle = <0x10>;\n"
					"\t\t};\n"
					"\t};\n"
					"\n"
					"\tinterrupt-controller@fee00000 {\n"
					"\t\tcompatible = \"intel,ce4100-lapic\";\n"
					"\t\treg = <0x00 0xfee00000 0x00 0x1000>;\n"
					"\t\tintel,virtual-wire-mode;\n"
					"\t\tphandle = <0x03>;\n"
					"\t};\n"
					"\n"
					"\tinterrupt-controller@fec00000 {\n"
					"\t\tcompatible = \"intel,ce4100-ioapic\";\n"
					"\t\treg = <0x00 0xfec00000 0x00 0x1000>;\n"
					"\t\tinterrupt-controller;\n"
					"\t\t#address-cells = <0x00>;\n"
					"\t\t#interrupt-cells = <0x02>;\n"
					"\t\tphandle = <0x01>;\n"
					"\t};\n"
					"\n"
					"\tsoc {\n"
					"\t\tcompatible = \"simple-bus\";\n"
					"\t\t#address-cells = <0x02>;\n"
					"\t\t#size-cells = <0x02>;\n"
					"\t\tranges;\n"
					"\n"
					"\t\tvirtio@fe000000 {\n"
					"\t\t\tcompatible = \"virtio,mmio\";\n"
					"\t\t\treg = <0x00 0xfe000000 0x00 0x200>;\n"
					"\t\t\tinterrupts = <0x05 0x03>;\n"
					"\t\t\tmemory-region = <0x10>;\n"
					"\t\t};\n"
					"\n"
					"\t\tsyscon@fe100000 {\n"
					"\t\t\tcompatible = \"syscon\";\n"
					"\t\t\treg = <0x00 0xfe100000 0x00 0x1000>;\n"
					"\t\t\tphandle = <0x02>;\n"
					"\t\t};\n"
					"\n"
					"\t\tpvpanic@fe101000 {\n"
					"\t\t\tcompatible = \"qemu,pvpanic-mmio\";\n"
					"\t\t\treg = <0x00 0xfe101000 0x00 0x02>;\n"
					"\t\t};\n"
					"\t};\n"
					"\n"
					"\tpoweroff {\n"
					"\t\tcompatible = \"syscon-poweroff\";\n"
					"\t\tregmap = <0x02>;\n"
					"\t\toffset = <0x00>;\n"
					"\t\tvalue = <0x5555>;\n"
					"\t\tmask = <0xffffffff>;\n"
					"\t};\n"
					"\n"
					"\tisa@0 {\n"
					"\t\tcompatible = \"isa\";\n"
					"\t\t#address-cells = <0x02>;\n"
					"\t\t#size-cells = <0x01>;\n"
					"\t\tranges = <0x01 0x00 0x00 0x00 0x10000>;\n"
					"\n"
					"\t\tserial@i3f8 {\n"
					"\t\t\tcompatible = \"ns16550a\";\n"
					"\t\t\treg = <0x01 0x3f8 0x08>;\n"
					"\t\t\tclock-frequency = <0x1c2000>;\n"
					"\t\t\tinterrupts = <0x04 0x03>;\n"
					"\t\t};\n"
					"\t};\n"
					"};\n";

Test(boot_fdt, dtc_reads_what_was_meant)
{
	struct machine machine = test_machine();
	char warnings[4096];
	const void *dtb;
	size_t len;

	machine.nr_cpus = 1;
	machine.nr_virtio = 1;
	dtb = build(&machine, &len);
	cr_expect_str_eq(fdt_expect_decompile(dtb, len, warnings, sizeof(warnings)),
			 small_machine_dts);
	cr_expect_str_eq(warnings, "");
}

Test(boot_fdt, dtc_does_not_warn_about_the_largest_machine)
{
	struct machine machine = largest_machine();
	char warnings[4096];
	size_t len;
	const void *dtb = build(&machine, &len);

	fdt_expect_decompile(dtb, len, warnings, sizeof(warnings));
	cr_expect_str_eq(warnings, "");
}
