// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * guest-exit CODE: ends the guest at once, with CODE (0 to 255) as its verdict to the VMM.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>

/* Where the VMM listens, like QEMU's isa-debug-exit. */
#define EXIT_PORT 0xf4

/* Debian's cloud kernels have ioperm() but no /dev/port, ours has /dev/port but no ioperm(). */
static void write_port(unsigned char code)
{
	int fd;

	if (ioperm(EXIT_PORT, 1, 1) == 0) {
		outb(code, EXIT_PORT);
		return;
	}
	fd = open("/dev/port", O_WRONLY);
	if (fd < 0 || pwrite(fd, &code, 1, EXIT_PORT) != 1)
		perror("guest-exit: /dev/port");
}

int main(int argc, char **argv)
{
	char *end = NULL;
	unsigned long code = argc == 2 ? strtoul(argv[1], &end, 10) : 256;
	int console;

	if (code > 255 || end == argv[1] || *end != '\0') {
		fprintf(stderr, "usage: guest-exit CODE\n");
		return 2;
	}
	sync();
	/* What was printed may still wait for the UART, and would be lost. */
	console = open("/dev/console", O_WRONLY | O_NOCTTY);
	if (console >= 0)
		tcdrain(console);
	write_port((unsigned char)code);

	/* Still here: a VMM without that port. */
	reboot(RB_POWER_OFF);
	return 1;
}
