/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The options that ask for devices: what is refused, and in which words. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/config_parse.h"
#include "vmm/config.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define DIGITS_50  "12345678901234567890123456789012345678901234567890"
#define DIGITS_86  DIGITS_50 "123456789012345678901234567890123456"
#define DIGITS_96  DIGITS_86 "1234567890"
#define DIGITS_107 DIGITS_50 DIGITS_50 "1234567"

#define NO_BALLOON                                                                           \
	"not with --restricted-dma: Linux' balloon driver clears VIRTIO_F_ACCESS_PLATFORM, " \
	"so that its pages would not go through the pool; change --memory instead"
#define COMMA "(a comma in a name is written ,,)"

/* The option, its value, and why the value is refused: the part of it at fault comes first. */
static const struct {
	const char *option, *value, *why;
} refusals[] = {
	/* Disks */
	{ "disk", "a,queues=0", "queues=0: not in 1 to 16" },
	{ "disk", "a,queues=17", "queues=17: not in 1 to 16" },
	{ "disk", "a,queues=", "queues=: expected a decimal number" },
	{ "disk", "a,queues=18446744073709551617", "queues=18446744073709551617: too large" },
	{ "disk", "a,queues=2,queues=2", "queues=2: given twice" },
	{ "disk", "a,queue-size=8", "queue-size=8: not a power of two from 16 to 1024" },
	{ "disk", "a,queue-size=0", "queue-size=0: not a power of two from 16 to 1024" },
	{ "disk", "a,queue-size=100", "queue-size=100: not a power of two from 16 to 1024" },
	{ "disk", "a,queue-size=2048", "queue-size=2048: not a power of two from 16 to 1024" },
	{ "disk", "a,queue-size=0x100", "queue-size=0x100: expected a decimal number" },
	{ "disk", "a,queue-size=64,queue-size=64", "queue-size=64: given twice" },
	{ "disk", "a,cache=writethrough", "cache=writethrough: expected writeback or none" },
	{ "disk", "a,cache=", "cache=: expected writeback or none" },
	{ "disk", "a,cache=none,cache=none", "cache=none: given twice" },
	/* Network */
	{ "net", "''",
	  "\"\": expected tap=, user, socket=, hostfwd=, mac=, queues= or "
	  "transport= " COMMA },
	{ "net", "tap",
	  "tap: expected tap=, user, socket=, hostfwd=, mac=, queues= or "
	  "transport= " COMMA },
	{ "net", "user=1",
	  "user=1: expected tap=, user, socket=, hostfwd=, mac=, queues= or "
	  "transport= " COMMA },
	{ "net", "mac=52:54:00:12:34:56", "it is tap=NAME, user or socket=PATH: one of them" },
	{ "net", "user,tap=a", "tap=a: it is tap=NAME, user or socket=PATH: one of them" },
	{ "net", "tap=a,socket=b", "socket=b: it is tap=NAME, user or socket=PATH: one of them" },
	{ "net", "user,user", "user: given twice" },
	{ "net", "tap=a,tap=a", "tap=a: given twice" },
	{ "net", "tap=", "tap=: empty name of an interface" },
	{ "net", "tap=sixteen-bytes-xx",
	  "tap=sixteen-bytes-xx: longer than 15 bytes, which no "
	  "interface is" },
	{ "net", "tap=.", "tap=.: not the name of an interface" },
	{ "net", "tap=..", "tap=..: not the name of an interface" },
	{ "net", "tap=a/b", "tap=a/b: not the name of an interface" },
	{ "net", "tap=tap%d", "tap=tap%d: not the name of an interface" },
	{ "net", "tap=eth0:1", "tap=eth0:1: not the name of an interface" },
	{ "net", "tap=a\tb", "tap=a\\x09b: not the name of an interface" },
	{ "net", "tap=\xff", "tap=\\xff: not the name of an interface" },
	{ "net", "socket=", "socket=: empty path" },
	{ "net", "tap=a,queues=0", "queues=0: not in 1 to 8" },
	{ "net", "tap=a,queues=9", "queues=9: not in 1 to 8" },
	{ "net", "tap=a,queues=-1", "queues=-1: expected a decimal number" },
	{ "net", "user,queues=2", "more than one pair of queues is for tap only" },
	{ "net", "queues=2,socket=s", "more than one pair of queues is for tap only" },
	{ "net", "user,transport=isa", "transport=isa: expected mmio or pci" },
	{ "net", "user,mac=", "mac=: expected a MAC address such as 52:54:00:12:34:56" },
	{ "net", "user,mac=52:54:00:12:34",
	  "mac=52:54:00:12:34: expected a MAC address such as "
	  "52:54:00:12:34:56" },
	{ "net", "user,mac=52:54:00:12:34:5",
	  "mac=52:54:00:12:34:5: expected a MAC address such "
	  "as 52:54:00:12:34:56" },
	{ "net", "user,mac=52:54:00:12:34:56:",
	  "mac=52:54:00:12:34:56:: expected a MAC address "
	  "such as 52:54:00:12:34:56" },
	{ "net", "user,mac=52-54-00-12-34-56",
	  "mac=52-54-00-12-34-56: expected a MAC address "
	  "such as 52:54:00:12:34:56" },
	{ "net", "user,mac=52:54:00:12:34:5g",
	  "mac=52:54:00:12:34:5g: expected a MAC address "
	  "such as 52:54:00:12:34:56" },
	{ "net", "user,mac=00:00:00:00:00:00",
	  "mac=00:00:00:00:00:00: all zero, which is "
	  "nobody's address" },
	{ "net", "user,mac=01:00:5e:00:00:01",
	  "mac=01:00:5e:00:00:01: a multicast address, "
	  "which is nobody's own" },
	{ "net", "user,mac=ff:ff:ff:ff:ff:ff",
	  "mac=ff:ff:ff:ff:ff:ff: a multicast address, "
	  "which is nobody's own" },
	/* Forwarded ports */
	{ "net", "tap=a,hostfwd=tcp::1-:2", "hostfwd= is for user only" },
	{ "net", "user,hostfwd=", "hostfwd=: expected tcp|udp:[ADDRESS]:PORT-:PORT" },
	{ "net", "user,hostfwd=tcp", "hostfwd=tcp: expected tcp|udp:[ADDRESS]:PORT-:PORT" },
	{ "net", "user,hostfwd=tcp::1", "hostfwd=tcp::1: expected tcp|udp:[ADDRESS]:PORT-:PORT" },
	{ "net", "user,hostfwd=tcp:1-:2",
	  "hostfwd=tcp:1-:2: expected an IPv4 address, [IPv6] or none, and a colon behind it" },
	{ "net", "user,hostfwd=sctp::1-:2", "hostfwd=sctp::1-:2: neither tcp nor udp" },
	{ "net", "user,hostfwd=::1-:2", "hostfwd=::1-:2: neither tcp nor udp" },
	{ "net", "user,hostfwd=tcp:localhost:1-:2",
	  "hostfwd=tcp:localhost:1-:2: expected an IPv4 address, [IPv6] or none, and a colon behind it" },
	{ "net", "user,hostfwd=tcp:1.2.3:1-:2",
	  "hostfwd=tcp:1.2.3:1-:2: expected an IPv4 address, [IPv6] or none, and a colon behind it" },
	{ "net", "user,hostfwd=tcp:256.0.0.1:1-:2",
	  "hostfwd=tcp:256.0.0.1:1-:2: expected an IPv4 address, [IPv6] or none, and a colon behind it" },
	{ "net", "user,hostfwd=tcp:[::1:1-:2",
	  "hostfwd=tcp:[::1:1-:2: expected an IPv4 address, [IPv6] or none, and a colon behind it" },
	{ "net", "user,hostfwd=tcp:[::1]1-:2",
	  "hostfwd=tcp:[::1]1-:2: expected an IPv4 address, [IPv6] or none, and a colon behind it" },
	{ "net", "user,hostfwd=tcp:[1.2.3.4]:1-:2",
	  "hostfwd=tcp:[1.2.3.4]:1-:2: expected an IPv4 address, [IPv6] or none, and a colon behind it" },
	{ "net", "user,hostfwd=tcp:[]:1-:2",
	  "hostfwd=tcp:[]:1-:2: expected an IPv4 address, [IPv6] or none, and a colon behind it" },
	{ "net", "user,hostfwd=tcp::1-2",
	  "hostfwd=tcp::1-2: the guest's end is :PORT, without an address" },
	{ "net", "user,hostfwd=tcp::1-10.0.2.15:2",
	  "hostfwd=tcp::1-10.0.2.15:2: the guest's end is :PORT, without an address" },
	{ "net", "user,hostfwd=tcp::1-",
	  "hostfwd=tcp::1-: the guest's end is :PORT, without an address" },
	{ "net", "user,hostfwd=tcp::0-:2", "hostfwd=tcp::0-:2: a port is not in 1 to 65535" },
	{ "net", "user,hostfwd=tcp::65536-:2",
	  "hostfwd=tcp::65536-:2: a port is not in 1 to 65535" },
	{ "net", "user,hostfwd=tcp::1-:0", "hostfwd=tcp::1-:0: a port is not in 1 to 65535" },
	{ "net", "user,hostfwd=tcp::1-:", "hostfwd=tcp::1-:: a port is not in 1 to 65535" },
	{ "net", "user,hostfwd=tcp::-:1", "hostfwd=tcp::-:1: a port is not in 1 to 65535" },
	{ "net", "user,hostfwd=tcp::1-:2-3", "hostfwd=tcp::1-:2-3: a port is not in 1 to 65535" },
	{ "net", "user,hostfwd=tcp::ssh-:22", "hostfwd=tcp::ssh-:22: a port is not in 1 to 65535" },
	{ "net", "user,hostfwd=tcp::1:2-:3", "hostfwd=tcp::1:2-:3: a port is not in 1 to 65535" },
	{ "net", "user,hostfwd=tcp::1-:2,hostfwd=tcp::1-:2", "hostfwd=tcp::1-:2: given twice" },
	/* Entropy */
	{ "rng", "yes", "yes: expected transport=KIND" },
	{ "rng", "''", "\"\": expected transport=KIND" },
	{ "rng", "transport=pci,transport=pci", "transport=pci: given twice" },
	/* Vsock */
	{ "device", "''", "empty device name" },
	{ "device", "floppy", "no such device" },
	{ "device", "blk", "use --disk" },
	{ "device", "console", "use --console or --port" },
	{ "device", "rng,size=1", "size=1: expected transport=KIND" },
	{ "vsock", "''", "\"\": expected cid=, path= or transport= " COMMA },
	{ "vsock", "cid=3", "no path=, the host's side" },
	{ "vsock", "path=s", "no cid=, the guest's address" },
	{ "vsock", "cid=0,path=s", "cid=0: not in 3 to 4294967294" },
	{ "vsock", "cid=2,path=s", "cid=2: not in 3 to 4294967294" },
	{ "vsock", "cid=4294967295,path=s", "cid=4294967295: not in 3 to 4294967294" },
	{ "vsock", "cid=4294967299,path=s", "cid=4294967299: not in 3 to 4294967294" },
	{ "vsock", "cid=-1,path=s", "cid=-1: expected a decimal number" },
	{ "vsock", "cid=18446744073709551619,path=s", "cid=18446744073709551619: too large" },
	{ "vsock", "cid=3,cid=3,path=s", "cid=3: given twice" },
	{ "vsock", "cid=3,path=", "path=: empty path" },
	/* Back-ends of others */
	{ "vhost-user", "''", "expected blk, net, fs or generic:ID first" },
	{ "vhost-user", "scsi,socket=s", "scsi: expected blk, net, fs or generic:ID" },
	{ "vhost-user", "socket=s,blk", "socket=s: expected blk, net, fs or generic:ID" },
	{ "vhost-user", "generic,socket=s", "generic: expected blk, net, fs or generic:ID" },
	{ "vhost-user", "generic:,socket=s", "generic:: expected a decimal number" },
	{ "vhost-user", "generic:0,socket=s", "generic:0: virtio id not in 1 to 63" },
	{ "vhost-user", "generic:64,socket=s", "generic:64: virtio id not in 1 to 63" },
	{ "vhost-user", "generic:4294967298,socket=s",
	  "generic:4294967298: virtio id not in 1 to 63" },
	{ "vhost-user", "blk", "no socket=, where the back-end listens" },
	{ "vhost-user", "blk,socket=", "socket=: empty path" },
	{ "vhost-user", "blk,socket=s,socket=s", "socket=s: given twice" },
	{ "vhost-user", "blk,socket=s,ro",
	  "ro: expected socket=, num-queues=, queue-size=, tag= or transport= " COMMA },
	{ "vhost-user", "blk,socket=s,num-queues=17", "num-queues=17: not in 1 to 16" },
	{ "vhost-user", "fs,socket=s,tag=t,num-queues=17", "num-queues=17: not in 1 to 16" },
	{ "vhost-user", "net,socket=s,num-queues=2", "num-queues=2: net has one pair of queues" },
	{ "vhost-user", "generic:9,socket=s,num-queues=19", "num-queues=19: not in 1 to 18" },
	{ "vhost-user", "blk,socket=s,num-queues=0", "num-queues=0: not in 1 to 16" },
	{ "vhost-user", "blk,socket=s,queue-size=3",
	  "queue-size=3: not a power of two from 16 to 1024" },
	{ "vhost-user", "fs,socket=s", "no tag=, by which the guest mounts it" },
	{ "vhost-user", "fs,socket=s,tag=", "tag=: empty tag" },
	{ "vhost-user", "fs,socket=s,tag=1234567890123456789012345678901234567",
	  "tag=123456789012345678901234567890123...: tag longer than 36 bytes" },
	{ "vhost-user", "blk,socket=s,tag=t", "tag= is for fs only" },
	/* Console and ports */
	{ "console", "''", "\"\": expected serial, virtio or file:PATH" },
	{ "console", "tty", "tty: expected serial, virtio or file:PATH" },
	{ "console", "pipe:x", "pipe:x: expected serial, virtio or file:PATH" },
	{ "console", "virtio,pipe:x", "pipe:x: expected file:PATH" },
	{ "console", "virtio,", "\"\": expected file:PATH" },
	{ "console", "virtio,virtio", "virtio: expected file:PATH" },
	{ "console", "file:", "file:: empty file name" },
	{ "console", "file:a,b", "b: nothing can follow file:PATH " COMMA },
	{ "console", "file:a,serial", "serial: nothing can follow file:PATH " COMMA },
	{ "port", "''", "empty name" },
	{ "port", "a", "expected NAME=file:PATH, NAME=pipe:PATH or NAME=socket:PATH" },
	{ "port", "=file:x", "empty name" },
	{ "port", "12345678901234567890123456789012=file:x", "name longer than 31 bytes" },
	{ "port", "a/b=file:x", "a name has letters, digits, dots, underlines and hyphens only" },
	{ "port", "\xc3\xa9=file:x",
	  "a name has letters, digits, dots, underlines and hyphens only" },
	{ "port", "a=x", "expected file:PATH, pipe:PATH or socket:PATH" },
	{ "port", "a=tcp:x", "expected file:PATH, pipe:PATH or socket:PATH" },
	{ "port", "a=", "expected file:PATH, pipe:PATH or socket:PATH" },
	{ "port", "a=file:", "empty file name" },
	{ "port", "a=file:x,ro", "nothing can follow PATH " COMMA },
	{ "exit-code-from", "uart", "expected port or vsock" },
	{ "exit-code-from", "''", "expected port or vsock" },
	{ "exit-code-from", "vsock", "needs --vsock" },
	{ "events", "''", "empty file name" },
	{ "events", "fd:", "expected a decimal number" },
	{ "events", "fd:x", "expected a decimal number" },
	{ "events", "fd:-1", "expected a decimal number" },
	{ "events", "fd:2147483648", "no such descriptor is open" },
	{ "events", "fd:18446744073709551617", "too large" },
};

/* As a refusal shows the value: escaped. */
static void show_value(char *shown, size_t size, const char *value)
{
	size_t len = 0;

	for (const char *at = value; *at && len + 5 < size; at++) {
		const unsigned char byte = (unsigned char)*at;

		len += (size_t)snprintf(shown + len, size - len,
					byte >= 0x20 && byte < 0x7f ? "%c" : "\\x%02x", byte);
	}
	shown[len] = '\0';
}

Test(config_device_refusals, name_the_option_and_the_part)
{
	char words[512], line[512], shown[256];

	for (size_t i = 0; i < LENGTH(refusals); i++) {
		const char *value = refusals[i].value;

		snprintf(words, sizeof(words), "-k k --%s=%s", refusals[i].option,
			 strcmp(value, "''") == 0 ? "" : value);
		show_value(shown, sizeof(shown), strcmp(value, "''") == 0 ? "\"\"" : value);
		snprintf(line, sizeof(line), "--%s: %s: %s", refusals[i].option, shown,
			 refusals[i].why);
		expect_refused(words, line);
	}
}

/* sun_path has 108 bytes, and the guest's connections to port N go to PATH_N. */
Test(config_device_refusals, paths_of_sockets)
{
	static const struct {
		const char *words, *why;
	} cases[] = {
		{ "-k k --net socket=" DIGITS_107, NULL },
		{ "-k k --net socket=" DIGITS_107 "8", "longer than 107 bytes, which no Unix "
						       "socket can be" },
		{ "-k k --vhost-user blk,socket=" DIGITS_107, NULL },
		{ "-k k --vhost-user blk,socket=" DIGITS_107 "8",
		  "longer than 107 bytes, which no Unix socket can be" },
		{ "-k k --port a=socket:" DIGITS_107, NULL },
		{ "-k k --port a=socket:" DIGITS_107 "8",
		  "longer than 107 bytes, which no Unix socket can be" },
		{ "-k k --port a=pipe:" DIGITS_107 "8", NULL },
		{ "-k k --vsock cid=3,path=" DIGITS_96, NULL },
		{ "-k k --vsock cid=3,path=" DIGITS_96 "7",
		  "longer than 96 bytes, and _PORT is put behind it" },
	};
	struct parse p;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		run(&p, cases[i].words);
		cr_expect_eq(p.result, cases[i].why ? CONFIG_ERROR : CONFIG_RUN, "%s: %s",
			     cases[i].words, p.err);
		if (cases[i].why)
			cr_expect_not_null(strstr(p.err, cases[i].why), "%s", p.err);
		finish(&p);
	}
}

/* Whole command lines, and the line without "minivmm: ". */
static const struct {
	const char *words, *line;
} together[] = {
	{ "-k k --vsock cid=3,path=s --vsock cid=4,path=t", "--vsock: cid=4,path=t: given twice" },
	{ "-k k --exit-code-from port --exit-code-from port",
	  "--exit-code-from: port: given twice" },
	{ "-k k --events a --events b", "--events: b: given twice" },
	{ "-k k --rng --rng=transport=pci", "--rng: transport=pci: given twice" },
	/* Too many */
	{ "-k k --rng -d 1 -d 2 -d 3 -d 4 -d 5 -d 6 -d 7 -d 8 -d 9 -d 10 -d 11 -d 12 -d 13 -d 14 "
	  "-d 15 --net user",
	  "--net: user: more than 16 devices" },
	{ "-k k --rng -d 1 -d 2 -d 3 -d 4 -d 5 -d 6 -d 7 -d 8 -d 9 -d 10 -d 11 -d 12 -d 13 -d 14 "
	  "-d 15 --port a=file:x",
	  "--port: a: more than 16 devices" },
	{ "-k k --rng -d 1 -d 2 -d 3 -d 4 -d 5 -d 6 -d 7 -d 8 -d 9 -d 10 -d 11 -d 12 -d 13 -d 14 "
	  "-d 15 --exit-code-from port",
	  "--exit-code-from: org.minivmm.exit: more than 16 devices" },
	{ "-k k --port 1=file:1 --port 2=file:2 --port 3=file:3 --port 4=file:4 --port 5=file:5 "
	  "--port 6=file:6 --port 7=file:7 --port 8=file:8 --port 9=file:9",
	  "--port: 9=file:9: more than 8 ports" },
	{ "-k k --port 1=file:1 --port 2=file:2 --port 3=file:3 --port 4=file:4 --port 5=file:5 "
	  "--port 6=file:6 --port 7=file:7 --port 8=file:8 --console virtio",
	  "--console: virtio: more than 8 ports with its own" },
	{ "-k k --port 1=file:1 --port 2=file:2 --port 3=file:3 --port 4=file:4 --port 5=file:5 "
	  "--port 6=file:6 --port 7=file:7 --port 8=file:8 --exit-code-from port",
	  "--exit-code-from: port: more than 8 ports with its own" },
	/* The same twice */
	{ "-k k --port a=file:x --port a=file:y",
	  "--port: a=file:y: a port with that name was given before" },
	{ "-k k --port org.minivmm.exit=file:x --exit-code-from port",
	  "--exit-code-from: port: there is a --port org.minivmm.exit already" },
	{ "-k k --net tap=a --net tap=b --net tap=a", "--net: a: given twice" },
	{ "-k k --net tap=a,mac=52:54:00:12:34:56 --net user,mac=52:54:00:12:34:56",
	  "--net: user: two devices with the same MAC address" },
	{ "-k k --net socket=s --net socket=s", "--net: s: the same file as --net" },
	{ "-k k --net socket=s --vhost-user blk,socket=s",
	  "--net: s: the same file as --vhost-user" },
	{ "-k k --vhost-user fs,socket=s,tag=t --vhost-user fs,socket=r,tag=t",
	  "--vhost-user: r: two devices with the same tag" },
	{ "-k k --vsock cid=3,path=s --vhost-user blk,socket=s",
	  "--vsock: s: the same file as --vhost-user" },
	{ "-k k -d d --port a=file:d", "--port: d: the same file as --disk" },
	{ "-k k -d d --console file:d", "--console: d: the same file as --disk" },
	{ "-k k --console virtio,file:k", "--console: k: the same file as --kernel" },
	{ "-k k --console virtio,file:o --port a=file:o", "--console: o: the same file as --port" },
	{ "-k k --events e --report e", "--report: e: the same file as --events" },
	{ "-k k --events e --port a=pipe:e", "--events: e: the same file as --port" },
	{ "-k k --port b=file:e --port a=file:e", "--port: e: the same file as --port" },
	/* Balloons */
	{ "-k k --restricted-dma --balloon", "--balloon: " NO_BALLOON },
	{ "-k k --balloon --restricted-dma", "--balloon: " NO_BALLOON },
	{ "-k k --balloon=64M --restricted-dma", "--balloon: " NO_BALLOON },
	{ "-k k --balloon",
	  "--balloon: there is none, connect one by --vhost-user generic:5,socket=PATH" },
	{ "-k k --vhost-user generic:5,socket=s --restricted-dma=policy=hope",
	  "--vhost-user: generic:5: " NO_BALLOON },
	/* What is on mmio and should not be */
	{ "-k k --net tap=a --restricted-dma=via=cap",
	  "--restricted-dma: via=cap: needs virtio-pci, but --net a is on mmio, use --transport "
	  "pci" },
	{ "-k k --net user,transport=mmio --transport pci --restricted-dma=via=cap",
	  "--restricted-dma: via=cap: needs virtio-pci, but --net user has transport=mmio" },
	{ "-k k --vsock cid=3,path=s --tables acpi",
	  "--tables: acpi: cannot describe virtio-mmio, but --vsock is on mmio, use --transport "
	  "pci" },
	{ "-k k --vhost-user blk,socket=s --tables acpi",
	  "--tables: acpi: cannot describe virtio-mmio, but --vhost-user blk is on mmio, use "
	  "--transport pci" },
	{ "-k k --port a=file:x --tables acpi",
	  "--tables: acpi: cannot describe virtio-mmio, but the device of the ports is on mmio, "
	  "use --transport pci" },
};

Test(config_device_refusals, together)
{
	for (size_t i = 0; i < LENGTH(together); i++)
		expect_refused(together[i].words, together[i].line);
}

/* What is only read may be given to two, and the name of an interface is no file. */
Test(config_device_refusals, what_may_be_shared)
{
	static const char *const cases[] = {
		"-k k -d k,ro",
		"-k k -i k",
		"-k k --net tap=a --vhost-user blk,socket=a",
		"-k k --net user --net user",
		"-k k --restricted-dma --vhost-user generic:4,socket=s",
		"-k k --vhost-user generic:5,socket=s",
		"-k k --vhost-user fs,socket=s,tag=t --vhost-user fs,socket=r,tag=u",
	};
	struct parse p;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		expect_run(&p, cases[i]);
		finish(&p);
	}
}
