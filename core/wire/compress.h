/* compress: gzip, zlib ("deflate"), zstd, snappy and lz4, both ways, in memory. Sans-I/O; safe on pool
 * threads.
 *
 * Inflating is always bounded: it stops as soon as the output would pass its limit, having
 * allocated no more than that (a few kilobytes can claim to be gigabytes). */
#ifndef WEIR_WIRE_COMPRESS_H
#define WEIR_WIRE_COMPRESS_H

#include "core/base/buffer.h"
#include "core/base/error.h"

enum coding {
	CODING_IDENTITY,
	CODING_GZIP,
	CODING_DEFLATE,
	CODING_ZSTD,
	CODING_SNAPPY,        /* one block, as Prometheus sends it */
	CODING_SNAPPY_FRAMED, /* core/wire/snappy_frames.h */
	CODING_LZ4,           /* frames */
};
enum { CODING_COUNT = CODING_LZ4 + 1 };

/* As in Content-Encoding: "identity", "gzip", "deflate" (the zlib format; "zlib" is read too), "zstd",
 * "snappy", "x-snappy-framed", "lz4"; read in either case. */
const char *coding_name(enum coding c);
bool coding_from_name(struct slice name, enum coding *ret);

/* As in grpc-encoding: the same, but "snappy" is the framing format. NULL for CODING_SNAPPY, which has
 * no name there. */
const char *coding_grpc_name(enum coding c);
bool coding_from_grpc_name(struct slice name, enum coding *ret);

/* Appends the pieces, joined and compressed at the coding's usual level. -ENOMEM; then out is as it
 * was. */
int compress_pieces(enum coding c, const struct slice *pieces, size_t n, struct buffer *out,
                    struct error *error);
/* At that level: 1 (fastest) to 9 of gzip and deflate, to 22 of zstd; others have none. 0: the usual. */
int compress_pieces_at(enum coding c, int level, const struct slice *pieces, size_t n,
                       struct buffer *out, struct error *error);

/* Appends the plain bytes of in. Fails with -E2BIG (more than limit), -EBADMSG (not that coding, cut
 * short, or followed by something else) or -ENOMEM; then out is as it was. Several gzip members, zstd or
 * lz4 frames or framed snappy streams after one another are one text; no bytes at all are a text only as
 * CODING_IDENTITY and CODING_SNAPPY_FRAMED. */
int compress_inflate(enum coding c, struct slice in, size_t limit, struct buffer *out,
                     struct error *error);

/* The same step by step, for one who charges the output to an account: an inflater writes into the
 * memory it is given and says when it wants more. in stays its owner's and unchanged. NULL: no
 * memory.
 *
 * What it needs itself is not charged: nothing for snappy, 64 KiB for framed snappy, 40 KiB for gzip and
 * deflate, for zstd the sender's window, which is refused above 8 MiB, for lz4 twice its blocks of at
 * most 4 MiB. So run one to its end before the next is made on the same thread. */
struct inflater;
struct inflater *inflater_new(enum coding c, struct slice in);
void inflater_free(struct inflater *i); /* takes NULL */

enum inflate_event {
	INFLATE_FULL,   /* the output is full and there is more, or its end was not seen yet */
	INFLATE_END,    /* all of in has been used and was complete */
	INFLATE_BROKEN, /* not that coding, or cut short: inflater_fault() */
	INFLATE_NO_MEMORY,
};
/* Writes to to[0 .. size), *ret_written of them. Complete input whose plain bytes fill the output
 * exactly is INFLATE_END at once. A block of snappy comes in one piece or not at all: INFLATE_FULL with
 * nothing written as long as size is below inflater_guess(), which is its exact size then. After
 * anything but INFLATE_FULL a further call writes nothing and says the same. Safe on a pool thread. */
enum inflate_event inflater_run(struct inflater *i, uint8_t *to, size_t size, size_t *ret_written);

/* A good first guess of the plain size: what the coding says about itself, or the usual ratio. Exact for
 * snappy, framed or not; what gzip, zstd and lz4 claim is believed up to 64 times the compressed size.
 * Never a promise: only a size to begin with. */
size_t inflater_guess(const struct inflater *i);

/* After INFLATE_BROKEN: why, as the end of a sentence: "cut short". */
const char *inflater_fault(const struct inflater *i);

#endif
