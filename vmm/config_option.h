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
	const char *help;     /* lines separated by '\n' */
	/* @value is NULL when none was given. CONFIG_RUN to go on. */
	enum config_result (*set)(struct config_parser *parser, const char *value);
};

struct config_parser {
	struct config *config;
	FILE *out;
	FILE *err;
	const struct config_option *option; /* the one that is being handled */
	bool seen[CONFIG_MAX_OPTIONS];
	bool disk_says_transport[CONFIG_MAX_DISKS];
	bool proposal_seen[NR_PROPOSAL_KEYS];
};

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

/* What a refusal says about an error of config_parse_number() or config_parse_size(). */
const char *config_number_problem(int err);
const char *config_size_problem(int err);

/*
 * Takes the next item of a list separated by commas, where ",," stands for a comma, from *@rest,
 * which becomes NULL after the last one. Returns 1 with the item in @item (@size bytes), 0 when
 * there is no further one, or -E2BIG when it does not fit.
 */
int config_next_item(const char **rest, char *item, size_t size);

/* The values of the options that have parts. */
enum config_result config_set_disk(struct config_parser *parser, const char *value);
enum config_result config_set_restricted(struct config_parser *parser, const char *value);
enum config_result config_set_proposal(struct config_parser *parser, const char *value);

/* What only the options together can tell. Also settles what depends on several of them. */
enum config_result config_check(struct config_parser *parser);

/* The part of it about devices, their pools, and how the guest learns of both. */
enum config_result config_check_machine(struct config_parser *parser);

#endif
