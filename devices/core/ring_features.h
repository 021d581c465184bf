/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Feature bits of the rings (virtio 1.3, 6), as masks. The same for every device. */
#ifndef DEVICES_CORE_RING_FEATURES_H
#define DEVICES_CORE_RING_FEATURES_H

#define RING_F_INDIRECT_DESC (1ull << 28)
#define RING_F_EVENT_IDX     (1ull << 29)
#define RING_F_VERSION_1     (1ull << 32)

#define RING_FEATURES (RING_F_INDIRECT_DESC | RING_F_EVENT_IDX | RING_F_VERSION_1)

#endif
