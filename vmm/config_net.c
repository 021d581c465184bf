/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The option --net. */
#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "vmm/config_option.h"

#define MAX_PORT 65535

#define ONE_KIND "it is tap=NAME, user or socket=PATH: one of them"

static const char *set_kind(struct config_parser *parser, enum config_net_kind kind)
{
	if (parser->says_net_kind)
		return ONE_KIND;
	parser->says_net_kind = true;
	parser->device->net.kind = kind;
	return NULL;
}

/* What Linux takes for the name of an interface; %d would make it a pattern. */
static const char *set_tap(struct config_parser *parser, const char *text)
{
	const char *problem = set_kind(parser, CONFIG_NET_TAP);

	if (problem)
		return problem;
	if (*text == '\0')
		return "empty name of an interface";
	if (strlen(text) >= IFNAMSIZ)
		return "longer than 15 bytes, which no interface is";
	if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return "not the name of an interface";
	for (const char *at = text; *at; at++) {
		if (!isgraph((unsigned char)*at) || strchr("/:%", *at))
			return "not the name of an interface";
	}
	return config_copy_text(&parser->device->net.name, text);
}

static const char *set_user(struct config_parser *parser, const char *text)
{
	(void)text;
	return set_kind(parser, CONFIG_NET_USER);
}

static const char *set_socket(struct config_parser *parser, const char *text)
{
	const char *problem = set_kind(parser, CONFIG_NET_SOCKET);

	if (!problem)
		problem = config_check_socket_path(text, 0);
	return problem ? problem : config_copy_text(&parser->device->net.name, text);
}

/* "52:54:00:12:34:56", in either case; 0 or -1. */
static int parse_mac(const char *text, uint8_t mac[6])
{
	if (strlen(text) != 17)
		return -1;
	for (size_t i = 0; i < 6; i++) {
		char code[] = { '0', 'x', text[3 * i], text[3 * i + 1], '\0' };
		uint64_t byte;

		if (config_parse_code(code, &byte) || (i < 5 && text[3 * i + 2] != ':'))
			return -1;
		mac[i] = (uint8_t)byte;
	}
	return 0;
}

static const char *set_mac(struct config_parser *parser, const char *text)
{
	static const uint8_t zero[6];
	struct config_net *net = &parser->device->net;

	if (parse_mac(text, net->mac))
		return "expected a MAC address such as 52:54:00:12:34:56";
	if (memcmp(net->mac, zero, sizeof(zero)) == 0)
		return "all zero, which is nobody's address";
	if (net->mac[0] & 1)
		return "a multicast address, which is nobody's own";
	net->has_mac = true;
	return NULL;
}

static const char *set_pairs(struct config_parser *parser, const char *text)
{
	return config_parse_count(text, CONFIG_MAX_PAIRS, &parser->device->queues, "not in 1 to 8");
}

/* Cuts *@rest at the first @separator and moves it behind; NULL when there is none. */
static char *take_field(char **rest, char separator)
{
	char *field = *rest;
	char *end = strchr(field, separator);

	if (!end)
		return NULL;
	*end = '\0';
	*rest = end + 1;
	return field;
}

static bool is_port(const char *text)
{
	uint64_t port;

	return config_parse_number(text, &port) == 0 && port >= 1 && port <= MAX_PORT;
}

/* Likewise an address, which may be empty, and has brackets when it is IPv6 (RFC 3986, 3.2.2). */
static bool take_address(char **rest)
{
	struct in6_addr address;
	const bool brackets = **rest == '[';
	const char *text;

	if (brackets)
		(*rest)++;
	text = take_field(rest, brackets ? ']' : ':');
	if (!text)
		return false;
	if (brackets)
		return *(*rest)++ == ':' && inet_pton(AF_INET6, text, &address) == 1;
	return *text == '\0' || inet_pton(AF_INET, text, &address) == 1;
}

/* "PROTOCOL:[ADDRESS]:PORT-:PORT", the host's end first. */
static const char *check_forward(const char *text)
{
	char copy[CONFIG_ITEM_MAX];
	char *rest = copy;
	const char *protocol, *port;

	snprintf(copy, sizeof(copy), "%s", text);
	protocol = take_field(&rest, ':');
	if (!protocol || !strchr(rest, '-'))
		return "expected tcp|udp:[ADDRESS]:PORT-:PORT";
	if (strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0)
		return "neither tcp nor udp";
	if (!take_address(&rest))
		return "expected an IPv4 address, [IPv6] or none, and a colon behind it";
	port = take_field(&rest, '-');
	if (!port || *rest++ != ':')
		return "the guest's end is :PORT, without an address";
	if (!is_port(port) || !is_port(rest))
		return "a port is not in 1 to 65535";
	return NULL;
}

static const char *add_forward(struct config_parser *parser, const char *text)
{
	struct config_net *net = &parser->device->net;
	const char *problem = check_forward(text);

	if (problem)
		return problem;
	for (size_t i = 0; i < net->nr_forwards; i++) {
		if (strcmp(net->forwards[i], text) == 0)
			return "given twice";
	}
	if (net->nr_forwards == CONFIG_MAX_FORWARDS)
		return "more than 16 of them";
	return config_copy_text(&net->forwards[net->nr_forwards++], text);
}

static enum config_result check_net(const struct config_parser *parser, const char *value)
{
	const struct config_net *net = &parser->device->net;

	if (!parser->says_net_kind)
		return config_refuse(parser, value, "%s", ONE_KIND);
	if (net->nr_forwards > 0 && net->kind != CONFIG_NET_USER)
		return config_refuse(parser, value, "hostfwd= is for user only");
	if (parser->device->queues > 1 && net->kind != CONFIG_NET_TAP)
		return config_refuse(parser, value, "more than one pair of queues is for tap only");
	return CONFIG_RUN;
}

enum config_result config_set_net(struct config_parser *parser, const char *value)
{
	static const struct config_item items[] = {
		{ "tap", .set = set_tap },
		{ "user", .bare = true, .set = set_user },
		{ "socket", .set = set_socket },
		{ "hostfwd", .repeatable = true, .set = add_forward },
		{ "mac", .set = set_mac },
		{ "queues", .set = set_pairs },
		{ "transport", .set = config_set_device_transport },
		{ .name = NULL },
	};
	static const struct config_items list = {
		items, "expected tap=, user, socket=, hostfwd=, mac=, queues= or transport= (a "
		       "comma in a name is written ,,)"
	};
	enum config_result result = config_add_device(parser, CONFIG_NET, value);

	parser->says_net_kind = false;
	if (result == CONFIG_RUN)
		result = config_set_items(parser, value, value, &list);
	return result == CONFIG_RUN ? check_net(parser, value) : result;
}
