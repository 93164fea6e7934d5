#include "core/base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct {
	const char *text;
	size_t size; /* of its first character */
} characters[] = {
	{"a", 1},
	{"\x7f", 1},
	{"\xc3\xa9", 2},         /* é */
	{"\xe2\x82\xac", 3},     /* € */
	{"\xf0\x9f\x90\x9f", 4}, /* U+1F41F */
	{"\xf4\x8f\xbf\xbf", 4}, /* U+10FFFF */
	{"\x80", 0},             /* continues nothing */
	{"\xc3", 0},             /* cut short */
	{"\xe2\x82", 0},
	{"\xf0\x9f\x90", 0},
	{"\xc3(", 0},
	{"\xe2\x82(", 0},
	{"\xc0\xaf", 0}, /* overlong */
	{"\xe0\x80\xaf", 0},
	{"\xf0\x80\x80\xaf", 0},
	{"\xed\xa0\x80", 0},     /* surrogate */
	{"\xf4\x90\x80\x80", 0}, /* beyond U+10FFFF */
	{"\xf5\x80\x80\x80", 0},
	{"\xff", 0},
	{"", 0},
};

static void tells_characters_from_other_bytes(void **state)
{
	for (size_t i = 0; i < sizeof characters / sizeof *characters; i++) {
		struct slice s = slice_from_string(characters[i].text);

		assert_int_equal(utf8_character(s.data, s.len), characters[i].size);
	}
	(void)state;
}

static void replaces_what_is_no_character(void **state)
{
	struct buffer out = BUFFER_INIT;

	/* One for the two bytes that begin a character; one for each byte that begins none. */
	utf8_append(&out, SLICE_LITERAL("caf\xe9 \xc3\xa9 \xe2\x82 \xe0\x80\xf0\x9f\x90"));
	assert_string_equal(buffer_string(&out),
	                    "caf" UTF8_REPLACEMENT " \xc3\xa9 " UTF8_REPLACEMENT
	                    " " UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT);
	buffer_fini(&out);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_characters_from_other_bytes),
		cmocka_unit_test(replaces_what_is_no_character),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
