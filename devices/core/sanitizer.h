/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Is this a build with AddressSanitizer, whose run-time needs more of the system than we do? */
#ifndef DEVICES_CORE_SANITIZER_H
#define DEVICES_CORE_SANITIZER_H

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_SANITIZER 1
#endif
#endif

#ifndef HAVE_SANITIZER
#define HAVE_SANITIZER 0
#endif

#endif
