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
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/core/backend.h"
#include "devices/core/log.h"
#include "devices/core/sandbox.h"
#include "devices/proto/version.h"
#include "devices/server.h"

#define EXIT_USAGE 2
#define WORD_SHOWN 81 /* bytes of a word in a message, with the NUL */

struct arguments {
	const struct device_kind *kind;
	struct device_options device;
	int fds[DEVICE_MAX_BACKENDS]; /* device.backend_fds */
	int control_fd;		      /* -1: none */
	const char *socket_path;
	const char *file;
	bool sandbox;
};

enum parse_result { PARSE_RUN, PARSE_DONE, PARSE_ERROR };

static void print_kind(const struct device_kind *kind)
{
	printf("  %-8s", kind->name);
	for (const char *const *name = kind->ops->settings; name && *name; name++)
		printf(" [%s]", *name);
	printf("\n");
}

static void print_help(void)
{
	printf("Usage: minivmm-device KIND [SETTING]... (--control-fd N | --socket-path PATH) "
	       "[OPTION]...\n"
	       "A virtio device behind vhost-user. KIND with its SETTINGs is one of:\n\n");
	device_kind_list(print_kind);
	printf("\n"
	       "and of each KIND also: evil=seed=N,rate=N,after=N,tricks=NAME+NAME..., which makes\n"
	       "it misbehave towards its guest on purpose.\n"
	       "\n"
	       "  --control-fd N        serve the front-end on this connected socket\n"
	       "  --socket-path PATH    listen there, serve one front-end after the other\n"
	       "  --backend-fd N        the disk, stream, tap or socket; several where KIND takes them\n"
	       "  --file PATH           open this instead, with --socket-path\n"
	       "  --sandbox=full|off    off: run without any confinement (default: full)\n"
	       "  --help, --version\n");
}

/* Copies what a stranger wrote to @out, WORD_SHOWN bytes, as something to print. */
static const char *show_word(char *out, const char *word)
{
	const size_t len = strnlen(word, WORD_SHOWN - 1);

	for (size_t i = 0; i < len; i++)
		out[i] = word[i] >= ' ' && word[i] <= '~' ? word[i] : '?';
	out[len] = '\0';
	if (word[len])
		memcpy(out + len - strlen("..."), "...", strlen("..."));
	return out;
}

static enum parse_result usage_error(const char *what, const char *which, const char *why)
{
	char shown[WORD_SHOWN];

	fprintf(stderr, "minivmm-device: %s: %s: %s\n", what, show_word(shown, which), why);
	return PARSE_ERROR;
}

/* A text that the user asked for and does not get is an error like any other. */
static enum parse_result finish_output(void)
{
	if (fflush(stdout) == 0)
		return PARSE_DONE;
	return usage_error("--help, --version", "standard output", strerror(errno));
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
	OPT_SANDBOX,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option options[] = {
	{ "control-fd", required_argument, NULL, OPT_CONTROL },
	{ "backend-fd", required_argument, NULL, OPT_BACKEND },
	{ "socket-path", required_argument, NULL, OPT_SOCKET },
	{ "file", required_argument, NULL, OPT_FILE },
	{ "sandbox", required_argument, NULL, OPT_SANDBOX },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ 0 },
};

static enum parse_result add_backend(struct arguments *args, const char *text)
{
	int fd = parse_fd(text);

	if (fd < 0)
		return usage_error("--backend-fd", text, "not an open descriptor above 2");
	if (args->device.nr_backends == DEVICE_MAX_BACKENDS)
		return usage_error("--backend-fd", text, "too many");
	args->fds[args->device.nr_backends++] = fd;
	return PARSE_RUN;
}

/* @word: where getopt_long() found it. */
static enum parse_result parse_option(struct arguments *args, int option, const char *word)
{
	switch (option) {
	case OPT_CONTROL:
		args->control_fd = parse_fd(optarg);
		if (args->control_fd < 0)
			return usage_error("--control-fd", optarg,
					   "not an open descriptor above 2");
		return PARSE_RUN;
	case OPT_BACKEND:
		return add_backend(args, optarg);
	case OPT_SOCKET:
		args->socket_path = optarg;
		return PARSE_RUN;
	case OPT_FILE:
		args->file = optarg;
		return PARSE_RUN;
	case OPT_SANDBOX:
		args->sandbox = strcmp(optarg, "off") != 0;
		if (args->sandbox && strcmp(optarg, "full") != 0)
			return usage_error("--sandbox", optarg, "neither full nor off");
		return PARSE_RUN;
	case OPT_HELP:
		print_help();
		return finish_output();
	case OPT_VERSION:
		printf("minivmm-device " MINIVMM_VERSION "\n");
		return finish_output();
	case ':':
		return usage_error("option", word, "needs a value");
	default:
		return usage_error("option", word, "unknown, or takes no value; see --help");
	}
}

/* What no option says by itself. */
static enum parse_result check_arguments(const struct arguments *args)
{
	const struct device_ops *ops = args->kind->ops;
	const char *kind = args->kind->name;
	unsigned int backends = args->device.nr_backends + (args->file ? 1 : 0);

	if ((args->control_fd >= 0) == (args->socket_path != NULL))
		return usage_error(kind, "--control-fd, --socket-path", "exactly one is needed");
	if (args->file && (!args->socket_path || args->device.nr_backends > 0))
		return usage_error(kind, "--file", "goes with --socket-path, without --backend-fd");
	if (backends < ops->min_backends)
		return usage_error(kind, "--backend-fd", "is needed");
	if (backends > ops->max_backends)
		return usage_error(kind, "--backend-fd, --file",
				   backends > 1 ? "too many" : "this device has no use for it");
	return PARSE_RUN;
}

static bool knows_setting(const struct device_ops *ops, const char *setting)
{
	size_t len = strcspn(setting, "=");

	if (len == strlen("evil") && !strncmp(setting, "evil", len))
		return true;
	for (const char *const *name = ops->settings; name && *name; name++) {
		if (!strncmp(*name, setting, len) && !(*name)[len])
			return true;
	}
	return false;
}

static enum parse_result check_settings(const struct arguments *args)
{
	const char *const *settings = args->device.settings;

	for (const char *const *setting = settings; *setting; setting++) {
		size_t name = strcspn(*setting, "=");

		if (!knows_setting(args->kind->ops, *setting))
			return usage_error(args->kind->name, *setting, "no such setting");
		for (const char *const *other = settings; other != setting; other++) {
			if (!strncmp(*other, *setting, name) && strcspn(*other, "=") == name)
				return usage_error(args->kind->name, *setting, "given twice");
		}
	}
	return PARSE_RUN;
}

static enum parse_result parse(struct arguments *args, int argc, char **argv)
{
	enum parse_result result = PARSE_RUN;
	int option;

	opterr = 0;
	while (result == PARSE_RUN && (option = getopt_long(argc, argv, ":", options, NULL)) != -1)
		result = parse_option(args, option, argv[optind - 1]);
	if (result != PARSE_RUN)
		return result;
	/* getopt_long() has moved all other words to the end. */
	if (optind == argc)
		return usage_error("KIND", device_kind_names(), "one is needed");
	args->kind = device_kind_find(argv[optind]);
	if (!args->kind)
		return usage_error("KIND", argv[optind], "unknown");
	args->device.backend_fds = args->fds;
	args->device.settings = (const char *const *)argv + optind + 1;
	result = check_settings(args);
	return result == PARSE_RUN ? check_arguments(args) : result;
}

/*
 * Descriptors that come by message, those of the windows and later those of the queues, and those
 * that the device opens.
 */
static unsigned int later_fds(const struct device *device, bool foreign)
{
	/* Kick, call and err; one comes before one goes. */
	const unsigned int queues = 3 * device->nr_queues + 1;
	const unsigned int windows = VHOST_USER_MAX_FDS;
	const unsigned int channel = 1;
	unsigned int most = queues > windows ? queues : windows;

	/* Windows may come while queues run. */
	if (foreign)
		most = queues + windows;
	return most + channel + device->ops->max_fds;
}

/* @foreign: the front-end is none of minivmm's, and has its own idea of when windows change. */
static int confine_and_run(struct device *device, int sock, bool full, bool foreign)
{
	int fds[DEVICE_MAX_BACKENDS + 3] = { sock, device->loop.epoll_fd };
	struct sandbox sandbox = {
		.full = full,
		.writes_files = device->ops->writes_files,
		.syscalls = device->ops->syscalls,
		.ioctls = device->ops->ioctls,
		.fds = fds,
		.keeps_mapping = foreign,
		.later_fds = later_fds(device, foreign),
	};
	struct backend backend = { .device = device, .sandbox = &sandbox, .sock = sock };
	int rc;

	for (unsigned int i = 0; i < device->nr_backends; i++)
		fds[2 + i] = device->backends[i].fd;
	fds[2 + device->nr_backends] = -1;
	rc = sandbox_enter(&sandbox);
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
	rc = confine_and_run(&device, sock, args->sandbox, args->socket_path != NULL);
	device_destroy(&device);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int open_file(struct arguments *args)
{
	int mode = device_setting(&args->device, "ro") ? O_RDONLY : O_RDWR;
	/* O_NONBLOCK: a FIFO must not make us wait for its other end. */
	int fd = open(args->file, mode | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0) {
		device_log("%s: %s", args->file, strerror(errno));
		return -1;
	}
	args->fds[args->device.nr_backends++] = fd;
	return 0;
}

/* A setting or a file that is no good shows before anybody connects: in a process for the purpose. */
static int try_out(const struct arguments *args)
{
	struct device device;
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(device_create(&device, args->kind, &args->device) ? EXIT_FAILURE
									: EXIT_SUCCESS);
	if (pid < 0) {
		device_log("fork: %s", strerror(errno));
		return -1;
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS ? 0 : -1;
}

/* What is freed stays ours: inside the sandbox no call is left that would give it back. */
static void keep_memory(void)
{
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
	mallopt(M_MMAP_MAX, 0);
}

/* Started with one of them closed, the disk would become our stderr, and be written over. */
static void open_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int main(int argc, char **argv)
{
	struct arguments args = {
		.control_fd = -1,
		.sandbox = true,
	};
	enum parse_result result;

	open_standard_fds();
	/* A write that fails is a status for the guest, not the end of the process. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	result = parse(&args, argc, argv);
	if (result != PARSE_RUN)
		return result == PARSE_DONE ? EXIT_SUCCESS : EXIT_USAGE;
	keep_memory();
	/* Past the exit handlers: they may need system calls that the sandbox has taken away. */
	if (args.control_fd >= 0)
		_exit(serve(args.control_fd, &args));
	if ((args.file && open_file(&args)) || try_out(&args))
		return EXIT_FAILURE;
	return server_run(args.socket_path, args.sandbox, serve, &args) ? EXIT_FAILURE : 0;
}
