#include "core/wire/snappy_frames.h"

#include "core/base/crc32c.h"

#include <snappy-c.h>
#include <stdlib.h>

enum {
	CHUNK_COMPRESSED = 0x00,
	CHUNK_PLAIN = 0x01,
	CHUNK_LAST_UNKNOWN = 0x7f, /* up to here what is not known must be refused, above skipped */
	CHUNK_IDENTIFIER = 0xff,
	CHUNK_HEADER = 4, /* the type, three bytes of length */
	CHECKSUM = 4,
	/* What snappy's compressor asks for: it is C++ and ends the process when it is refused. */
	WORKING_MEMORY = 256 * 1024,
};

static const char identifier[] = "\xff\x06\0\0sNaPpY";

static uint32_t little(const uint8_t *p, unsigned bytes)
{
	uint32_t v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

static void put_little(uint8_t *p, uint32_t v, unsigned bytes)
{
	for (; bytes--; v >>= 8)
		*p++ = (uint8_t)v;
}

static uint32_t checksum(struct slice plain)
{
	uint32_t crc = crc32c(0, plain);

	return (crc >> 15 | crc << 17) + 0xa282ead8;
}

bool snappy_block_size(struct slice block, size_t *ret)
{
	size_t size;

	if (snappy_uncompressed_length((const char *)block.data, block.len, &size) != SNAPPY_OK ||
	    size / 64 > block.len / 3 + 1)
		return false;
	*ret = size;
	return true;
}

bool snappy_block_write(struct slice plain, uint8_t *to, size_t *ret_len)
{
	void *room = malloc(WORKING_MEMORY);

	free(room);
	if (!room)
		return false;
	*ret_len = snappy_max_compressed_length(plain.len);
	return snappy_compress((const char *)plain.data, plain.len, (char *)to, ret_len) ==
	       SNAPPY_OK;
}

/* ---- writing */

static bool write_chunk(struct slice plain, struct buffer *out)
{
	size_t largest = snappy_max_compressed_length(plain.len), len;
	uint8_t *to = buffer_reserve(out, CHUNK_HEADER + CHECKSUM + largest);

	if (!to || !snappy_block_write(plain, to + CHUNK_HEADER + CHECKSUM, &len))
		return false;
	to[0] = CHUNK_COMPRESSED;
	if (len >= plain.len - plain.len / 8) { /* not worth a reader's time */
		to[0] = CHUNK_PLAIN;
		len = plain.len;
		memcpy(to + CHUNK_HEADER + CHECKSUM, plain.data, len);
	}
	put_little(to + 1, (uint32_t)(CHECKSUM + len), 3);
	put_little(to + CHUNK_HEADER, checksum(plain), CHECKSUM);
	out->len += CHUNK_HEADER + CHECKSUM + len;
	return true;
}

/* Whole chunks of a piece are compressed where they lie; what is left of it waits in rest for the next
 * one. */
static bool write_piece(struct slice piece, uint8_t *rest, size_t *rest_len, struct buffer *out)
{
	while (piece.len) {
		size_t n =
			SNAPPY_CHUNK - *rest_len < piece.len ? SNAPPY_CHUNK - *rest_len : piece.len;
		struct slice chunk = slice_of(rest, SNAPPY_CHUNK);

		if (n == SNAPPY_CHUNK) {
			chunk = slice_of(piece.data, n);
		} else {
			memcpy(rest + *rest_len, piece.data, n);
			*rest_len += n;
		}
		piece = slice_of(piece.data + n, piece.len - n);
		if (*rest_len == SNAPPY_CHUNK)
			*rest_len = 0;
		else if (n != SNAPPY_CHUNK)
			return true;
		if (!write_chunk(chunk, out))
			return false;
	}
	return true;
}

bool snappy_frames_write(const struct slice *pieces, size_t n, struct buffer *out)
{
	uint8_t *rest = malloc(SNAPPY_CHUNK);
	size_t rest_len = 0;
	bool ok = rest != NULL;

	buffer_append(out, identifier, sizeof identifier - 1);
	for (size_t i = 0; i < n && ok; i++)
		ok = write_piece(pieces[i], rest, &rest_len, out);
	if (ok && rest_len)
		ok = write_chunk(slice_of(rest, rest_len), out);
	free(rest);
	return ok && !out->failed;
}

/* ---- reading */

static bool refuse(struct snappy_frames *f, const char *fault)
{
	f->fault = fault;
	return false;
}

static bool read_data(struct snappy_frames *f, uint8_t type, struct slice body,
                      struct snappy_chunk *ret)
{
	if (body.len < CHECKSUM)
		return refuse(f, "a chunk without its checksum");
	*ret = (struct snappy_chunk){
		.body = slice_of(body.data + CHECKSUM, body.len - CHECKSUM),
		.checksum = little(body.data, CHECKSUM),
		.compressed = type == CHUNK_COMPRESSED,
		.plain = body.len - CHECKSUM,
	};
	if (ret->compressed && !snappy_block_size(ret->body, &ret->plain))
		return refuse(f, "damaged");
	if (ret->plain > SNAPPY_CHUNK)
		return refuse(f, "a chunk of more than 65536 bytes");
	return true;
}

bool snappy_frames_next(struct snappy_frames *f, struct snappy_chunk *ret)
{
	while (f->left.len && !f->fault) {
		const uint8_t *at = f->left.data;
		struct slice body;
		size_t len;

		if (f->left.len < CHUNK_HEADER)
			return refuse(f, "cut short");
		len = little(at + 1, 3);
		if (len > f->left.len - CHUNK_HEADER)
			return refuse(f, "cut short");
		body = slice_of(at + CHUNK_HEADER, len);
		f->left = slice_of(body.data + len, f->left.len - CHUNK_HEADER - len);
		if (at[0] == CHUNK_IDENTIFIER) {
			if (len != 6 || memcmp(at, identifier, sizeof identifier - 1) != 0)
				return refuse(f, "another stream identifier");
			f->identified = true;
		} else if (!f->identified) {
			return refuse(f, "no stream identifier");
		} else if (at[0] <= CHUNK_PLAIN) {
			return read_data(f, at[0], body, ret);
		} else if (at[0] <= CHUNK_LAST_UNKNOWN) {
			return refuse(f, "a chunk of an unknown type");
		}
	}
	return false;
}

bool snappy_chunk_read(const struct snappy_chunk *chunk, uint8_t *to)
{
	size_t len = chunk->plain;

	if (!chunk->compressed) {
		if (len)
			memcpy(to, chunk->body.data, len);
	} else if (snappy_uncompress((const char *)chunk->body.data, chunk->body.len, (char *)to,
	                             &len) != SNAPPY_OK) {
		return false;
	}
	return checksum(slice_of(to, len)) == chunk->checksum;
}
