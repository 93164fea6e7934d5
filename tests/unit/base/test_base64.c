#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/base64.h"

static void decodes_with_and_without_padding(void **state)
{
	uint8_t out[8];
	size_t len;

	assert_true(base64_decode(SLICE_LITERAL("aGk="), out, sizeof out, &len));
	assert_int_equal(len, 2);
	assert_memory_equal(out, "hi", 2);
	assert_true(base64_decode(SLICE_LITERAL("aGk"), out, sizeof out, &len));
	assert_int_equal(len, 2);
	assert_true(base64_decode(SLICE_LITERAL("+/+/"), out, sizeof out, &len));
	assert_memory_equal(out, "\xfb\xff\xbf", 3);
	assert_true(base64_decode(SLICE_LITERAL("-_-_"), out, sizeof out, &len));
	assert_memory_equal(out, "\xfb\xff\xbf", 3);
	assert_true(base64_decode(SLICE_LITERAL(""), out, sizeof out, &len));
	assert_int_equal(len, 0);
	assert_false(base64_decode(SLICE_LITERAL("a"), out, sizeof out, &len));
	assert_false(base64_decode(SLICE_LITERAL("a*bc"), out, sizeof out, &len));
	assert_false(base64_decode(SLICE_LITERAL("AAAAAAAAAAAA"), out, sizeof out, &len));
}

/* RFC 4648, section 10. */
static void encodes_the_vectors_of_its_specification(void **state)
{
	static const struct {
		const char *bytes, *padded, *bare;
	} cases[] = {{"", "", ""},
	             {"f", "Zg==", "Zg"},
	             {"fo", "Zm8=", "Zm8"},
	             {"foo", "Zm9v", "Zm9v"},
	             {"foob", "Zm9vYg==", "Zm9vYg"},
	             {"fooba", "Zm9vYmE=", "Zm9vYmE"},
	             {"foobar", "Zm9vYmFy", "Zm9vYmFy"}};
	char text[BASE64_TEXT(6)];
	uint8_t bytes[6];
	size_t len;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct slice in = slice_from_string(cases[i].bytes);

		len = base64_encode(in, true, text);
		assert_true(slice_equal(slice_of(text, len), slice_from_string(cases[i].padded)));
		len = base64_encode(in, false, text);
		assert_true(slice_equal(slice_of(text, len), slice_from_string(cases[i].bare)));
		assert_true(base64_decode(slice_of(text, len), bytes, sizeof bytes, &len));
		assert_true(slice_equal(slice_of(bytes, len), in));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_with_and_without_padding),
		cmocka_unit_test(encodes_the_vectors_of_its_specification),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
