#include "core/base/endpoint.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void reads_the_forms_that_users_write(void **state)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
		enum endpoint_scheme scheme;
	} cases[] = {
		{"localhost:4317", "localhost", 4317, ENDPOINT_PLAIN},
		{":4317", "", 4317, ENDPOINT_PLAIN},
		{"0.0.0.0:0", "0.0.0.0", 0, ENDPOINT_PLAIN},
		{"[::1]:65535", "::1", 65535, ENDPOINT_PLAIN},
		{"[fe80::1%eth0]:80", "fe80::1%eth0", 80, ENDPOINT_PLAIN},
		{"http://tempo", "tempo", 80, ENDPOINT_HTTP},
		{"http://tempo:4317/", "tempo", 4317, ENDPOINT_HTTP},
		{"https://tempo", "tempo", 443, ENDPOINT_HTTPS},
		{"https://[2001:db8::1]", "2001:db8::1", 443, ENDPOINT_HTTPS},
		{"https://[2001:db8::1]:4317/", "2001:db8::1", 4317, ENDPOINT_HTTPS},
		{"dns:///tempo:4317", "tempo", 4317, ENDPOINT_PLAIN},
		{"unix:///run/weir.sock", "/run/weir.sock", 0, ENDPOINT_UNIX},
		{"unix:run/weir.sock", "run/weir.sock", 0, ENDPOINT_UNIX},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct endpoint e;
		struct error error = ERROR_INIT;
		if (endpoint_parse(cases[i].text, &e, &error) < 0)
			fail_msg("%s: %s", cases[i].text, error.message);
		assert_string_equal(e.text, cases[i].text);
		assert_string_equal(e.host, cases[i].host);
		assert_int_equal(e.port, cases[i].port);
		assert_int_equal(e.scheme, cases[i].scheme);
		assert_true(endpoint_is_set(&e));
	}
}

static void refuses_what_is_no_endpoint_with_a_sentence_that_names_it(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"", "missing port in address"},
		{"localhost", "missing port in address"},
		{"dns:///tempo", "missing port in address"},
		{"localhost:", "is not a number"},
		{"localhost:http", "is not a number"},
		{"localhost:65536", "is not a number up to 65535"},
		{"localhost:80x", "is not a number up to 65535"},
		{"localhost:-1", "is not a number"},
		{"localhost: 80", "is not a number"},
		{"localhost:00000000000000000080", "the port is too long"},
		{"::1:4317", "too many colons"},
		{"http://user:secret@host:80", "too many colons"},
		{"[::1:4317", "\"]\" is missing"},
		{"[", "\"]\" is missing"},
		{"[::1]4317", "expected \":port\""},
		{"ftp://host:21", "unknown scheme"},
		{"http://host:80/v1/traces", "a path is not allowed"},
		{"host:80/", "a path is not allowed"},
		{"unix:", "a socket path of 1 to 107 characters"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct endpoint e = {.text = "untouched"};
		struct error error = ERROR_INIT;
		char start[64];
		assert_int_equal(endpoint_parse(cases[i].text, &e, &error), -EINVAL);
		snprintf(start, sizeof start, "endpoint \"%.30s\": ", cases[i].text);
		if (strncmp(error.message, start, strlen(start)) != 0 ||
		    !strstr(error.message, cases[i].message))
			fail_msg("%s: unexpected message: %s", cases[i].text, error.message);
		assert_string_equal(e.text, "untouched");
	}
}

static void refuses_texts_that_are_too_long(void **state)
{
	char text[400], socket[140] = "unix:///";
	struct error error = ERROR_INIT;
	struct endpoint e;

	memset(text, 'a', sizeof text);
	strcpy(text + 270, ":80");
	assert_int_equal(endpoint_parse(text, &e, &error), -EINVAL);
	assert_non_null(strstr(error.message, "the host is longer than 255 characters"));
	error_clear(&error);
	strcpy(text + 380, ":80");
	memset(text + 270, 'a', 110);
	assert_int_equal(endpoint_parse(text, &e, &error), -EINVAL);
	assert_string_equal(error.message, "endpoint is longer than 279 characters");
	memset(socket + 8, 'a', 106);
	assert_int_equal(endpoint_parse(socket, &e, NULL), 0);
	memset(socket + 8, 'a', 107);
	assert_int_equal(endpoint_parse(socket, &e, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_forms_that_users_write),
		cmocka_unit_test(refuses_what_is_no_endpoint_with_a_sentence_that_names_it),
		cmocka_unit_test(refuses_texts_that_are_too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
