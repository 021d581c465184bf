/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/pci/msix.h"

#include <assert.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

/* Fields of a table entry (PCI 3.0, 6.8.2.6 to 6.8.2.9). */
#define ENTRY_ADDRESS_LOW  0
#define ENTRY_ADDRESS_HIGH 4
#define ENTRY_DATA	   8
#define ENTRY_CONTROL	   12

#define ADDRESS_ALIGN  UINT32_C(3) /* read-only, 0 */
#define CONTROL_MASKED 0x1u

#define PENDING_BITS 64 /* per qword of the pending bit array */

/* An address of the local APICs is 0xfeeXXXXX (Intel SDM 3A, 11.11.1). */
#define LAPIC_ADDRESS_SHIFT 20
#define LAPIC_ADDRESS	    0xfeeu

uint32_t msix_table_size(unsigned int nr_vectors)
{
	return nr_vectors * MSIX_ENTRY_SIZE;
}

uint32_t msix_pending_size(unsigned int nr_vectors)
{
	return (nr_vectors + PENDING_BITS - 1) / PENDING_BITS * (PENDING_BITS / 8);
}

/* Whether the guest lets messages of @entry out. */
static bool entry_is_open(const struct msix *msix, const struct msix_entry *entry)
{
	return msix->enabled && !msix->function_masked && !entry->masked &&
	       entry->address >> LAPIC_ADDRESS_SHIFT == LAPIC_ADDRESS;
}

static bool entry_is_routed(const struct msix_entry *entry)
{
	return entry->routed && entry->routed_address == entry->address &&
	       entry->routed_data == entry->data;
}

static bool vector_has_source(const struct msix *msix, unsigned int vector)
{
	for (unsigned int i = 0; i < msix->nr_sources; i++) {
		if (msix->sources[i].vector == vector)
			return true;
	}
	return false;
}

/* A route that is there stays when its vector is masked: masking and unmasking costs none. */
static void update_route(struct msix *msix, unsigned int vector)
{
	struct msix_entry *entry = &msix->entries[vector];

	if (!entry_is_open(msix, entry) || entry_is_routed(entry) ||
	    !vector_has_source(msix, vector))
		return;
	entry->routed =
		msix->ops->set_route(msix->opaque, vector, entry->address, entry->data) == 0;
	entry->routed_address = entry->address;
	entry->routed_data = entry->data;
}

/* The vector that @source is to be connected to, or MSIX_NO_VECTOR. */
static uint16_t source_target(const struct msix *msix, const struct msix_source *source)
{
	const struct msix_entry *entry;

	if (source->vector == MSIX_NO_VECTOR)
		return MSIX_NO_VECTOR;
	entry = &msix->entries[source->vector];
	return entry_is_open(msix, entry) && entry_is_routed(entry) ? source->vector
								    : MSIX_NO_VECTOR;
}

static void update_source(struct msix *msix, struct msix_source *source)
{
	const uint16_t target = source_target(msix, source);

	if (source->connected == target)
		return;
	if (source->connected != MSIX_NO_VECTOR) {
		if (msix->ops->disconnect(msix->opaque, source->connected, source->fd) < 0)
			return;
		source->connected = MSIX_NO_VECTOR;
	}
	if (target != MSIX_NO_VECTOR && msix->ops->connect(msix->opaque, target, source->fd) == 0)
		source->connected = target;
}

/* Brings routes and connections in line with the registers; does nothing where they are. */
static void update_all(struct msix *msix)
{
	for (unsigned int vector = 0; vector < msix->nr_vectors; vector++)
		update_route(msix, vector);
	for (unsigned int i = 0; i < msix->nr_sources; i++)
		update_source(msix, &msix->sources[i]);
}

void msix_init(struct msix *msix, unsigned int nr_vectors, const struct msix_ops *ops, void *opaque)
{
	assert(nr_vectors <= MSIX_MAX_VECTORS);
	memset(msix, 0, sizeof(*msix));
	pthread_mutex_init(&msix->lock, NULL);
	msix->nr_vectors = nr_vectors;
	msix->ops = ops;
	msix->opaque = opaque;
	for (unsigned int i = 0; i < nr_vectors; i++)
		msix->entries[i].masked = true;
}

void msix_destroy(struct msix *msix)
{
	msix_set_control(msix, false, false);
	pthread_mutex_destroy(&msix->lock);
}

unsigned int msix_add_source(struct msix *msix, int fd)
{
	unsigned int index;

	pthread_mutex_lock(&msix->lock);
	index = msix->nr_sources++;
	assert(index < MSIX_MAX_VECTORS);
	msix->sources[index] = (struct msix_source){ .fd = fd,
						     .vector = MSIX_NO_VECTOR,
						     .connected = MSIX_NO_VECTOR };
	pthread_mutex_unlock(&msix->lock);
	return index;
}

uint16_t msix_set_vector(struct msix *msix, unsigned int index, uint16_t vector)
{
	struct msix_source *source;
	eventfd_t missed;

	pthread_mutex_lock(&msix->lock);
	assert(index < msix->nr_sources);
	source = &msix->sources[index];
	/* What happened while it had none is not told later (virtio 1.3, 4.1.5.1.2). */
	if (source->vector == MSIX_NO_VECTOR)
		(void)eventfd_read(source->fd, &missed);
	source->vector = vector < msix->nr_vectors ? vector : MSIX_NO_VECTOR;
	update_all(msix);
	/* Unless it was let out and is not connected all the same. */
	if (source->vector != MSIX_NO_VECTOR && source->connected != source->vector &&
	    entry_is_open(msix, &msix->entries[source->vector]))
		source->vector = MSIX_NO_VECTOR;
	vector = source->vector;
	pthread_mutex_unlock(&msix->lock);
	return vector;
}

uint16_t msix_vector(struct msix *msix, unsigned int index)
{
	uint16_t vector;

	pthread_mutex_lock(&msix->lock);
	assert(index < msix->nr_sources);
	vector = msix->sources[index].vector;
	pthread_mutex_unlock(&msix->lock);
	return vector;
}

void msix_set_control(struct msix *msix, bool enabled, bool function_masked)
{
	pthread_mutex_lock(&msix->lock);
	msix->enabled = enabled;
	msix->function_masked = function_masked;
	update_all(msix);
	pthread_mutex_unlock(&msix->lock);
}

static uint32_t read_field(const struct msix_entry *entry, unsigned int field)
{
	switch (field) {
	case ENTRY_ADDRESS_LOW:
		return (uint32_t)entry->address;
	case ENTRY_ADDRESS_HIGH:
		return (uint32_t)(entry->address >> 32);
	case ENTRY_DATA:
		return entry->data;
	default:
		return entry->masked ? CONTROL_MASKED : 0;
	}
}

static void write_field(struct msix_entry *entry, unsigned int field, uint32_t value)
{
	switch (field) {
	case ENTRY_ADDRESS_LOW:
		entry->address = (entry->address >> 32 << 32) | (value & ~ADDRESS_ALIGN);
		break;
	case ENTRY_ADDRESS_HIGH:
		entry->address = (uint64_t)value << 32 | (uint32_t)entry->address;
		break;
	case ENTRY_DATA:
		entry->data = value;
		break;
	default:
		entry->masked = value & CONTROL_MASKED;
	}
}

/* Whether @access is one that the table and the pending bits know, inside @size bytes. */
static bool access_is_whole(const struct bus_access *access, uint32_t size)
{
	return (access->size == 4 || access->size == 8) && access->offset % access->size == 0 &&
	       access->offset < size;
}

void msix_table_access(struct msix *msix, struct bus_access *access)
{
	struct msix_entry *entry;
	unsigned int first;

	if (!access->is_write)
		access->value = 0;
	if (!access_is_whole(access, msix_table_size(msix->nr_vectors)))
		return;
	entry = &msix->entries[access->offset / MSIX_ENTRY_SIZE];
	first = access->offset % MSIX_ENTRY_SIZE;
	pthread_mutex_lock(&msix->lock);
	for (unsigned int i = 0; i < access->size; i += 4) {
		if (access->is_write)
			write_field(entry, first + i, (uint32_t)(access->value >> (8 * i)));
		else
			access->value |= (uint64_t)read_field(entry, first + i) << (8 * i);
	}
	if (access->is_write)
		update_all(msix);
	pthread_mutex_unlock(&msix->lock);
}

/* What is connected is KVM's to count, and is raised at once. */
static uint64_t pending_bits(const struct msix *msix)
{
	uint64_t bits = 0;

	for (unsigned int i = 0; i < msix->nr_sources; i++) {
		const struct msix_source *source = &msix->sources[i];
		struct pollfd pollfd = { .fd = source->fd, .events = POLLIN };

		if (source->vector != MSIX_NO_VECTOR && source->connected == MSIX_NO_VECTOR &&
		    poll(&pollfd, 1, 0) == 1 && (pollfd.revents & POLLIN))
			bits |= UINT64_C(1) << source->vector;
	}
	return bits;
}

void msix_pending_access(struct msix *msix, struct bus_access *access)
{
	if (access->is_write)
		return;
	access->value = 0;
	if (!access_is_whole(access, msix_pending_size(msix->nr_vectors)))
		return;
	pthread_mutex_lock(&msix->lock);
	access->value = pending_bits(msix) >> (8 * access->offset);
	pthread_mutex_unlock(&msix->lock);
}
