#include "core/wire/compress.h"

#include <errno.h>
#include <zlib.h>
#include <zstd.h>

enum {
	FIRST_ROOM = 4096,
	GZIP_LEVEL = 6, /* what gzip itself uses */
	ZSTD_LEVEL = 3,
	GZIP_WINDOW = 15 + 16, /* zlib's way to say "with a gzip header" */
	ZLIB_WINDOW = 15,
	/* A zstd frame may ask its reader for a window of gigabytes; RFC 8878 asks for 8 MiB. */
	ZSTD_WINDOW_LOG = 23,
};

static const char *const names[] = {"identity", "gzip", "deflate", "zstd"};

const char *coding_name(enum coding c)
{
	return names[c];
}

bool coding_from_name(struct slice name, enum coding *ret)
{
	for (int c = CODING_IDENTITY; c <= CODING_ZSTD; c++)
		if (slice_equal(name, slice_from_string(names[c]))) {
			*ret = (enum coding)c;
			return true;
		}
	return false;
}

/* Takes back what was appended since the buffer had len bytes. */
static int undo(struct buffer *out, size_t len, int r)
{
	out->len = len;
	out->failed = false;
	return r;
}

static int no_memory(struct buffer *out, size_t len, struct error *error)
{
	return undo(out, len, error_no_memory(error));
}

static size_t total(const struct slice *pieces, size_t n)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += pieces[i].len;
	return sum;
}

static unsigned zlib_len(size_t len)
{
	return len < UINT32_MAX ? (unsigned)len : UINT32_MAX;
}

static int deflate_pieces(int window, const struct slice *pieces, size_t n, struct buffer *out,
                          struct error *error)
{
	size_t before = out->len;
	z_stream z = {0};
	uint8_t *room;
	size_t bound;
	int r;

	if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return error_no_memory(error);
	bound = deflateBound(&z, total(pieces, n));
	room = buffer_reserve(out, bound);
	if (!room) {
		deflateEnd(&z);
		return no_memory(out, before, error);
	}
	/* The bound is what one call with all input needs, so each call has room and takes its
	 * piece whole. */
	z.next_out = room;
	z.avail_out = zlib_len(bound);
	for (size_t i = 0; i < n; i++) {
		z.next_in = (uint8_t *)pieces[i].data;
		z.avail_in = zlib_len(pieces[i].len);
		if (z.avail_in > 0)
			deflate(&z, Z_NO_FLUSH);
	}
	r = deflate(&z, Z_FINISH);
	out->len += bound - z.avail_out;
	deflateEnd(&z);
	if (r != Z_STREAM_END)
		return undo(out, before,
		            error_set(error, -E2BIG, "%zu bytes are too many to compress at once",
		                      total(pieces, n)));
	return 0;
}

static int zstd_pieces(const struct slice *pieces, size_t n, struct buffer *out,
                       struct error *error)
{
	size_t before = out->len, bytes = total(pieces, n), bound = ZSTD_compressBound(bytes),
	       r = 0;
	ZSTD_CCtx *z = ZSTD_createCCtx();
	uint8_t *room = z ? buffer_reserve(out, bound) : NULL;
	ZSTD_outBuffer to = {room, bound, 0};

	if (!room) {
		ZSTD_freeCCtx(z);
		return no_memory(out, before, error);
	}
	ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	ZSTD_CCtx_setPledgedSrcSize(z, bytes);
	for (size_t i = 0; i < n && !ZSTD_isError(r); i++) {
		ZSTD_inBuffer from = {pieces[i].data, pieces[i].len, 0};
		while (from.pos < from.size && !ZSTD_isError(r))
			r = ZSTD_compressStream2(z, &to, &from, ZSTD_e_continue);
	}
	if (!ZSTD_isError(r))
		r = ZSTD_compressStream2(z, &to, &(ZSTD_inBuffer){0}, ZSTD_e_end);
	ZSTD_freeCCtx(z);
	if (r != 0)
		return no_memory(out, before, error);
	out->len += to.pos;
	return 0;
}

int compress_pieces(enum coding c, const struct slice *pieces, size_t n, struct buffer *out,
                    struct error *error)
{
	size_t before = out->len;

	switch (c) {
	case CODING_GZIP:
		return deflate_pieces(GZIP_WINDOW, pieces, n, out, error);
	case CODING_DEFLATE:
		return deflate_pieces(ZLIB_WINDOW, pieces, n, out, error);
	case CODING_ZSTD:
		return zstd_pieces(pieces, n, out, error);
	case CODING_IDENTITY:
		break;
	}
	for (size_t i = 0; i < n; i++)
		buffer_append_slice(out, pieces[i]);
	return out->failed ? no_memory(out, before, error) : 0;
}

/* Room for the next piece of output: at least one byte beyond the limit, so that going over it is
 * seen, and no more than doubles what is there. NULL: no memory. */
static uint8_t *more_room(struct buffer *out, size_t before, size_t limit, size_t *ret_len)
{
	size_t have = out->len - before;
	size_t wanted = have ? have : FIRST_ROOM;

	if (wanted > limit - have)
		wanted = limit - have + 1;
	*ret_len = wanted;
	return buffer_reserve(out, wanted);
}

static int too_large(struct buffer *out, size_t before, size_t limit, struct error *error)
{
	return undo(out, before,
	            error_set(error, -E2BIG, "inflates to more than the limit of %zu bytes",
	                      limit));
}

static int bad_message(struct buffer *out, size_t before, enum coding c, const char *why,
                       struct error *error)
{
	return undo(out, before, error_set(error, -EBADMSG, "not valid %s: %s", names[c], why));
}

static int inflate_zlib(enum coding c, struct slice in, size_t limit, struct buffer *out,
                        struct error *error)
{
	size_t before = out->len;
	z_stream z = {.next_in = (uint8_t *)in.data, .avail_in = zlib_len(in.len)};
	int r;

	if (inflateInit2(&z, c == CODING_GZIP ? GZIP_WINDOW : ZLIB_WINDOW) != Z_OK)
		return error_no_memory(error);
	do {
		size_t room;
		uint8_t *at = more_room(out, before, limit, &room);

		if (!at) {
			inflateEnd(&z);
			return no_memory(out, before, error);
		}
		z.next_out = at;
		z.avail_out = zlib_len(room);
		r = inflate(&z, Z_NO_FLUSH);
		out->len += (size_t)(z.next_out - at);
		if (r == Z_STREAM_END && c == CODING_GZIP && z.avail_in > 0)
			r = inflateReset(&z); /* the next member */
	} while (r == Z_OK && out->len - before <= limit);
	inflateEnd(&z);
	if (out->len - before > limit)
		return too_large(out, before, limit, error);
	if (r == Z_MEM_ERROR)
		return no_memory(out, before, error);
	if (r != Z_STREAM_END)
		return bad_message(out, before, c, r == Z_BUF_ERROR ? "cut short" : "damaged",
		                   error);
	return 0;
}

static int inflate_zstd(struct slice in, size_t limit, struct buffer *out, struct error *error)
{
	size_t before = out->len, r;
	ZSTD_inBuffer from = {in.data, in.len, 0};
	ZSTD_DCtx *z = ZSTD_createDCtx();
	bool full;

	if (!z)
		return error_no_memory(error);
	ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
	do {
		ZSTD_outBuffer to = {0};

		to.dst = more_room(out, before, limit, &to.size);
		if (!to.dst) {
			ZSTD_freeDCtx(z);
			return no_memory(out, before, error);
		}
		r = ZSTD_decompressStream(z, &to, &from);
		out->len += to.pos;
		full = to.pos == to.size;
	} while (!ZSTD_isError(r) && out->len - before <= limit &&
	         (from.pos < from.size || (full && r != 0)));
	ZSTD_freeDCtx(z);
	if (out->len - before > limit)
		return too_large(out, before, limit, error);
	if (ZSTD_isError(r))
		return bad_message(out, before, CODING_ZSTD, ZSTD_getErrorName(r), error);
	if (r != 0)
		return bad_message(out, before, CODING_ZSTD, "cut short", error);
	return 0;
}

int compress_inflate(enum coding c, struct slice in, size_t limit, struct buffer *out,
                     struct error *error)
{
	size_t before = out->len;

	switch (c) {
	case CODING_GZIP:
	case CODING_DEFLATE:
		return inflate_zlib(c, in, limit, out, error);
	case CODING_ZSTD:
		return inflate_zstd(in, limit, out, error);
	case CODING_IDENTITY:
		break;
	}
	if (in.len > limit)
		return too_large(out, before, limit, error);
	buffer_append_slice(out, in);
	return out->failed ? no_memory(out, before, error) : 0;
}
