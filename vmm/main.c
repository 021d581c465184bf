/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* minivmm: parse -> load images -> create VM and memory -> start devices -> write the guest -> run.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/config.h"
#include "vmm/events.h"
#include "vmm/exit_status.h"
#include "vmm/guest.h"
#include "vmm/log.h"
#include "vmm/report.h"

/* Started with one of them closed, a disk image would become our stderr. */
static void open_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* --dump-dtb: the guest's device tree as it would be passed, without running anything. */
static int dump_dtb(const struct boot_plan *plan, const char *path)
{
	FILE *file;
	bool ok;

	if (!plan->dtb) {
		log_error("--dump-dtb: %s: this kernel is entered by PVH, which has no device tree",
			  path);
		return EXIT_STATUS_INPUT;
	}
	file = fopen(path, "we");
	ok = file && fwrite(plan->dtb, plan->dtb_len, 1, file) == 1;
	if (file && fclose(file) != 0)
		ok = false;
	if (!ok) {
		log_error("--dump-dtb: %s: %s", path, strerror(errno));
		return EXIT_STATUS_INPUT;
	}
	return EXIT_STATUS_OK;
}

/* A guest that ended well is not the whole truth if something was refused or failed on the way. */
static int judge(const struct guest *guest)
{
	enum report_verdict worst = REPORT_UNUSED;
	int status = guest->ending.status;

	if (guest->config->exit_code_from != CONFIG_EXIT_CODE_POWER)
		status = exit_code_apply(&guest->exit_code, status);
	if (status != EXIT_STATUS_OK)
		return status;
	for (size_t i = 0; i < guest->devices.count; i++) {
		enum report_verdict verdict = report_device_verdict(&guest->devices.reports[i],
								    guest->config->restricted);

		if (verdict < worst)
			worst = verdict;
	}
	if (worst == REPORT_FAILED)
		return EXIT_STATUS_DEVICE;
	if (worst == REPORT_VIOLATION || worst == REPORT_REFUSED)
		return EXIT_STATUS_VIOLATION;
	return EXIT_STATUS_OK;
}

static int write_report(struct guest *guest, int status)
{
	const struct config *config = guest->config;
	struct report report = {
		.restricted = config->restricted,
		.exit_status = status,
		.nr_cpus = config->cpus,
		.memory = config->memory,
		.devices = guest->devices.reports,
		.nr_devices = guest->devices.count,
	};
	char summary[4096];
	int ret;

	snprintf(report.exit_reason, sizeof(report.exit_reason), "%s", guest->ending.reason);
	if (config->verbose && report_summary(&report, summary, sizeof(summary)) > 0)
		fputs(summary, stderr);
	if (!config->report)
		return status;
	ret = report_write(&report, config->report);
	if (ret) {
		log_error("--report: %s: %s", config->report, strerror(-ret));
		return status == EXIT_STATUS_OK ? EXIT_STATUS_INPUT : status;
	}
	return status;
}

static int check_report(const struct config *config)
{
	int ret = config->report ? report_check(config->report) : 0;

	if (ret)
		log_error("--report: %s: %s", config->report, strerror(-ret));
	return ret ? EXIT_STATUS_INPUT : 0;
}

/* Tells --events of a step that has been made. */
static int reach(int status, const char *phase)
{
	if (!status)
		events_phase(phase);
	return status;
}

/* The same before the guest runs: a signal ends the run between two steps. */
static int prepare(int status, const char *phase)
{
	status = reach(status, phase);
	return status ? status : guest_check_signals();
}

static int run_guest(struct guest *guest, const struct config *config)
{
	int status = reach(guest_plan(guest, config), "planned");

	if (!status && config->dump_dtb)
		return dump_dtb(&guest->plan, config->dump_dtb);
	guest_hold_signals();
	if (!status)
		status = check_report(config);
	if (!status)
		status = prepare(guest_create_vm(guest), "vm");
	if (!status)
		status = prepare(guest_start_devices(guest), "devices");
	if (!status)
		status = prepare(guest_load(guest), "loaded");
	if (!status)
		status = guest_run(guest);
	guest_stop_devices(guest);
	if (reach(status, "stopped"))
		return status;
	if (config->exit_code_from != CONFIG_EXIT_CODE_POWER)
		exit_code_explain(&guest->exit_code, guest->ending.status, guest->ending.reason,
				  sizeof(guest->ending.reason));
	status = judge(guest);
	/* A guest that ends by its own will needs no words; of devices there were some. */
	if (status > EXIT_STATUS_GUEST_MAX && status != EXIT_STATUS_VIOLATION &&
	    status != EXIT_STATUS_DEVICE)
		log_error("%s", guest->ending.reason);
	return write_report(guest, status);
}

static int open_events(const struct config *config)
{
	int ret = config->events ? events_open(config->events) : 0;

	if (ret)
		log_error("--events: %s: %s", config->events, strerror(-ret));
	return reach(ret ? EXIT_STATUS_INPUT : 0, "start");
}

/* All that --events is told of; returns the exit status. */
static int run_told(struct guest *guest, const struct config *config)
{
	int status = open_events(config);

	if (!status)
		status = run_guest(guest, config);
	events_exit(status, guest->ending.reason[0] != '\0' ? guest->ending.reason : NULL);
	events_close();
	return status;
}

int main(int argc, char **argv)
{
	struct guest *guest;
	struct config config;
	int status;

	open_standard_fds();
	/* A reader that is gone, or a file that may not grow, is an error to report, not a death.
	 */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	/* Until the guest runs there is nothing to look at again. */
	signal(SIGUSR1, SIG_IGN);

	switch (config_parse(&config, argc, argv, stdout, stderr)) {
	case CONFIG_DONE:
		return EXIT_STATUS_OK;
	case CONFIG_ERROR:
		return EXIT_STATUS_USAGE;
	case CONFIG_RUN:
		break;
	}
	log_set_verbose(config.verbose);
	guest = calloc(1, sizeof(*guest));
	if (!guest) {
		log_error("memory: %s", strerror(ENOMEM));
		config_destroy(&config);
		return EXIT_STATUS_HOST;
	}
	status = run_told(guest, &config);
	guest_destroy(guest);
	free(guest);
	config_destroy(&config);
	return status;
}
