#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/random.h"
#include "core/wire/compress.h"

#include <errno.h>
#include <stdlib.h>

static const enum coding codings[] = {CODING_IDENTITY, CODING_GZIP, CODING_DEFLATE, CODING_ZSTD};
#define FOR_EACH_CODING(c) for (const enum coding *c = codings; c < codings + 4; c++)

static void gives_back_what_was_put_in(void **state)
{
	uint8_t noise[50000];
	struct slice pieces[] = {SLICE_LITERAL("spans "), SLICE_LITERAL(""),
	                         slice_of(noise, sizeof noise), SLICE_LITERAL(" and more spans")};
	struct buffer plain = BUFFER_INIT;

	random_bytes(noise, sizeof noise);
	for (size_t i = 0; i < 4; i++)
		buffer_append_slice(&plain, pieces[i]);
	FOR_EACH_CODING(c)
	{
		struct buffer packed = BUFFER_INIT, out = BUFFER_INIT;

		buffer_append_string(&packed, "head");
		assert_int_equal(compress_pieces(*c, pieces, 4, &packed, NULL), 0);
		assert_memory_equal(packed.data, "head", 4);
		assert_int_equal(compress_inflate(*c, slice_of(packed.data + 4, packed.len - 4),
		                                  plain.len, &out, NULL),
		                 0);
		assert_true(slice_equal(buffer_slice(&out), buffer_slice(&plain)));
		buffer_fini(&packed);
		buffer_fini(&out);
	}
	buffer_fini(&plain);
}

static void packs_nothing_into_something_readable(void **state)
{
	FOR_EACH_CODING(c)
	{
		struct buffer packed = BUFFER_INIT, out = BUFFER_INIT;

		assert_int_equal(compress_pieces(*c, NULL, 0, &packed, NULL), 0);
		assert_int_equal(compress_inflate(*c, buffer_slice(&packed), 0, &out, NULL), 0);
		assert_int_equal(out.len, 0);
		buffer_fini(&packed);
		buffer_fini(&out);
	}
}

static void stops_at_the_limit(void **state)
{
	enum { BYTES = 32 * 1024 * 1024, LIMIT = 1000000 };
	uint8_t *zeros = calloc(1, BYTES);
	struct slice piece = slice_of(zeros, BYTES);

	FOR_EACH_CODING(c)
	{
		struct buffer packed = BUFFER_INIT, out = BUFFER_INIT;
		struct error error = ERROR_INIT;

		assert_int_equal(compress_pieces(*c, &piece, 1, &packed, NULL), 0);
		assert_int_equal(compress_inflate(*c, buffer_slice(&packed), LIMIT, &out, &error),
		                 -E2BIG);
		assert_string_equal(error.message,
		                    "inflates to more than the limit of 1000000 bytes");
		assert_int_equal(out.len, 0);
		assert_true(out.capacity <= 2 * 1024 * 1024);
		/* One byte less than there are is too little, exactly as many are enough. */
		assert_int_equal(compress_inflate(*c, buffer_slice(&packed), BYTES - 1, &out, NULL),
		                 -E2BIG);
		assert_int_equal(compress_inflate(*c, buffer_slice(&packed), BYTES, &out, NULL), 0);
		assert_int_equal(out.len, BYTES);
		buffer_fini(&packed);
		buffer_fini(&out);
	}
	free(zeros);
}

static void refuses_what_is_cut_short_or_damaged(void **state)
{
	struct slice piece = SLICE_LITERAL("a text of some length, of some length");

	for (const enum coding *c = codings + 1; c < codings + 4; c++) {
		struct buffer packed = BUFFER_INIT, out = BUFFER_INIT;

		assert_int_equal(compress_pieces(*c, &piece, 1, &packed, NULL), 0);
		for (size_t cut = 0; cut < packed.len; cut++)
			assert_int_equal(compress_inflate(*c, slice_of(packed.data, cut), 1000,
			                                  &out, NULL),
			                 -EBADMSG);
		packed.data[0] ^= 0xff;
		assert_int_equal(compress_inflate(*c, buffer_slice(&packed), 1000, &out, NULL),
		                 -EBADMSG);
		assert_int_equal(out.len, 0);
		buffer_fini(&packed);
		buffer_fini(&out);
	}
}

static void joins_gzip_members_and_zstd_frames(void **state)
{
	static const enum coding joined[] = {CODING_GZIP, CODING_ZSTD};
	struct slice one = SLICE_LITERAL("one"), two = SLICE_LITERAL("two");

	for (size_t i = 0; i < 2; i++) {
		struct buffer packed = BUFFER_INIT, out = BUFFER_INIT;

		assert_int_equal(compress_pieces(joined[i], &one, 1, &packed, NULL), 0);
		assert_int_equal(compress_pieces(joined[i], &two, 1, &packed, NULL), 0);
		assert_int_equal(compress_inflate(joined[i], buffer_slice(&packed), 6, &out, NULL),
		                 0);
		assert_true(slice_equal(buffer_slice(&out), SLICE_LITERAL("onetwo")));
		assert_int_equal(compress_inflate(joined[i], buffer_slice(&packed), 5, &out, NULL),
		                 -E2BIG);
		buffer_fini(&packed);
		buffer_fini(&out);
	}
}

static void knows_the_names(void **state)
{
	enum coding c;

	assert_true(coding_from_name(SLICE_LITERAL("zstd"), &c));
	assert_int_equal(c, CODING_ZSTD);
	assert_string_equal(coding_name(CODING_DEFLATE), "deflate");
	assert_false(coding_from_name(SLICE_LITERAL("br"), &c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_back_what_was_put_in),
		cmocka_unit_test(packs_nothing_into_something_readable),
		cmocka_unit_test(stops_at_the_limit),
		cmocka_unit_test(refuses_what_is_cut_short_or_damaged),
		cmocka_unit_test(joins_gzip_members_and_zstd_frames),
		cmocka_unit_test(knows_the_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
