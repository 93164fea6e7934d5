#include "core/wire/compress.h"

#include "core/wire/snappy_frames.h"

#include <errno.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>

enum {
	GZIP_LEVEL = 6, /* what gzip itself uses */
	ZSTD_LEVEL = 3,
	GZIP_WINDOW = 15 + 16, /* zlib's way to say "with a gzip header" */
	ZLIB_WINDOW = 15,
};

static const char *const names[CODING_COUNT] = {"identity", "gzip",   "deflate",
                                                "zstd",     "snappy", "x-snappy-framed",
                                                "lz4"};

const char *coding_name(enum coding c)
{
	return names[c];
}

static bool is_name(struct slice name, const char *known)
{
	return name.len == strlen(known) &&
	       strncasecmp((const char *)name.data, known, name.len) == 0;
}

bool coding_from_name(struct slice name, enum coding *ret)
{
	for (int c = 0; c < CODING_COUNT; c++)
		if (is_name(name, names[c]) || (c == CODING_DEFLATE && is_name(name, "zlib"))) {
			*ret = (enum coding)c;
			return true;
		}
	return false;
}

const char *coding_grpc_name(enum coding c)
{
	return c == CODING_SNAPPY ? NULL : names[c == CODING_SNAPPY_FRAMED ? CODING_SNAPPY : c];
}

bool coding_from_grpc_name(struct slice name, enum coding *ret)
{
	enum coding c;

	if (!coding_from_name(name, &c) || c == CODING_SNAPPY_FRAMED)
		return false;
	*ret = c == CODING_SNAPPY ? CODING_SNAPPY_FRAMED : c;
	return true;
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

static int deflate_pieces(int window, int level, const struct slice *pieces, size_t n,
                          struct buffer *out, struct error *error)
{
	size_t before = out->len;
	z_stream z = {0};
	uint8_t *room;
	size_t bound;
	int r;

	if (deflateInit2(&z, level ? level : GZIP_LEVEL, Z_DEFLATED, window, 8,
	                 Z_DEFAULT_STRATEGY) != Z_OK)
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

static int zstd_pieces(int level, const struct slice *pieces, size_t n, struct buffer *out,
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
	ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, level ? level : ZSTD_LEVEL);
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

static int too_many(struct buffer *out, size_t before, size_t bytes, struct error *error)
{
	return undo(out, before,
	            error_set(error, -E2BIG, "%zu bytes are too many to compress at once", bytes));
}

static int snappy_pieces(const struct slice *pieces, size_t n, struct buffer *out,
                         struct error *error)
{
	size_t before = out->len, bytes = total(pieces, n), len;
	struct buffer joined = BUFFER_INIT;
	struct slice plain = SLICE_LITERAL("");
	uint8_t *to;
	bool ok;

	if (bytes > UINT32_MAX)
		return too_many(out, before, bytes, error);
	if (n == 1 && bytes > 0) {
		plain = pieces[0];
	} else if (n > 1) {
		buffer_reserve(&joined, bytes);
		for (size_t i = 0; i < n; i++)
			buffer_append_slice(&joined, pieces[i]);
		plain = buffer_slice(&joined);
	}
	to = buffer_reserve(out, snappy_max_compressed_length(bytes));
	ok = to && !joined.failed && snappy_block_write(plain, to, &len);
	buffer_fini(&joined);
	if (!ok)
		return no_memory(out, before, error);
	out->len += len;
	return 0;
}

/* Makes room for what LZ4F_compressUpdate(), or LZ4F_compressEnd() for no piece, may write. */
static uint8_t *lz4_room(struct buffer *out, size_t piece, const LZ4F_preferences_t *how,
                         size_t *ret_room)
{
	*ret_room = LZ4F_compressBound(piece, how);
	return buffer_reserve(out, *ret_room);
}

static int lz4_pieces(const struct slice *pieces, size_t n, struct buffer *out, struct error *error)
{
	size_t before = out->len, room = LZ4F_HEADER_SIZE_MAX, len = 0;
	LZ4F_preferences_t how = {.frameInfo.contentSize = total(pieces, n)};
	LZ4F_cctx *z = NULL;
	uint8_t *to = NULL;

	if (!LZ4F_isError(LZ4F_createCompressionContext(&z, LZ4F_VERSION)))
		to = buffer_reserve(out, room);
	if (to)
		out->len += len = LZ4F_compressBegin(z, to, room, &how);
	for (size_t i = 0; i < n && to && !LZ4F_isError(len); i++) {
		to = lz4_room(out, pieces[i].len, &how, &room);
		if (to)
			out->len += len = LZ4F_compressUpdate(z, to, room, pieces[i].data,
			                                      pieces[i].len, NULL);
	}
	if (to && !LZ4F_isError(len))
		to = lz4_room(out, 0, &how, &room);
	if (to && !LZ4F_isError(len))
		out->len += len = LZ4F_compressEnd(z, to, room, NULL);
	LZ4F_freeCompressionContext(z);
	return to && !LZ4F_isError(len) ? 0 : no_memory(out, before, error);
}

int compress_pieces(enum coding c, const struct slice *pieces, size_t n, struct buffer *out,
                    struct error *error)
{
	return compress_pieces_at(c, 0, pieces, n, out, error);
}

int compress_pieces_at(enum coding c, int level, const struct slice *pieces, size_t n,
                       struct buffer *out, struct error *error)
{
	size_t before = out->len;

	switch (c) {
	case CODING_GZIP:
		return deflate_pieces(GZIP_WINDOW, level, pieces, n, out, error);
	case CODING_DEFLATE:
		return deflate_pieces(ZLIB_WINDOW, level, pieces, n, out, error);
	case CODING_ZSTD:
		return zstd_pieces(level, pieces, n, out, error);
	case CODING_SNAPPY:
		return snappy_pieces(pieces, n, out, error);
	case CODING_LZ4:
		return lz4_pieces(pieces, n, out, error);
	case CODING_SNAPPY_FRAMED:
		return snappy_frames_write(pieces, n, out) ? 0 : no_memory(out, before, error);
	case CODING_IDENTITY:
		break;
	}
	for (size_t i = 0; i < n; i++)
		buffer_append_slice(out, pieces[i]);
	return out->failed ? no_memory(out, before, error) : 0;
}
