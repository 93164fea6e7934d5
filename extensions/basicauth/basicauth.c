/* basicauth: for servers, names and passwords of an htpasswd file decide who may come in; or, for
 * clients, one name and password is shown to a backend. An instance does one of both.
 *
 * Passwords are compared by their hashes, which are slow on purpose; the loop waits for them. Right
 * and wrong pairs are remembered (by a keyed digest), so a client costs one hash and not one for
 * each request, and guessing is slowed down (basicauth_users.c).
 * Fails: a file that cannot be read or is open to everybody, a hash of an unknown kind (start). A
 * file that becomes bad later leaves everything as it was. */
#include "extensions/basicauth/basicauth.h"

#include "core/base/base64.h"
#include "core/component.h"
#include "extensions/basicauth/basicauth_hash.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum { CREDENTIALS_MAX = 2 * (PASSWORD_MAX + 1) }; /* name, colon, password */

struct basicauth_config {
	struct {
		bool enabled;
		const char *file;
		const char *text;
	} htpasswd;
	struct {
		bool enabled;
		const char *username, *password, *username_file, *password_file;
	} client_auth;
};

#define HTPASSWD __typeof__(((struct basicauth_config *)0)->htpasswd)
#define CLIENT_AUTH __typeof__(((struct basicauth_config *)0)->client_auth)

static const struct option htpasswd_options[] = {
	OPTION_STRING(HTPASSWD, file,
                      .doc = "An htpasswd file; read again when it changes. Its hashes may be "
                             "bcrypt, SHA-512, SHA-256, yescrypt, apr1 or SHA."),
	OPTION_STRING(HTPASSWD, text, .name = "inline", .flags = OPTION_SECRET,
                      .doc = "Lines of an htpasswd file, written here; they come before the "
                             "file's."),
	OPTION_END,
};

static const struct option client_auth_options[] = {
	OPTION_STRING(CLIENT_AUTH, username, .doc = "The name to show."),
	OPTION_STRING(CLIENT_AUTH, password, .flags = OPTION_SECRET,
                      .doc = "The password to show."),
	OPTION_STRING(CLIENT_AUTH, username_file,
                      .doc = "A file with the name, instead of username; read again when it "
                             "changes."),
	OPTION_STRING(CLIENT_AUTH, password_file,
                      .doc = "A file with the password, instead of password; read again when it "
                             "changes."),
	OPTION_END,
};

static const struct option basicauth_options[] = {
	OPTION_OPTIONAL(struct basicauth_config, htpasswd, htpasswd_options,
                        .doc = "For servers: who may come in."),
	OPTION_OPTIONAL(struct basicauth_config, client_auth, client_auth_options,
                        .doc = "For clients: who weir is."),
	OPTION_END,
};

struct basicauth {
	struct component component;
	const struct basicauth_config *config;
	struct secret_file htpasswd, username, password; /* path NULL: not in use */
	struct basicauth_users users;
	struct buffer value; /* of the header for clients */
};

static bool is_text(const char *text)
{
	return text && *text;
}

static int basicauth_check(const void *config, struct error *error)
{
	const struct basicauth_config *c = config;

	if (c->htpasswd.enabled && c->client_auth.enabled)
		return error_set(
			error, -EINVAL,
			"only one of `htpasswd` or `client_auth` can be specified; use two "
			"instances, basicauth/server and basicauth/client");
	if (c->htpasswd.enabled && !is_text(c->htpasswd.file) && !is_text(c->htpasswd.text))
		return error_set(error, -EINVAL,
		                 "no credential source provided: set htpasswd::file or "
		                 "htpasswd::inline");
	if (!c->htpasswd.enabled && !c->client_auth.enabled)
		return error_set(error, -EINVAL,
		                 "no credential source provided: set htpasswd for servers or "
		                 "client_auth for clients");
	if (c->client_auth.enabled &&
	    ((!is_text(c->client_auth.username) && !is_text(c->client_auth.username_file)) ||
	     (!is_text(c->client_auth.password) && !is_text(c->client_auth.password_file))))
		return error_set(error, -EINVAL,
		                 "client_auth: a username and a password are needed, or files with "
		                 "them");
	if (is_text(c->client_auth.username) && strchr(c->client_auth.username, ':'))
		return error_set(error, -EINVAL, "client_auth: a username has no colon");
	return 0;
}

/* ---- servers */

/* "name:password", ended by a NUL. */
static int read_credentials(struct slice value, char ret[CREDENTIALS_MAX + 1], struct error *error)
{
	static const char scheme[] = "Basic ";
	size_t len = 0, n = sizeof scheme - 1;

	if (value.len < n || strncasecmp((const char *)value.data, scheme, n) != 0)
		return error_set(error, -EACCES,
		                 "invalid authorization scheme prefix: Basic is "
		                 "needed");
	while (n < value.len && value.data[n] == ' ')
		n++;
	if (!base64_decode(slice_of(value.data + n, value.len - n), (uint8_t *)ret, CREDENTIALS_MAX,
	                   &len) ||
	    memchr(ret, '\0', len) || !memchr(ret, ':', len))
		return error_set(error, -EACCES, "invalid authorization format");
	ret[len] = '\0';
	return 0;
}

static void refresh_users(struct basicauth *b)
{
	struct error error = ERROR_INIT;

	if (b->htpasswd.path && secret_file_refresh(&b->htpasswd, &b->component.log) &&
	    basicauth_users_set(&b->users, slice_from_string(b->config->htpasswd.text),
	                        buffer_slice(&b->htpasswd.text), &error) < 0)
		log_warn(&b->component.log, "%s: %s; the users stay as they were", b->htpasswd.path,
		         error.message);
}

static int basicauth_authenticate(struct component *component, const struct request_metadata *m,
                                  const char **ret_identity, struct error *error)
{
	struct basicauth *b = (struct basicauth *)component;
	char credentials[CREDENTIALS_MAX + 1], *password;
	struct slice value;
	int r;

	if (!m->get(m, "authorization", &value) || !value.len)
		return error_set(error, -EACCES, "no basic auth provided");
	refresh_users(b);
	r = read_credentials(value, credentials, error);
	if (r == 0) {
		password = strchr(credentials, ':');
		*password++ = '\0';
		if (strlen(password) > PASSWORD_MAX)
			r = error_set(error, -EACCES, "invalid credentials");
		else
			r = basicauth_users_check(&b->users, credentials, password, ret_identity,
			                          error);
	}
	OPENSSL_cleanse(credentials, sizeof credentials);
	return r;
}

static const char *basicauth_challenge(const struct component *component)
{
	return "Basic realm=\"weir\", charset=\"UTF-8\"";
}

/* ---- clients */

static struct slice text_of(const struct secret_file *file, const char *text)
{
	return file->path ? buffer_slice(&file->text) : slice_from_string(text);
}

/* On failure the header is as it was. */
static int make_value(struct basicauth *b, struct error *error)
{
	struct slice name = text_of(&b->username, b->config->client_auth.username);
	struct slice password = text_of(&b->password, b->config->client_auth.password);
	size_t len = name.len + 1 + password.len;
	struct buffer plain = BUFFER_INIT, value = BUFFER_INIT;
	uint8_t *at;

	if (len > CREDENTIALS_MAX)
		return error_set(error, -E2BIG,
		                 "client_auth: name and password are longer than %d bytes",
		                 CREDENTIALS_MAX);
	buffer_append_slice(&plain, name);
	buffer_append_byte(&plain, ':');
	buffer_reserve(&plain, password.len + 1);
	buffer_append_slice(&plain, password);
	buffer_reserve(&value, BASE64_TEXT(CREDENTIALS_MAX) + 8);
	buffer_append_string(&value, "Basic ");
	at = buffer_reserve(&value, BASE64_TEXT(len) + 1);
	if (plain.failed || !at) {
		secret_buffer_fini(&plain);
		secret_buffer_fini(&value);
		return error_no_memory(error);
	}
	value.len += base64_encode(buffer_slice(&plain), true, (char *)at);
	secret_buffer_fini(&plain);
	secret_buffer_fini(&b->value);
	b->value = value;
	return 0;
}

static int basicauth_client_headers(struct component *component, struct auth_headers *ret,
                                    struct error *error)
{
	struct basicauth *b = (struct basicauth *)component;
	struct error bad = ERROR_INIT;
	bool changed = false;

	if (b->username.path)
		changed = secret_file_refresh(&b->username, &component->log);
	if (b->password.path && secret_file_refresh(&b->password, &component->log))
		changed = true;
	if (changed && make_value(b, &bad) < 0)
		log_warn(&component->log, "%s; what was shown before is shown on", bad.message);
	if (!b->value.len)
		return error_set_retryable(error, -EACCES,
		                           "there is no name and password to show yet");
	ret->items[0].name = "authorization";
	ret->items[0].value = buffer_string(&b->value);
	ret->count = 1;
	return 0;
}

static bool basicauth_serves(const struct component *component, bool as_server)
{
	const struct basicauth *b = (const struct basicauth *)component;

	return as_server ? b->config->htpasswd.enabled : b->config->client_auth.enabled;
}

static const struct authenticator basicauth_authenticator = {
	.authenticate = basicauth_authenticate,
	.client_headers = basicauth_client_headers,
	.serves = basicauth_serves,
	.challenge = basicauth_challenge,
};

/* ---- life */

static int open_file(struct secret_file *f, const char *path, struct error *error)
{
	return is_text(path) ? secret_file_open(f, path, error) : 0;
}

static int start_server(struct basicauth *b, struct error *error)
{
	int r = open_file(&b->htpasswd, b->config->htpasswd.file, error);

	if (r < 0)
		return r;
	return basicauth_users_set(&b->users, slice_from_string(b->config->htpasswd.text),
	                           buffer_slice(&b->htpasswd.text), error);
}

static int start_client(struct basicauth *b, struct error *error)
{
	int r = open_file(&b->username, b->config->client_auth.username_file, error);

	if (r == 0)
		r = open_file(&b->password, b->config->client_auth.password_file, error);
	return r < 0 ? r : make_value(b, error);
}

static int basicauth_start(struct component *component, struct error *error)
{
	struct basicauth *b = (struct basicauth *)component;

	if (!basicauth_users_init(&b->users))
		return error_set(error, -EIO, "the system has no random numbers");
	return b->config->htpasswd.enabled ? start_server(b, error) : start_client(b, error);
}

static void basicauth_shutdown(struct component *component, uint64_t deadline_ns,
                               void (*closed)(void *arg), void *arg)
{
	closed(arg); /* who asks until the end gets an answer */
}

static void basicauth_destroy(struct component *component)
{
	struct basicauth *b = (struct basicauth *)component;

	if (!b)
		return;
	secret_file_fini(&b->htpasswd);
	secret_file_fini(&b->username);
	secret_file_fini(&b->password);
	secret_buffer_fini(&b->value);
	basicauth_users_fini(&b->users);
	free(b);
}

extern const struct component_type extension_basicauth_type;

static int basicauth_create(const struct create_args *args, struct component **ret,
                            struct error *error)
{
	struct basicauth *b = calloc(1, sizeof *b);

	if (!b)
		return error_no_memory(error);
	component_init(&b->component, &extension_basicauth_type, args);
	b->config = args->config;
	*ret = &b->component;
	return 0;
}

const struct component_type extension_basicauth_type = {
	.name = "basicauth",
	.kind = EXTENSION,
	.summary = "Lets in who knows a password, or shows one to backends.",
	.stability = "alpha",
	.config_size = sizeof(struct basicauth_config),
	.options = basicauth_options,
	.check = basicauth_check,
	.create = basicauth_create,
	.examine = basicauth_start, /* which does no more than that */
	.start = basicauth_start,
	.shutdown = basicauth_shutdown,
	.destroy = basicauth_destroy,
	.authenticator = &basicauth_authenticator,
};
