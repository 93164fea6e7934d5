/* Every file in mistakes/ is a configuration with a mistake or several, and holds at its end, after
 * the line "# expect:", exactly what weir says of it. */
#include "config/load.h"
#include "config/expand.h"
#include "core/pipeline/plan.h"
#include "tests/unit/config/fake_types.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define FOLDER "tests/unit/config/mistakes/"

enum { LEAST_NUMBER_OF_CASES = 40 };

static const char *fixed_environment(void *arg, const char *name)
{
	static const struct {
		const char *name, *value;
	} variables[] = {
		{"NUMBER", "12"},
		{"TEXT", "abc"},
		{"EMPTY", ""},
		{"LOOP", "${env:LOOP}"},
		{"DOUBLE", "${env:DOUBLE}${env:DOUBLE}"},
		{"NESTED", "[[[[\"${env:NESTED}\"]]]]"},
		{"MAP", "{endpoint: 'gateway:4317', tmeout: 3s}"},
		{"SECRET", "s3cret-9"}, /* no message may show any of these four */
		{"NAME", "s3cret9"},
		{"PIECES", "s3${cret 9}"},
		{"HIDDEN", "{a: '${s3cret 9}'}"},
		{NULL, NULL},
	};

	for (size_t i = 0; variables[i].name; i++)
		if (strcmp(variables[i].name, name) == 0)
			return variables[i].value;
	return NULL;
}

/* Files are found in FOLDER, so that messages name them without it. */
static int read_case(void *arg, const char *path, size_t limit, struct buffer *out)
{
	char full[512];

	snprintf(full, sizeof full, "%s%s", *path == '/' ? "" : FOLDER, path);
	return expand_process_io.read_file(NULL, full, limit, out);
}

static const struct expand_io io = {.getenv = fixed_environment, .read_file = read_case};

static void append_expected(struct buffer *text, struct buffer *out)
{
	const char *at = strstr(buffer_string(text), "# expect:\n");

	if (!at)
		fail_msg("no \"# expect:\" in the file");
	for (at += strlen("# expect:\n"); *at;) {
		size_t len = strcspn(at, "\n");
		if (strncmp(at, "# ", 2) != 0)
			fail_msg("not an expectation: %s", at);
		buffer_append(out, at + 2, len - 2);
		buffer_append_byte(out, '\n');
		at += len + (at[len] == '\n');
	}
}

static void append_actual(const char *name, struct buffer *out)
{
	struct config_sources sources = {.configs = &name, .n_configs = 1, .io = &io};
	struct diagnostics d;
	struct document *document = NULL;
	struct plan *plan = NULL;

	diagnostics_init(&d);
	if (config_load(&sources, &d, &document) == 0)
		plan_make(document, fake_types, &d, &plan);
	diagnostics_print(&d, out);
	assert_true((plan == NULL) == (d.errors > 0));
	plan_free(plan);
	document_free(document);
	diagnostics_fini(&d);
}

static bool check_case(const char *name)
{
	struct buffer text = BUFFER_INIT, expected = BUFFER_INIT, actual = BUFFER_INIT;
	bool same;

	assert_int_equal(read_case(NULL, name, 1 << 20, &text), 0);
	append_expected(&text, &expected);
	append_actual(name, &actual);
	same = slice_equal(buffer_slice(&expected), buffer_slice(&actual));
	if (!same)
		print_error("%s: expected\n%sbut weir says\n%s\n", name, buffer_string(&expected),
		            buffer_string(&actual));
	buffer_fini(&text);
	buffer_fini(&expected);
	buffer_fini(&actual);
	return same;
}

static int is_case(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 5 && strcmp(entry->d_name + len - 5, ".yaml") == 0;
}

static void says_exactly_what_is_wrong_and_where(void **state)
{
	struct dirent **entries;
	int n = scandir(FOLDER, &entries, is_case, alphasort);
	bool all_same = true;

	assert_true(n >= LEAST_NUMBER_OF_CASES);
	for (int i = 0; i < n; i++) {
		all_same &= check_case(entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	assert_true(all_same);
}

static void says_that_there_is_nothing_to_load(void **state)
{
	struct config_sources sources = {.io = &io};
	struct diagnostics d;
	struct document *document = NULL;
	struct buffer out = BUFFER_INIT;

	diagnostics_init(&d);
	assert_true(config_load(&sources, &d, &document) < 0);
	diagnostics_print(&d, &out);
	assert_string_equal(buffer_string(&out),
	                    "at least one config flag must be provided; name the configuration "
	                    "file with --config FILE\n");
	buffer_fini(&out);
	diagnostics_fini(&d);
}

static void counts_the_mistakes_beyond_its_bound(void **state)
{
	struct buffer text = BUFFER_INIT, out = BUFFER_INIT;
	const char *config;
	struct config_sources sources = {.configs = &config, .n_configs = 1, .io = &io};
	struct diagnostics d;
	struct document *document = NULL;

	buffer_append_string(&text, "yaml:{");
	for (int i = 0; i < DIAGNOSTICS_MAX + 23; i++)
		buffer_printf(&text, "wrong_%d: 1, ", i);
	buffer_append_string(&text, "}");
	config = buffer_string(&text);
	diagnostics_init(&d);
	assert_int_equal(config_load(&sources, &d, &document), 0);
	diagnostics_print(&d, &out);
	assert_int_equal(d.errors, DIAGNOSTICS_MAX + 23);
	assert_non_null(strstr(buffer_string(&out), "\nand 23 more\n"));
	document_free(document);
	buffer_fini(&text);
	buffer_fini(&out);
	diagnostics_fini(&d);
}

/* A message goes to a terminal: what it quotes must not write there what it likes. */
static void shows_nothing_that_moves_the_cursor(void **state)
{
	struct buffer out = BUFFER_INIT;
	struct diagnostics d;
	char text[4096];

	memset(text, 'x', sizeof text);
	memcpy(text + sizeof text - 3, "\xC3\xA9", 3); /* an e with an accent */
	diagnostics_init(&d);
	diagnostics_error(&d, (struct position){"a\nb", 1, 1}, "p\x1b[2J",
	                  "\x1b]0;title\a \xC2\x9b 2J \xFF \xC3\xA9 \xC2");
	diagnostics_error(&d, (struct position){"c", 1, 1}, "", "%s", text + sizeof text - 1025);
	diagnostics_print(&d, &out);
	assert_non_null(strstr(buffer_string(&out), "a?b:1:1: p?[2J: ?]0;title? ?? 2J \xEF\xBF\xBD "
	                                            "\xC3\xA9 \xEF\xBF\xBD\n"));
	assert_non_null(strstr(buffer_string(&out), "xxx\xEF\xBF\xBD\n")); /* cut */
	buffer_fini(&out);
	diagnostics_fini(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_exactly_what_is_wrong_and_where),
		cmocka_unit_test(says_that_there_is_nothing_to_load),
		cmocka_unit_test(counts_the_mistakes_beyond_its_bound),
		cmocka_unit_test(shows_nothing_that_moves_the_cursor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
