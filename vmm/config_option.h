/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Inside the option parser only: the table of options, from which the parsing and --help are made,
 * and what the handlers in it share.
 */
#ifndef VMM_CONFIG_OPTION_H
#define VMM_CONFIG_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "vmm/config.h"

#define CONFIG_MAX_OPTIONS 32

enum config_argument { CONFIG_ARGUMENT_NONE, CONFIG_ARGUMENT_REQUIRED, CONFIG_ARGUMENT_OPTIONAL };

struct config_parser;

struct config_option {
	const char *name; /* long, without "--" */
	int letter;	  /* short, or 0 */
	enum config_argument takes;
	bool repeatable;
	const char *argument; /* as --help shows it, with what separates it from the name */
	const char *help;     /* lines separated by '\n'; NULL: known only to be refused */
	/* @value is NULL when none was given. CONFIG_RUN to go on. */
	enum config_result (*set)(struct config_parser *parser, const char *value);
};

/* An --evil-device, until all devices are known. */
struct config_evil {
	const char *value; /* in argv */
	char name[16];	   /* "blk" or "blk1" */
	struct evil_settings settings;
	bool has_seed, has_tricks;
};

struct config_parser {
	struct config *config;
	FILE *out;
	FILE *err;
	const struct config_option *option; /* the one that is being handled */
	bool seen[CONFIG_MAX_OPTIONS];
	struct config_device *device; /* the one whose list is being read */
	struct config_evil evils[MACHINE_MAX_DEVICES];
	size_t nr_evils; /* the last one is the one whose list is being read */
	bool says_transport[MACHINE_MAX_DEVICES];
	bool says_pool_size, says_place;
	bool says_net_kind; /* of parser->device */
	bool proposal_seen[NR_PROPOSAL_KEYS];
};

/* One part of a list: "name=text", or "name" alone. */
struct config_item {
	const char *name;
	bool bare; /* has no text: set() gets "" */
	bool repeatable;
	/* NULL, or what is wrong with @text. It belongs to parser->device, or to parser->config. */
	const char *(*set)(struct config_parser *parser, const char *text);
};

/* All parts that a list may have; a part without a name is the last. */
#define CONFIG_MAX_ITEMS 16

struct config_items {
	const struct config_item *items;
	const char *expected; /* what a refusal says about a part that is none of them */
};

#define CONFIG_ITEM_MAX 4096 /* bytes of one part of a list, with the NUL; PATH_MAX */

extern const struct config_option config_options[];
extern const size_t config_nr_options;

/* The option called @name of @len bytes, exactly; or NULL. */
const struct config_option *config_option_find(const char *name, size_t len);
const struct config_option *config_option_find_letter(int letter);

/*
 * Prints "minivmm: --option: value: why" for the option being handled, without the value when that
 * is NULL; returns CONFIG_ERROR.
 */
enum config_result config_refuse(const struct config_parser *parser, const char *value,
				 const char *why, ...) __attribute__((format(printf, 3, 4)));

/* Likewise "minivmm: word: why", for a word (of @len bytes) that is no option of ours. */
enum config_result config_refuse_word(const struct config_parser *parser, const char *word,
				      size_t len, const char *why);

/* Makes the option called @name the one that a refusal names. */
void config_blame(struct config_parser *parser, const char *name);

/* Whether the option called @name was on the command line. */
bool config_option_given(const struct config_parser *parser, const char *name);

/* Decimal digits only; 0, -EINVAL or -ERANGE. */
int config_parse_number(const char *text, uint64_t *number);

/* Likewise, or hexadecimal digits of either case after "0x". */
int config_parse_code(const char *text, uint64_t *number);

/* A UUID as RFC 9562, 4 writes it, in either case; 0 or -EINVAL. */
int config_parse_uuid(const char *text, uint8_t uuid[CONFIG_GROUP_SIZE]);

/* "mmio" or "pci"; NULL, or what is wrong with it. */
const char *config_parse_transport(const char *text, enum machine_transport *transport);

/* A number from 1 to @max; NULL, or @range, which says so. */
const char *config_parse_count(const char *text, unsigned int max, unsigned int *count,
			       const char *range);

/* A path that a Unix socket can have, before @extra bytes that follow it; NULL, or what is wrong. */
const char *config_check_socket_path(const char *text, size_t extra);

/* Replaces *@copy, which the caller frees. NULL, or that memory ran out. */
const char *config_copy_text(char **copy, const char *text);

/* What a refusal says about an error of config_parse_number() or config_parse_size(). */
const char *config_number_problem(int err);
const char *config_size_problem(int err);

/*
 * Takes the next item of a list separated by commas, where ",," stands for a comma, from *@rest,
 * which becomes NULL after the last one. Returns 1 with the item in @item (@size bytes), 0 when
 * there is no further one, or -E2BIG when it does not fit.
 */
int config_next_item(const char **rest, char *item, size_t size);

/*
 * Takes the first item of *@rest, which is not named: a file name or its like. @item has
 * CONFIG_ITEM_MAX bytes. Refuses @value, the whole list, when it is empty or too long.
 */
enum config_result config_take_first(const struct config_parser *parser, const char *value,
				     const char **rest, char *item, const char *empty);

/* Handles all of @rest, NULL or what is left of the list @value, as @items say. */
enum config_result config_set_items(struct config_parser *parser, const char *value,
				    const char *rest, const struct config_items *items);

/* Refuses @value because of its part @item. */
enum config_result config_refuse_item(const struct config_parser *parser, const char *value,
				      const char *item, const char *why);

/* The text of "NAME=text", or NULL when @item is something else. */
const char *config_item_text(const char *item, const char *name);

/*
 * Appends a device of @kind, the option being handled, to the configuration and makes it
 * parser->device; refuses @value when there are too many.
 */
enum config_result config_add_device(struct config_parser *parser, enum config_device_kind kind,
				     const char *value);

/* Why there is no balloon where pools are (Linux: virtballoon_validate()). */
#define CONFIG_NO_BALLOON                                                             \
	"not with --restricted-dma: Linux' balloon driver clears "                    \
	"VIRTIO_F_ACCESS_PLATFORM, so that its pages would not go through the pool; " \
	"change --memory instead"

/* Parts that devices have in common. */
const char *config_set_device_transport(struct config_parser *parser, const char *text);
const char *config_set_device_queue_size(struct config_parser *parser, const char *text);
const char *config_set_device_queues(struct config_parser *parser, const char *text);

/* The values of the options that have parts. */
enum config_result config_set_disk(struct config_parser *parser, const char *value);
enum config_result config_set_rng(struct config_parser *parser, const char *value);
enum config_result config_set_plain(struct config_parser *parser, const char *value);
enum config_result config_set_net(struct config_parser *parser, const char *value);
enum config_result config_set_vsock(struct config_parser *parser, const char *value);
enum config_result config_set_vhost_user(struct config_parser *parser, const char *value);
enum config_result config_set_console(struct config_parser *parser, const char *value);
enum config_result config_set_port(struct config_parser *parser, const char *value);
enum config_result config_set_restricted(struct config_parser *parser, const char *value);
enum config_result config_set_evil(struct config_parser *parser, const char *value);
enum config_result config_set_proposal(struct config_parser *parser, const char *value);

/*
 * Adds the console device when something needs it, and the port of --exit-code-from, once all
 * options have been read.
 */
enum config_result config_settle_console(struct config_parser *parser);

/* Gives each --evil-device to the devices that it names, once all of them are known. */
enum config_result config_settle_evil(struct config_parser *parser);

/* What only the options together can tell. Also settles what depends on several of them. */
enum config_result config_check(struct config_parser *parser);

/* The part of it about devices, their pools, and how the guest learns of both. */
enum config_result config_check_machine(struct config_parser *parser);

/* The part of it about what must not be given twice: files, sockets, addresses. */
enum config_result config_check_resources(struct config_parser *parser);

#endif
