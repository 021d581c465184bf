/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Devices that misbehave on purpose: the tricks they know, and how one is told what to play. Shared by
 * minivmm, which parses --evil-device and writes the report, and by the device process, which is
 * started with the setting "evil=seed=7,rate=50,after=0,tricks=length-zero+delay".
 */
#ifndef DEVICES_PROTO_EVIL_H
#define DEVICES_PROTO_EVIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVIL_RATE_MAX	  1000 /* of 1000 completions */
#define EVIL_DEFAULT_RATE 50
#define EVIL_SETTING_MAX  448 /* bytes of a formatted setting, with the NUL */

/* Changes memory that may become something that the guest asks to be written, or shown to others. */
#define EVIL_NEEDS_OWN_POOL 1u
/* The queue or the device is of no more use afterwards: only played when it is named. */
#define EVIL_ENDS 2u

/* X(identifier, name, flags); docs/evil-device.md says what each of them does. */
#define EVIL_TRICKS(X)                                 \
	X(LENGTH_ZERO, "length-zero", 0)               \
	X(LENGTH_LONG, "length-long", 0)               \
	X(LENGTH_HUGE, "length-huge", 0)               \
	X(ID_REPLAY, "id-replay", 0)                   \
	X(ID_FOREIGN, "id-foreign", 0)                 \
	X(ID_OUTSIDE, "id-outside", 0)                 \
	X(INDEX_AHEAD, "index-ahead", 0)               \
	X(INDEX_BACK, "index-back", 0)                 \
	X(USED_FLAGS, "used-flags", 0)                 \
	X(DATA, "data", 0)                             \
	X(DATA_LATE, "data-late", EVIL_NEEDS_OWN_POOL) \
	X(STATUS, "status", 0)                         \
	X(REQUEST, "request", EVIL_NEEDS_OWN_POOL)     \
	X(DESCRIPTOR, "descriptor", 0)                 \
	X(AVAIL, "avail", 0)                           \
	X(DELAY, "delay", 0)                           \
	X(REORDER, "reorder", 0)                       \
	X(STALL, "stall", 0)                           \
	X(INTERRUPT_LATE, "interrupt-late", 0)         \
	X(INTERRUPT_SPURIOUS, "interrupt-spurious", 0) \
	X(CONFIG, "config", 0)                         \
	X(LOST, "lost", EVIL_ENDS)                     \
	X(HANG, "hang", EVIL_ENDS)                     \
	X(INTERRUPT_LOST, "interrupt-lost", EVIL_ENDS) \
	X(NEEDS_RESET, "needs-reset", EVIL_ENDS)

enum evil_trick {
#define EVIL_TRICK(identifier, name, flags) EVIL_##identifier,
	EVIL_TRICKS(EVIL_TRICK)
#undef EVIL_TRICK
		EVIL_NR_TRICKS,
};

_Static_assert(EVIL_NR_TRICKS <= 32, "a set of tricks has 32 bits");

#define EVIL_BIT(trick) (1u << (trick))

struct evil_settings {
	uint32_t seed;
	uint32_t rate;	 /* tricks per 1000 completions, 1 to EVIL_RATE_MAX */
	uint64_t after;	 /* so many completions of each queue are honest first */
	uint32_t tricks; /* EVIL_BIT() of each that may be played; not 0 */
};

/* A static string; "unknown" for what is none. */
const char *evil_trick_name(unsigned int trick);

/* Those that have all of @flags. */
uint32_t evil_tricks_with(unsigned int flags);

/* What is played unless the user says otherwise. @own_pool: see EVIL_NEEDS_OWN_POOL. */
uint32_t evil_default_tricks(bool own_pool);

/* "delay+stall" -> *@tricks. 0, or -EINVAL for a name that is none. */
int evil_parse_tricks(const char *text, uint32_t *tricks);

/* @settings as the value of the setting "evil", into @text. */
void evil_format(const struct evil_settings *settings, char text[EVIL_SETTING_MAX]);

/*
 * What evil_format() has made, or a part of it: what it does not name stays as it is in @settings.
 * 0 or -EINVAL.
 */
int evil_parse(const char *text, struct evil_settings *settings);

#endif
