/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the streams of --console and --port are opened as, and what is left of them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/stream.h"

static char folder[] = "/tmp/stream-XXXXXX";
static char path[64];
static struct stream stream;
static int messages = -1; /* what was said on stderr */

static void set_up(void)
{
	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(chdir(folder), 0);
	messages = open("messages", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	cr_assert_geq(messages, 0);
	dup2(messages, STDERR_FILENO);
	snprintf(path, sizeof(path), "%s/s", folder);
}

static void tear_down(void)
{
	static const char *const names[] = { "messages", "s", "s.in", "s.out", "link" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(names[i]);
	cr_expect_eq(rmdir(folder), 0, "something was left behind");
}

TestSuite(stream, .init = set_up, .fini = tear_down);

static int open_stream(enum config_stream_kind kind)
{
	const struct config_stream config = { .kind = kind, .path = path };

	return stream_open(&stream, &config, "--port");
}

static void expect_said(const char *text)
{
	char said[512] = "";

	cr_assert_geq(pread(messages, said, sizeof(said) - 1, 0), 0);
	cr_expect_str_eq(said, text);
	cr_assert_eq(ftruncate(messages, 0), 0);
}

static void expect_refused(enum config_stream_kind kind, int error, const char *suffix,
			   const char *why)
{
	char line[256];

	cr_expect_eq(open_stream(kind), error, "%s", why);
	snprintf(line, sizeof(line), "minivmm: --port: %s%s: %s\n", path, suffix, why);
	expect_said(line);
	cr_expect(stream.fd == -1 && stream.input_fd == -1 && stream.near_fd == -1);
	cr_expect_not(stream.listens);
}

static void write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

Test(stream, a_file_is_emptied_and_appended_to)
{
	char text[32] = "";
	int fd;

	write_file(path, "from an earlier run");
	cr_assert_eq(open_stream(CONFIG_STREAM_FILE), 0);
	cr_assert_eq(write(stream.fd, "one", 3), 3);
	write_file(path, ", of another, ");
	cr_assert_eq(write(stream.fd, "two", 3), 3);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_geq(read(fd, text, sizeof(text) - 1), 0);
	cr_expect_str_eq(text, "one, of another, two");
	cr_expect_eq(fcntl(stream.fd, F_GETFL) & O_ACCMODE, O_WRONLY);
	stream_hand_over(&stream);
	cr_expect_eq(stream.fd, -1);
	stream_close(&stream);
	cr_expect_eq(access(path, F_OK), 0, "it stays");
	close(fd);
}

Test(stream, a_file_is_made_by_the_user_s_umask)
{
	struct stat st;

	umask(027);
	cr_assert_eq(open_stream(CONFIG_STREAM_FILE), 0);
	cr_assert_eq(fstat(stream.fd, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0640);
	stream_close(&stream);
}

Test(stream, files_that_cannot_be)
{
	snprintf(path, sizeof(path), "%s", folder);
	expect_refused(CONFIG_STREAM_FILE, -EISDIR, "", "Is a directory");
	snprintf(path, sizeof(path), "%s/none/s", folder);
	expect_refused(CONFIG_STREAM_FILE, -ENOENT, "", "No such file or directory");
}

Test(stream, pipes_do_not_wait_for_anybody)
{
	char text[8] = "";
	int reader;

	cr_assert_eq(mkfifo("s.out", 0600), 0);
	cr_assert_eq(mkfifo("s.in", 0600), 0);
	cr_assert_eq(open_stream(CONFIG_STREAM_PIPE), 0);
	cr_expect_eq(write(stream.fd, "early", 5), 5, "nobody reads yet");
	reader = open("s.out", O_RDONLY | O_CLOEXEC);
	cr_expect_eq(read(reader, text, sizeof(text)), 5);
	close(reader);
	cr_expect_eq(write(stream.fd, "late", 4), 4, "nobody reads any more");
	write_file("s.in", "in");
	cr_expect_eq(read(stream.input_fd, text, sizeof(text)), 2);
	cr_expect(read(stream.input_fd, text, sizeof(text)) == -1 && errno == EAGAIN,
		  "the next writer will come");
	stream_hand_over(&stream);
	cr_expect_eq(stream.input_fd, -1);
	stream_close(&stream);
	cr_expect_eq(access("s.out", F_OK), 0, "they stay");
}

Test(stream, pipes_that_are_none)
{
	expect_refused(CONFIG_STREAM_PIPE, -ENOENT, ".out", "No such file or directory");
	cr_assert_eq(mkfifo("s.out", 0600), 0);
	expect_refused(CONFIG_STREAM_PIPE, -ENOENT, ".in", "No such file or directory");
	write_file("s.in", "text");
	expect_refused(CONFIG_STREAM_PIPE, -EINVAL, ".in", "not a FIFO");
}

static int join(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

Test(stream, a_socket_listens_until_it_is_closed)
{
	int listening = 0, peer;
	socklen_t len = sizeof(listening);

	cr_assert_eq(open_stream(CONFIG_STREAM_SOCKET), 0);
	cr_assert_eq(getsockopt(stream.fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len), 0);
	cr_expect(listening);
	peer = join();
	cr_expect_geq(peer, 0);
	close(peer);
	stream_hand_over(&stream);
	cr_expect_eq(access(path, F_OK), 0, "the device process has it");
	stream_close(&stream);
	cr_expect_eq(access(path, F_OK), -1, "removed at the end");
}

Test(stream, a_socket_that_nobody_listens_at_is_replaced)
{
	int peer;

	cr_assert_eq(open_stream(CONFIG_STREAM_SOCKET), 0);
	close(stream.fd); /* as if we had been killed */
	cr_assert_eq(open_stream(CONFIG_STREAM_SOCKET), 0);
	peer = join();
	cr_expect_geq(peer, 0);
	close(peer);
	stream_close(&stream);
}

Test(stream, sockets_that_cannot_be)
{
	struct stream first;

	cr_assert_eq(open_stream(CONFIG_STREAM_SOCKET), 0);
	first = stream;
	expect_refused(CONFIG_STREAM_SOCKET, -EADDRINUSE, "", "somebody listens there already");
	cr_expect_eq(access(path, F_OK), 0, "it is not ours");
	stream_close(&first);
	write_file(path, "precious");
	expect_refused(CONFIG_STREAM_SOCKET, -EEXIST, "", "exists, and is not a socket");
	cr_expect_eq(access(path, F_OK), 0, "not touched");
	unlink(path);
	snprintf(path, sizeof(path), "%s/none/s", folder);
	expect_refused(CONFIG_STREAM_SOCKET, -ENOENT, "", "No such file or directory");
}

Test(stream, a_socket_behind_a_link_is_not_replaced)
{
	cr_assert_eq(open_stream(CONFIG_STREAM_SOCKET), 0);
	close(stream.fd);
	cr_assert_eq(symlink("s", "link"), 0);
	snprintf(path, sizeof(path), "%s/link", folder);
	expect_refused(CONFIG_STREAM_SOCKET, -EEXIST, "", "exists, and is not a socket");
}

Test(stream, somebody_else_s_socket_is_not_removed)
{
	struct stream ours;

	cr_assert_eq(open_stream(CONFIG_STREAM_SOCKET), 0);
	ours = stream;
	unlink(path);
	cr_assert_eq(open_stream(CONFIG_STREAM_SOCKET), 0);
	stream_close(&ours);
	cr_expect_eq(access(path, F_OK), 0);
	stream_close(&stream);
	cr_expect_eq(access(path, F_OK), -1);
}

Test(stream, an_exit_code_comes_back_to_us)
{
	char text[4] = "";

	cr_assert_eq(open_stream(CONFIG_STREAM_EXIT), 0);
	cr_assert_eq(write(stream.fd, "42\n", 3), 3);
	stream_hand_over(&stream);
	cr_expect_eq(read(stream.near_fd, text, 3), 3);
	cr_expect_str_eq(text, "42\n");
	stream_close(&stream);
	cr_expect_eq(stream.near_fd, -1);
}
