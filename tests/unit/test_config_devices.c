/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The options that ask for devices: what comes out of their lists. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/config_parse.h"
#include "vmm/config.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

Test(config_devices, in_the_order_of_the_command_line)
{
	static const enum config_device_kind kinds[] = {
		CONFIG_PLAIN, CONFIG_NET,  CONFIG_DISK,	 CONFIG_VHOST_USER,
		CONFIG_NET,   CONFIG_DISK, CONFIG_VSOCK, CONFIG_CONSOLE,
	};
	struct parse p;

	expect_run(&p, "--console virtio --rng --net user -k k -d a --port p=file:x "
		       "--vhost-user blk,socket=s --net tap=t --disk b --vsock cid=3,path=v");
	cr_assert_eq(p.config.nr_devices, LENGTH(kinds));
	for (size_t i = 0; i < LENGTH(kinds); i++)
		cr_expect_eq(p.config.devices[i].kind, kinds[i], "device %zu", i);
	finish(&p);
}

Test(config_devices, each_may_say_its_transport)
{
	static const char *const lists[] = {
		"--disk a",
		"--rng=",
		"--device rng",
		"--net user",
		"--net tap=t",
		"--net socket=s",
		"--vsock cid=3,path=v",
		"--vhost-user blk,socket=s",
	};
	char words[256];
	struct parse p;

	for (size_t i = 0; i < LENGTH(lists); i++) {
		const char *comma = strchr(lists[i], '=') == lists[i] + 5 ? "" : ",";

		snprintf(words, sizeof(words), "-k k %s%stransport=pci", lists[i], comma);
		expect_run(&p, words);
		cr_expect_eq(p.config.devices[0].transport, MACHINE_TRANSPORT_PCI, "%s", words);
		finish(&p);
		snprintf(words, sizeof(words), "-k k %s%stransport=mmio --transport pci", lists[i],
			 comma);
		expect_run(&p, words);
		cr_expect_eq(p.config.devices[0].transport, MACHINE_TRANSPORT_MMIO, "%s", words);
		finish(&p);
	}
	expect_run(&p, "-k k --console virtio --transport pci");
	cr_expect_eq(p.config.devices[0].transport, MACHINE_TRANSPORT_PCI);
	finish(&p);
}

Test(config_devices, disks)
{
	struct parse p;

	expect_run(&p, "-k k -d a -d b,queues=16,queue-size=1024,cache=none -d "
		       "c,cache=writeback,queue-size=16,queues=1");
	cr_expect_eq(p.config.devices[0].queues, 0);
	cr_expect_eq(p.config.devices[0].queue_size, 0);
	cr_expect_eq(p.config.devices[0].disk.cache, CONFIG_CACHE_WRITEBACK);
	cr_expect_eq(p.config.devices[1].queues, 16);
	cr_expect_eq(p.config.devices[1].queue_size, 1024);
	cr_expect_eq(p.config.devices[1].disk.cache, CONFIG_CACHE_NONE);
	cr_expect_eq(p.config.devices[2].queues, 1);
	cr_expect_eq(p.config.devices[2].queue_size, 16);
	cr_expect_eq(p.config.devices[2].disk.cache, CONFIG_CACHE_WRITEBACK);
	finish(&p);
}

Test(config_devices, networks)
{
	static const uint8_t mac[] = { 0x52, 0x54, 0x00, 0xAb, 0xcD, 0xef };
	const struct config_device *devices;
	struct parse p;

	expect_run(&p, "-k k --net tap=fifteen-bytes-x,queues=8,mac=52:54:00:aB:Cd:ef --net user "
		       "--net mac=02:00:00:00:00:01,socket=/run/a,,b");
	devices = p.config.devices;
	cr_expect_eq(devices[0].net.kind, CONFIG_NET_TAP);
	cr_expect_str_eq(devices[0].net.name, "fifteen-bytes-x");
	cr_expect_eq(devices[0].queues, 8);
	cr_expect(devices[0].net.has_mac);
	cr_expect_arr_eq(devices[0].net.mac, mac, sizeof(mac));
	cr_expect_eq(devices[1].net.kind, CONFIG_NET_USER);
	cr_expect_null(devices[1].net.name);
	cr_expect_eq(devices[1].queues, 0);
	cr_expect_not(devices[1].net.has_mac);
	cr_expect_eq(devices[1].net.nr_forwards, 0);
	cr_expect_eq(devices[2].net.kind, CONFIG_NET_SOCKET);
	cr_expect_str_eq(devices[2].net.name, "/run/a,b");
	cr_expect(devices[2].net.has_mac);
	finish(&p);
}

Test(config_devices, forwarded_ports)
{
	static const char *const forwards[] = {
		"tcp:127.0.0.1:2222-:22", "udp:[::1]:53-:53", "tcp::1-:65535",
		"tcp:0.0.0.0:65535-:1",	  "udp::1-:65535",
	};
	char words[512] = "-k k --net ";
	const struct config_net *net;
	struct parse p;

	for (size_t i = 0; i < LENGTH(forwards); i++)
		snprintf(words + strlen(words), sizeof(words) - strlen(words), "hostfwd=%s,",
			 forwards[i]);
	snprintf(words + strlen(words), sizeof(words) - strlen(words), "user");
	expect_run(&p, words);
	net = &p.config.devices[0].net;
	cr_assert_eq(net->nr_forwards, LENGTH(forwards));
	for (size_t i = 0; i < LENGTH(forwards); i++)
		cr_expect_str_eq(net->forwards[i], forwards[i]);
	finish(&p);
}

Test(config_devices, as_many_forwarded_ports_as_there_may_be)
{
	char words[1024] = "-k k --net user";
	struct parse p;

	for (int i = 1; i <= CONFIG_MAX_FORWARDS; i++)
		snprintf(words + strlen(words), sizeof(words) - strlen(words),
			 ",hostfwd=tcp::%d-:22", i);
	expect_run(&p, words);
	cr_expect_eq(p.config.devices[0].net.nr_forwards, CONFIG_MAX_FORWARDS);
	finish(&p);
	snprintf(words + strlen(words), sizeof(words) - strlen(words), ",hostfwd=tcp::99-:22");
	run(&p, words);
	cr_expect_eq(p.result, CONFIG_ERROR);
	cr_expect_not_null(strstr(p.err, ": hostfwd=tcp::99-:22: more than 16 of them\n"));
	finish(&p);
}

Test(config_devices, vsock)
{
	static const struct {
		const char *words, *path;
		uint32_t cid;
	} cases[] = {
		{ "-k k --vsock cid=3,path=/run/x.sock", "/run/x.sock", 3 },
		{ "-k k --vsock path=a,,b,cid=4294967294", "a,b", 4294967294u },
	};
	struct parse p;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		expect_run(&p, cases[i].words);
		cr_expect_eq(p.config.devices[0].vsock.cid, cases[i].cid);
		cr_expect_str_eq(p.config.devices[0].vsock.path, cases[i].path);
		finish(&p);
	}
}

Test(config_devices, vhost_user)
{
	static const struct {
		const char *value, *kind, *tag;
		uint32_t id;
		unsigned int queues, queue_size;
	} cases[] = {
		{ "blk,socket=s", "blk", "", 2, 0, 0 },
		{ "blk,num-queues=16,queue-size=256,socket=s", "blk", "", 2, 16, 256 },
		{ "net,socket=s,num-queues=1", "net", "", 1, 1, 0 },
		{ "fs,socket=s,tag=share", "fs", "share", 26, 0, 0 },
		{ "fs,socket=s,tag=123456789012345678901234567890123456", "fs",
		  "123456789012345678901234567890123456", 26, 0, 0 },
		{ "generic:1,socket=s", "generic", "", 1, 0, 0 },
		{ "generic:5,socket=s", "generic", "", 5, 0, 0 },
		{ "generic:63,socket=s,num-queues=18", "generic", "", 63, 18, 0 },
	};
	char words[128];
	struct parse p;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		const struct config_device *device = &p.config.devices[0];

		snprintf(words, sizeof(words), "-k k --vhost-user %s", cases[i].value);
		expect_run(&p, words);
		cr_expect_eq(device->kind, CONFIG_VHOST_USER);
		cr_expect_str_eq(device->vhost_user.kind, cases[i].kind);
		cr_expect_eq(device->vhost_user.virtio_id, cases[i].id);
		cr_expect_str_eq(device->vhost_user.path, "s");
		cr_expect_str_eq(device->vhost_user.tag, cases[i].tag);
		cr_expect_eq(device->queues, cases[i].queues);
		cr_expect_eq(device->queue_size, cases[i].queue_size);
		finish(&p);
	}
}

Test(config_devices, consoles)
{
	static const struct {
		const char *value;
		bool virtio;
		const char *path;
	} cases[] = {
		{ "serial", false, NULL },	    { "virtio", true, NULL },
		{ "file:o", false, "o" },	    { "serial,file:o", false, "o" },
		{ "virtio,file:o", true, "o" },	    { "file:a,,b", false, "a,b" },
		{ "file:serial", false, "serial" },
	};
	char words[128];
	struct parse p;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		const struct config_stream *stream = &p.config.console;

		snprintf(words, sizeof(words), "-k k --console %s", cases[i].value);
		expect_run(&p, words);
		cr_expect_eq(p.config.virtio_console, cases[i].virtio, "%s", words);
		cr_expect_eq(stream->kind,
			     cases[i].path ? CONFIG_STREAM_FILE : CONFIG_STREAM_STDIO);
		if (cases[i].path)
			cr_expect_str_eq(stream->path, cases[i].path);
		else
			cr_expect_null(stream->path);
		cr_expect_eq(p.config.nr_devices, cases[i].virtio);
		cr_assert_eq(p.config.nr_ports, cases[i].virtio);
		if (cases[i].virtio) {
			cr_expect_str_empty(p.config.ports[0].name);
			cr_expect_eq(p.config.ports[0].stream.kind, stream->kind);
			if (cases[i].path)
				cr_expect_str_eq(p.config.ports[0].stream.path, cases[i].path);
		}
		finish(&p);
	}
}

Test(config_devices, ports)
{
	const struct config_port *ports;
	struct parse p;

	/* The serial port is the console: there is no other. */
	expect_run(&p, "-k k --port a=file:x --port b.C-9_=pipe:y=z --port "
		       "1234567890123456789012345678901=socket:/run/s,,t");
	ports = p.config.ports;
	cr_assert_eq(p.config.nr_ports, 3);
	cr_expect_eq(p.config.nr_devices, 1);
	cr_expect_str_eq(ports[0].name, "a");
	cr_expect_eq(ports[0].stream.kind, CONFIG_STREAM_FILE);
	cr_expect_str_eq(ports[0].stream.path, "x");
	cr_expect_str_eq(ports[1].name, "b.C-9_");
	cr_expect_eq(ports[1].stream.kind, CONFIG_STREAM_PIPE);
	cr_expect_str_eq(ports[1].stream.path, "y=z");
	cr_expect_str_eq(ports[2].name, "1234567890123456789012345678901");
	cr_expect_eq(ports[2].stream.kind, CONFIG_STREAM_SOCKET);
	cr_expect_str_eq(ports[2].stream.path, "/run/s,t");
	finish(&p);
	expect_run(&p, "-k k --port a=file:x --console virtio --exit-code-from port");
	ports = p.config.ports;
	cr_assert_eq(p.config.nr_ports, 3);
	cr_expect_str_empty(ports[0].name);
	cr_expect_str_eq(ports[1].name, "a");
	cr_expect_str_eq(ports[2].name, CONFIG_EXIT_CODE_PORT_NAME);
	cr_expect_eq(ports[2].stream.kind, CONFIG_STREAM_EXIT);
	cr_expect_null(ports[2].stream.path);
	finish(&p);
}

Test(config_devices, exit_code_from)
{
	struct parse p;

	expect_run(&p, "-k k --exit-code-from port");
	cr_expect_eq(p.config.exit_code_from, CONFIG_EXIT_CODE_PORT);
	cr_assert_eq(p.config.nr_ports, 1);
	cr_assert_eq(p.config.nr_devices, 1);
	cr_expect_eq(p.config.devices[0].kind, CONFIG_CONSOLE);
	cr_expect_not(p.config.virtio_console);
	finish(&p);
	expect_run(&p, "-k k --exit-code-from vsock --vsock cid=3,path=s");
	cr_expect_eq(p.config.exit_code_from, CONFIG_EXIT_CODE_VSOCK);
	cr_expect_eq(p.config.nr_ports, 0);
	cr_expect_eq(p.config.nr_devices, 1);
	finish(&p);
}

Test(config_devices, events)
{
	char words[64];
	struct parse p;
	const int fd = open("/dev/null", O_WRONLY);

	expect_run(&p, "-k k --events log");
	cr_expect_str_eq(p.config.events, "log");
	finish(&p);
	snprintf(words, sizeof(words), "-k k --events fd:%d", fd);
	expect_run(&p, words);
	cr_expect_eq(strncmp(p.config.events, "fd:", 3), 0);
	finish(&p);
	close(fd);
	run(&p, words);
	cr_expect_eq(p.result, CONFIG_ERROR);
	cr_expect_not_null(strstr(p.err, ": no such descriptor is open\n"));
	finish(&p);
}

Test(config_devices, events_are_not_written_where_only_reading_is_possible)
{
	char words[64];
	struct parse p;
	const int fd = open("/dev/null", O_RDONLY);

	snprintf(words, sizeof(words), "-k k --events fd:%d", fd);
	run(&p, words);
	cr_expect_eq(p.result, CONFIG_ERROR);
	cr_expect_not_null(strstr(p.err, ": not open for writing\n"));
	finish(&p);
	close(fd);
}

/* 8M and 8M more for each pair of queues that loses packets without room. */
Test(config_devices, default_pool_size)
{
	static const struct {
		const char *words;
		unsigned int mib;
	} cases[] = {
		{ "--restricted-dma", 16 },
		{ "--restricted-dma -d a -d b", 16 },
		{ "--restricted-dma --net user", 16 },
		{ "--restricted-dma --net tap=t,queues=2", 24 },
		{ "--net tap=t,queues=8 --restricted-dma --net tap=u,queues=4 -d a", 72 },
		{ "--restricted-dma --vhost-user net,socket=s", 16 },
		{ "--restricted-dma=share=all --vhost-user net,socket=s -d a", 24 },
		{ "--restricted-dma -d a,queues=16", 16 },
		{ "--restricted-dma=share=all -d a -d b", 16 },
		{ "--restricted-dma=share=all -d a --net user", 24 },
		{ "--restricted-dma=share=all --net tap=t,queues=2 --net user", 40 },
		/* What the user says counts. */
		{ "--restricted-dma=size=4M --net tap=t,queues=8", 4 },
		{ "--restricted-dma=size=16M --net tap=t,queues=8", 16 },
		/* At most what a pool, or all of them, can have. */
		{ "--restricted-dma=share=all --net tap=1,queues=8 --net tap=2,queues=8 "
		  "--net tap=3,queues=8 --net tap=4,queues=8",
		  256 },
		{ "--restricted-dma --net tap=t,queues=8 -d 1 -d 2 -d 3 -d 4 -d 5 -d 6 -d 7 "
		  "-d 8 -d 9 -d 10 -d 11 -d 12 -d 13 -d 14 --rng",
		  64 },
	};
	char words[256];
	struct parse p;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		snprintf(words, sizeof(words), "-k k %s", cases[i].words);
		expect_run(&p, words);
		cr_expect_eq(p.config.pool_size, (uint64_t)cases[i].mib << 20, "%s", words);
		finish(&p);
	}
}
