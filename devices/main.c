/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * minivmm-device: one virtio device in a process of its own, as a vhost-user back-end.
 *
 *	options -> device (opens what it needs) -> sandbox -> the front-end's messages
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/backend.h"
#include "devices/core/log.h"
#include "devices/core/sandbox.h"
#include "devices/proto/version.h"
#include "devices/server.h"

#define EXIT_USAGE 2

struct arguments {
	const struct device_kind *kind;
	struct device_options device;
	int control_fd; /* -1: none */
	const char *socket_path;
	const char *file;
	bool sandbox;
};

enum parse_result { PARSE_RUN, PARSE_DONE, PARSE_ERROR };

static void print_help(void)
{
	printf("Usage: minivmm-device KIND (--control-fd N | --socket-path PATH) [OPTION]...\n"
	       "A virtio device behind vhost-user. KIND is one of: %s\n\n"
	       "  --control-fd N        serve the front-end on this connected socket\n"
	       "  --socket-path PATH    listen there, serve one front-end after the other\n"
	       "  --backend-fd N        the disk, or the console's stream\n"
	       "  --file PATH           open this instead, with --socket-path\n"
	       "  --read-only           blk: refuse writes\n"
	       "  --serial TEXT         blk: serial number, at most %d bytes\n"
	       "  --sandbox=full|off    off: run without any confinement (default: full)\n"
	       "  --help, --version\n",
	       device_kind_names(), DEVICE_SERIAL_MAX);
}

static enum parse_result usage_error(const char *what, const char *which, const char *why)
{
	fprintf(stderr, "minivmm-device: %s: %s: %s\n", what, which, why);
	return PARSE_ERROR;
}

/* An open descriptor by its number; -1 when it is none. */
static int parse_fd(const char *text)
{
	char *end;
	long fd;

	errno = 0;
	fd = strtol(text, &end, 10);
	if (errno || end == text || *end || fd <= STDERR_FILENO || fd > INT_MAX ||
	    fcntl((int)fd, F_GETFD) < 0)
		return -1;
	return (int)fd;
}

enum option_value {
	OPT_CONTROL = 256, /* above every character */
	OPT_BACKEND,
	OPT_SOCKET,
	OPT_FILE,
	OPT_RO,
	OPT_SERIAL,
	OPT_SANDBOX,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option options[] = {
	{ "control-fd", required_argument, NULL, OPT_CONTROL },
	{ "backend-fd", required_argument, NULL, OPT_BACKEND },
	{ "socket-path", required_argument, NULL, OPT_SOCKET },
	{ "file", required_argument, NULL, OPT_FILE },
	{ "read-only", no_argument, NULL, OPT_RO },
	{ "serial", required_argument, NULL, OPT_SERIAL },
	{ "sandbox", required_argument, NULL, OPT_SANDBOX },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ 0 },
};

static enum parse_result parse_option(struct arguments *args, int option)
{
	switch (option) {
	case OPT_CONTROL:
		args->control_fd = parse_fd(optarg);
		if (args->control_fd < 0)
			return usage_error("--control-fd", optarg,
					   "not an open descriptor above 2");
		return PARSE_RUN;
	case OPT_BACKEND:
		args->device.backend_fd = parse_fd(optarg);
		if (args->device.backend_fd < 0)
			return usage_error("--backend-fd", optarg,
					   "not an open descriptor above 2");
		return PARSE_RUN;
	case OPT_SOCKET:
		args->socket_path = optarg;
		return PARSE_RUN;
	case OPT_FILE:
		args->file = optarg;
		return PARSE_RUN;
	case OPT_RO:
		args->device.read_only = true;
		return PARSE_RUN;
	case OPT_SERIAL:
		args->device.serial = optarg;
		if (strlen(optarg) > DEVICE_SERIAL_MAX)
			return usage_error("--serial", optarg, "too long");
		return PARSE_RUN;
	case OPT_SANDBOX:
		args->sandbox = strcmp(optarg, "off") != 0;
		if (args->sandbox && strcmp(optarg, "full") != 0)
			return usage_error("--sandbox", optarg, "neither full nor off");
		return PARSE_RUN;
	case OPT_HELP:
		print_help();
		return PARSE_DONE;
	case OPT_VERSION:
		printf("minivmm-device " MINIVMM_VERSION "\n");
		return PARSE_DONE;
	default:
		return PARSE_ERROR; /* getopt has printed the line */
	}
}

/* What no option says by itself. */
static enum parse_result check_arguments(const struct arguments *args)
{
	const char *kind = args->kind->name;
	bool has_backend = args->device.backend_fd >= 0 || args->file;

	if ((args->control_fd >= 0) == (args->socket_path != NULL))
		return usage_error(kind, "--control-fd, --socket-path", "exactly one is needed");
	if (args->file && (!args->socket_path || args->device.backend_fd >= 0))
		return usage_error(kind, "--file", "goes with --socket-path, without --backend-fd");
	if (args->kind->ops->needs_backend && !has_backend)
		return usage_error(kind, "--backend-fd", "is needed");
	if (!args->kind->ops->needs_backend && has_backend)
		return usage_error(kind, "--backend-fd, --file", "this device has no use for it");
	return PARSE_RUN;
}

static enum parse_result parse(struct arguments *args, int argc, char **argv)
{
	enum parse_result result = PARSE_RUN;
	int option;

	while (result == PARSE_RUN && (option = getopt_long(argc, argv, "", options, NULL)) != -1)
		result = parse_option(args, option);
	if (result != PARSE_RUN)
		return result;
	if (argc - optind != 1)
		return usage_error("KIND", device_kind_names(), "exactly one is needed");
	args->kind = device_kind_find(argv[optind]);
	if (!args->kind)
		return usage_error("KIND", argv[optind], "unknown");
	return check_arguments(args);
}

/* Descriptors that come by message: those of the windows, later those of the queues. */
static unsigned int later_fds(const struct device_kind *kind)
{
	unsigned int queues =
		3 * kind->nr_queues + 1; /* kick, call, err; one comes before one goes */

	return queues > VHOST_USER_MAX_FDS ? queues : VHOST_USER_MAX_FDS;
}

static int confine_and_run(struct device *device, int sock, bool full)
{
	const int fds[] = { sock, device->loop.epoll_fd, device->backend_fd, -1 };
	struct sandbox sandbox = {
		.full = full,
		.writes_files = device->ops->writes_files,
		.syscalls = device->ops->syscalls,
		.fds = fds,
		.later_fds = later_fds(device->kind),
	};
	struct backend backend = { .device = device, .sandbox = &sandbox, .sock = sock };
	int rc = sandbox_enter(&sandbox);

	return rc ? rc : backend_run(&backend);
}

/* The life of one device. Returns the exit status. */
static int serve(int sock, const void *opaque)
{
	const struct arguments *args = opaque;
	struct device device;
	int rc = device_create(&device, args->kind, &args->device);

	if (rc)
		return EXIT_FAILURE;
	rc = confine_and_run(&device, sock, args->sandbox);
	device_destroy(&device);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int open_file(struct arguments *args)
{
	int mode = args->device.read_only ? O_RDONLY : O_RDWR;

	args->device.backend_fd = open(args->file, mode | O_CLOEXEC | O_NOCTTY);
	if (args->device.backend_fd < 0) {
		device_log("%s: %s", args->file, strerror(errno));
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct arguments args = {
		.device = { .backend_fd = -1, .serial = "" },
		.control_fd = -1,
		.sandbox = true,
	};
	enum parse_result result = parse(&args, argc, argv);

	if (result != PARSE_RUN)
		return result == PARSE_DONE ? EXIT_SUCCESS : EXIT_USAGE;
	/* A write that fails is a status for the guest, not the end of the process. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	/* Past the exit handlers: they may need system calls that the sandbox has taken away. */
	if (args.control_fd >= 0)
		_exit(serve(args.control_fd, &args));
	if (args.file && open_file(&args))
		return EXIT_FAILURE;
	return server_run(args.socket_path, args.sandbox, serve, &args) ? EXIT_FAILURE : 0;
}
