/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Back-ends that know less of the protocol than ours do, or say no. */
#include <errno.h>
#include <string.h>

#include "tests/unit/vhost_session.h"

/* A back-end that cannot report is never asked to. */
Test(vhost_partial, a_foreign_backend_does_not_report)
{
	struct session session;
	struct scripted_backend backend;

	session_init(&session);
	scripted_backend_init(&backend);
	backend.protocol_features &= ~(1ull << VHOST_USER_PROTOCOL_F_MINIVMM_REPORT);
	cr_expect_eq(session_run(&session, scripted_backend_start(&backend)), -ENOTSUP);
	cr_expect_eq(vhost_frontend_stop_queue(&session.fe, QUEUE), 0, "it is otherwise well");
	vhost_frontend_close(&session.fe);
	scripted_backend_join(&backend);
	for (unsigned int i = 0; i < backend.nr_messages; i++)
		cr_expect_neq(backend.messages[i].hdr.request, VHOST_USER_MINIVMM_GET_REPORT);
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}

/* A "no" about configuration space is an answer, and no reason to part. */
Test(vhost_partial, refused_configuration)
{
	struct session session;
	struct scripted_backend backend;

	session_init(&session);
	scripted_backend_init(&backend);
	backend.config_len = CONFIG_LEN;
	backend.fault = FAULT_REFUSE;
	backend.fault_at = VHOST_USER_SET_CONFIG;
	cr_expect_eq(session_run(&session, scripted_backend_start(&backend)), -EREMOTEIO);
	cr_expect_eq(vhost_frontend_get_config(&session.fe, session.config, CONFIG_LEN - 1), 0);
	memset(session.config, 0, CONFIG_LEN);
	backend.config_len = CONFIG_LEN - 1;
	cr_expect_eq(vhost_frontend_get_config(&session.fe, session.config, CONFIG_LEN),
		     -EREMOTEIO);
	cr_expect_eq(session.config[0], 0);
	cr_expect_eq(vhost_frontend_set_config(&session.fe, 0, "x", 1), 0);
	vhost_frontend_close(&session.fe);
	scripted_backend_join(&backend);
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}

/* What a back-end lacks is not asked of it. */
Test(vhost_partial, backends_that_know_less)
{
	static const struct {
		unsigned int without;
		uint32_t never[3];
		int config;
		uint64_t queues;
		bool channel;
	} cases[] = {
		{ VHOST_USER_PROTOCOL_F_CONFIG,
		  { VHOST_USER_GET_CONFIG, VHOST_USER_SET_CONFIG, VHOST_USER_SET_BACKEND_REQ_FD },
		  -ENOTSUP,
		  4,
		  false },
		{ VHOST_USER_PROTOCOL_F_BACKEND_REQ,
		  { VHOST_USER_SET_BACKEND_REQ_FD },
		  0,
		  4,
		  false },
		{ VHOST_USER_PROTOCOL_F_MQ, { VHOST_USER_GET_QUEUE_NUM }, 0, 1, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct session session;
		struct scripted_backend backend;

		session_init(&session);
		scripted_backend_init(&backend);
		backend.protocol_features &= ~(1ull << cases[i].without);
		cr_expect_eq(session_run(&session, scripted_backend_start(&backend)),
			     cases[i].config, "case %zu", i);
		cr_expect_eq(vhost_frontend_set_config(&session.fe, 0, "x", 1), cases[i].config);
		cr_expect_eq(session.queue_num, cases[i].queues);
		cr_expect_eq(vhost_frontend_channel_fd(&session.fe) >= 0, cases[i].channel);
		vhost_frontend_close(&session.fe);
		scripted_backend_join(&backend);
		for (unsigned int j = 0; j < backend.nr_messages; j++)
			for (size_t k = 0; k < 3; k++)
				cr_expect_neq(backend.messages[j].hdr.request, cases[i].never[k]);
		scripted_backend_destroy(&backend);
		session_destroy(&session);
	}
}

/* Requests that nobody confirms, and what is sent after those that matter. */
Test(vhost_partial, a_backend_that_confirms_nothing)
{
	static const uint32_t confirmed[] = { VHOST_USER_SET_MEM_TABLE, VHOST_USER_SET_CONFIG,
					      VHOST_USER_SET_VRING_ENABLE };
	struct session session;
	struct scripted_backend backend;

	session_init(&session);
	scripted_backend_init(&backend);
	backend.protocol_features &= ~(1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK);
	cr_expect_eq(session_run(&session, scripted_backend_start(&backend)), 0);
	vhost_frontend_close(&session.fe);
	scripted_backend_join(&backend);
	for (unsigned int i = 0; i + 1 < backend.nr_messages; i++) {
		bool matters = false;

		cr_expect_eq(backend.messages[i].hdr.flags, VHOST_USER_VERSION);
		for (size_t j = 0; j < 3; j++)
			matters |= backend.messages[i].hdr.request == confirmed[j];
		if (matters)
			cr_expect_eq(backend.messages[i + 1].hdr.request, VHOST_USER_GET_FEATURES,
				     "after %s",
				     vhost_user_request_name(backend.messages[i].hdr.request));
	}
	cr_expect_eq(backend.nr_messages, NR_REQUESTS + 3);
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}

/* ... so that one which leaves at the last of them is noticed. */
Test(vhost_partial, a_backend_that_leaves_instead_of_confirming)
{
	struct session session;
	struct scripted_backend backend;

	session_init(&session);
	scripted_backend_init(&backend);
	backend.protocol_features &= ~(1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK);
	backend.hang_up_at = VHOST_USER_SET_VRING_ENABLE;
	cr_expect_lt(session_run(&session, scripted_backend_start(&backend)), 0);
	cr_expect_eq(session.fe.sock, -1);
	scripted_backend_join(&backend);
	cr_expect_eq(backend.messages[backend.nr_messages - 1].hdr.request,
		     VHOST_USER_SET_VRING_ENABLE);
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}
