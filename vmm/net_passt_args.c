/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* How passt is called. */
#include "vmm/net_passt.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Route flags, <linux/route.h>, which cannot be included beside the C library's headers. */
#define ROUTE_UP      0x0001u
#define ROUTE_GATEWAY 0x0002u

static void add(struct net_passt_args *args, size_t *n, const char *option, const char *value)
{
	args->argv[(*n)++] = option;
	if (value)
		args->argv[(*n)++] = value;
}

/* "tcp:127.0.0.1:2222-:22" -> "127.0.0.1/2222:22", as passt(1) writes it, and its option. */
static int translate_forward(const char *forward, char spec[NET_PASST_SPEC_MAX],
			     const char **option)
{
	const char *address = strchr(forward, ':');
	const char *guest = strstr(forward, "-:");
	const char *port = NULL;
	int len, n;

	if (!address || !guest || guest < address)
		return -EINVAL;
	*option = *forward == 't' ? "-t" : "-u";
	address++;
	for (const char *at = address; at < guest; at++)
		if (*at == ':')
			port = at;
	if (!port)
		return -EINVAL;
	len = (int)(port - address);
	if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
		address++;
		len -= 2;
	}
	n = snprintf(spec, NET_PASST_SPEC_MAX, "%.*s%s%.*s%s", len, address, len ? "/" : "",
		     (int)(guest - port - 1), port + 1, guest + 1);
	return n < NET_PASST_SPEC_MAX ? 0 : -EINVAL;
}

int net_passt_build_args(struct net_passt_args *args, const struct config_net *net, bool alone)
{
	size_t n = 0;

	/* --stderr and --quiet: only errors, and those not to the system log alone. */
	add(args, &n, "passt", NULL);
	add(args, &n, "--foreground", NULL);
	add(args, &n, "--stderr", NULL);
	add(args, &n, "--quiet", NULL);
	add(args, &n, "--fd", "3");
	add(args, &n, "--pid", "/proc/self/fd/4");
	if (alone) {
		add(args, &n, "--ipv4-only", NULL);
		add(args, &n, "--interface", "lo");
		add(args, &n, "--address", "10.0.2.15");
		add(args, &n, "--netmask", "24");
		add(args, &n, "--gateway", "10.0.2.2");
		add(args, &n, "--mac-addr", "52:55:0a:00:02:02");
	}
	for (size_t i = 0; i < net->nr_forwards; i++) {
		const char *option;
		int ret = translate_forward(net->forwards[i], args->specs[i], &option);

		if (ret)
			return ret;
		add(args, &n, option, args->specs[i]);
	}
	args->argv[n] = NULL;
	return 0;
}

/* Field @n of a line, from 0; "" when it has no such field. */
static const char *find_field(const char *line, unsigned int n)
{
	static const char blanks[] = " \t\n";

	line += strspn(line, blanks);
	while (n-- > 0) {
		line += strcspn(line, blanks);
		line += strspn(line, blanks);
	}
	return line;
}

static bool field_is(const char *line, unsigned int n, const char *value)
{
	const char *field = find_field(line, n);
	size_t len = strlen(value);

	return strncmp(field, value, len) == 0 && strchr(" \t\n", field[len]);
}

static bool is_usable(const char *flags)
{
	const unsigned long wanted = ROUTE_UP | ROUTE_GATEWAY;

	return (strtoul(flags, NULL, 16) & wanted) == wanted;
}

/* A line of "route": interface, destination, gateway, flags, 3 numbers, mask, ... */
static bool is_ipv4_default(const char *line)
{
	return field_is(line, 1, "00000000") && field_is(line, 7, "00000000") &&
	       is_usable(find_field(line, 3));
}

/* One of "ipv6_route": destination, its prefix length, 6 fields, flags, interface */
static bool is_ipv6_default(const char *line)
{
	return field_is(line, 0, "00000000000000000000000000000000") && field_is(line, 1, "00") &&
	       is_usable(find_field(line, 8));
}

static bool any_line(const char *directory, const char *name, bool (*matches)(const char *line))
{
	char path[PATH_MAX], line[256];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = matches(line);
	fclose(file);
	return found;
}

bool net_passt_has_route(const char *proc_net)
{
	return any_line(proc_net, "route", is_ipv4_default) ||
	       any_line(proc_net, "ipv6_route", is_ipv6_default);
}
