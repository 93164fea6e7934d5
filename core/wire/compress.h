/* compress: gzip, zlib ("deflate") and zstd, both ways, in memory. Sans-I/O; safe on pool threads.
 *
 * Inflating is always bounded: it stops as soon as the output would pass its limit, having
 * allocated no more than that (a few kilobytes can claim to be gigabytes). */
#ifndef WEIR_WIRE_COMPRESS_H
#define WEIR_WIRE_COMPRESS_H

#include "core/base/buffer.h"
#include "core/base/error.h"

enum coding { CODING_IDENTITY, CODING_GZIP, CODING_DEFLATE, CODING_ZSTD };

/* As in grpc-encoding and Content-Encoding: "identity", "gzip", "deflate" (the zlib format),
 * "zstd". */
const char *coding_name(enum coding c);
bool coding_from_name(struct slice name, enum coding *ret);

/* Appends the pieces, joined and compressed at the coding's usual level. -ENOMEM; then out is as it
 * was. */
int compress_pieces(enum coding c, const struct slice *pieces, size_t n, struct buffer *out,
                    struct error *error);

/* Appends the plain bytes of in. Fails with -E2BIG (more than limit), -EBADMSG (not that coding, or
 * cut short) or -ENOMEM; then out is as it was. Several gzip members or zstd frames after one
 * another are one text. */
int compress_inflate(enum coding c, struct slice in, size_t limit, struct buffer *out,
                     struct error *error);

#endif
