#include "extensions/basicauth/basicauth.h"

#include "core/base/clock.h"
#include "core/base/random.h"
#include "extensions/basicauth/basicauth_hash.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* After a wrong password nothing is computed for so many times as long as that took: guessing may
 * cost the loop a quarter of its time. */
enum { REST_FACTOR = 3 };
#define REST_MAX_NS NS_PER_S

bool basicauth_users_init(struct basicauth_users *u)
{
	return secret_key_make(u->key);
}

void basicauth_users_fini(struct basicauth_users *u)
{
	secret_buffer_fini(&u->text);
	free(u->items);
	OPENSSL_cleanse(u, sizeof *u);
}

/* ---- htpasswd */

/* The next line of *rest, cut out; NULL: no more. */
static char *next_line(char **rest)
{
	char *line = strsep(rest, "\n");

	if (line && *line && line[strlen(line) - 1] == '\r')
		line[strlen(line) - 1] = '\0';
	return line;
}

/* Takes one of the texts apart in place. */
static int parse(char *text, const char *where, struct basicauth_user *items, size_t *count,
                 struct error *error)
{
	char *line;

	for (unsigned number = 1; (line = next_line(&text)); number++) {
		char *colon = strchr(line, ':');
		if (!*line || *line == '#')
			continue;
		if (!colon || colon == line)
			return error_set(error, -EINVAL,
			                 "%s, line %u: a user's name, a colon and a hash are "
			                 "expected",
			                 where, number);
		*colon = '\0';
		colon[1 + strcspn(colon + 1, ":")] = '\0';
		if (!basicauth_hash_is_known(colon + 1))
			return error_set(error, -EINVAL,
			                 "%s, line %u: the password of %.64s is not hashed in a "
			                 "way that is taken here (bcrypt, SHA-512, SHA-256, "
			                 "apr1, SHA); make it with htpasswd -B",
			                 where, number, line);
		items[(*count)++] = (struct basicauth_user){line, colon + 1};
	}
	return 0;
}

static size_t count_lines(const struct buffer *text)
{
	size_t n = 2;

	for (size_t i = 0; i < text->len; i++)
		n += text->data[i] == '\n';
	return n;
}

int basicauth_users_set(struct basicauth_users *u, struct slice inline_text, struct slice file_text,
                        struct error *error)
{
	struct buffer text = BUFFER_INIT;
	struct basicauth_user *items;
	size_t count = 0;
	int r;

	/* A buffer that grows leaves copies behind. */
	buffer_reserve(&text, inline_text.len + file_text.len + 2);
	buffer_append_slice(&text, inline_text);
	buffer_append_byte(&text, '\0');
	buffer_append_slice(&text, file_text);
	buffer_append_byte(&text, '\0');
	items = text.failed ? NULL : calloc(count_lines(&text), sizeof *items);
	if (!items) {
		secret_buffer_fini(&text);
		return error_no_memory(error);
	}
	r = parse((char *)text.data, "htpasswd::inline", items, &count, error);
	if (r == 0)
		r = parse((char *)text.data + inline_text.len + 1, "htpasswd::file", items, &count,
		          error);
	if (r == 0 && !count)
		r = error_set(error, -EINVAL, "htpasswd names no user");
	if (r < 0) {
		secret_buffer_fini(&text);
		free(items);
		return r;
	}
	secret_buffer_fini(&u->text);
	free(u->items);
	u->text = text;
	u->items = items;
	u->count = count;
	memset(u->right, 0, sizeof u->right);
	memset(u->wrong, 0, sizeof u->wrong);
	return 0;
}

/* ---- who may come in */

/* The keyed digests tell nobody by the time where they differ: only a match is compared in constant time. */
static const struct basicauth_memory *recall(const struct basicauth_memory *memory,
                                             const uint8_t *digest)
{
	for (size_t i = 0; i < BASICAUTH_REMEMBERED && memory[i].used; i++)
		if (memcmp(memory[i].digest, digest, sizeof(uint64_t)) == 0 &&
		    secret_digest_equal(memory[i].digest, digest))
			return &memory[i];
	return NULL;
}

/* When all is full any one makes room: with a few more pairs than there is room for, most are still
 * known when they come again. */
static void remember(struct basicauth_memory *memory, const uint8_t *digest, size_t user)
{
	size_t i = 0;

	while (i < BASICAUTH_REMEMBERED && memory[i].used)
		i++;
	if (i == BASICAUTH_REMEMBERED)
		i = random_u64() % BASICAUTH_REMEMBERED;
	memory[i].used = true;
	memory[i].user = user;
	memcpy(memory[i].digest, digest, SECRET_DIGEST_SIZE);
}

static size_t find(const struct basicauth_users *u, const char *name)
{
	size_t i = 0;

	while (i < u->count && strcmp(u->items[i].name, name) != 0)
		i++;
	return i;
}

static int refuse(struct error *error)
{
	return error_set(error, -EACCES, "invalid credentials");
}

/* Computes the hash. Of somebody unknown the first user's is computed, for the time it takes. */
static int compute(struct basicauth_users *u, const char *name, const char *password,
                   const uint8_t *digest, size_t *ret_user, struct error *error)
{
	uint64_t begun = clock_monotonic_ns(), rest;
	size_t user = find(u, name);
	int r = basicauth_hash_matches(u->items[user < u->count ? user : 0].hash, password, error);

	if (r < 0)
		return r;
	if (r > 0 && user < u->count) {
		remember(u->right, digest, user);
		*ret_user = user;
		return 0;
	}
	rest = (clock_monotonic_ns() - begun) * REST_FACTOR;
	u->rest_until_ns = clock_monotonic_ns() + (rest < REST_MAX_NS ? rest : REST_MAX_NS);
	remember(u->wrong, digest, 0);
	return refuse(error);
}

int basicauth_users_check(struct basicauth_users *u, const char *name, const char *password,
                          const char **ret_name, struct error *error)
{
	const struct basicauth_memory *known;
	uint8_t digest[SECRET_DIGEST_SIZE];
	size_t user = 0;
	int r = 0;

	if (!u->count)
		return refuse(error);
	if (!secret_digest(u->key, slice_from_string(name), slice_from_string(password), digest))
		return error_no_memory(error);
	if ((known = recall(u->right, digest)))
		user = known->user;
	else if (recall(u->wrong, digest))
		r = refuse(error);
	else if (clock_monotonic_ns() < u->rest_until_ns)
		r = error_set_retryable(error, -EBUSY,
		                        "too many wrong passwords came just now; try again soon");
	else
		r = compute(u, name, password, digest, &user, error);
	if (r == 0)
		*ret_name = u->items[user].name;
	return r;
}
