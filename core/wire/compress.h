/* compress: gzip, zlib ("deflate"), zstd, snappy and lz4, both ways, in memory. Sans-I/O; safe on pool
 * threads.
 *
 * Inflating is always bounded: it stops as soon as the output would pass its limit, having
 * allocated no more than that (a few kilobytes can claim to be gigabytes). */
#ifndef WEIR_WIRE_COMPRESS_H
#define WEIR_WIRE_COMPRESS_H

#include "core/base/buffer.h"
#include "core/base/error.h"

enum coding { CODING_IDENTITY, CODING_GZIP, CODING_DEFLATE, CODING_ZSTD };

/* As in Content-Encoding: "identity", "gzip", "deflate" (the zlib format; "zlib" is read too), "zstd",
 * "snappy", "x-snappy-framed", "lz4". */
const char *coding_name(enum coding c);
bool coding_from_name(struct slice name, enum coding *ret);

/* As in grpc-encoding: the same, but "snappy" is the framing format. */
const char *coding_grpc_name(enum coding c);
bool coding_from_grpc_name(struct slice name, enum coding *ret);

/* Appends the pieces, joined and compressed at the coding's usual level. -ENOMEM; then out is as it
 * was. */
int compress_pieces(enum coding c, const struct slice *pieces, size_t n, struct buffer *out,
                    struct error *error);

/* Appends the plain bytes of in. Fails with -E2BIG (more than limit), -EBADMSG (not that coding, or
 * cut short) or -ENOMEM; then out is as it was. Several gzip members or zstd frames after one
 * another are one text. */
int compress_inflate(enum coding c, struct slice in, size_t limit, struct buffer *out,
                     struct error *error);

/* The same step by step, for one who charges the output to an account: an inflater writes into the
 * memory it is given and says when it wants more. in stays its owner's and unchanged. NULL: no
 * memory. */
struct inflater;
struct inflater *inflater_new(enum coding c, struct slice in);
void inflater_free(struct inflater *i); /* takes NULL */

enum inflate_event {
	INFLATE_FULL,   /* the output is full and there is more */
	INFLATE_END,    /* all of in has been used and was complete */
	INFLATE_BROKEN, /* not that coding, or cut short */
	INFLATE_NO_MEMORY,
};
/* Writes to to[0 .. size), *ret_written of them. Safe on a pool thread. */
enum inflate_event inflater_run(struct inflater *i, uint8_t *to, size_t size, size_t *ret_written);

/* A good first guess of the plain size, from what the coding says about itself (never trusted: only a
 * size to begin with) and the usual ratio. */
size_t inflater_guess(const struct inflater *i);

#endif
