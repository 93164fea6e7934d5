/* snappy_frames: snappy's framing format ("x-snappy-framed", gRPC's "snappy"), of which the library has
 * only the blocks. Sans-I/O. After framing_format.txt of the snappy sources, revision of 2013-10-25.
 *
 * A text is a stream identifier and then chunks of at most 64 KiB of plain bytes with a checksum each.
 * Nothing says where it ends, so one that is cut between two chunks is a shorter one, and several after
 * one another are one. No bytes at all are an empty text: writers that were given none write none. */
#ifndef WEIR_WIRE_SNAPPY_FRAMES_H
#define WEIR_WIRE_SNAPPY_FRAMES_H

#include "core/base/buffer.h"

/* Plain bytes of a chunk, at most. */
enum { SNAPPY_CHUNK = 65536 };

/* Appends the pieces, joined and compressed. False: no memory; then out holds part of it. */
bool snappy_frames_write(const struct slice *pieces, size_t n, struct buffer *out);

struct snappy_frames {
	struct slice left; /* behind the chunks that were read */
	bool identified;
	const char *fault; /* why it is not this format; NULL as long as it may be */
};

struct snappy_chunk {
	struct slice body;
	uint32_t checksum;
	bool compressed;
	size_t plain; /* bytes that it becomes, at most SNAPPY_CHUNK */
};

/* The next chunk that holds data. False at the end and when .fault is set. */
bool snappy_frames_next(struct snappy_frames *f, struct snappy_chunk *ret);

/* Writes the chunk's plain bytes to to[0 .. plain). False: it is damaged. */
bool snappy_chunk_read(const struct snappy_chunk *chunk, uint8_t *to);

/* The plain size that a block claims. False when it cannot be the size of one of so few bytes: no
 * writer's block becomes more than 64 bytes for 3. */
bool snappy_block_size(struct slice block, size_t *ret);

/* One block of pieces that lie together, at to[0 .. snappy_max_compressed_length(plain.len)). False:
 * no memory. */
bool snappy_block_write(struct slice plain, uint8_t *to, size_t *ret_len);

#endif
