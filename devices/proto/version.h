/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The version that both executables print. */
#ifndef DEVICES_PROTO_VERSION_H
#define DEVICES_PROTO_VERSION_H

#define MINIVMM_VERSION "0.1.0"

#endif
