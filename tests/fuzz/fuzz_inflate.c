/* The first byte chooses the coding, the second the sizes of the steps; the rest is what a peer calls
 * compressed. Step by step and at once must come to the same, and what could be read must survive being
 * compressed again. */
#include "core/wire/compress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIMIT = 1 << 20 };

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The end of at most limit + 1 bytes, INFLATE_FULL when there are more. */
static enum inflate_event by_steps(enum coding c, struct slice in, uint32_t seed,
                                   struct buffer *out)
{
	struct inflater *i = inflater_new(c, in);
	enum inflate_event event = INFLATE_FULL;
	size_t guess = inflater_guess(i);

	CHECK(c == CODING_IDENTITY ? guess == in.len : guess / 64 <= in.len + 64);
	while (event == INFLATE_FULL && out->len <= LIMIT) {
		size_t step, written;
		uint8_t *to;

		seed = seed * 1103515245 + 12345;
		step = c == CODING_SNAPPY ? guess : seed >> (8 + seed % 23);
		step = step > LIMIT + 1 - out->len ? LIMIT + 1 - out->len : step;
		/* Of its own, so that a byte too many is seen. */
		to = malloc(step);
		event = inflater_run(i, to, step, &written);
		CHECK(written <= step);
		if (event == INFLATE_FULL)
			CHECK(written == step || (c == CODING_SNAPPY && step < guess));
		buffer_append(out, to, written);
		free(to);
		if (c == CODING_SNAPPY)
			break;
	}
	if (event == INFLATE_BROKEN)
		CHECK(inflater_fault(i));
	inflater_free(i);
	return event;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer out = BUFFER_INIT, steps = BUFFER_INIT, again = BUFFER_INIT;
	enum inflate_event event;
	enum coding c;
	struct slice in, piece;
	int r;

	if (size < 2)
		return 0;
	c = (enum coding)(data[0] % CODING_COUNT);
	in = slice_of(data + 2, size - 2);
	r = compress_inflate(c, in, LIMIT, &out, NULL);
	event = by_steps(c, in, data[1], &steps);
	if (r == 0) {
		CHECK(event == INFLATE_END && out.len <= LIMIT);
		CHECK(slice_equal(buffer_slice(&out), buffer_slice(&steps)));
		piece = buffer_slice(&out);
		CHECK(compress_pieces(c, &piece, 1, &again, NULL) == 0);
		buffer_clear(&steps);
		CHECK(compress_inflate(c, buffer_slice(&again), LIMIT, &steps, NULL) == 0);
		CHECK(slice_equal(piece, buffer_slice(&steps)));
	} else {
		CHECK(out.len == 0 && event != INFLATE_END);
		CHECK((event == INFLATE_FULL) == (steps.len > LIMIT || r == -E2BIG));
	}
	buffer_fini(&out);
	buffer_fini(&steps);
	buffer_fini(&again);
	return 0;
}
