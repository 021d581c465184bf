/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The documents that tests hold against the code. */
#ifndef TESTS_UNIT_DOCUMENT_H
#define TESTS_UNIT_DOCUMENT_H

#include <criterion/criterion.h>
#include <stdio.h>

/* All of the file at @path, seen from the top of the source tree, as a string for free(). */
static inline char *document_read(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	cr_assert_not_null(file, "%s: run the tests from the top of the source tree", path);
	cr_assert_gt(getdelim(&text, &size, '\0', file), 0);
	fclose(file);
	return text;
}

#endif
