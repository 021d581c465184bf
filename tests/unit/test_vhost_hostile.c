/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A back-end that lies, stalls or leaves costs its own connection and nothing else. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/unit/fd_count.h"
#include "tests/unit/vhost_session.h"

#define DEADLINE_MS 300

/* What each fault comes to, at whichever request it happens. */
static const struct {
	enum fault fault;
	const char *name;
	int expected;
} faults[] = {
	{ FAULT_OTHER_REQUEST, "another request", -EPROTO },
	{ FAULT_SHORT, "short", -EPROTO },
	{ FAULT_LONG, "long", -EPROTO },
	{ FAULT_EMPTY, "empty", -EPROTO },
	{ FAULT_HUGE, "huge", -EMSGSIZE },
	{ FAULT_NO_REPLY_FLAG, "no reply flag", -EPROTO },
	{ FAULT_NEED_REPLY, "need-reply flag", -EPROTO },
	{ FAULT_VERSION, "version", -EPROTO },
	{ FAULT_ONE_FD, "one descriptor", -EPROTO },
	{ FAULT_MANY_FDS, "many descriptors", -EPROTO },
	{ FAULT_PAYLOAD_FD, "descriptor in the payload", -EPROTO },
	{ FAULT_SILENT, "silent", -ETIMEDOUT },
	{ FAULT_TRICKLE, "trickle", -ETIMEDOUT },
	{ FAULT_CLOSE, "close", -ECONNRESET },
	{ FAULT_CLOSE_IN_HALF, "close in half", -EPROTO },
	{ FAULT_REFUSE, "refuse", -EREMOTEIO },
};

_Static_assert(sizeof(faults) / sizeof(faults[0]) == NR_FAULTS - 1, "all but FAULT_NONE");

static bool has_own_answer(uint32_t request)
{
	return request == VHOST_USER_GET_FEATURES || request == VHOST_USER_GET_PROTOCOL_FEATURES ||
	       request == VHOST_USER_GET_QUEUE_NUM || request == VHOST_USER_GET_CONFIG ||
	       request == VHOST_USER_GET_VRING_BASE || request == VHOST_USER_MINIVMM_GET_REPORT;
}

/* Whether @fault can happen to @request at all. */
static bool applies(enum fault fault, uint32_t request)
{
	/* Sent before REPLY_ACK is in force: no answer, so no wrong one. */
	if (request == VHOST_USER_SET_PROTOCOL_FEATURES)
		return false;
	/* No fault, but how a back-end says no. */
	if ((fault == FAULT_EMPTY && request == VHOST_USER_GET_CONFIG) ||
	    (fault == FAULT_REFUSE && request == VHOST_USER_SET_CONFIG))
		return false;
	return fault != FAULT_REFUSE || !has_own_answer(request);
}

static void expect_over(struct session *session, const char *what, const char *request)
{
	struct vhost_frontend *fe = &session->fe;

	cr_expect_eq(fe->sock, -1, "%s: %s", what, request);
	cr_expect_eq(vhost_frontend_get_config(fe, session->config, CONFIG_LEN), -ENOTCONN);
	cr_expect_eq(vhost_frontend_set_config(fe, 0, "x", 1), -ENOTCONN);
	cr_expect_eq(vhost_frontend_set_features(fe, 0), -ENOTCONN);
	cr_expect_eq(vhost_frontend_start_queue(fe, QUEUE, &session_queue, &session->fds),
		     -ENOTCONN);
	cr_expect_eq(vhost_frontend_stop_queue(fe, QUEUE), -ENOTCONN);
	cr_expect_eq(vhost_frontend_get_report(fe, &session->report),
		     fe->protocol_features ? -ENOTCONN : -ENOTSUP);
}

static void run_fault(size_t index, uint32_t at)
{
	const char *request = vhost_user_request_name(at);
	const char *what = faults[index].name;
	const unsigned int fds = fd_count();
	struct scripted_backend backend;
	struct session session;
	int ret;

	session_init(&session);
	if (faults[index].expected == -ETIMEDOUT)
		session.deadline_ms = DEADLINE_MS;
	scripted_backend_init(&backend);
	backend.fault = faults[index].fault;
	backend.fault_at = at;
	ret = session_run(&session, scripted_backend_start(&backend));
	cr_expect_eq(ret, faults[index].expected, "%s: %s: %s", what, request, strerror(-ret));
	expect_over(&session, what, request);
	/* Closed already, unless a check failed; the back-end waits for it. */
	vhost_frontend_close(&session.fe);
	scripted_backend_join(&backend);
	cr_expect_eq(backend.messages[backend.nr_messages - 1].hdr.request, at,
		     "%s: nothing was sent after it", what);
	scripted_backend_destroy(&backend);
	session_destroy(&session);
	cr_expect_eq(fd_count(), fds, "%s: %s: a descriptor leaks", what, request);
}

Test(vhost_hostile, every_fault_at_every_request)
{
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		for (size_t j = 0; j < NR_REQUESTS; j++)
			if (applies(faults[i].fault, session_requests[j]))
				run_fault(i, session_requests[j]);
}

static long elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

/* The deadline is that of the whole answer, also of one that never stops coming. */
Test(vhost_hostile, deadline_is_kept)
{
	static const enum fault late[] = { FAULT_SILENT, FAULT_TRICKLE };

	for (size_t i = 0; i < sizeof(late) / sizeof(late[0]); i++) {
		struct scripted_backend backend;
		struct session session;
		struct timespec start;
		long took;

		session_init(&session);
		session.deadline_ms = DEADLINE_MS;
		scripted_backend_init(&backend);
		backend.fault = late[i];
		backend.fault_at = VHOST_USER_GET_FEATURES;
		clock_gettime(CLOCK_MONOTONIC, &start);
		cr_expect_eq(session_run(&session, scripted_backend_start(&backend)), -ETIMEDOUT);
		took = elapsed_ms(&start);
		cr_expect_geq(took, DEADLINE_MS);
		cr_expect_lt(took, DEADLINE_MS + 1000);
		scripted_backend_join(&backend);
		scripted_backend_destroy(&backend);
		session_destroy(&session);
	}
}

/* With SIGPIPE at its default: the test would die of it. */
Test(vhost_hostile, backend_was_never_there)
{
	struct session session;
	int pair[2];

	session_init(&session);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]);
	cr_expect_eq(session_run(&session, pair[0]), -EPIPE);
	expect_over(&session, "never there", "");
	session_destroy(&session);
}

/* Nothing that we rely on was there before protocol features: rings that start disabled, say. */
Test(vhost_hostile, backend_without_protocol_features)
{
	const unsigned int fds = fd_count();
	struct scripted_backend backend;
	struct session session;

	session_init(&session);
	scripted_backend_init(&backend);
	backend.features = ~(1ull << VHOST_USER_F_PROTOCOL_FEATURES);
	cr_expect_eq(session_run(&session, scripted_backend_start(&backend)), -ENOTSUP);
	vhost_frontend_close(&session.fe);
	scripted_backend_join(&backend);
	cr_expect_eq(backend.nr_messages, 1, "it got no window");
	scripted_backend_destroy(&backend);
	session_destroy(&session);
	cr_expect_eq(fd_count(), fds);
}

/* An answer too many is taken for that to the next question, to which it is a wrong one. */
Test(vhost_hostile, answers_that_nobody_asked_for)
{
	for (size_t i = 0; i + 1 < NR_REQUESTS; i++) {
		struct scripted_backend backend;
		struct session session;

		if (session_requests[i] == VHOST_USER_SET_PROTOCOL_FEATURES)
			continue; /* no answer yet */
		session_init(&session);
		scripted_backend_init(&backend);
		backend.twice_at = session_requests[i];
		cr_expect_lt(session_run(&session, scripted_backend_start(&backend)), 0, "%s",
			     vhost_user_request_name(session_requests[i]));
		cr_expect_eq(session.fe.sock, -1);
		scripted_backend_join(&backend);
		scripted_backend_destroy(&backend);
		session_destroy(&session);
	}
}

Test(vhost_hostile, a_report_of_more_than_there_is)
{
	struct scripted_backend backend;
	struct session session;

	session_init(&session);
	scripted_backend_init(&backend);
	backend.report.nr_violations = UINT32_MAX;
	cr_expect_eq(session_run(&session, scripted_backend_start(&backend)), 0);
	cr_expect_eq(session.report.nr_violations, DEVICE_REPORT_VIOLATIONS);
	vhost_frontend_close(&session.fe);
	scripted_backend_join(&backend);
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}

/* Our own mistakes are not sent, and cost no connection. */
Test(vhost_hostile, what_no_message_can_hold)
{
	struct dma_window windows[VHOST_USER_MAX_FDS + 1] = { 0 };
	uint8_t config[VHOST_USER_MAX_CONFIG + 1];
	struct scripted_backend backend;
	struct session session;
	struct vhost_frontend *fe = &session.fe;

	session_init(&session);
	scripted_backend_init(&backend);
	cr_expect_eq(vhost_frontend_open(fe, scripted_backend_start(&backend), PATIENCE_MS, -1,
					 windows, VHOST_USER_MAX_FDS + 1),
		     -E2BIG);
	cr_expect_eq(vhost_frontend_get_config(fe, config, sizeof(config)), -EMSGSIZE);
	cr_expect_eq(vhost_frontend_get_config(fe, config, VHOST_USER_MAX_CONFIG), 0);
	cr_expect_eq(vhost_frontend_set_config(fe, VHOST_USER_MAX_CONFIG, config, 1), -EMSGSIZE);
	cr_expect_eq(vhost_frontend_set_config(fe, UINT32_MAX, config, 2), -EMSGSIZE);
	cr_expect_eq(vhost_frontend_set_config(fe, 1, config, VHOST_USER_MAX_CONFIG), -EMSGSIZE);
	cr_expect_eq(vhost_frontend_set_config(fe, 0, config, VHOST_USER_MAX_CONFIG), 0);
	vhost_frontend_close(fe);
	vhost_frontend_close(fe);
	scripted_backend_join(&backend);
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}
