/* bearertokenauth: whoever shows one of the tokens may come in; or the first token is shown to a
 * backend. Both sides serve at once.
 *
 * A token that comes is compared with every token that is known, by keyed digests, so that the time
 * an answer takes tells neither how far it agrees nor with which.
 * Fails: the file cannot be read or is open to everybody (start). A file that becomes unreadable
 * later leaves the tokens as they were. */
#include "core/component.h"
#include "core/net/secret.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TOKENS_MAX = 10000, /* each request is compared with all of them */
	HEADER_NAME_MAX = 128,
};

struct bearertokenauth_config {
	const char *scheme, *header, *token, *filename;
	struct string_list tokens;
};

static const char retry_doc[] = "The file is looked at when a token is needed, at most once a "
				"second; what it held stays in force when it cannot be read.";
static const struct option bearertokenauth_options[] = {
	OPTION_STRING(struct bearertokenauth_config, scheme, .text = "Bearer",
                      .doc = "The word before the token; empty: the token stands alone."),
	OPTION_STRING(struct bearertokenauth_config, header, .text = "Authorization",
                      .doc = "The header or metadata key that carries it."),
	OPTION_STRING(struct bearertokenauth_config, token, .flags = OPTION_SECRET,
                      .doc = "The token."),
	OPTION_STRING_LIST(struct bearertokenauth_config, tokens, .flags = OPTION_SECRET,
                           .doc = "Tokens of which a client may show any; the first is shown to "
                                  "backends."),
	OPTION_STRING(
		struct bearertokenauth_config, filename,
		.doc = "A file with one token in each line; read again when it changes. With it "
		       "token and tokens are not used."),
	{.name = "file_retry", .flags = OPTION_IGNORED, .doc = retry_doc},
	OPTION_END,
};

struct bearertokenauth {
	struct component component;
	const struct bearertokenauth_config *config;
	char header[HEADER_NAME_MAX]; /* in lower case */
	struct secret_file file;
	uint8_t key[SECRET_KEY_SIZE];
	uint8_t (*digests)[SECRET_DIGEST_SIZE]; /* of the tokens */
	size_t n_tokens;
	struct buffer value; /* of the header for clients */
};

static bool is_printable(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < 0x20 || text.data[i] > 0x7e)
			return false;
	return true;
}

static bool is_header_name(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i]))
			return false;
	return len > 0 && len < HEADER_NAME_MAX;
}

static int refuse_bytes(struct error *error, const char *where)
{
	return error_set(error, -EINVAL,
	                 "%s has a character that no header can carry: only printable ASCII may "
	                 "stand there",
	                 where);
}

static int bearertokenauth_check(const void *config, struct error *error)
{
	const struct bearertokenauth_config *c = config;
	bool token = c->token && *c->token, filename = c->filename && *c->filename;

	if (token + filename + (c->tokens.count > 0) == 0)
		return error_set(error, -EINVAL,
		                 "no bearer token provided: set token, tokens or filename");
	if (token && c->tokens.count)
		return error_set(error, -EINVAL,
		                 "either tokens or token should be provided, not both");
	for (size_t i = 0; i < c->tokens.count; i++)
		if (!*c->tokens.items[i])
			return error_set(error, -EINVAL, "'tokens' has an empty token");
		else if (!is_printable(slice_from_string(c->tokens.items[i])))
			return refuse_bytes(error, "'tokens'");
	if (!is_header_name(c->header))
		return error_set(
			error, -EINVAL,
			"'header' must be the name of a header: letters, digits and - _ .");
	if (c->scheme && !is_printable(slice_from_string(c->scheme)))
		return refuse_bytes(error, "'scheme'");
	if (token && !is_printable(slice_from_string(c->token)))
		return refuse_bytes(error, "'token'");
	return 0;
}

/* ---- the tokens */

/* Lines of a text, without white space around them; empty ones are left out. */
static bool next_line(struct slice *rest, struct slice *ret)
{
	while (rest->len) {
		const uint8_t *end = memchr(rest->data, '\n', rest->len);
		size_t len = end ? (size_t)(end - rest->data) : rest->len;
		struct slice line = slice_of(rest->data, len);

		*rest = slice_of(rest->data + len + (end != NULL), rest->len - len - (end != NULL));
		while (line.len && strchr(" \t\r", line.data[line.len - 1]))
			line.len--;
		while (line.len && strchr(" \t", *line.data))
			line = slice_of(line.data + 1, line.len - 1);
		*ret = line;
		if (line.len)
			return true;
	}
	return false;
}

/* Token number i of the configuration or the file, in order; *rest is the file's text at first. */
static bool next_token(const struct bearertokenauth *b, size_t i, struct slice *rest,
                       struct slice *ret)
{
	const struct bearertokenauth_config *c = b->config;

	if (b->file.path)
		return next_line(rest, ret);
	if (c->tokens.count ? i >= c->tokens.count : i > 0)
		return false;
	*ret = slice_from_string(c->tokens.count ? c->tokens.items[i] : c->token);
	return true;
}

/* On failure the tokens are as they were. */
static int take_tokens(struct bearertokenauth *b, struct error *error)
{
	struct slice text = buffer_slice(&b->file.text), rest = text, token;
	uint8_t(*digests)[SECRET_DIGEST_SIZE];
	struct buffer value = BUFFER_INIT;
	const char *scheme = b->config->scheme;
	size_t n = 0;

	while (next_token(b, n, &rest, &token))
		if (!is_printable(token))
			return refuse_bytes(error, b->config->filename);
		else
			n++;
	if (n > TOKENS_MAX)
		return error_set(error, -E2BIG, "there are more than %d tokens", TOKENS_MAX);
	digests = malloc(n * sizeof *digests + 1);
	buffer_reserve(&value, SECRET_FILE_MAX / 64); /* a buffer that grows leaves copies behind */
	rest = text;
	for (size_t i = 0; i < n && digests && next_token(b, i, &rest, &token); i++) {
		if (i == 0) {
			buffer_append_string(&value, scheme ? scheme : "");
			buffer_append_string(&value, scheme && *scheme ? " " : "");
			buffer_append_slice(&value, token);
		}
		if (!secret_digest(b->key, token, slice_of("", 0), digests[i]))
			value.failed = true;
	}
	if (!digests || !buffer_string(&value)) {
		free(digests);
		secret_buffer_fini(&value);
		return error_no_memory(error);
	}
	free(b->digests);
	secret_buffer_fini(&b->value);
	b->digests = digests;
	b->n_tokens = n;
	b->value = value;
	return 0;
}

static void refresh(struct bearertokenauth *b)
{
	struct error error = ERROR_INIT;

	if (b->file.path && secret_file_refresh(&b->file, &b->component.log) &&
	    take_tokens(b, &error) < 0)
		log_warn(&b->component.log, "%s: %s; the tokens stay as they were", b->file.path,
		         error.message);
}

/* ---- servers */

/* What stands behind the scheme, which is compared as HTTP compares it; empty: another scheme. */
static struct slice strip_scheme(struct slice value, const char *scheme)
{
	size_t len = scheme ? strlen(scheme) : 0, n = len;

	if (!len)
		return value;
	if (value.len <= len || strncasecmp((const char *)value.data, scheme, len) != 0)
		return slice_of("", 0);
	while (n < value.len && value.data[n] == ' ')
		n++;
	return n == len ? slice_of("", 0) : slice_of(value.data + n, value.len - n);
}

static int bearertokenauth_authenticate(struct component *component,
                                        const struct request_metadata *m, const char **ret_identity,
                                        struct error *error)
{
	struct bearertokenauth *b = (struct bearertokenauth *)component;
	uint8_t digest[SECRET_DIGEST_SIZE];
	struct slice value, token;
	unsigned found = 0;

	refresh(b);
	if (!m->get(m, b->header, &value) || !value.len)
		return error_set(error, -EACCES,
		                 "missing or empty authorization header: \"%s\" is needed",
		                 b->config->header);
	token = strip_scheme(value, b->config->scheme);
	if (!secret_digest(b->key, token, slice_of("", 0), digest))
		return error_no_memory(error);
	for (size_t i = 0; i < b->n_tokens; i++)
		found |= secret_digest_equal(digest, b->digests[i]);
	if (!found || !token.len)
		return error_set(error, -EACCES,
		                 "provided authorization does not match expected scheme or token");
	*ret_identity = NULL;
	return 0;
}

static const char *bearertokenauth_challenge(const struct component *component)
{
	const struct bearertokenauth *b = (const struct bearertokenauth *)component;
	const char *scheme = b->config->scheme;

	return scheme && *scheme ? scheme : NULL;
}

/* ---- clients */

static int bearertokenauth_client_headers(struct component *component, struct auth_headers *ret,
                                          struct error *error)
{
	struct bearertokenauth *b = (struct bearertokenauth *)component;

	refresh(b);
	if (!b->n_tokens)
		return error_set_retryable(error, -EACCES, "there is no token to show yet");
	ret->items[0].name = b->header;
	ret->items[0].value = buffer_string(&b->value);
	ret->count = 1;
	return 0;
}

static bool bearertokenauth_serves(const struct component *component, bool as_server)
{
	return true;
}

static const struct authenticator bearertokenauth_authenticator = {
	.authenticate = bearertokenauth_authenticate,
	.client_headers = bearertokenauth_client_headers,
	.serves = bearertokenauth_serves,
	.challenge = bearertokenauth_challenge,
};

/* ---- life */

static int bearertokenauth_start(struct component *component, struct error *error)
{
	struct bearertokenauth *b = (struct bearertokenauth *)component;
	const char *filename = b->config->filename;
	int r = 0;

	if (!secret_key_make(b->key))
		return error_set(error, -EIO, "the system has no random numbers");
	if (filename && *filename) {
		if ((b->config->token && *b->config->token) || b->config->tokens.count)
			log_warn(&b->component.log,
			         "a filename is specified. Configured token(s) is "
			         "ignored!");
		r = secret_file_open(&b->file, filename, error);
	}
	return r < 0 ? r : take_tokens(b, error);
}

static void bearertokenauth_shutdown(struct component *component, uint64_t deadline_ns,
                                     void (*closed)(void *arg), void *arg)
{
	closed(arg); /* who asks until the end gets an answer */
}

static void bearertokenauth_destroy(struct component *component)
{
	struct bearertokenauth *b = (struct bearertokenauth *)component;

	if (!b)
		return;
	secret_file_fini(&b->file);
	secret_buffer_fini(&b->value);
	free(b->digests);
	free(b);
}

extern const struct component_type extension_bearertokenauth_type;

static int bearertokenauth_create(const struct create_args *args, struct component **ret,
                                  struct error *error)
{
	const struct bearertokenauth_config *c = args->config;
	struct bearertokenauth *b = calloc(1, sizeof *b);

	if (!b)
		return error_no_memory(error);
	component_init(&b->component, &extension_bearertokenauth_type, args);
	b->config = c;
	for (size_t i = 0; c->header[i] && i < sizeof b->header - 1; i++)
		b->header[i] = (char)tolower((unsigned char)c->header[i]);
	*ret = &b->component;
	return 0;
}

const struct component_type extension_bearertokenauth_type = {
	.name = "bearertokenauth",
	.kind = EXTENSION,
	.summary = "Lets in who shows a token, and shows one to backends.",
	.stability = "alpha",
	.config_size = sizeof(struct bearertokenauth_config),
	.options = bearertokenauth_options,
	.check = bearertokenauth_check,
	.create = bearertokenauth_create,
	.examine = bearertokenauth_start, /* which does no more than that */
	.start = bearertokenauth_start,
	.shutdown = bearertokenauth_shutdown,
	.destroy = bearertokenauth_destroy,
	.authenticator = &bearertokenauth_authenticator,
};
