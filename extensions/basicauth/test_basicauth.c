#include "core/base/base64.h"
#include "core/base/clock.h"
#include "extensions/basicauth/basicauth.h"
#include "extensions/basicauth/basicauth_hash.h"
#include "tests/support/component_stage.h"
#include "tests/support/folder.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct component_type extension_basicauth_type;

static const struct component_type *const type = &extension_basicauth_type;

/* Made with openssl passwd, Python's crypt and sha1sum; the password of each but two is "secret". */
#define BCRYPT "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
#define APR1 "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/"
#define SHA "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="
#define SHA512                                                                                     \
	"$6$abc$IdWKNKTJEb8LxY7CGg8YBXlvtfZzFw7Mp/r6niK9YB2mdvgY..TKjv1T..8RadRt2qvUHYRLr/"        \
	"TsVArtr91iR1"

static void knows_the_hashes_of_htpasswd(void **state)
{
	static const struct {
		const char *hash, *password;
	} cases[] = {
		{BCRYPT, "secret"},
		{APR1, "secret"},
		{SHA, "secret"},
		{SHA512, "secret"},
		{"$apr1$x$tMwYqBfQwi3FYAr0aJc8M/", ""},
		{"$apr1$12345678$RkSsHiO1RUdjaoav57ZaW/",
	         "a much longer password than sixteen bytes"},
	};
	struct error error = ERROR_INIT;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_true(basicauth_hash_is_known(cases[i].hash));
		assert_int_equal(basicauth_hash_matches(cases[i].hash, cases[i].password, &error),
		                 1);
		assert_int_equal(basicauth_hash_matches(cases[i].hash, "secreT", &error), 0);
	}
	assert_false(basicauth_hash_is_known("secret"));
	assert_false(basicauth_hash_is_known("rqXexS6ZhobKA")); /* DES */
	assert_false(basicauth_hash_is_known("{SHA}short"));
	assert_false(basicauth_hash_is_known("$apr1$"));
	assert_int_equal(basicauth_hash_matches("$2y$nonsense", "secret", &error), 0);
	assert_int_equal(basicauth_hash_matches("$apr1$toolongasaltisthis$abcdefghijklmn", "x",
	                                        &error),
	                 0);
}

/* A request with an authorization, or none. */
struct request {
	struct request_metadata metadata;
	const char *value;
};

static bool get(const struct request_metadata *m, const char *name, struct slice *ret)
{
	const struct request *r = (const struct request *)m;

	if (!r->value || strcmp(name, "authorization") != 0)
		return false;
	*ret = slice_from_string(r->value);
	return true;
}

static int show(struct stage *s, const char *value, const char **ret_identity, struct error *error)
{
	const struct request request = {{get}, value};

	*error = (struct error)ERROR_INIT;
	return type->authenticator->authenticate(s->component, &request.metadata, ret_identity,
	                                         error);
}

/* The identity, or NULL and an error. */
static const char *enter(struct stage *s, const char *name, const char *password,
                         struct error *error)
{
	char plain[1200], value[1800] = "Basic ";
	const char *identity = NULL;
	int n = snprintf(plain, sizeof plain, "%s:%s", name, password);

	value[6 + base64_encode(slice_of(plain, (size_t)n), true, value + 6)] = '\0';
	return show(s, value, &identity, error) < 0 ? NULL : identity;
}

/* The same, with patience while too much was wrong just before. */
static const char *enter_at_last(struct stage *s, const char *name, const char *password,
                                 struct error *error)
{
	uint64_t end = clock_monotonic_ns() + 10 * NS_PER_S;
	const char *identity;

	do {
		identity = enter(s, name, password, error);
	} while (!identity && error->kind == ERROR_RETRYABLE && clock_monotonic_ns() < end);
	return identity;
}

static void open_stage(struct stage *s, const char *yaml)
{
	stage_begin(s);
	stage_create(s, type, yaml, SIGNAL_TRACES);
}

#define USERS                                                                                      \
	"{htpasswd: {inline: \"# agents\\njoe:" BCRYPT "\\n\\nann:" APR1 ":more\\njoe:" SHA512     \
	"\\n\"}}"

static void lets_in_who_knows_the_password(void **state)
{
	struct error error;
	struct stage s;

	open_stage(&s, USERS);
	assert_string_equal(enter(&s, "joe", "secret", &error), "joe");
	assert_string_equal(enter(&s, "ann", "secret", &error), "ann");
	assert_string_equal(enter(&s, "joe", "secret", &error), "joe"); /* remembered */
	assert_null(enter(&s, "joe", "Secret", &error));
	assert_string_equal(error.message, "invalid credentials");
	assert_int_equal(error.kind, ERROR_PERMANENT);
	assert_null(enter_at_last(&s, "bob", "secret", &error));
	assert_string_equal(error.message, "invalid credentials"); /* the same */
	assert_null(enter_at_last(&s, "", "", &error));
	assert_string_equal(type->authenticator->challenge(s.component),
	                    "Basic realm=\"weir\", charset=\"UTF-8\"");
	assert_true(type->authenticator->serves(s.component, true));
	assert_false(type->authenticator->serves(s.component, false));
	stage_end(&s);
}

static void refuses_what_is_no_basic_authorization(void **state)
{
	static const struct {
		const char *value, *message;
	} cases[] = {
		{NULL, "no basic auth provided"},
		{"", "no basic auth provided"},
		{"Bearer abc", "invalid authorization scheme prefix: Basic is needed"},
		{"Basic", "invalid authorization scheme prefix: Basic is needed"},
		{"Basic ", "invalid authorization format"},
		{"Basic !!!!", "invalid authorization format"},
		{"Basic am9l", "invalid authorization format"},             /* joe */
		{"Basic am9lOnMAZWNyZXQ=", "invalid authorization format"}, /* a NUL */
	};
	const char *identity;
	struct error error;
	char huge[4000];
	struct stage s;

	open_stage(&s, USERS);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(show(&s, cases[i].value, &identity, &error), -EACCES);
		assert_string_equal(error.message, cases[i].message);
	}
	memset(huge, 'a', sizeof huge - 1);
	huge[sizeof huge - 1] = '\0';
	memcpy(huge, "Basic ", 6);
	assert_int_equal(show(&s, huge, &identity, &error), -EACCES);
	memset(huge, 'a', 600);
	huge[600] = '\0';
	assert_null(enter(&s, "joe", huge, &error));
	assert_string_equal(error.message, "invalid credentials");
	stage_end(&s);
}

static int check(struct basicauth_users *u, const char *password, struct error *error)
{
	const char *name;

	*error = (struct error)ERROR_INIT;
	return basicauth_users_check(u, "joe", password, &name, error);
}

static void guessing_does_not_take_the_loop(void **state)
{
	static struct basicauth_users u;
	struct error error = ERROR_INIT;

	assert_true(basicauth_users_init(&u));
	assert_int_equal(basicauth_users_set(&u, slice_from_string("joe:" BCRYPT),
	                                     slice_of(NULL, 0), &error),
	                 0);
	assert_int_equal(check(&u, "secret", &error), 0);
	assert_int_equal(u.rest_until_ns, 0);
	assert_int_equal(check(&u, "wrong", &error), -EACCES);
	assert_true(u.rest_until_ns > 0);
	u.rest_until_ns = clock_monotonic_ns() + 3600 * NS_PER_S;
	assert_int_equal(check(&u, "guess", &error), -EBUSY); /* nothing is computed */
	assert_int_equal(error.kind, ERROR_RETRYABLE);
	assert_int_equal(check(&u, "secret", &error), 0); /* known to be right */
	assert_int_equal(check(&u, "wrong", &error), -EACCES);
	assert_int_equal(error.kind, ERROR_PERMANENT); /* known to be wrong */
	u.rest_until_ns = 0;
	assert_int_equal(check(&u, "guess", &error), -EACCES);
	basicauth_users_fini(&u);
}

static void as_many_pairs_as_there_is_room_for_are_remembered(void **state)
{
	static struct basicauth_users u;
	struct error error = ERROR_INIT;
	struct buffer text = BUFFER_INIT;
	const char *identity;
	char name[24];

	for (int i = 0; i < BASICAUTH_REMEMBERED; i++)
		buffer_printf(&text, "user%d:" SHA "\n", i);
	assert_true(basicauth_users_init(&u));
	assert_int_equal(basicauth_users_set(&u, slice_of(NULL, 0), buffer_slice(&text), &error),
	                 0);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < BASICAUTH_REMEMBERED; i++) {
			snprintf(name, sizeof name, "user%d", i);
			assert_int_equal(basicauth_users_check(&u, name, "secret", &identity,
			                                       &error),
			                 0);
			assert_string_equal(identity, name);
		}
		u.rest_until_ns = clock_monotonic_ns() + 3600 * NS_PER_S; /* nothing is computed */
	}
	buffer_fini(&text);
	basicauth_users_fini(&u);
}

/* ---- files */

static void write_file(const char *name, const char *text)
{
	const char *path = folder_at(name);
	char fresh[160];
	FILE *f;

	snprintf(fresh, sizeof fresh, "%s.new", path);
	f = fopen(fresh, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(fresh, 0600), 0);
	assert_int_equal(rename(fresh, path), 0);
}

static void the_file_is_read_again_when_it_changes(void **state)
{
	uint64_t end = clock_monotonic_ns() + 10 * NS_PER_S;
	struct error error;
	char yaml[256];
	struct stage s;

	write_file("users", "joe:" BCRYPT "\n");
	snprintf(yaml, sizeof yaml, "{htpasswd: {file: '%s/users'}}", folder_path());
	open_stage(&s, yaml);
	assert_string_equal(enter(&s, "joe", "secret", &error), "joe");
	write_file("users", "ann:" BCRYPT "\n");
	while (enter(&s, "joe", "secret", &error))
		assert_true(clock_monotonic_ns() < end);
	assert_string_equal(enter_at_last(&s, "ann", "secret", &error), "ann");
	stage_end(&s);
	assert_int_equal(unlink(folder_at("users")), 0);
}

static void expect_no_start(const char *text, const char *message)
{
	struct create_args args = {.id = "basicauth"};
	struct error error = ERROR_INIT;
	char yaml[256];
	struct stage s;

	write_file("users", text);
	snprintf(yaml, sizeof yaml, "{htpasswd: {file: '%s/users'}}", folder_path());
	stage_begin(&s);
	args.config = stage_config(&s, type, yaml);
	args.host = &s.host;
	assert_int_equal(type->create(&args, &s.component, NULL), 0);
	assert_int_equal(type->start(s.component, &error), -EINVAL);
	assert_string_equal(error.message, message);
	stage_end(&s);
	assert_int_equal(unlink(folder_at("users")), 0);
}

static void says_which_line_is_no_user(void **state)
{
	expect_no_start("joe:" BCRYPT "\nann:plain\n",
	                "htpasswd::file, line 2: the password of ann is not hashed in a way that "
	                "is taken here (bcrypt, SHA-512, SHA-256, apr1, SHA); make it with "
	                "htpasswd -B");
	expect_no_start("joe\n",
	                "htpasswd::file, line 1: a user's name, a colon and a hash are expected");
	expect_no_start("# nobody\n", "htpasswd names no user");
}

static const char *header_of(struct stage *s)
{
	struct auth_headers headers = {0};
	struct error error = ERROR_INIT;

	if (type->authenticator->client_headers(s->component, &headers, &error) < 0)
		fail_msg("%s", error.message);
	assert_int_equal(headers.count, 1);
	assert_string_equal(headers.items[0].name, "authorization");
	return headers.items[0].value;
}

static void shows_a_name_and_a_password(void **state)
{
	uint64_t end = clock_monotonic_ns() + 10 * NS_PER_S;
	char yaml[256];
	struct stage s;

	open_stage(&s, "{client_auth: {username: joe, password: secret}}");
	assert_string_equal(header_of(&s), "Basic am9lOnNlY3JldA==");
	assert_false(type->authenticator->serves(s.component, true));
	assert_true(type->authenticator->serves(s.component, false));
	stage_end(&s);

	write_file("password", "secret\n");
	snprintf(yaml, sizeof yaml, "{client_auth: {username: joe, password_file: '%s/password'}}",
	         folder_path());
	open_stage(&s, yaml);
	assert_string_equal(header_of(&s), "Basic am9lOnNlY3JldA==");
	write_file("password", "other\n");
	while (strcmp(header_of(&s), "Basic am9lOm90aGVy") != 0)
		assert_true(clock_monotonic_ns() < end);
	stage_end(&s);
	assert_int_equal(unlink(folder_at("password")), 0);
}

static void refuses_what_makes_no_sense(void **state)
{
	struct stage s;

	stage_begin(&s);
	stage_expect_refused(&s, type, "",
	                     "no credential source provided: set htpasswd for servers or "
	                     "client_auth for clients");
	stage_expect_refused(&s, type, "{htpasswd: {}}",
	                     "no credential source provided: set htpasswd::file or "
	                     "htpasswd::inline");
	stage_expect_refused(&s, type,
	                     "{htpasswd: {file: /x}, client_auth: {username: a, password: b}}",
	                     "only one of `htpasswd` or `client_auth` can be specified; use two "
	                     "instances, basicauth/server and basicauth/client");
	stage_expect_refused(&s, type, "{client_auth: {username: a}}",
	                     "client_auth: a username and a password are needed, or files with "
	                     "them");
	stage_expect_refused(&s, type, "{client_auth: {username: 'a:b', password: c}}",
	                     "client_auth: a username has no colon");
	stage_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_hashes_of_htpasswd),
		cmocka_unit_test(lets_in_who_knows_the_password),
		cmocka_unit_test(refuses_what_is_no_basic_authorization),
		cmocka_unit_test(guessing_does_not_take_the_loop),
		cmocka_unit_test(as_many_pairs_as_there_is_room_for_are_remembered),
		cmocka_unit_test(the_file_is_read_again_when_it_changes),
		cmocka_unit_test(says_which_line_is_no_user),
		cmocka_unit_test(shows_a_name_and_a_password),
		cmocka_unit_test(refuses_what_makes_no_sense),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
