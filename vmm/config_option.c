/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The table of options, their simple handlers, and --help, which is the table printed. */
#include "vmm/config_option.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "devices/proto/version.h"

#define HELP_COLUMN 30

#define TEXT_OF(macro) TEXT_OF_(macro)
#define TEXT_OF_(text) #text

/* Checks a file name and leaves it where it is. */
static enum config_result set_path(struct config_parser *parser, const char *value,
				   const char **path)
{
	if (*value == '\0')
		return config_refuse(parser, value, "empty file name");
	if (strlen(value) >= PATH_MAX)
		return config_refuse(parser, value, "longer than %d bytes", PATH_MAX - 1);
	*path = value;
	return CONFIG_RUN;
}

static enum config_result set_kernel(struct config_parser *parser, const char *value)
{
	return set_path(parser, value, &parser->config->kernel);
}

static enum config_result set_initrd(struct config_parser *parser, const char *value)
{
	return set_path(parser, value, &parser->config->initrd);
}

static enum config_result set_dump_dtb(struct config_parser *parser, const char *value)
{
	return set_path(parser, value, &parser->config->dump_dtb);
}

static enum config_result set_report(struct config_parser *parser, const char *value)
{
	return set_path(parser, value, &parser->config->report);
}

static enum config_result set_cmdline(struct config_parser *parser, const char *value)
{
	if (strlen(value) > CONFIG_MAX_CMDLINE)
		return config_refuse(parser, value, "longer than %d bytes", CONFIG_MAX_CMDLINE);
	parser->config->cmdline = value;
	return CONFIG_RUN;
}

static enum config_result set_number(struct config_parser *parser, const char *value,
				     unsigned int max, unsigned int *number)
{
	uint64_t n;
	const int err = config_parse_number(value, &n);

	if (err)
		return config_refuse(parser, value, "%s", config_number_problem(err));
	if (n < 1 || n > max)
		return config_refuse(parser, value, "not in 1 to %u", max);
	*number = (unsigned int)n;
	return CONFIG_RUN;
}

static enum config_result set_cpus(struct config_parser *parser, const char *value)
{
	return set_number(parser, value, MACHINE_MAX_CPUS, &parser->config->cpus);
}

static enum config_result set_timeout(struct config_parser *parser, const char *value)
{
	return set_number(parser, value, CONFIG_MAX_TIMEOUT, &parser->config->timeout);
}

static enum config_result set_memory(struct config_parser *parser, const char *value)
{
	uint64_t size;
	const int err = config_parse_size(value, &size);

	if (err)
		return config_refuse(parser, value, "%s", config_size_problem(err));
	if (size < CONFIG_MIN_MEMORY)
		return config_refuse(parser, value, "less than %lluM", CONFIG_MIN_MEMORY >> 20);
	if (size > CONFIG_MAX_MEMORY)
		return config_refuse(parser, value, "more than %lluG", CONFIG_MAX_MEMORY >> 30);
	if (size % CONFIG_MEMORY_GRANULE != 0)
		return config_refuse(parser, value, "not a multiple of 4K");
	parser->config->memory = size;
	return CONFIG_RUN;
}

static enum config_result set_verbose(struct config_parser *parser, const char *value)
{
	(void)value;
	parser->config->verbose = true;
	return CONFIG_RUN;
}

static enum config_result set_transport(struct config_parser *parser, const char *value)
{
	const char *problem = config_parse_transport(value, &parser->config->transport);

	return problem ? config_refuse(parser, value, "%s", problem) : CONFIG_RUN;
}

static enum config_result set_tables(struct config_parser *parser, const char *value)
{
	if (strcmp(value, "dt") == 0)
		parser->config->tables = MACHINE_TABLES_DEVICE_TREE;
	else if (strcmp(value, "acpi") == 0)
		parser->config->tables = MACHINE_TABLES_ACPI;
	else
		return config_refuse(parser, value, "expected dt or acpi");
	return CONFIG_RUN;
}

static enum config_result set_exit_code_from(struct config_parser *parser, const char *value)
{
	if (strcmp(value, "port") == 0)
		parser->config->exit_code_from = CONFIG_EXIT_CODE_PORT;
	else if (strcmp(value, "vsock") == 0)
		parser->config->exit_code_from = CONFIG_EXIT_CODE_VSOCK;
	else
		return config_refuse(parser, value, "expected port or vsock");
	return CONFIG_RUN;
}

/* A descriptor that is meant for this is there before anything of ours is. */
static enum config_result set_events(struct config_parser *parser, const char *value)
{
	uint64_t fd;
	int err, flags;

	if (strncmp(value, "fd:", 3) != 0)
		return set_path(parser, value, &parser->config->events);
	err = config_parse_number(value + 3, &fd);
	if (err)
		return config_refuse(parser, value, "%s", config_number_problem(err));
	flags = fd <= INT_MAX ? fcntl((int)fd, F_GETFL) : -1;
	if (flags < 0)
		return config_refuse(parser, value, "no such descriptor is open");
	if ((flags & O_ACCMODE) == O_RDONLY)
		return config_refuse(parser, value, "not open for writing");
	parser->config->events = value;
	return CONFIG_RUN;
}

/* config_check() knows what to say of it. */
static enum config_result set_balloon(struct config_parser *parser, const char *value)
{
	(void)parser;
	(void)value;
	return CONFIG_RUN;
}

static enum config_result set_sandbox(struct config_parser *parser, const char *value)
{
	if (strcmp(value, "full") == 0)
		parser->config->sandbox = true;
	else if (strcmp(value, "off") == 0)
		parser->config->sandbox = false;
	else
		return config_refuse(parser, value, "expected full or off");
	return CONFIG_RUN;
}

/* "off", or "CRASHES/SECONDS". */
static enum config_result set_restart_limit(struct config_parser *parser, const char *value)
{
	struct config *config = parser->config;
	const char *slash = strchr(value, '/');
	char crashes[24];
	uint64_t n, seconds;

	if (strcmp(value, "off") == 0) {
		config->restart_crashes = 0;
		return CONFIG_RUN;
	}
	if (!slash || (size_t)(slash - value) >= sizeof(crashes))
		return config_refuse(parser, value, "expected off or N/SECONDS");
	memcpy(crashes, value, (size_t)(slash - value));
	crashes[slash - value] = '\0';
	if (config_parse_number(crashes, &n) || n < 1 || n > CONFIG_MAX_CRASHES)
		return config_refuse(parser, value, "N: not in 1 to " TEXT_OF(CONFIG_MAX_CRASHES));
	if (config_parse_number(slash + 1, &seconds) || seconds < 1 ||
	    seconds > CONFIG_MAX_CRASH_SECONDS)
		return config_refuse(parser, value, "SECONDS: not in 1 to %u",
				     CONFIG_MAX_CRASH_SECONDS);
	config->restart_crashes = (unsigned int)n;
	config->restart_seconds = (unsigned int)seconds;
	return CONFIG_RUN;
}

/* A text that the user asked for and does not get is an error like any other. */
static enum config_result finish_output(struct config_parser *parser)
{
	if (fflush(parser->out) == 0)
		return CONFIG_DONE;
	return config_refuse(parser, "standard output", "%s", strerror(errno));
}

static enum config_result show_version(struct config_parser *parser, const char *value)
{
	(void)value;
	fprintf(parser->out, "minivmm %s\n", MINIVMM_VERSION);
	return finish_output(parser);
}

/* The names in the left column, the help text in the right one, line by line. */
static void show_option(FILE *out, const struct config_option *option)
{
	const char *line = option->help;
	size_t len = strcspn(line, "\n");
	int left;

	left = option->letter ? fprintf(out, "  -%c, ", option->letter) : fprintf(out, "      ");
	left += fprintf(out, "--%s%s", option->name, option->argument);
	fprintf(out, "%*s%.*s\n", HELP_COLUMN - left, "", (int)len, line);
	while (line[len] == '\n') {
		line += len + 1;
		len = strcspn(line, "\n");
		fprintf(out, "%*s%.*s\n", HELP_COLUMN, "", (int)len, line);
	}
}

static enum config_result show_help(struct config_parser *parser, const char *value)
{
	(void)value;
	fprintf(parser->out,
		"Usage: minivmm --kernel FILE [OPTION]...   (a SIZE takes K, M or G)\n");
	for (size_t i = 0; i < config_nr_options; i++) {
		if (config_options[i].help)
			show_option(parser->out, &config_options[i]);
	}
	return finish_output(parser);
}

#define FLAG	 CONFIG_ARGUMENT_NONE
#define REQUIRED CONFIG_ARGUMENT_REQUIRED
#define OPTIONAL CONFIG_ARGUMENT_OPTIONAL

const struct config_option config_options[] = {
	{ "kernel", 'k', REQUIRED, false, " FILE", "bzImage or vmlinux to boot; required",
	  set_kernel },
	{ "initrd", 'i', REQUIRED, false, " FILE", "initial RAM disk", set_initrd },
	{ "cmdline", 0, REQUIRED, false, " TEXT", "appended to the kernel command line",
	  set_cmdline },
	{ "cpus", 'c', REQUIRED, false, " N",
	  "vCPUs, 1 to " TEXT_OF(MACHINE_MAX_CPUS) " (default 1)", set_cpus },
	{ "memory", 'm', REQUIRED, false, " SIZE", "guest RAM without pools (default 512M)",
	  set_memory },
	{ "tables", 0, REQUIRED, false, " KIND", "describe the hardware by dt or acpi",
	  set_tables },
	{ "disk", 'd', REQUIRED, true, " FILE[,LIST]",
	  "raw disk image; LIST: ro,serial=S,queues=N,\n"
	  "queue-size=N,cache=writeback|none",
	  config_set_disk },
	{ "net", 0, REQUIRED, true, " KIND[,LIST]",
	  "tap=NAME, user or socket=PATH; LIST: mac=ADDRESS,\n"
	  "queues=N,hostfwd=tcp|udp:[ADDRESS]:PORT-:PORT",
	  config_set_net },
	{ "vsock", 0, REQUIRED, false, " LIST", "cid=N,path=PATH of the host's side",
	  config_set_vsock },
	{ "rng", 0, OPTIONAL, false, "[=LIST]", "entropy source", config_set_rng },
	{ "device", 0, REQUIRED, true, " NAME[,LIST]", "any device without a host side, as rng",
	  config_set_plain },
	{ "vhost-user", 0, REQUIRED, true, " KIND,LIST",
	  "blk, net, fs or generic:ID; LIST: socket=PATH,\n"
	  "num-queues=N,queue-size=N,tag=NAME",
	  config_set_vhost_user },
	{ "console", 0, REQUIRED, false, " KIND", "serial (default) or virtio[,file:PATH]",
	  config_set_console },
	{ "port", 0, REQUIRED, true, " NAME=TO", "port; TO: file:PATH, pipe:PATH or socket:PATH",
	  config_set_port },
	{ "balloon", 0, OPTIONAL, false, "", NULL, set_balloon },
	{ "transport", 0, REQUIRED, false, " KIND",
	  "mmio (default) or pci; in a LIST: transport=KIND", set_transport },
	{ "restricted-dma", 0, OPTIONAL, false, "[=LIST]",
	  "devices reach pools only. LIST (defaults first):\n"
	  "size=16M,policy=require|hope,\n"
	  "share=device|all|group=UUID,\n"
	  "via=auto|dt|cap|config|dmb,place=memory|bar",
	  config_set_restricted },
	{ "proposal", 0, REQUIRED, true, " KEY=NUMBER", "change a number of via=cap, config or dmb",
	  config_set_proposal },
	{ "evil-device", 0, REQUIRED, true, " KIND",
	  "have blk, net, ... or blk0, ... misbehave; then\n"
	  "[,LIST]: seed=N,rate=N,after=N,tricks=NAME+NAME",
	  config_set_evil },
	{ "sandbox", 0, REQUIRED, false, " MODE", "of device processes: full (default) or off",
	  set_sandbox },
	{ "restart-limit", 0, REQUIRED, false, " N/S", "N crashes in S s fail a device (5/10); off",
	  set_restart_limit },
	{ "dump-dtb", 0, REQUIRED, false, " FILE", "write the guest's device tree and end",
	  set_dump_dtb },
	{ "report", 0, REQUIRED, false, " FILE", "write what happened as JSON (-: stdout)",
	  set_report },
	{ "events", 0, REQUIRED, false, " FILE", "write what happens, as it does (or to fd:N)",
	  set_events },
	{ "exit-code-from", 0, REQUIRED, false, " WHERE", "the guest's code: port or vsock",
	  set_exit_code_from },
	{ "timeout", 0, REQUIRED, false, " SECONDS", "end the guest after that (default: never)",
	  set_timeout },
	{ "verbose", 'v', FLAG, false, "", "tell more on stderr", set_verbose },
	{ "version", 0, FLAG, false, "", "print the version", show_version },
	{ "help", 'h', FLAG, false, "", "print this", show_help },
};

const size_t config_nr_options = sizeof(config_options) / sizeof(config_options[0]);

_Static_assert(sizeof(config_options) / sizeof(config_options[0]) <= CONFIG_MAX_OPTIONS,
	       "raise CONFIG_MAX_OPTIONS");

const struct config_option *config_option_find(const char *name, size_t len)
{
	for (size_t i = 0; i < config_nr_options; i++) {
		if (strlen(config_options[i].name) == len &&
		    memcmp(config_options[i].name, name, len) == 0)
			return &config_options[i];
	}
	return NULL;
}

const struct config_option *config_option_find_letter(int letter)
{
	for (size_t i = 0; i < config_nr_options; i++) {
		if (config_options[i].letter && config_options[i].letter == letter)
			return &config_options[i];
	}
	return NULL;
}

void config_blame(struct config_parser *parser, const char *name)
{
	parser->option = config_option_find(name, strlen(name));
}

bool config_option_given(const struct config_parser *parser, const char *name)
{
	return parser->seen[config_option_find(name, strlen(name)) - config_options];
}
