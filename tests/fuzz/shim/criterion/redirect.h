/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Nothing is redirected in a fuzz target. */
#ifndef TESTS_FUZZ_SHIM_REDIRECT_H
#define TESTS_FUZZ_SHIM_REDIRECT_H

#include <stdio.h>

#define cr_get_redirected_stderr() stdin

#endif
