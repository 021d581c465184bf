/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The command line: words made of pieces that options know, and of any bytes. Either there is a
 * configuration that makes sense, or exactly one line says why not.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "vmm/config.h"

#define MAX_WORDS 24
#define TEXT_MAX  8192

/* With what is above it, a piece of a word; 0x80 ends a word, and what is below stands for itself. */
static const char *const pieces[] = {
	"--kernel=k",
	"--initrd=",
	"--cmdline=",
	"--cpus=",
	"--memory=",
	"--tables=",
	"--disk=",
	"--net=",
	"--vsock=",
	"--rng",
	"--device=",
	"--vhost-user=",
	"--console=",
	"--port=",
	"--balloon",
	"--transport=",
	"--restricted-dma",
	"--proposal=",
	"--sandbox=",
	"--dump-dtb=",
	"--report=",
	"--events=",
	"--exit-code-from=",
	"--timeout=",
	"--verbose",
	"--version",
	"--help",
	"-k",
	"-m",
	"-c",
	"-d",
	"-v",
	"dt",
	"acpi",
	"mmio",
	"pci",
	"disk.img",
	",ro",
	",serial=",
	",queues=",
	",queue-size=",
	",cache=none",
	",cache=",
	"tap=tap0",
	"user",
	"socket=",
	",mac=52:54:00:12:34:56",
	",mac=",
	",hostfwd=tcp::2222-:22",
	",hostfwd=",
	"cid=",
	",path=",
	"blk",
	"net",
	"fs",
	"generic:",
	",socket=/s",
	",num-queues=",
	",tag=",
	",transport=",
	"virtio",
	",file:",
	"=file:",
	"=pipe:",
	"=socket:",
	"size=",
	",policy=",
	"require",
	"hope",
	",share=",
	"all",
	"group=",
	"12345678-1234-1234-1234-123456789abc",
	",via=",
	"cap",
	"config",
	"dmb",
	",place=bar",
	",place=memory",
	"swiotlb-feature=",
	"dmb-shm-id=",
	"dmb-config=",
	"swiotlb-config=",
	"full",
	"off",
	"fd:",
	"port",
	"vsock",
	"rng",
	"serial",
	"16M",
	"4096",
	"18446744073709551616",
	"0x1b",
	"1G",
	"org.minivmm.exit",
	",,",
	"=",
	"1",
	"2",
	"64",
	"udp:127.0.0.1:53-:53",
};

#define NR_PIECES (sizeof(pieces) / sizeof(pieces[0]))
#define END	  0x80u
#define FIRST	  0x81u

_Static_assert(FIRST + NR_PIECES <= 256, "a byte for each");

struct command {
	char text[TEXT_MAX];
	size_t used;
	char *argv[MAX_WORDS + 2];
	int argc;
};

static void append(struct command *command, const char *bytes, size_t len)
{
	if (command->used + len + 1 >= sizeof(command->text))
		return;
	memcpy(command->text + command->used, bytes, len);
	command->used += len;
}

static void read_words(struct command *command, struct fuzz_input *in)
{
	size_t start = 0;

	command->used = 0;
	command->argc = 1;
	command->argv[0] = "minivmm";
	while (in->left && command->argc <= MAX_WORDS && command->used < TEXT_MAX - 2) {
		const uint8_t byte = fuzz_u8(in);
		const char c = (char)byte;

		if (byte >= FIRST)
			append(command, pieces[(byte - FIRST) % NR_PIECES],
			       strlen(pieces[(byte - FIRST) % NR_PIECES]));
		else if (byte && byte != END)
			append(command, &c, 1);
		else if (!byte)
			/* So long that no option takes it. */
			for (unsigned int i = fuzz_u16(in) % 5000; i; i--)
				append(command, "y", 1);
		if (byte != END && in->left)
			continue;
		command->text[command->used++] = '\0';
		command->argv[command->argc++] = command->text + start;
		start = command->used;
	}
	command->argv[command->argc] = NULL;
}

static void check_line(const char *text, size_t len)
{
	fuzz_check(len > 9 && !strncmp(text, "minivmm: ", 9), "a refusal in another form");
	fuzz_check(memchr(text, '\n', len) == text + len - 1, "not exactly one line");
}

static void check_devices(const struct config *config)
{
	fuzz_check(config->nr_devices <= MACHINE_MAX_DEVICES);
	for (size_t i = 0; i < config->nr_devices; i++) {
		const struct config_device *device = &config->devices[i];

		fuzz_check(!(device->queue_size & (device->queue_size - 1)) &&
			   device->queue_size <= CONFIG_MAX_QUEUE_SIZE);
		fuzz_check(device->queues <= CONFIG_MAX_QUEUES);
		fuzz_check(device->kind != CONFIG_DISK || device->disk.path);
		fuzz_check(device->kind != CONFIG_VHOST_USER || device->vhost_user.path);
		fuzz_check(device->kind != CONFIG_CONSOLE || i + 1 == config->nr_devices);
		fuzz_check(device->kind != CONFIG_VSOCK ||
			   (device->vsock.path && device->vsock.cid >= CONFIG_MIN_CID));
	}
}

static void check_config(const struct config *config)
{
	fuzz_check(config->kernel && *config->kernel, "no kernel");
	fuzz_check(config->cpus >= 1 && config->cpus <= MACHINE_MAX_CPUS);
	fuzz_check(config->memory >= CONFIG_MIN_MEMORY && config->memory <= CONFIG_MAX_MEMORY &&
		   config->memory % CONFIG_MEMORY_GRANULE == 0);
	fuzz_check(config->restricted == (config->via != MECHANISM_NONE));
	fuzz_check(!config->restricted ||
		   (config->pool_size >= CONFIG_MIN_POOL && config->pool_size <= CONFIG_MAX_POOL &&
		    config->pool_size % CONFIG_POOL_GRANULE == 0));
	fuzz_check(config->nr_ports <= CONFIG_MAX_PORTS);
	fuzz_check(!config->cmdline || strlen(config->cmdline) <= CONFIG_MAX_CMDLINE);
	fuzz_check(config->timeout <= CONFIG_MAX_TIMEOUT);
	check_devices(config);
}

/* What was written to @file since the last time, a string. */
static const char *written(FILE *file, char *text, size_t *len)
{
	const long end = ftell(file);

	fuzz_check(end >= 0 && fflush(file) == 0);
	*len = (size_t)end;
	text[end] = '\0';
	rewind(file);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char out_text[1 << 15], err_text[1 << 15];
	static struct command command;
	static FILE *out, *err;
	struct fuzz_input in = { data, size };
	enum config_result result;
	size_t out_len, err_len;
	struct config config;

	if (!out) {
		out = fmemopen(out_text, sizeof(out_text) - 1, "w");
		err = fmemopen(err_text, sizeof(err_text) - 1, "w");
		fuzz_check(out && err);
	}
	read_words(&command, &in);
	result = config_parse(&config, command.argc, command.argv, out, err);
	written(out, out_text, &out_len);
	written(err, err_text, &err_len);
	if (result == CONFIG_ERROR)
		check_line(err_text, err_len);
	fuzz_check((result == CONFIG_ERROR) == (err_len > 0));
	fuzz_check((result == CONFIG_DONE) == (out_len > 0));
	if (result == CONFIG_RUN) {
		check_config(&config);
		config_destroy(&config);
	}
	return 0;
}
