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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes_what_json_wants_escaped),
		cmocka_unit_test(replaces_what_is_no_utf8),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
