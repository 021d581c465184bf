/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* That the tests of devices notice what they are there to notice. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/core/sanitizer.h"
#include "tests/unit/mock_process.h"

static const struct device_options no_options = { 0 };
static struct mock_frontend fe;

static void set_up(void)
{
	mock_use_process();
}

TestSuite(mock_process, .init = set_up);

Test(mock_process, it_is_the_executable_in_its_sandbox)
{
	char path[64], line[256], name[16] = "";
	int seccomp = 0;
	FILE *status;

	mock_start(&fe, "rng", &no_options, false);
	mock_connect(&fe, 1, 64);
	snprintf(path, sizeof(path), "/proc/%d/status", fe.pid);
	status = fopen(path, "re");
	cr_assert_not_null(status);
	while (fgets(line, sizeof(line), status)) {
		sscanf(line, "Name: %15s", name);
		sscanf(line, "Seccomp: %d", &seccomp);
	}
	fclose(status);
	cr_expect_str_eq(name, "minivmm-device");
	cr_expect_eq(seccomp, 2);
	cr_expect_eq(mock_stop(&fe), 0);
}

/* A device that was given a window which is too large: what it writes there is noticed. */
static void fill_beside_pool(int64_t offset)
{
	const uint64_t at = MOCK_BASE + offset;

	mock_start(&fe, "rng", &no_options, false);
	mock_negotiate(&fe, 0);
	fe.window.guest_phys_addr -= MOCK_FENCE;
	fe.window.userspace_addr -= MOCK_FENCE;
	fe.window.mmap_offset -= MOCK_FENCE;
	fe.window.memory_size += 2 * MOCK_FENCE;
	mock_share_pool(&fe);
	fe.window = (struct vhost_user_memory_region){ MOCK_BASE, MOCK_POOL, MOCK_USER_BASE, 0 };
	mock_start_queue(&fe, 0, 64);
	cr_assert(mock_fences_intact(&fe));
	mock_set_desc(mock_desc_table(&fe.queues[0]), 0,
		      (struct virtq_desc){ at, 64, VIRTQ_DESC_F_WRITE, 0 });
	mock_submit(&fe.queues[0], 0);
	cr_assert_eq(mock_complete(&fe, 0).len, 64);
	cr_expect_not(mock_fences_intact(&fe), "64 bytes at %lld", (long long)offset);
	kill(fe.pid, SIGKILL);
	waitpid(fe.pid, NULL, 0);
}

Test(mock_process, bytes_beside_the_pool_are_noticed)
{
	fill_beside_pool(-64);
	fill_beside_pool(-MOCK_FENCE);
	fill_beside_pool(MOCK_POOL);
	fill_beside_pool(MOCK_POOL + MOCK_FENCE - 64);
}

Test(mock_process, growth_is_noticed)
{
	const size_t len = 5 << 20;
	struct mock_frontend self = { .pid = getpid(), .log = 0 };
	unsigned long before = mock_process_memory(&self);
	uint8_t *memory =
		mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (HAVE_SANITIZER)
		return;
	cr_assert_neq(memory, MAP_FAILED);
	cr_expect_gt(before, 0);
	memset(memory, 1, len);
	cr_expect_geq(mock_process_memory(&self), before + 4096);
}
