/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/core/evil_chain.h"

#include <endian.h>
#include <string.h>
#include <sys/mman.h>

#define READ_WRITE (PROT_READ | PROT_WRITE)

static void add_piece(const struct virtqueue *vq, const struct virtq_desc *desc,
		      struct evil_chain *chain)
{
	struct evil_piece *piece = &chain->pieces[chain->nr_pieces];
	uint64_t addr = le64toh(desc->addr);
	uint32_t len = le32toh(desc->len);

	piece->at = len ? dma_find(vq->dma, addr, len, READ_WRITE) : NULL;
	if (!piece->at)
		return;
	piece->dma_addr = addr;
	piece->len = len;
	piece->writable = le16toh(desc->flags) & VIRTQ_DESC_F_WRITE;
	if (piece->writable)
		chain->writable += len;
	else
		chain->readable += len;
	chain->nr_pieces++;
}

void evil_chain_find(const struct virtqueue *vq, uint16_t head, struct evil_chain *chain)
{
	uint8_t *table = (uint8_t *)vq->desc;
	uint32_t entries = vq->size;
	uint32_t index = head;

	chain->nr_descriptors = chain->nr_pieces = 0;
	chain->readable = chain->writable = 0;
	while (index < entries && chain->nr_descriptors < EVIL_CHAIN_MAX) {
		uint8_t *at = table + (size_t)index * sizeof(struct virtq_desc);
		struct virtq_desc desc;
		uint16_t flags;

		memcpy(&desc, at, sizeof(desc));
		flags = le16toh(desc.flags);
		chain->descriptors[chain->nr_descriptors++] = at;
		if (flags & VIRTQ_DESC_F_INDIRECT) {
			table = dma_find(vq->dma, le64toh(desc.addr), le32toh(desc.len),
					 READ_WRITE);
			entries = table ? le32toh(desc.len) / sizeof(desc) : 0;
			index = 0;
			continue;
		}
		add_piece(vq, &desc, chain);
		if (!(flags & VIRTQ_DESC_F_NEXT))
			break;
		index = le16toh(desc.next);
	}
}

const struct evil_piece *evil_chain_at(const struct evil_chain *chain, bool writable,
				       uint64_t offset, uint32_t *in_piece)
{
	for (unsigned int i = 0; i < chain->nr_pieces; i++) {
		const struct evil_piece *piece = &chain->pieces[i];

		if (piece->writable != writable)
			continue;
		if (offset < piece->len) {
			*in_piece = (uint32_t)offset;
			return piece;
		}
		offset -= piece->len;
	}
	return NULL;
}
