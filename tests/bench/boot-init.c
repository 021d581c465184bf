/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* First process of the guest whose boot is measured: the first line of user space, and no more. */
#include <unistd.h>

int main(void)
{
	static const char line[] = "user space\n";

	(void)!write(STDOUT_FILENO, line, sizeof(line) - 1);
	for (;;)
		pause();
}
