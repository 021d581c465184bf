/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Which layers stand between an attack and its success. A row is minimal: without all of its layers
 * the attack succeeds, and any of them alone stops it. So a layer with a row is no decoration.
 */
#ifndef TESTS_ATTACK_TABLE_H
#define TESTS_ATTACK_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct row {
	const char *attack;
	const char *kind; /* of device: they may make different calls */
	uint64_t layers;
	bool as_user; /* minivmm is not root */
};

extern const struct row attack_table[];
extern const size_t attack_table_len;

#endif
