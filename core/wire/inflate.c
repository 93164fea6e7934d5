/* inflate: the reading half of compress.h.
 *
 * Each coding has a step that goes on until the output is full, the input has ended, or it is seen to
 * be broken. A step that fills the output exactly goes on as long as it can use input: what follows the
 * last plain byte (an end mark, a checksum, an empty member) needs no room, and whoever gave exactly
 * enough is told that it was the end. */
#include "core/wire/compress.h"
#include "core/wire/snappy_frames.h"

#include <errno.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
	FIRST_ROOM = 4096,
	GZIP_WINDOW = 15 + 16, /* zlib's way to say "with a gzip header" */
	ZLIB_WINDOW = 15,
	/* A zstd frame may ask its reader for a window of gigabytes; RFC 8878 asks for 8 MiB. */
	ZSTD_WINDOW_LOG = 23,
	USUAL_RATIO = 8, /* telemetry repeats itself */
	BELIEVED_RATIO = 64,
};

struct inflater {
	enum coding coding;
	struct slice in; /* all of it */
	size_t at;       /* of it has been used */
	enum inflate_event last;
	const char *fault;
	z_stream z;
	ZSTD_DCtx *zstd;
	bool between; /* frames of zstd */
	LZ4F_dctx *lz4;
	struct snappy_frames frames;
	uint8_t *chunk; /* plain bytes of one that the output had no room for */
	size_t chunk_at, chunk_len;
};

/* Where one step writes. */
struct room {
	uint8_t *at;
	size_t left;
};

struct inflater *inflater_new(enum coding c, struct slice in)
{
	struct inflater *i = calloc(1, sizeof *i);
	bool ok = i != NULL;

	if (!i)
		return NULL;
	if (in.len == 0)
		in = SLICE_LITERAL(""); /* no sums with NULL */
	*i = (struct inflater){.coding = c, .in = in, .frames.left = in, .between = true};
	if (c == CODING_GZIP || c == CODING_DEFLATE) {
		ok = inflateInit2(&i->z, c == CODING_GZIP ? GZIP_WINDOW : ZLIB_WINDOW) == Z_OK;
	} else if (c == CODING_ZSTD) {
		i->zstd = ZSTD_createDCtx();
		ok = i->zstd != NULL;
		if (ok)
			ZSTD_DCtx_setParameter(i->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
	} else if (c == CODING_LZ4) {
		ok = !LZ4F_isError(LZ4F_createDecompressionContext(&i->lz4, LZ4F_VERSION));
	}
	if (!ok) {
		inflater_free(i);
		return NULL;
	}
	return i;
}

void inflater_free(struct inflater *i)
{
	if (!i)
		return;
	inflateEnd(&i->z); /* one that was never begun is refused */
	ZSTD_freeDCtx(i->zstd);
	LZ4F_freeDecompressionContext(i->lz4);
	free(i->chunk);
	free(i);
}

const char *inflater_fault(const struct inflater *i)
{
	return i->fault;
}

static enum inflate_event broken(struct inflater *i, const char *fault)
{
	i->fault = fault;
	return INFLATE_BROKEN;
}

static void wrote(struct room *room, size_t n)
{
	room->at += n;
	room->left -= n;
}

/* ---- the steps */

static uint64_t little(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

static enum inflate_event copy_step(struct inflater *i, struct room *room)
{
	size_t left = i->in.len - i->at, n = left < room->left ? left : room->left;

	if (n)
		memcpy(room->at, i->in.data + i->at, n);
	i->at += n;
	wrote(room, n);
	return n == left ? INFLATE_END : INFLATE_FULL;
}

static unsigned zlib_len(size_t len)
{
	return len < UINT32_MAX ? (unsigned)len : UINT32_MAX;
}

static int zlib_call(struct inflater *i, struct room *room)
{
	unsigned had_in = zlib_len(i->in.len - i->at), had_room = zlib_len(room->left);
	int r;

	i->z.next_in = (uint8_t *)i->in.data + i->at;
	i->z.avail_in = had_in;
	i->z.next_out = room->at;
	i->z.avail_out = had_room;
	r = inflate(&i->z, Z_NO_FLUSH);
	i->at += had_in - i->z.avail_in;
	wrote(room, had_room - i->z.avail_out);
	return r;
}

static enum inflate_event zlib_step(struct inflater *i, struct room *room)
{
	for (;;) {
		int r = zlib_call(i, room);

		if (r == Z_MEM_ERROR)
			return INFLATE_NO_MEMORY;
		if (r == Z_STREAM_END) {
			if (i->at == i->in.len)
				return INFLATE_END;
			if (i->coding == CODING_DEFLATE)
				return broken(i, "followed by something else");
			inflateReset(&i->z); /* the next member */
		} else if (r != Z_OK && r != Z_BUF_ERROR) {
			return broken(i, "damaged");
		} else if (room->left == 0) {
			return INFLATE_FULL;
		} else if (i->at == i->in.len) {
			return broken(i, "cut short");
		}
	}
}

/* The library may have been built with the decoders of formats from before 1.0 as well, which nobody
 * sends and nobody has hardened. */
static bool is_zstd_frame(struct slice in, size_t at)
{
	uint64_t magic;

	if (in.len - at < 4)
		return true; /* for the library to say that it is cut short */
	magic = little(in.data + at, 4);
	return magic == ZSTD_MAGICNUMBER ||
	       (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

static enum inflate_event zstd_step(struct inflater *i, struct room *room)
{
	for (;;) {
		ZSTD_inBuffer from = {i->in.data, i->in.len, i->at};
		ZSTD_outBuffer to = {room->at, room->left, 0};
		bool stuck;
		size_t r;

		if (i->between && !is_zstd_frame(i->in, i->at))
			return broken(i, "Unknown frame descriptor");
		r = ZSTD_decompressStream(i->zstd, &to, &from);
		stuck = to.pos == 0 && from.pos == i->at;
		i->at = from.pos;
		i->between = r == 0;
		wrote(room, to.pos);
		if (ZSTD_getErrorCode(r) == ZSTD_error_memory_allocation)
			return INFLATE_NO_MEMORY;
		if (ZSTD_isError(r))
			return broken(i, ZSTD_getErrorName(r));
		if (r == 0 && i->at == i->in.len)
			return INFLATE_END;
		if (stuck || i->at == i->in.len)
			return room->left ? broken(i, "cut short") : INFLATE_FULL;
	}
}

static enum inflate_event lz4_step(struct inflater *i, struct room *room)
{
	for (;;) {
		size_t used = i->in.len - i->at, written = room->left;
		size_t r = LZ4F_decompress(i->lz4, room->at, &written, i->in.data + i->at, &used,
		                           NULL);

		if (LZ4F_isError(r)) /* of whose numbers only the names are public */
			return strcmp(LZ4F_getErrorName(r), "ERROR_allocation_failed") == 0
			               ? INFLATE_NO_MEMORY
			               : broken(i, "damaged");
		i->at += used;
		wrote(room, written);
		if (r == 0 && i->at == i->in.len)
			return INFLATE_END;
		if ((!used && !written) || i->at == i->in.len)
			return room->left ? broken(i, "cut short") : INFLATE_FULL;
	}
}

static enum inflate_event snappy_step(struct inflater *i, struct room *room)
{
	size_t size;

	if (!snappy_block_size(i->in, &size))
		return broken(i, i->in.len ? "damaged" : "cut short");
	if (size > room->left)
		return INFLATE_FULL;
	if (snappy_uncompress((const char *)i->in.data, i->in.len, (char *)room->at, &size) !=
	    SNAPPY_OK)
		return broken(i, "damaged");
	wrote(room, size);
	return INFLATE_END;
}

static enum inflate_event frames_step(struct inflater *i, struct room *room)
{
	struct snappy_chunk chunk;

	for (;;) {
		size_t kept = i->chunk_len - i->chunk_at;
		size_t n = kept < room->left ? kept : room->left;
		uint8_t *to = room->at;

		if (n)
			memcpy(room->at, i->chunk + i->chunk_at, n);
		i->chunk_at += n;
		wrote(room, n);
		if (n < kept)
			return INFLATE_FULL;
		if (!snappy_frames_next(&i->frames, &chunk))
			return i->frames.fault ? broken(i, i->frames.fault) : INFLATE_END;
		if (chunk.plain <= room->left) {
			wrote(room, chunk.plain);
		} else {
			if (!i->chunk)
				i->chunk = malloc(SNAPPY_CHUNK);
			if (!i->chunk)
				return INFLATE_NO_MEMORY;
			to = i->chunk;
			i->chunk_at = 0;
			i->chunk_len = chunk.plain;
		}
		if (!snappy_chunk_read(&chunk, to))
			return broken(i, "damaged");
	}
}

enum inflate_event inflater_run(struct inflater *i, uint8_t *to, size_t size, size_t *ret_written)
{
	uint8_t nothing;
	struct room room = {size ? to : &nothing, size};

	*ret_written = 0;
	if (i->last != INFLATE_FULL)
		return i->last;
	switch (i->coding) {
	case CODING_IDENTITY:
		i->last = copy_step(i, &room);
		break;
	case CODING_GZIP:
	case CODING_DEFLATE:
		i->last = zlib_step(i, &room);
		break;
	case CODING_ZSTD:
		i->last = zstd_step(i, &room);
		break;
	case CODING_SNAPPY:
		i->last = snappy_step(i, &room);
		break;
	case CODING_SNAPPY_FRAMED:
		i->last = frames_step(i, &room);
		break;
	case CODING_LZ4:
		i->last = lz4_step(i, &room);
		break;
	}
	*ret_written = size - room.left;
	return i->last;
}

/* ---- how much it will be */

/* What the coding claims about the plain size; 0: nothing. */
static uint64_t claimed(enum coding c, struct slice in)
{
	/* lz4: magic, flags, then the size if a flag says so. */
	enum { GZIP_TRAILER = 4, LZ4_FLAGS = 4, LZ4_HAS_SIZE = 8, LZ4_SIZE = 6 };
	unsigned long long size;

	switch (c) {
	case CODING_GZIP: /* of the last member, modulo 2^32 */
		return in.len < GZIP_TRAILER ? 0 : little(in.data + in.len - GZIP_TRAILER, 4);
	case CODING_ZSTD: /* of the first frame */
		size = is_zstd_frame(in, 0) ? ZSTD_getFrameContentSize(in.data, in.len) : 0;
		return size < ZSTD_CONTENTSIZE_ERROR ? size : 0;
	case CODING_LZ4:
		return in.len > LZ4_SIZE + 8 && in.data[LZ4_FLAGS] & LZ4_HAS_SIZE
		               ? little(in.data + LZ4_SIZE, 8)
		               : 0;
	default:
		return 0;
	}
}

static size_t frames_size(struct slice in)
{
	struct snappy_frames frames = {.left = in};
	struct snappy_chunk chunk;
	size_t size = 0;

	while (snappy_frames_next(&frames, &chunk))
		size += chunk.plain;
	return size;
}

size_t inflater_guess(const struct inflater *i)
{
	size_t len = i->in.len, size = 0;
	uint64_t claim;

	switch (i->coding) {
	case CODING_IDENTITY:
		return len;
	case CODING_SNAPPY:
		return snappy_block_size(i->in, &size) ? size : 0;
	case CODING_SNAPPY_FRAMED:
		return frames_size(i->in);
	default:
		break;
	}
	claim = claimed(i->coding, i->in);
	if (claim >= len / 2 && claim / BELIEVED_RATIO <= len)
		return (size_t)claim;
	return __builtin_mul_overflow(len, (size_t)USUAL_RATIO, &size) ? len : size;
}

/* ---- at once */

int compress_inflate(enum coding c, struct slice in, size_t limit, struct buffer *out,
                     struct error *error)
{
	struct inflater *i = inflater_new(c, in);
	enum inflate_event event = INFLATE_NO_MEMORY;
	size_t before = out->len, written, want = 0;
	bool too_large = false;
	int r = 0;

	if (i)
		want = inflater_guess(i);
	if (want < FIRST_ROOM && c != CODING_SNAPPY)
		want = FIRST_ROOM;
	while (i && !too_large) {
		size_t have = out->len - before;
		uint8_t *to;

		/* A byte beyond the limit, so that going over it is seen. */
		if (want > limit - have)
			want = limit - have < SIZE_MAX ? limit - have + 1 : SIZE_MAX;
		to = buffer_reserve(out, want);
		event = to ? inflater_run(i, to, want, &written) : INFLATE_NO_MEMORY;
		if (!to)
			break;
		out->len += written;
		too_large =
			out->len - before > limit || (event == INFLATE_FULL && want > limit - have);
		if (event != INFLATE_FULL)
			break;
		want = out->len - before ? out->len - before : want;
	}
	if (too_large)
		r = error_set(error, -E2BIG, "inflates to more than the limit of %zu bytes", limit);
	else if (event == INFLATE_BROKEN)
		r = error_set(error, -EBADMSG, "not valid %s: %s", coding_name(c),
		              inflater_fault(i));
	else if (event == INFLATE_NO_MEMORY)
		r = error_no_memory(error);
	inflater_free(i);
	if (r < 0) {
		out->len = before;
		out->failed = false;
	}
	return r;
}
