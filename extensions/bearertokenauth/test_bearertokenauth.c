#include "core/base/clock.h"
#include "tests/support/component_stage.h"
#include "tests/support/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct component_type extension_bearertokenauth_type;

static const struct component_type *const type = &extension_bearertokenauth_type;

/* A request with one header. */
struct request {
	struct request_metadata metadata;
	const char *name, *value;
};

static bool get(const struct request_metadata *m, const char *name, struct slice *ret)
{
	const struct request *r = (const struct request *)m;

	if (!r->name || strcmp(name, r->name) != 0)
		return false;
	*ret = slice_from_string(r->value);
	return true;
}

static int show(struct stage *s, const char *name, const char *value, char message[512])
{
	const struct request request = {{get}, name, value};
	struct error error = ERROR_INIT;
	const char *identity = "?";
	int r = type->authenticator->authenticate(s->component, &request.metadata, &identity,
	                                          &error);

	if (r == 0)
		assert_null(identity);
	if (message)
		snprintf(message, 512, "%s", error.message);
	return r;
}

static const char *header_of(struct stage *s)
{
	struct auth_headers headers = {0};
	struct error error = ERROR_INIT;

	if (type->authenticator->client_headers(s->component, &headers, &error) < 0)
		fail_msg("%s", error.message);
	assert_int_equal(headers.count, 1);
	return headers.items[0].value;
}

static void open_stage(struct stage *s, const char *yaml)
{
	stage_begin(s);
	stage_create(s, type, yaml, SIGNAL_TRACES);
}

static void lets_in_who_shows_the_token(void **state)
{
	char message[512];
	struct stage s;

	open_stage(&s, "{token: s3cret}");
	assert_int_equal(show(&s, "authorization", "Bearer s3cret", NULL), 0);
	assert_int_equal(show(&s, "authorization", "bearer  s3cret", NULL), 0);
	for (const char *const *wrong =
	             (const char *const[]){"Bearer s3cre", "Bearer s3crets", "Bearer S3cret",
	                                   "s3cret", "Basic s3cret", "Bearer", "Bearer ",
	                                   "Bearers3cret", NULL};
	     *wrong; wrong++) {
		assert_int_equal(show(&s, "authorization", *wrong, message), -EACCES);
		assert_string_equal(message, "provided authorization does not match expected "
		                             "scheme or token");
	}
	assert_int_equal(show(&s, NULL, NULL, message), -EACCES);
	assert_string_equal(message,
	                    "missing or empty authorization header: \"Authorization\" is needed");
	assert_int_equal(show(&s, "authorization", "", NULL), -EACCES);
	assert_string_equal(type->authenticator->challenge(s.component), "Bearer");
	stage_end(&s);
}

static void any_of_several_tokens_will_do_and_the_first_is_shown(void **state)
{
	struct stage s;

	open_stage(&s, "{tokens: [one, two, three], scheme: '', header: X-API-Key}");
	assert_int_equal(show(&s, "x-api-key", "one", NULL), 0);
	assert_int_equal(show(&s, "x-api-key", "three", NULL), 0);
	assert_int_equal(show(&s, "x-api-key", "four", NULL), -EACCES);
	assert_int_equal(show(&s, "authorization", "one", NULL), -EACCES);
	assert_string_equal(header_of(&s), "one");
	assert_null(type->authenticator->challenge(s.component));
	stage_end(&s);
}

/* ---- files */

static void write_file(const char *path, const char *text, mode_t mode)
{
	char fresh[160];
	FILE *f;

	snprintf(fresh, sizeof fresh, "%s.new", path);
	f = fopen(fresh, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(fresh, mode), 0);
	assert_int_equal(rename(fresh, path), 0);
}

/* The file is looked at once a second: asks until the token is known, or until it is not. */
static void wait_for(struct stage *s, const char *value, bool known)
{
	uint64_t end = clock_monotonic_ns() + 10 * NS_PER_S;

	while ((show(s, "authorization", value, NULL) == 0) != known)
		assert_true(clock_monotonic_ns() < end);
}

/* Longer than it takes until the file is looked at again. */
static void expect_for_a_while(struct stage *s, const char *good, const char *bad)
{
	uint64_t end = clock_monotonic_ns() + 1200 * NS_PER_MS;

	while (clock_monotonic_ns() < end) {
		assert_int_equal(show(s, "authorization", good, NULL), 0);
		assert_int_equal(show(s, "authorization", bad, NULL), -EACCES);
	}
}

static void open_with_file(struct stage *s, const char *path)
{
	char yaml[256];

	snprintf(yaml, sizeof yaml, "{filename: '%s'}", path);
	open_stage(s, yaml);
}

static void a_file_is_read_again_when_it_changes(void **state)
{
	const char *path = folder_at("tokens");
	struct stage s;

	write_file(path, "first\n  second \r\n\n", 0600);
	open_with_file(&s, path);
	assert_string_equal(header_of(&s), "Bearer first");
	assert_int_equal(show(&s, "authorization", "Bearer second", NULL), 0);
	write_file(path, "third\n", 0600);
	wait_for(&s, "Bearer third", true);
	assert_int_equal(show(&s, "authorization", "Bearer first", NULL), -EACCES);
	assert_string_equal(header_of(&s), "Bearer third");
	stage_end(&s);
	unlink(path);
}

/* As in the Collector, whose own example gives both. */
static void a_file_goes_before_tokens_of_the_configuration(void **state)
{
	const char *path = folder_at("tokens");
	char yaml[256];
	struct stage s;

	write_file(path, "from-file\n", 0600);
	snprintf(yaml, sizeof yaml, "{token: configured, filename: '%s'}", path);
	open_stage(&s, yaml);
	assert_string_equal(header_of(&s), "Bearer from-file");
	assert_int_equal(show(&s, "authorization", "Bearer from-file", NULL), 0);
	assert_int_equal(show(&s, "authorization", "Bearer configured", NULL), -EACCES);
	stage_end(&s);
	unlink(path);
}

/* A mounted Kubernetes secret: token -> ..data/token, ..data -> ..1, and ..data is replaced. */
static void a_file_behind_a_symbolic_link_is_noticed_too(void **state)
{
	const char *first = folder_at("1"), *second = folder_at("2"), *data = folder_at("data"),
		   *fresh = folder_at("fresh"), *path = folder_at("token");
	struct stage s;

	write_file(first, "old", 0640);
	write_file(second, "new", 0640);
	assert_int_equal(symlink("1", data), 0);
	assert_int_equal(symlink("data", path), 0);
	open_with_file(&s, path);
	assert_int_equal(show(&s, "authorization", "Bearer old", NULL), 0);
	assert_int_equal(symlink("2", fresh), 0);
	assert_int_equal(rename(fresh, data), 0);
	wait_for(&s, "Bearer new", true);
	assert_int_equal(show(&s, "authorization", "Bearer old", NULL), -EACCES);
	stage_end(&s);
	unlink(path);
	unlink(data);
	unlink(first);
	unlink(second);
}

static void a_file_that_goes_bad_leaves_the_tokens_in_force(void **state)
{
	const char *path = folder_at("tokens");
	struct stage s;

	write_file(path, "good", 0600);
	open_with_file(&s, path);
	write_file(path, "open", 0644); /* everybody may read it */
	expect_for_a_while(&s, "Bearer good", "Bearer open");
	unlink(path);
	expect_for_a_while(&s, "Bearer good", "Bearer open");
	write_file(path, "better", 0600);
	wait_for(&s, "Bearer good", false);
	assert_int_equal(show(&s, "authorization", "Bearer better", NULL), 0);
	stage_end(&s);
	unlink(path);
}

static void expect_no_start(const char *path, int code, const char *words)
{
	struct create_args args = {.id = "bearertokenauth"};
	struct error error = ERROR_INIT;
	char yaml[256];
	struct stage s;

	snprintf(yaml, sizeof yaml, "{filename: '%s'}", path);
	stage_begin(&s);
	args.config = stage_config(&s, type, yaml);
	args.host = &s.host;
	assert_int_equal(type->create(&args, &s.component, NULL), 0);
	assert_int_equal(type->start(s.component, &error), code);
	if (!strstr(error.message, words) || !strstr(error.message, path))
		fail_msg("%s", error.message);
	stage_end(&s);
}

static void a_file_that_cannot_be_a_secret_stops_the_start(void **state)
{
	const char *path = folder_at("tokens");

	expect_no_start(path, -ENOENT, "No such file");
	write_file(path, "secret", 0644);
	expect_no_start(path, -EACCES, "every user of this machine may read it");
	write_file(path, " \n\n", 0600);
	expect_no_start(path, -EINVAL, "it is empty");
	write_file(path, "a\tb", 0600);
	expect_no_start(path, -EINVAL, "printable ASCII");
	unlink(path);
	expect_no_start(folder_path(), -EINVAL, "not a regular file");
}

static void refuses_what_makes_no_sense(void **state)
{
	struct stage s;

	stage_begin(&s);
	stage_expect_refused(&s, type, "",
	                     "no bearer token provided: set token, tokens or filename");
	stage_expect_refused(&s, type, "{token: a, tokens: [b]}",
	                     "either tokens or token should be provided, not both");
	stage_expect_refused(&s, type, "{tokens: ['']}", "'tokens' has an empty token");
	stage_expect_refused(&s, type, "{token: \"a\\nb\"}",
	                     "'token' has a character that no header can carry: only printable "
	                     "ASCII may stand there");
	stage_expect_refused(&s, type, "{token: a, header: 'x y'}",
	                     "'header' must be the name of a header: letters, digits and - _ .");
	stage_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lets_in_who_shows_the_token),
		cmocka_unit_test(any_of_several_tokens_will_do_and_the_first_is_shown),
		cmocka_unit_test(a_file_is_read_again_when_it_changes),
		cmocka_unit_test(a_file_goes_before_tokens_of_the_configuration),
		cmocka_unit_test(a_file_behind_a_symbolic_link_is_noticed_too),
		cmocka_unit_test(a_file_that_goes_bad_leaves_the_tokens_in_force),
		cmocka_unit_test(a_file_that_cannot_be_a_secret_stops_the_start),
		cmocka_unit_test(refuses_what_makes_no_sense),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
