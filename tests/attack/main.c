/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * attack [ATTACK]...: what a hostile device process achieves against all layers, against none, and
 * against all but a few. Prints PASS, FAIL or SKIP lines, and at the end "N passed, N failed, N
 * skipped".
 *
 * attack --find ATTACK KIND: a set of layers without which it succeeds, and of which each one alone
 * stops it: how rows of table.c were found.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/attack/attack.h"
#include "tests/attack/layers.h"
#include "tests/attack/table.h"

static unsigned int passed, failed, skipped;

static void told(bool good, const char *what, const char *name, const char *why)
{
	printf("%s %s: %s%s%s\n", good ? "PASS" : "FAIL", name, what, why[0] ? ": " : "", why);
	passed += good;
	failed += !good;
}

static const char *result_text(enum trial_result result)
{
	static const char *const texts[] = {
		[TRIAL_DENIED] = "denied",
		[TRIAL_SUCCEEDED] = "succeeded",
		[TRIAL_ABSENT] = "not known to this kernel",
		[TRIAL_BROKEN] = "the test is broken",
	};

	return texts[result];
}

/* Without one of its layers, and against each of them alone. */
static void check_row(const struct row *row)
{
	struct trial trial = {
		.attack = attack_find(row->attack),
		.kind = row->kind,
		.as_user = row->as_user,
		.removed = row->layers,
	};
	const uint64_t closure = layers_closure(row->layers);
	enum trial_result result = trial_run(&trial);
	char what[600];

	snprintf(what, sizeof(what), "succeeds without %s", layers_text(row->layers));
	if (result == TRIAL_ABSENT) {
		printf("n/a  %s: %s\n", row->attack, result_text(result));
		return;
	}
	told(result == TRIAL_SUCCEEDED, what, row->attack,
	     result == TRIAL_SUCCEEDED ? "" : result_text(result));
	for (int layer = 0; layer < NR_LAYERS; layer++) {
		if (row->as_user && LAYERS_OF_USER_NS & ONLY(layer))
			continue;
		trial.removed = row->layers & ~ONLY(layer);
		if (!(row->layers & ONLY(layer)) || layers_closure(trial.removed) == closure)
			continue;
		result = trial_run(&trial);
		snprintf(what, sizeof(what), "stopped by %s alone", layer_name(layer));
		told(result == TRIAL_DENIED, what, row->attack,
		     result == TRIAL_DENIED ? "" : result_text(result));
	}
}

static bool has_row(const char *attack, const char *kind)
{
	for (size_t i = 0; i < attack_table_len; i++)
		if (strcmp(attack_table[i].attack, attack) == 0 &&
		    strcmp(attack_table[i].kind, kind) == 0)
			return true;
	return false;
}

/* The same attack against everything, and against nothing. */
static void check_attack(const struct attack *attack, const char *kind)
{
	struct trial trial = { .attack = attack, .kind = kind };
	enum trial_result result = trial_run(&trial);

	told(result == TRIAL_DENIED, "denied by all layers together", attack->name,
	     result == TRIAL_DENIED ? "" : result_text(result));
	trial.removed = ALL_LAYERS;
	result = trial_run(&trial);
	if (result == TRIAL_ABSENT)
		printf("n/a  %s: %s\n", attack->name, result_text(result));
	else
		told(result == TRIAL_SUCCEEDED, "succeeds where there is no layer", attack->name,
		     result == TRIAL_SUCCEEDED ? "" : result_text(result));
}

static void check_kinds(const struct attack *attack, void *opaque)
{
	static const char *const kinds[] = { "rng", "blk" };

	(void)opaque;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (has_row(attack->name, kinds[i]))
			check_attack(attack, kinds[i]);
	if (!has_row(attack->name, "rng") && !has_row(attack->name, "blk"))
		check_attack(attack, "rng");
}

/* No layer is decoration. */
static void check_layers(void)
{
	uint64_t shown = 0;

	for (size_t i = 0; i < attack_table_len; i++)
		shown |= attack_table[i].layers;
	for (int layer = 0; layer < NR_LAYERS; layer++)
		told(shown & ONLY(layer), "stops an attack by itself", layer_name(layer), "");
}

static bool is_selected(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc == 1;
}

/* Puts back one layer after the other, as long as the attack still succeeds. */
static int find(const char *name, const char *kind, bool as_user)
{
	struct trial trial = {
		.attack = attack_find(name),
		.kind = kind,
		.removed = ALL_LAYERS,
		.as_user = as_user,
	};
	enum trial_result result;

	if (!trial.attack)
		return EXIT_FAILURE;
	result = trial_run(&trial);
	if (result != TRIAL_SUCCEEDED) {
		printf("%s %s: without any layer: %s\n", name, kind, result_text(result));
		return EXIT_FAILURE;
	}
	for (int layer = 0; layer < NR_LAYERS; layer++) {
		trial.removed &= ~ONLY(layer);
		if (trial_run(&trial) != TRIAL_SUCCEEDED)
			trial.removed |= ONLY(layer);
	}
	printf("%s %s: %s\n", name, kind, layers_text(trial.removed));
	return EXIT_SUCCESS;
}

static void find_each(const struct attack *attack, void *opaque)
{
	find(attack->name, "rng", *(bool *)opaque);
}

static int find_from(int argc, char **argv)
{
	bool as_user = argc > 4 && strcmp(argv[4], "user") == 0;
	int status = EXIT_SUCCESS;

	if (argc > 3)
		status = find(argv[2], argv[3], as_user);
	else
		attack_each(find_each, &as_user);
	trial_teardown();
	return status;
}

int main(int argc, char **argv)
{
	layers_without_exec = worker_main;
	/* How minivmm starts a device process. */
	if (strcmp(argv[0], "minivmm-device") == 0)
		return worker_main(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (geteuid() != 0) {
		printf("SKIP attack: only root can take the user namespace away\n"
		       "0 passed, 0 failed, 1 skipped\n");
		return EXIT_SUCCESS;
	}
	trial_setup();
	if (argc > 1 && strcmp(argv[1], "--find") == 0)
		return find_from(argc, argv);
	if (argc == 1) {
		attack_each(check_kinds, NULL);
		check_layers();
	}
	for (size_t i = 0; i < attack_table_len; i++)
		if (is_selected(attack_table[i].attack, argc, argv))
			check_row(&attack_table[i]);
	trial_teardown();
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
