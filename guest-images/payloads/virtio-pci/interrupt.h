/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Interrupts by messages to the local APIC, which are counted and nothing else. */
#ifndef PAYLOAD_INTERRUPT_H
#define PAYLOAD_INTERRUPT_H

#include <stdint.h>

#define INTERRUPT_FIRST 0x40u /* vectors of ours */
#define INTERRUPT_NR	3u

/* Where a message for this CPU is written (Intel SDM 3A, 11.11.1), with the vector as data. */
#define INTERRUPT_ADDRESS 0xfee00000u

/* Makes exceptions end the payload. */
void exceptions_init(void);

/* Lets interrupts in. */
void interrupt_init(void);

/* How often interrupt INTERRUPT_FIRST + @index was taken. */
uint32_t interrupt_count(unsigned int index);

/* Until it was taken @count times in all, and not more. */
void interrupt_await(unsigned int index, uint32_t count);

#endif
