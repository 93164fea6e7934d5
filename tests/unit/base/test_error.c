#include "core/base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void the_first_error_wins(void **state)
{
	struct error e = ERROR_INIT;

	assert_false(error_is_set(&e));
	assert_int_equal(error_set_retryable(&e, -EAGAIN, "first %d", 1), -EAGAIN);
	assert_int_equal(error_set(&e, -EINVAL, "second"), -EAGAIN);
	assert_int_equal(e.kind, ERROR_RETRYABLE);
	assert_string_equal(e.message, "first 1");
	error_clear(&e);
	assert_int_equal(error_set(&e, -EINVAL, "third"), -EINVAL);
	assert_int_equal(e.kind, ERROR_PERMANENT);
	assert_string_equal(e.message, "third");
}

static void each_level_adds_its_subject(void **state)
{
	struct error e = ERROR_INIT;

	assert_int_equal(error_wrap(&e, "nothing"), 0);
	assert_string_equal(e.message, "");
	error_set(&e, -EADDRINUSE, "address already in use");
	error_wrap(&e, "listen %s", "0.0.0.0:4317");
	assert_int_equal(error_wrap(&e, "receiver %s", "otlp/front"), -EADDRINUSE);
	assert_string_equal(e.message,
	                    "receiver otlp/front: listen 0.0.0.0:4317: address already in use");
}

static void no_error_struct_gives_only_the_code(void **state)
{
	assert_int_equal(error_set(NULL, -EIO, "x"), -EIO);
	assert_int_equal(error_wrap(NULL, "x"), 0);
	assert_int_equal(error_no_memory(NULL), -ENOMEM);
}

static void long_messages_are_cut_with_dots_and_stay_utf8(void **state)
{
	char text[2000];

	for (int shift = 0; shift < 4; shift++) {
		struct error e = ERROR_INIT;
		size_t len;
		memset(text, 'a', (size_t)shift);
		for (int i = shift; i < 1600; i += 4)
			memcpy(text + i, "\xf0\x9f\x90\x9f", 5);
		error_set(&e, -EINVAL, "%s", text);
		len = strlen(e.message);
		assert_true(len < sizeof e.message && len > sizeof e.message - 8);
		assert_string_equal(e.message + len - 3, "...");
		assert_int_equal((len - 3 - (size_t)shift) % 4, 0);
		error_wrap(&e, "subject");
		assert_string_equal(e.message + strlen(e.message) - 3, "...");
		assert_memory_equal(e.message, "subject: ", 9);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_error_wins),
		cmocka_unit_test(each_level_adds_its_subject),
		cmocka_unit_test(no_error_struct_gives_only_the_code),
		cmocka_unit_test(long_messages_are_cut_with_dots_and_stay_utf8),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
