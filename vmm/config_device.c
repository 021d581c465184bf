/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The options --disk, --rng, --device, --vsock and --vhost-user. */
#include <string.h>

#include "devices/registry.h"
#include "vmm/config_option.h"

#define MAX_VIRTIO_ID 63 /* virtio 1.3, 4.1.2: PCI device ids 0x1040 + id, up to 0x107f */

/* The guest's connections to port N arrive at PATH_N, and N has up to 10 digits. */
#define VSOCK_SUFFIX_MAX 11

static const char *set_read_only(struct config_parser *parser, const char *text)
{
	(void)text;
	parser->device->disk.read_only = true;
	return NULL;
}

static const char *set_serial(struct config_parser *parser, const char *text)
{
	const size_t len = strlen(text);

	if (len == 0)
		return "empty serial";
	if (len > CONFIG_SERIAL_MAX)
		return "serial longer than 20 bytes";
	for (size_t i = 0; i < len; i++) {
		if (text[i] < 0x20 || text[i] > 0x7e)
			return "serial not printable ASCII";
	}
	memcpy(parser->device->disk.serial, text, len + 1);
	return NULL;
}

static const char *set_cache(struct config_parser *parser, const char *text)
{
	if (strcmp(text, "writeback") == 0)
		parser->device->disk.cache = CONFIG_CACHE_WRITEBACK;
	else if (strcmp(text, "none") == 0)
		parser->device->disk.cache = CONFIG_CACHE_NONE;
	else
		return "expected writeback or none";
	return NULL;
}

enum config_result config_set_disk(struct config_parser *parser, const char *value)
{
	static const struct config_item items[] = {
		{ "ro", .bare = true, .set = set_read_only },
		{ "serial", .set = set_serial },
		{ "queues", .set = config_set_device_queues },
		{ "queue-size", .set = config_set_device_queue_size },
		{ "cache", .set = set_cache },
		{ "transport", .set = config_set_device_transport },
		{ .name = NULL },
	};
	static const struct config_items list = {
		items, "expected ro, serial=, queues=, queue-size=, cache= or transport= (a comma "
		       "in a name is written ,,)"
	};
	const char *rest = value, *problem;
	char path[CONFIG_ITEM_MAX];
	enum config_result result;

	result = config_add_device(parser, CONFIG_DISK, value);
	if (result == CONFIG_RUN)
		result = config_take_first(parser, value, &rest, path, "empty file name");
	if (result != CONFIG_RUN)
		return result;
	problem = config_copy_text(&parser->device->disk.path, path);
	if (problem)
		return config_refuse(parser, value, "%s", problem);
	return config_set_items(parser, value, rest, &list);
}

/* What only a transport is said of. */
static const struct config_item plain_items[] = {
	{ "transport", .set = config_set_device_transport },
	{ .name = NULL },
};
static const struct config_items plain_list = { plain_items, "expected transport=KIND" };

enum config_result config_set_rng(struct config_parser *parser, const char *value)
{
	const enum config_result result = config_add_device(parser, CONFIG_PLAIN, value);

	if (result != CONFIG_RUN)
		return result;
	parser->device->plain.kind = "rng";
	return config_set_items(parser, value, value, &plain_list);
}

/* The name of the registry that @text is, as a static string; NULL: none of it. */
static const char *find_kind(const char *text)
{
#define KIND(name, id, queues, queue_size) #name,
	static const char *const kinds[] = { DEVICE_REGISTRY(KIND) };
#undef KIND

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(text, kinds[i]) == 0)
			return kinds[i];
	return NULL;
}

/* Those that need something of the host have options of their own. */
static const char *kind_problem(const char *kind)
{
	static const char *const own[][2] = {
		{ "blk", "use --disk" },
		{ "net", "use --net" },
		{ "vsock", "use --vsock" },
		{ "console", "use --console or --port" },
	};

	if (!kind)
		return "no such device";
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strcmp(kind, own[i][0]) == 0)
			return own[i][1];
	return NULL;
}

enum config_result config_set_plain(struct config_parser *parser, const char *value)
{
	enum config_result result = config_add_device(parser, CONFIG_PLAIN, value);
	const char *rest = value, *problem;
	char name[CONFIG_ITEM_MAX];

	if (result == CONFIG_RUN)
		result = config_take_first(parser, value, &rest, name, "empty device name");
	if (result != CONFIG_RUN)
		return result;
	parser->device->plain.kind = find_kind(name);
	problem = kind_problem(parser->device->plain.kind);
	if (problem)
		return config_refuse(parser, value, "%s", problem);
	return config_set_items(parser, value, rest, &plain_list);
}

static const char *set_cid(struct config_parser *parser, const char *text)
{
	uint64_t cid;
	const int err = config_parse_number(text, &cid);

	if (err)
		return config_number_problem(err);
	if (cid < CONFIG_MIN_CID || cid > CONFIG_MAX_CID)
		return "not in 3 to 4294967294";
	parser->device->vsock.cid = (uint32_t)cid;
	return NULL;
}

static const char *set_vsock_path(struct config_parser *parser, const char *text)
{
	const char *problem = config_check_socket_path(text, VSOCK_SUFFIX_MAX);

	return problem ? problem : config_copy_text(&parser->device->vsock.path, text);
}

enum config_result config_set_vsock(struct config_parser *parser, const char *value)
{
	static const struct config_item items[] = {
		{ "cid", .set = set_cid },
		{ "path", .set = set_vsock_path },
		{ "transport", .set = config_set_device_transport },
		{ .name = NULL },
	};
	static const struct config_items list = { items, "expected cid=, path= or transport= (a "
							 "comma in a name is written ,,)" };
	enum config_result result = config_add_device(parser, CONFIG_VSOCK, value);

	if (result == CONFIG_RUN)
		result = config_set_items(parser, value, value, &list);
	if (result != CONFIG_RUN)
		return result;
	if (parser->device->vsock.cid == 0)
		return config_refuse(parser, value, "no cid=, the guest's address");
	if (!parser->device->vsock.path)
		return config_refuse(parser, value, "no path=, the host's side");
	return CONFIG_RUN;
}

/* The kinds of --vhost-user but "generic", with their virtio ids (virtio 1.3, 5). */
static const struct {
	const char *name;
	uint32_t virtio_id;
} vhost_user_kinds[] = { { "blk", 2 }, { "net", 1 }, { "fs", 26 } };

static enum config_result set_vhost_user_kind(struct config_parser *parser, const char *value,
					      const char *kind)
{
	struct config_vhost_user *vhost_user = &parser->device->vhost_user;
	uint64_t id;
	int err;

	for (size_t i = 0; i < sizeof(vhost_user_kinds) / sizeof(vhost_user_kinds[0]); i++) {
		if (strcmp(kind, vhost_user_kinds[i].name) == 0) {
			vhost_user->kind = vhost_user_kinds[i].name;
			vhost_user->virtio_id = vhost_user_kinds[i].virtio_id;
			return CONFIG_RUN;
		}
	}
	if (strncmp(kind, "generic:", strlen("generic:")) != 0)
		return config_refuse_item(parser, value, kind,
					  "expected blk, net, fs or generic:ID");
	err = config_parse_number(kind + strlen("generic:"), &id);
	if (err)
		return config_refuse_item(parser, value, kind, config_number_problem(err));
	if (id < 1 || id > MAX_VIRTIO_ID)
		return config_refuse_item(parser, value, kind, "virtio id not in 1 to 63");
	vhost_user->kind = "generic";
	vhost_user->virtio_id = (uint32_t)id;
	return CONFIG_RUN;
}

static const char *set_vhost_user_path(struct config_parser *parser, const char *text)
{
	const char *problem = config_check_socket_path(text, 0);

	return problem ? problem : config_copy_text(&parser->device->vhost_user.path, text);
}

static const char *set_vhost_user_queues(struct config_parser *parser, const char *text)
{
	const char *kind = parser->device->vhost_user.kind;
	unsigned int *queues = &parser->device->queues;

	/* More pairs need a control queue, which a back-end never sees. */
	if (strcmp(kind, "net") == 0)
		return config_parse_count(text, 1, queues, "net has one pair of queues");
	if (strcmp(kind, "generic") == 0)
		return config_parse_count(text, DEVICE_MAX_QUEUES, queues, "not in 1 to 18");
	return config_set_device_queues(parser, text);
}

static const char *set_tag(struct config_parser *parser, const char *text)
{
	const size_t len = strlen(text);

	if (len == 0)
		return "empty tag";
	if (len > CONFIG_TAG_MAX)
		return "tag longer than 36 bytes";
	memcpy(parser->device->vhost_user.tag, text, len + 1);
	return NULL;
}

static enum config_result check_vhost_user(const struct config_parser *parser, const char *value)
{
	const struct config_vhost_user *vhost_user = &parser->device->vhost_user;
	const bool is_fs = strcmp(vhost_user->kind, "fs") == 0;
	const bool has_tag = vhost_user->tag[0] != '\0';

	if (!vhost_user->path)
		return config_refuse(parser, value, "no socket=, where the back-end listens");
	if (is_fs && !has_tag)
		return config_refuse(parser, value, "no tag=, by which the guest mounts it");
	if (!is_fs && has_tag)
		return config_refuse(parser, value, "tag= is for fs only");
	return CONFIG_RUN;
}

enum config_result config_set_vhost_user(struct config_parser *parser, const char *value)
{
	static const struct config_item items[] = {
		{ "socket", .set = set_vhost_user_path },
		{ "num-queues", .set = set_vhost_user_queues },
		{ "queue-size", .set = config_set_device_queue_size },
		{ "tag", .set = set_tag },
		{ "transport", .set = config_set_device_transport },
		{ .name = NULL },
	};
	static const struct config_items list = {
		items, "expected socket=, num-queues=, queue-size=, tag= or transport= (a comma in "
		       "a name is written ,,)"
	};
	const char *rest = value;
	char kind[CONFIG_ITEM_MAX];
	enum config_result result;

	result = config_add_device(parser, CONFIG_VHOST_USER, value);
	if (result == CONFIG_RUN)
		result = config_take_first(parser, value, &rest, kind,
					   "expected blk, net, fs or generic:ID first");
	if (result == CONFIG_RUN)
		result = set_vhost_user_kind(parser, value, kind);
	if (result == CONFIG_RUN)
		result = config_set_items(parser, value, rest, &list);
	return result == CONFIG_RUN ? check_vhost_user(parser, value) : result;
}
