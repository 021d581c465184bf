/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/core/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/sanitizer.h"

/* Over any directory that surely exists: what it held is out of sight with everything else. */
#define ROOT_PLACE "/proc"

int sandbox_empty_root(void)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	/* Private: nothing that happens here may travel to the namespace we came from. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", ROOT_PLACE, "tmpfs", flags, "size=4k,nr_inodes=1,mode=0555") ||
	    chdir(ROOT_PLACE))
		return -errno;
	/* The old root ends up mounted over the new one, at the same place, and comes off. */
	if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/") ||
	    mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL))
		return -errno;
	return 0;
}

int sandbox_drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	/* The kernel knows its last capability: the one behind it is invalid. */
	for (unsigned long cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		;
	if (errno != EINVAL || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		return -errno;
	return syscall(SYS_capset, &header, none) ? -errno : 0;
}

static int die_with_parent(void)
{
	return prctl(PR_SET_PDEATHSIG, SIGKILL) || prctl(PR_SET_DUMPABLE, 0) ? -errno : 0;
}

/*
 * pivot_root() in a mount namespace that others use would take their root away. Whoever starts us
 * makes all namespaces in one clone(), so being the first process of a pid namespace tells.
 */
static int check_namespaces(void)
{
	return getpid() == 1 ? 0 : -EPERM;
}

static int highest_fd(const struct sandbox *sandbox)
{
	int highest = STDERR_FILENO;

	for (const int *fd = sandbox->fds; *fd >= 0; fd++)
		highest = *fd > highest ? *fd : highest;
	return highest;
}

static bool is_kept(const struct sandbox *sandbox, int wanted)
{
	for (const int *fd = sandbox->fds; *fd >= 0; fd++) {
		if (*fd == wanted)
			return true;
	}
	return false;
}

static int close_other_fds(const struct sandbox *sandbox)
{
	int highest = highest_fd(sandbox);

	for (int fd = STDERR_FILENO + 1; fd < highest; fd++) {
		if (!is_kept(sandbox, fd))
			close(fd);
	}
	return syscall(SYS_close_range, highest + 1, ~0u, 0) ? -errno : 0;
}

static int set_limit(int resource, rlim_t value)
{
	const struct rlimit limit = { value, value };

	return setrlimit(resource, &limit) ? -errno : 0;
}

static int set_limits(const struct sandbox *sandbox)
{
	/* A limit on descriptors is one on their numbers, and the lowest free ones are used. */
	const struct {
		int resource;
		rlim_t value;
	} limits[] = {
		{ RLIMIT_CORE, 0 },
		{ RLIMIT_NPROC, 0 },
		{ RLIMIT_MEMLOCK, 0 },
		{ RLIMIT_NOFILE, highest_fd(sandbox) + 1 + sandbox->later_fds },
	};
	int rc = 0;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]) && !rc; i++)
		rc = set_limit(limits[i].resource, limits[i].value);
	if (!rc && !sandbox->writes_files)
		rc = set_limit(RLIMIT_FSIZE, 0);
	return rc;
}

static int filter_syscalls(struct sandbox *sandbox)
{
	struct sandbox_filter enter;
	int rc = sandbox_compile_filters(sandbox, &enter, &sandbox->seal);

	if (rc)
		return rc;
	/* Compiling was the last that needs a heap of any size. */
	malloc_trim(0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return sandbox_load_filter(&enter);
}

/* One line for a layer that failed. Returns @rc. */
static int layer(const char *name, int rc)
{
	if (rc)
		device_log("sandbox: %s: %s", name, strerror(-rc));
	return rc;
}

int sandbox_enter(struct sandbox *sandbox)
{
	int rc;

	if (!sandbox->full)
		return 0;
	rc = layer("parent and dumps", die_with_parent());
	if (!rc)
		rc = layer("namespaces of its own", check_namespaces());
	if (!rc)
		rc = layer("empty root", sandbox_empty_root());
	if (!rc)
		rc = layer("file descriptors", close_other_fds(sandbox));
	if (!rc)
		rc = layer("resource limits", set_limits(sandbox));
	if (!rc)
		rc = layer("capabilities", sandbox_drop_capabilities());
	if (!rc)
		rc = layer("system calls", filter_syscalls(sandbox));
	return rc;
}

int sandbox_seal(const struct sandbox *sandbox)
{
	int rc = 0;

	if (!sandbox->full || sandbox->keeps_mapping)
		return 0;
	/* What is mapped stays and nothing can be added. A sanitizer maps as it goes. */
	if (!HAVE_SANITIZER)
		rc = layer("address space", set_limit(RLIMIT_AS, 0));
	if (!rc)
		rc = layer("system calls, sealed", sandbox_load_filter(&sandbox->seal));
	return rc;
}
