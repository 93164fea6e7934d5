#include "core/base/header_field.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* RFC 9110, section 5.6.2. */
static void a_name_is_a_token(void **state)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	for (unsigned byte = 0; byte < 256; byte++) {
		uint8_t name[] = {'x', (uint8_t)byte};
		bool wanted = byte && strchr(token, (int)byte);

		assert_int_equal(header_field_is_name(slice_of(name, 2)), wanted);
		assert_int_equal(header_field_is_name(slice_of(name + 1, 1)), wanted);
	}
	assert_false(header_field_is_name((struct slice){0}));
}

static void a_value_has_no_control_characters(void **state)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		uint8_t value[] = {'x', (uint8_t)byte};
		bool wanted = (byte >= 0x20 && byte != 0x7f) || byte == '\t';

		assert_int_equal(header_field_is_value(slice_of(value, 2)), wanted);
	}
	assert_true(header_field_is_value((struct slice){0}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_a_token),
		cmocka_unit_test(a_value_has_no_control_characters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
