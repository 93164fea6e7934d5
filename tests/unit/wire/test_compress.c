#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/crc32c.h"
#include "core/base/random.h"
#include "core/wire/compress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const enum coding codings[] = {CODING_IDENTITY, CODING_GZIP,   CODING_DEFLATE,
                                      CODING_ZSTD,     CODING_SNAPPY, CODING_SNAPPY_FRAMED,
                                      CODING_LZ4};
#define FOR_EACH_CODING(c) for (const enum coding *c = codings; c < codings + CODING_COUNT; c++)

static struct slice bytes(const struct buffer *b)
{
	return buffer_slice(b);
}

static int inflate_text(enum coding c, struct slice in, size_t limit, const char *expected)
{
	struct buffer out = BUFFER_INIT;
	int r = compress_inflate(c, in, limit, &out, NULL);

	if (r == 0)
		assert_true(slice_equal(bytes(&out), slice_from_string(expected)));
	assert_false(r < 0 && out.len);
	buffer_fini(&out);
	return r;
}

static void expect_fault(enum coding c, struct slice in, const char *expected)
{
	struct buffer out = BUFFER_INIT;
	struct error error = ERROR_INIT;

	assert_int_equal(compress_inflate(c, in, 1000, &out, &error), -EBADMSG);
	assert_string_equal(error.message, expected);
	assert_int_equal(out.len, 0);
	buffer_fini(&out);
}

static void gives_back_what_was_put_in(void **state)
{
	static uint8_t noise[200000];
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

	for (const enum coding *c = codings + 1; c < codings + CODING_COUNT; c++) {
		struct buffer packed = BUFFER_INIT;
		/* No bytes and a stream's identifier alone are empty texts of framed snappy. */
		bool framed = *c == CODING_SNAPPY_FRAMED;

		assert_int_equal(compress_pieces(*c, &piece, 1, &packed, NULL), 0);
		for (size_t cut = 0; cut < packed.len; cut++)
			if (!framed || (cut != 0 && cut != 10))
				assert_int_equal(inflate_text(*c, slice_of(packed.data, cut), 1000,
				                              ""),
				                 -EBADMSG);
		packed.data[0] ^= 0xff;
		assert_int_equal(inflate_text(*c, bytes(&packed), 1000, ""), -EBADMSG);
		buffer_fini(&packed);
	}
}

static void joins_what_is_made_of_several(void **state)
{
	static const enum coding joined[] = {CODING_GZIP, CODING_ZSTD, CODING_SNAPPY_FRAMED,
	                                     CODING_LZ4};
	struct slice one = SLICE_LITERAL("one"), two = SLICE_LITERAL("two");

	for (size_t i = 0; i < 4; i++) {
		struct buffer packed = BUFFER_INIT;

		assert_int_equal(compress_pieces(joined[i], &one, 1, &packed, NULL), 0);
		assert_int_equal(compress_pieces(joined[i], NULL, 0, &packed, NULL), 0);
		assert_int_equal(compress_pieces(joined[i], &two, 1, &packed, NULL), 0);
		assert_int_equal(inflate_text(joined[i], bytes(&packed), 6, "onetwo"), 0);
		assert_int_equal(inflate_text(joined[i], bytes(&packed), 5, ""), -E2BIG);
		buffer_fini(&packed);
	}
}

static void many_empty_members_cost_no_stack(void **state)
{
	enum { MEMBERS = 200000 };
	static const enum coding joined[] = {CODING_GZIP, CODING_ZSTD, CODING_SNAPPY_FRAMED,
	                                     CODING_LZ4};

	for (size_t i = 0; i < 4; i++) {
		struct buffer one = BUFFER_INIT, packed = BUFFER_INIT;

		assert_int_equal(compress_pieces(joined[i], NULL, 0, &one, NULL), 0);
		for (size_t j = 0; j < MEMBERS; j++)
			buffer_append_slice(&packed, bytes(&one));
		assert_int_equal(inflate_text(joined[i], bytes(&packed), 0, ""), 0);
		buffer_fini(&one);
		buffer_fini(&packed);
	}
}

static void refuses_what_follows(void **state)
{
	struct slice piece = SLICE_LITERAL("a text of some length, of some length");

	for (const enum coding *c = codings + 1; c < codings + CODING_COUNT; c++) {
		struct buffer packed = BUFFER_INIT;

		assert_int_equal(compress_pieces(*c, &piece, 1, &packed, NULL), 0);
		buffer_append_string(&packed, "garbage");
		assert_int_equal(inflate_text(*c, bytes(&packed), 1000, ""), -EBADMSG);
		buffer_fini(&packed);
	}
}

static void says_what_is_wrong(void **state)
{
	expect_fault(CODING_GZIP, SLICE_LITERAL(""), "not valid gzip: cut short");
	expect_fault(CODING_GZIP, SLICE_LITERAL("plain"), "not valid gzip: damaged");
	expect_fault(CODING_DEFLATE, SLICE_LITERAL("\x78\x9c\x03\0\0\0\0\x01!"),
	             "not valid deflate: followed by something else");
	expect_fault(CODING_ZSTD, SLICE_LITERAL("plain"),
	             "not valid zstd: Unknown frame descriptor");
	/* the magic number of 0.6, which the library may still read */
	expect_fault(CODING_ZSTD, SLICE_LITERAL("\x26\xb5\x2f\xfd\x00\x58\xf5\x03"),
	             "not valid zstd: Unknown frame descriptor");
	expect_fault(CODING_LZ4, SLICE_LITERAL("plain text"), "not valid lz4: damaged");
	expect_fault(CODING_SNAPPY, SLICE_LITERAL(""), "not valid snappy: cut short");
	expect_fault(CODING_SNAPPY, SLICE_LITERAL("\x05plai"), "not valid snappy: damaged");
	expect_fault(CODING_SNAPPY_FRAMED, SLICE_LITERAL("\x01\x05\0\0plain"),
	             "not valid x-snappy-framed: no stream identifier");
}

#define STREAM "\xff\x06\0\0sNaPpY"

static void reads_framed_snappy_as_its_specification_says(void **state)
{
	static const struct {
		struct slice bytes;
		const char *text, *fault;
	} cases[] = {
		{SLICE_LITERAL(""), "", NULL},
		{SLICE_LITERAL(STREAM STREAM), "", NULL},
		/* a wrong checksum */
		{SLICE_LITERAL(STREAM "\x01\x0d\0\0\x07\x3e\x1a\x8b"
	                              "123456789"),
	         NULL, "damaged"},
		{SLICE_LITERAL(STREAM "\x80\x03\0\0abc\xfe\x02\0\0\0\0\xfd\0\0\0"), "", NULL},
		{SLICE_LITERAL(STREAM "\x02\0\0\0"), NULL, "a chunk of an unknown type"},
		{SLICE_LITERAL(STREAM "\x7f\0\0\0"), NULL, "a chunk of an unknown type"},
		{SLICE_LITERAL(STREAM "\x80\x04\0\0abc"), NULL, "cut short"},
		{SLICE_LITERAL(STREAM "\x80\x04\0"), NULL, "cut short"},
		{SLICE_LITERAL(STREAM "\x01\x03\0\0abc"), NULL, "a chunk without its checksum"},
		{SLICE_LITERAL(STREAM "\x00\x04\0\0abcd"), NULL, "damaged"},
		{SLICE_LITERAL("\xff\x06\0\0sNaPpX"), NULL, "another stream identifier"},
		{SLICE_LITERAL("\xff\x07\0\0sNaPpYY"), NULL, "another stream identifier"},
		/* a block of few bytes that claims 4 GiB */
		{SLICE_LITERAL(STREAM "\x00\x0b\0\0abcd\xff\xff\xff\xff\x0f\0\0"), NULL, "damaged"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char expected[100];

		if (cases[i].text) {
			assert_int_equal(inflate_text(CODING_SNAPPY_FRAMED, cases[i].bytes, 100,
			                              cases[i].text),
			                 0);
			continue;
		}
		snprintf(expected, sizeof expected, "not valid x-snappy-framed: %s",
		         cases[i].fault);
		expect_fault(CODING_SNAPPY_FRAMED, cases[i].bytes, expected);
	}
}

static void knows_the_checksum_of_framed_snappy(void **state)
{
	/* RFC 3720, B.4 */
	uint8_t zeros[32] = {0}, ones[32];
	struct slice nine = SLICE_LITERAL("123456789");

	memset(ones, 0xff, sizeof ones);
	assert_int_equal(crc32c(0, slice_of(zeros, 32)), 0x8a9136aa);
	assert_int_equal(crc32c(0, slice_of(ones, 32)), 0x62a8ab43);
	assert_int_equal(crc32c(0, nine), 0xe3069283);
	assert_int_equal(crc32c(crc32c(0, slice_of("12345", 5)), slice_of("6789", 4)), 0xe3069283);
	/* rotated by 15, plus 0xa282ead8 */
	assert_int_equal(inflate_text(CODING_SNAPPY_FRAMED,
	                              SLICE_LITERAL(STREAM "\x01\x0d\0\0\xe5\xb0\x8a\xc7"
	                                                   "123456789"),
	                              9, "123456789"),
	                 0);
}

static void a_chunk_of_framed_snappy_holds_64_kib_at_most(void **state)
{
	static uint8_t plain[65537];
	struct buffer text = BUFFER_INIT, block = BUFFER_INIT;
	struct slice piece = slice_of(plain, sizeof plain);

	assert_int_equal(compress_pieces(CODING_SNAPPY, &piece, 1, &block, NULL), 0);
	buffer_append(&text, STREAM "\0", 11);
	buffer_append_byte(&text, (uint8_t)(block.len + 4));
	buffer_append_byte(&text, (uint8_t)((block.len + 4) >> 8));
	buffer_append(&text, "\0abcd", 5);
	buffer_append_slice(&text, bytes(&block));
	expect_fault(CODING_SNAPPY_FRAMED, bytes(&text),
	             "not valid x-snappy-framed: a chunk of more than 65536 bytes");
	buffer_fini(&text);
	buffer_fini(&block);
}

static void a_window_of_more_than_8_mib_is_refused(void **state)
{
	/* a frame with a window descriptor of 2^24 and of 2^23, and one raw block "x" */
	struct slice large = SLICE_LITERAL("\x28\xb5\x2f\xfd\x00\x70\x09\0\0x");
	struct slice usual = SLICE_LITERAL("\x28\xb5\x2f\xfd\x00\x68\x09\0\0x");

	expect_fault(CODING_ZSTD, large,
	             "not valid zstd: Frame requires too much memory for decoding");
	assert_int_equal(inflate_text(CODING_ZSTD, usual, 1, "x"), 0);
}

/* ---- step by step */

static void make_text(struct buffer *plain, size_t len)
{
	for (size_t i = 0; plain->len < len; i++)
		buffer_printf(plain, "span %zu of trace %zx\n", i, i * i * 7919);
	plain->len = len;
}

static void writes_into_what_it_is_given(void **state)
{
	static const size_t sizes[] = {1, 7, 4096, 65536, 70000, 300001};
	struct buffer plain = BUFFER_INIT;
	uint8_t *out = malloc(300001);
	struct slice piece;

	make_text(&plain, 300000);
	piece = bytes(&plain);
	FOR_EACH_CODING(c)
	{
		struct buffer packed = BUFFER_INIT;

		if (*c == CODING_SNAPPY)
			continue;
		assert_int_equal(compress_pieces(*c, &piece, 1, &packed, NULL), 0);
		for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
			struct inflater *i = inflater_new(*c, bytes(&packed));
			enum inflate_event event = INFLATE_FULL;
			size_t at = 0, written;

			while (event == INFLATE_FULL) {
				size_t room = plain.len + 1 - at;

				room = room < sizes[s] ? room : sizes[s];
				event = inflater_run(i, out + at, room, &written);
				assert_true(written <= room);
				assert_true(event != INFLATE_FULL || written == room);
				at += written;
			}
			assert_int_equal(event, INFLATE_END);
			assert_true(slice_equal(slice_of(out, at), piece));
			assert_int_equal(inflater_run(i, out, 1, &written), INFLATE_END);
			assert_int_equal(written, 0);
			inflater_free(i);
		}
		buffer_fini(&packed);
	}
	free(out);
	buffer_fini(&plain);
}

static void output_that_fits_exactly_is_the_end(void **state)
{
	static const size_t sizes[] = {0, 1, 5, 4096, 65535, 65536, 65537, 131072, 200000};

	FOR_EACH_CODING(c)
	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
		struct buffer plain = BUFFER_INIT, packed = BUFFER_INIT;
		uint8_t *out = malloc(sizes[s] + 1);
		struct inflater *i;
		struct slice piece;
		size_t written;

		make_text(&plain, sizes[s]);
		piece = bytes(&plain);
		assert_int_equal(compress_pieces(*c, &piece, 1, &packed, NULL), 0);
		i = inflater_new(*c, bytes(&packed));
		assert_int_equal(inflater_run(i, out, sizes[s], &written), INFLATE_END);
		assert_int_equal(written, sizes[s]);
		assert_true(slice_equal(slice_of(out, written), piece));
		inflater_free(i);
		free(out);
		buffer_fini(&plain);
		buffer_fini(&packed);
	}
}

static void a_block_of_snappy_comes_in_one_piece(void **state)
{
	struct slice piece = SLICE_LITERAL("a text of some length, of some length");
	struct buffer packed = BUFFER_INIT;
	struct inflater *i;
	uint8_t out[100];
	size_t written = 1;

	assert_int_equal(compress_pieces(CODING_SNAPPY, &piece, 1, &packed, NULL), 0);
	i = inflater_new(CODING_SNAPPY, bytes(&packed));
	assert_int_equal(inflater_guess(i), piece.len);
	assert_int_equal(inflater_run(i, out, piece.len - 1, &written), INFLATE_FULL);
	assert_int_equal(written, 0);
	assert_int_equal(inflater_run(i, out, sizeof out, &written), INFLATE_END);
	assert_int_equal(written, piece.len);
	inflater_free(i);
	buffer_fini(&packed);
}

static void guesses_from_what_the_coding_says(void **state)
{
	struct buffer plain = BUFFER_INIT;
	struct slice piece;

	make_text(&plain, 200000);
	piece = bytes(&plain);
	FOR_EACH_CODING(c)
	{
		struct buffer packed = BUFFER_INIT;
		struct inflater *i;

		assert_int_equal(compress_pieces(*c, &piece, 1, &packed, NULL), 0);
		i = inflater_new(*c, bytes(&packed));
		if (*c == CODING_DEFLATE) /* which says nothing */
			assert_int_equal(inflater_guess(i), packed.len * 8);
		else
			assert_int_equal(inflater_guess(i), plain.len);
		inflater_free(i);
		buffer_fini(&packed);
	}
	buffer_fini(&plain);
}

static void believes_no_claim_that_is_out_of_proportion(void **state)
{
	/* a zstd frame that claims 4 GiB - 1, a lz4 frame that claims 2^63, blocks of snappy that
	 * claim 4 GiB - 1 */
	static const struct {
		enum coding coding;
		struct slice bytes;
	} cases[] = {
		{CODING_GZIP, SLICE_LITERAL("\x1f\x8b\x08\0\0\0\0\0\0\xff\xff\xff\xff\xff")},
		{CODING_ZSTD, SLICE_LITERAL("\x28\xb5\x2f\xfd\xa0\xff\xff\xff\xff\x09\0\0x")},
		{CODING_LZ4, SLICE_LITERAL("\x04\x22\x4d\x18\x68\x40\0\0\0\0\0\0\0\x80\0\0")},
		{CODING_SNAPPY, SLICE_LITERAL("\xff\xff\xff\xff\x0f\0")},
		{CODING_SNAPPY_FRAMED,
	         SLICE_LITERAL(STREAM "\0\x0a\0\0abcd\xff\xff\xff\xff\x0f\0")},
	};

	for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
		struct inflater *i = inflater_new(cases[n].coding, cases[n].bytes);

		assert_true(inflater_guess(i) <= 64 * cases[n].bytes.len);
		inflater_free(i);
	}
}

static void knows_the_names(void **state)
{
	enum coding c;

	FOR_EACH_CODING(known)
	{
		assert_true(coding_from_name(slice_from_string(coding_name(*known)), &c));
		assert_int_equal(c, *known);
		if (*known == CODING_SNAPPY) {
			assert_null(coding_grpc_name(*known));
			continue;
		}
		assert_true(coding_from_grpc_name(slice_from_string(coding_grpc_name(*known)), &c));
		assert_int_equal(c, *known);
	}
	assert_string_equal(coding_name(CODING_DEFLATE), "deflate");
	assert_true(coding_from_name(SLICE_LITERAL("zlib"), &c));
	assert_int_equal(c, CODING_DEFLATE);
	assert_true(coding_from_name(SLICE_LITERAL("GZip"), &c));
	assert_int_equal(c, CODING_GZIP);
	assert_string_equal(coding_name(CODING_SNAPPY), "snappy");
	assert_string_equal(coding_grpc_name(CODING_SNAPPY_FRAMED), "snappy");
	assert_false(coding_from_grpc_name(SLICE_LITERAL("x-snappy-framed"), &c));
	assert_false(coding_from_name(SLICE_LITERAL("br"), &c));
	assert_false(coding_from_name(SLICE_LITERAL(""), &c));
	assert_false(coding_from_name((struct slice){0}, &c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_back_what_was_put_in),
		cmocka_unit_test(packs_nothing_into_something_readable),
		cmocka_unit_test(stops_at_the_limit),
		cmocka_unit_test(refuses_what_is_cut_short_or_damaged),
		cmocka_unit_test(joins_what_is_made_of_several),
		cmocka_unit_test(many_empty_members_cost_no_stack),
		cmocka_unit_test(refuses_what_follows),
		cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(reads_framed_snappy_as_its_specification_says),
		cmocka_unit_test(knows_the_checksum_of_framed_snappy),
		cmocka_unit_test(a_chunk_of_framed_snappy_holds_64_kib_at_most),
		cmocka_unit_test(a_window_of_more_than_8_mib_is_refused),
		cmocka_unit_test(writes_into_what_it_is_given),
		cmocka_unit_test(output_that_fits_exactly_is_the_end),
		cmocka_unit_test(a_block_of_snappy_comes_in_one_piece),
		cmocka_unit_test(guesses_from_what_the_coding_says),
		cmocka_unit_test(believes_no_claim_that_is_out_of_proportion),
		cmocka_unit_test(knows_the_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
