/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest-images/payloads/hostile/target.h"

#include "guest-images/payloads/payload.h"

uint64_t target_wanted(const struct target *target)
{
	return target->transport->features(target) &
	       (F_VERSION_1 | F_ACCESS_PLATFORM | F_EVENT_IDX | F_INDIRECT_DESC | F_SWIOTLB);
}

bool target_negotiate(const struct target *target, uint64_t features)
{
	const struct transport *transport = target->transport;

	transport->write_status(target, 0);
	expect_equal(transport->status(target), 0, "status after a reset");
	transport->write_status(target, ACKNOWLEDGE);
	transport->write_status(target, ACKNOWLEDGE | DRIVER);
	transport->accept(target, features);
	transport->write_status(target, ACKNOWLEDGE | DRIVER | FEATURES_OK);
	return transport->status(target) & FEATURES_OK;
}
