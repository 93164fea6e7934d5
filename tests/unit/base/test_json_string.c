#include "core/base/json_string.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void check(struct slice text, const char *wanted)
{
	struct buffer out = BUFFER_INIT;

	json_string_append(&out, text);
	assert_string_equal(buffer_string(&out), wanted);
	buffer_fini(&out);
}

static void escapes_what_json_wants_escaped(void **state)
{
	check(SLICE_LITERAL(""), "\"\"");
	check(SLICE_LITERAL("plain \xc3\xa9"), "\"plain \xc3\xa9\"");
	check(SLICE_LITERAL("\"\\\b\f\n\r\t"), "\"\\\"\\\\\\b\\f\\n\\r\\t\"");
	check(SLICE_LITERAL("a\0b\x1f"), "\"a\\u0000b\\u001f\"");
}

static void replaces_what_is_no_utf8(void **state)
{
	check(SLICE_LITERAL("a\xff"), "\"a\xef\xbf\xbd\"");
	check(SLICE_LITERAL("\xc3\""), "\"\xef\xbf\xbd\\\"\"");
}

/* Text is looked at eight bytes at a time: every byte at every place, whatever stands around it. */
static void finds_every_byte_at_every_place(void **state)
{
	for (size_t len = 1; len <= 18; len++)
		for (size_t at = 0; at < len; at++)
			for (unsigned byte = 0; byte < 256; byte++) {
				uint8_t text[18];
				struct buffer out = BUFFER_INIT;
				bool plain =
					byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';

				memset(text, byte % 2 ? 0x7f : ' ', len);
				text[at] = (uint8_t)byte;
				json_string_append(&out, slice_of(text, len));
				assert_int_equal(out.data[0], '"');
				assert_int_equal(out.data[out.len - 1], '"');
				if (plain) {
					assert_int_equal(out.len, len + 2);
					assert_memory_equal(out.data + 1, text, len);
				} else {
					assert_true(out.len > len + 2);
					assert_true(byte >= 0x80 || out.data[at + 1] == '\\');
				}
				buffer_fini(&out);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes_what_json_wants_escaped),
		cmocka_unit_test(replaces_what_is_no_utf8),
		cmocka_unit_test(finds_every_byte_at_every_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
