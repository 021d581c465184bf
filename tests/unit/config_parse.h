/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* One call of the option parser on words in a string, and what it printed. */
#ifndef TESTS_UNIT_CONFIG_PARSE_H
#define TESTS_UNIT_CONFIG_PARSE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/config.h"

#define MAX_WORDS 64

struct parse {
	struct config config;
	enum config_result result;
	char *out;
	char *err;
};

static inline void run_argv(struct parse *parse, int argc, char **argv)
{
	size_t out_len, err_len;
	FILE *out = open_memstream(&parse->out, &out_len);
	FILE *err = open_memstream(&parse->err, &err_len);

	parse->result = config_parse(&parse->config, argc, argv, out, err);
	fclose(out);
	fclose(err);
}

/* Words separated by single spaces; a word "''" is empty. */
static inline void run(struct parse *parse, const char *words)
{
	static char text[4096];
	char *argv[MAX_WORDS + 2] = { "minivmm" };
	char *rest = text;
	char *word;
	int argc = 1;

	cr_assert_lt(strlen(words), sizeof(text));
	snprintf(text, sizeof(text), "%s", words);
	while (argc <= MAX_WORDS && (word = strsep(&rest, " ")) != NULL)
		argv[argc++] = strcmp(word, "''") == 0 ? "" : word;
	argv[argc] = NULL;
	run_argv(parse, argc, argv);
}

static inline void finish(struct parse *parse)
{
	if (parse->result == CONFIG_RUN)
		config_destroy(&parse->config);
	free(parse->out);
	free(parse->err);
}

static inline void expect_run(struct parse *parse, const char *words)
{
	run(parse, words);
	cr_assert_eq(parse->result, CONFIG_RUN, "%s: %s", words, parse->err);
	cr_expect_str_empty(parse->err);
	cr_expect_str_empty(parse->out);
}

/* Refused by "minivmm: @line" and nothing else. */
static inline void expect_refused(const char *words, const char *line)
{
	char want[1024];
	struct parse p;

	snprintf(want, sizeof(want), "minivmm: %s\n", line);
	run(&p, words);
	cr_expect_eq(p.result, CONFIG_ERROR, "%s", words);
	cr_expect_str_eq(p.err, want, "%s:\n got %swant %s", words, p.err, want);
	cr_expect_str_empty(p.out);
	finish(&p);
}

#endif
