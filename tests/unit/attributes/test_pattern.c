#include "core/attributes/pattern.h"
#include "core/base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int match(const char *pattern, struct slice text)
{
	struct error error = ERROR_INIT;
	struct pattern *p = NULL;
	int r;

	if (pattern_new(pattern, &p, &error) < 0)
		fail_msg("%s", error.message);
	r = pattern_match(p, text);
	pattern_free(p);
	return r;
}

static void matches_as_go_does(void **state)
{
	static const struct {
		const char *pattern, *text;
		int matches;
	} rows[] = {
		{"b", "abc", 1},
		{"^b", "abc", 0},
		{"^abc$", "abc\n", 0}, /* $ is the very end */
		{"(?m)^abc$", "x\nabc\ny", 1},
		{"a.c", "a\nc", 0},
		{"(?s)a.c", "a\nc", 1},
		{"(?i)GRÜSSE", "grüsse", 1},
		{"^.$", "ü", 1},
		{"^\\pL+$", "世界", 1},
		{"[[:alpha:]]+\\z", "12ab", 1},
		{"\\Qa.b\\E", "a.b", 1},
		{"\\Qa.b\\E", "axb", 0},
		{"^\\w+$", "ü", 0},
		{"\\x{1F30D}", "🌍", 1},
		{"^(?P<a>x)(?P<b>y)?$", "x", 1},
		{"", "", 1},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		print_message("%s\n", rows[i].pattern);
		assert_int_equal(match(rows[i].pattern, slice_from_string(rows[i].text)),
		                 rows[i].matches);
	}
}

static void takes_bytes_that_are_no_text(void **state)
{
	static const uint8_t bytes[] = {0xFF, 'a', 0, 'b', 0xC3};

	assert_int_equal(match("a", slice_of(bytes, sizeof bytes)), 1);
	assert_int_equal(match("\\x00b", slice_of(bytes, sizeof bytes)), 1);
	assert_int_equal(match("^a", slice_of(bytes, sizeof bytes)), 0);
	assert_int_equal(match("^$", slice_of(NULL, 0)), 1);
}

static void tells_what_its_groups_held(void **state)
{
	struct slice text = SLICE_LITERAL("key=value"), held;
	struct pattern *p = NULL;

	assert_int_equal(pattern_new("(?P<k>\\w+)=(?P<v>\\w*)(;(?P<rest>.*))?", &p, NULL), 0);
	assert_int_equal(pattern_groups(p), 4);
	assert_string_equal(pattern_group_name(p, 1), "k");
	assert_string_equal(pattern_group_name(p, 2), "v");
	assert_null(pattern_group_name(p, 3));
	assert_string_equal(pattern_group_name(p, 4), "rest");
	assert_int_equal(pattern_match(p, text), 1);
	held = pattern_group(p, text, 2);
	assert_true(slice_equal(held, SLICE_LITERAL("value")));
	assert_ptr_equal(held.data, text.data + 4);
	assert_int_equal(pattern_group(p, text, 4).len, 0); /* took no part */
	pattern_free(p);
}

static void names_the_pattern_and_the_place_of_a_mistake(void **state)
{
	static const char *const rows[][2] = {
		{"a(b", "invalid pattern: \"a(b\", at character 4: missing closing parenthesis"},
		{"a**b)",
	         "invalid pattern: \"a**b)\", at character 3: quantifier does not follow a "
	         "repeatable item"},
		{"(?P<a>x)(?P<a>y)",
	         "invalid pattern: \"(?P<a>x)(?P<a>y)\", at character 15: two "
	         "named subpatterns have the same name (PCRE2_DUPNAMES not set)"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct error error = ERROR_INIT;
		struct pattern *p = NULL;
		assert_int_equal(pattern_new(rows[i][0], &p, &error), -EINVAL);
		assert_string_equal(error.message, rows[i][1]);
	}
}

/* Two to the power of the text's length, were it not for the limits. */
static void gives_up_at_its_limits(void **state)
{
	static const char *const patterns[] = {"^(a+)+$", "^(a|aa)+$", "^(([a-z])+.)+[A-Z]$"};
	char text[20000];
	uint64_t begun = clock_monotonic_ns();

	memset(text, 'a', sizeof text);
	text[sizeof text - 1] = '!';
	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
		struct pattern *p = NULL;
		assert_int_equal(pattern_new(patterns[i], &p, NULL), 0);
		assert_int_equal(pattern_match(p, slice_of(text, sizeof text)), 0);
		assert_int_equal(pattern_given_up(p), 1);
		assert_int_equal(pattern_given_up(p), 0);
		pattern_free(p);
	}
	print_message("%.1f ms for all\n", (double)(clock_monotonic_ns() - begun) / 1e6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches_as_go_does),
		cmocka_unit_test(takes_bytes_that_are_no_text),
		cmocka_unit_test(tells_what_its_groups_held),
		cmocka_unit_test(names_the_pattern_and_the_place_of_a_mistake),
		cmocka_unit_test(gives_up_at_its_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
