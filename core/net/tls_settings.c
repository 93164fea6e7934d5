/* What can be said against settings before a file is read, and what their words are to OpenSSL. */
#include "core/net/tls_internal.h"

#include <errno.h>

bool tls_is_text(const char *text)
{
	return text && *text;
}

/* OpenSSL's number of a version; 0: there is no such one. */
static int version_of(const char *text, int otherwise)
{
	if (!tls_is_text(text))
		return otherwise;
	if (strcmp(text, "1.2") == 0)
		return TLS1_2_VERSION;
	return strcmp(text, "1.3") == 0 ? TLS1_3_VERSION : 0;
}

int tls_min_version(const struct tls_settings *s)
{
	return version_of(s->min_version, TLS1_2_VERSION);
}

int tls_max_version(const struct tls_settings *s)
{
	return version_of(s->max_version, TLS1_3_VERSION);
}

static int check_versions(const struct tls_settings *s, struct error *error)
{
	int min = tls_min_version(s), max = tls_max_version(s);

	if (!min || !max)
		return error_set(error, -EINVAL,
		                 "tls: %s: unsupported TLS version: \"%s\"; use 1.2 or 1.3",
		                 min ? "max_version" : "min_version",
		                 min ? s->max_version : s->min_version);
	if (min > max)
		return error_set(error, -EINVAL, "tls: min_version %s is above max_version %s",
		                 s->min_version, s->max_version);
	return 0;
}

const char *tls_suite(const char *name)
{
	const char *own = OPENSSL_cipher_name(name);

	return own && strcmp(own, "(NONE)") != 0 ? own : NULL;
}

const char *tls_curve(const char *name)
{
	static const char *const names[][2] = {{"X25519", "X25519"},
	                                       {"P256", "P-256"},
	                                       {"P384", "P-384"},
	                                       {"P521", "P-521"}};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i][0]) == 0)
			return names[i][1];
	return NULL;
}

static int check_names(const struct tls_settings *s, struct error *error)
{
	for (size_t i = 0; i < s->n_cipher_suites; i++)
		if (!tls_suite(s->cipher_suites[i]))
			return error_set(error, -EINVAL,
			                 "tls: cipher_suites: invalid TLS cipher suite: \"%s\"",
			                 s->cipher_suites[i]);
	for (size_t i = 0; i < s->n_curves; i++)
		if (!tls_curve(s->curves[i]))
			return error_set(
				error, -EINVAL,
				"tls: curve_preferences: unknown curve \"%s\"; use X25519, "
				"P256, P384 or P521",
				s->curves[i]);
	return 0;
}

static int check_once(const char *file, const char *pem, const char *what, const char *key,
                      struct error *error)
{
	if (tls_is_text(file) && tls_is_text(pem))
		return error_set(error, -EINVAL,
		                 "tls: provide either a %s file or the PEM-encoded string, but not "
		                 "both: %s_file, %s_pem",
		                 what, key, key);
	return 0;
}

static int check_pair(const struct tls_settings *s, bool required, struct error *error)
{
	bool cert = tls_is_text(s->cert_file) || tls_is_text(s->cert_pem);
	bool key = tls_is_text(s->key_file) || tls_is_text(s->key_pem);

	if (cert == key && (cert || !required))
		return 0;
	return error_set(error, -EINVAL,
	                 "tls: TLS configuration must include both certificate and key: %s%s%s "
	                 "missing",
	                 cert ? "" : "cert_file", cert || key ? "" : " and ",
	                 key ? "" : "key_file");
}

static int check(const struct tls_settings *s, bool server, struct error *error)
{
	int r;

	if ((r = check_once(s->ca_file, s->ca_pem, "CA", "ca", error)) < 0 ||
	    (r = check_once(s->cert_file, s->cert_pem, "certificate", "cert", error)) < 0 ||
	    (r = check_once(s->key_file, s->key_pem, "key", "key", error)) < 0 ||
	    (r = check_pair(s, server, error)) < 0 || (r = check_versions(s, error)) < 0)
		return r;
	return check_names(s, error);
}

int tls_settings_check(const struct tls_settings *settings, struct error *error)
{
	return check(settings, false, error);
}

int tls_server_settings_check(const struct tls_settings *settings, struct error *error)
{
	return check(settings, true, error);
}
