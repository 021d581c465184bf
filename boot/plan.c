/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "boot/plan.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "boot/arch.h"
#include "boot/image.h"
#include "boot/plan_build.h"

static int check_cmdline(struct boot_plan *plan, const char *cmdline)
{
	for (const char *c = cmdline; *c; c++)
		if (iscntrl((unsigned char)*c) && *c != '\t')
			return boot_plan_fail(plan, -EINVAL, "command line", cmdline,
					      "byte %zu is the control character 0x%02x",
					      (size_t)(c - cmdline), (unsigned char)*c);
	return 0;
}

int boot_plan_create(struct boot_plan *plan, const struct boot_request *request)
{
	struct image kernel, initrd;
	int ret;

	*plan = (struct boot_plan){ .kernel_fd = -1, .initrd_fd = -1 };
	ret = check_cmdline(plan, request->cmdline);
	if (ret)
		return ret;
	ret = image_open(&kernel, "kernel", request->kernel, plan);
	if (ret)
		return ret;
	plan->kernel_fd = kernel.fd;
	if (request->initrd) {
		ret = image_open(&initrd, "initrd", request->initrd, plan);
		if (ret)
			return ret;
		plan->initrd_fd = initrd.fd;
	}
	ret = boot_arch_plan(plan, request, &kernel, request->initrd ? &initrd : NULL);
	if (ret)
		return ret;
	ret = image_check_size(&kernel, plan);
	if (!ret && request->initrd)
		ret = image_check_size(&initrd, plan);
	return ret;
}

void boot_plan_destroy(struct boot_plan *plan)
{
	for (size_t i = 0; i < plan->nr_segments; i++)
		free(plan->segments[i].data);
	free(plan->dtb);
	if (plan->kernel_fd >= 0)
		close(plan->kernel_fd);
	if (plan->initrd_fd >= 0)
		close(plan->initrd_fd);
	*plan = (struct boot_plan){ .kernel_fd = -1, .initrd_fd = -1 };
}
