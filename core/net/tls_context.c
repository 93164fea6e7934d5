#include "core/net/tls_internal.h"

#include "core/base/buffer.h"
#include "core/base/clock.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <sys/stat.h>

/* One certificate or key as it was given: by file or by text. */
struct material {
	const char *file, *pem;
	const char *key; /* "ca" in tls::ca_file */
};

static int openssl_no_memory(struct error *error)
{
	ERR_clear_error();
	return error_no_memory(error);
}

static const char *first_reason(void)
{
	unsigned long code = ERR_peek_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	return reason ? reason : "not valid";
}

/* Fails with the name of the setting in front. */
static int material_error(const struct material *m, int code, const char *what, struct error *error)
{
	ERR_clear_error();
	if (m->file)
		return error_set(error, code, "tls::%s_file %s: %s", m->key, m->file, what);
	return error_set(error, code, "tls::%s_pem: %s", m->key, what);
}

static int material_open(const struct material *m, BIO **ret, struct error *error)
{
	BIO *bio;

	errno = 0;
	bio = m->file ? BIO_new_file(m->file, "r") : BIO_new_mem_buf(m->pem, -1);
	if (!bio && errno)
		return material_error(m, -errno, strerror(errno), error);
	if (!bio)
		return openssl_no_memory(error);
	*ret = bio;
	return 0;
}

static bool is_given(const struct material *m)
{
	return m->file || m->pem;
}

/* Calls use for every certificate of the material. Returns how many there were. */
static int each_certificate(const struct material *m,
                            bool (*use)(SSL_CTX *ctx, X509 *x, unsigned index), SSL_CTX *ctx,
                            struct error *error)
{
	unsigned n = 0;
	BIO *bio = NULL;
	X509 *x;
	int r = material_open(m, &bio, error);

	if (r < 0)
		return r;
	while (r == 0 && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		if (!use(ctx, x, n))
			r = material_error(m, -EINVAL, first_reason(), error);
		X509_free(x);
		n++;
	}
	BIO_free(bio);
	if (r == 0 && n == 0)
		r = material_error(m, -EINVAL, "holds no certificate in PEM form", error);
	if (r == 0 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		r = material_error(m, -EINVAL, "a certificate in it is damaged", error);
	ERR_clear_error();
	return r;
}

static bool trust(SSL_CTX *ctx, X509 *x, unsigned index)
{
	(void)index;
	return X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x) == 1;
}

static bool present(SSL_CTX *ctx, X509 *x, unsigned index)
{
	return (index == 0 ? SSL_CTX_use_certificate(ctx, x) : SSL_CTX_add1_chain_cert(ctx, x)) ==
	       1;
}

static int load_trust(SSL_CTX *ctx, const struct tls_settings *s, struct error *error)
{
	struct material ca = {s->ca_file, s->ca_pem, "ca"};

	/* Whatever the user lists is trusted, be it a root or the server's own certificate. */
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
	if (!is_given(&ca) || s->include_system_ca_certs_pool)
		SSL_CTX_set_default_verify_paths(ctx);
	ERR_clear_error();
	return is_given(&ca) ? each_certificate(&ca, trust, ctx, error) : 0;
}

static int no_password(char *to, int size, int writing, void *arg)
{
	(void)to, (void)size, (void)writing, (void)arg;
	return -1; /* without it OpenSSL asks on the terminal */
}

static int load_key(SSL_CTX *ctx, const struct material *m, struct error *error)
{
	EVP_PKEY *key;
	BIO *bio = NULL;
	int r = material_open(m, &bio, error);

	if (r < 0)
		return r;
	key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	BIO_free(bio);
	if (!key)
		return material_error(
			m, -EINVAL,
			"holds no private key in PEM form (one with a password cannot be used)",
			error);
	if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
		r = material_error(m, -EINVAL,
		                   "does not belong to the certificate in tls::cert_file", error);
	EVP_PKEY_free(key);
	return r;
}

bool tls_key_is_exposed(const struct tls_settings *s)
{
	struct stat file;

	return s->key_file && stat(s->key_file, &file) == 0 && (file.st_mode & S_IROTH);
}

static int load_identity(SSL_CTX *ctx, const struct tls_settings *s, struct error *error)
{
	struct material cert = {s->cert_file, s->cert_pem, "cert"};
	struct material key = {s->key_file, s->key_pem, "key"};
	int r;

	if (!is_given(&cert) && !is_given(&key))
		return 0;
	if (!is_given(&cert) || !is_given(&key))
		return error_set(error, -EINVAL,
		                 "tls: a certificate needs its key: set both cert_file "
		                 "and key_file");
	r = each_certificate(&cert, present, ctx, error);
	return r < 0 ? r : load_key(ctx, &key, error);
}

static int version_of(const char *text, const char *key, int otherwise, struct error *error)
{
	if (!text || !*text)
		return otherwise;
	if (strcmp(text, "1.2") == 0)
		return TLS1_2_VERSION;
	if (strcmp(text, "1.3") == 0)
		return TLS1_3_VERSION;
	return error_set(error, -EINVAL, "tls::%s \"%s\": use 1.2 or 1.3", key, text);
}

static int set_versions(SSL_CTX *ctx, const struct tls_settings *s, struct error *error)
{
	int min = version_of(s->min_version, "min_version", TLS1_2_VERSION, error);
	int max = version_of(s->max_version, "max_version", TLS1_3_VERSION, error);

	if (min < 0 || max < 0)
		return min < 0 ? min : max;
	if (min > max)
		return error_set(error, -EINVAL, "tls::min_version %s is above tls::max_version %s",
		                 s->min_version, s->max_version);
	SSL_CTX_set_min_proto_version(ctx, min);
	SSL_CTX_set_max_proto_version(ctx, max);
	return 0;
}

static void append_name(struct buffer *list, const char *name)
{
	if (list->len)
		buffer_append_byte(list, ':');
	buffer_append_string(list, name);
}

static int apply_list(SSL_CTX *ctx, struct buffer *list, int (*set)(SSL_CTX *ctx, const char *list),
                      const char *key, struct error *error)
{
	const char *text = buffer_string(list);
	int r = 0;

	if (!text)
		r = error_no_memory(error);
	else if (list->len && set(ctx, text) != 1)
		r = error_set(error, -EINVAL, "tls::%s: OpenSSL cannot use %s", key, text);
	ERR_clear_error();
	buffer_fini(list);
	return r;
}

/* Names are IANA's, as Go writes them. Those of TLS 1.3 (TLS_AES_..., TLS_CHACHA20_...) are a list
 * of their own in OpenSSL. */
static int set_cipher_suites(SSL_CTX *ctx, const struct tls_settings *s, struct error *error)
{
	struct buffer old = BUFFER_INIT, new = BUFFER_INIT;
	int r;

	for (size_t i = 0; i < s->n_cipher_suites; i++) {
		const char *name = s->cipher_suites[i], *own = OPENSSL_cipher_name(name);

		if (!own || strcmp(own, "(NONE)") == 0) {
			buffer_fini(&old);
			buffer_fini(&new);
			return error_set(error, -EINVAL, "tls::cipher_suites: unknown suite %s",
			                 name);
		}
		if (strstr(name, "_WITH_"))
			append_name(&old, own);
		else
			append_name(&new, own);
	}
	r = apply_list(ctx, &old, SSL_CTX_set_cipher_list, "cipher_suites", error);
	if (r < 0) {
		buffer_fini(&new);
		return r;
	}
	return apply_list(ctx, &new, SSL_CTX_set_ciphersuites, "cipher_suites", error);
}

static int set_groups(SSL_CTX *ctx, const char *list)
{
	return (int)SSL_CTX_set1_groups_list(ctx, (char *)list);
}

static int set_curves(SSL_CTX *ctx, const struct tls_settings *s, struct error *error)
{
	static const char *const names[][2] = {{"X25519", "X25519"},
	                                       {"P256", "P-256"},
	                                       {"P384", "P-384"},
	                                       {"P521", "P-521"}};
	struct buffer list = BUFFER_INIT;

	for (size_t i = 0; i < s->n_curves; i++) {
		const char *own = NULL;

		for (size_t j = 0; j < sizeof names / sizeof *names; j++)
			if (strcmp(s->curves[i], names[j][0]) == 0)
				own = names[j][1];
		if (!own) {
			buffer_fini(&list);
			return error_set(
				error, -EINVAL,
				"tls::curve_preferences: unknown curve %s, use X25519, P256, "
				"P384 or P521",
				s->curves[i]);
		}
		append_name(&list, own);
	}
	return apply_list(ctx, &list, set_groups, "curve_preferences", error);
}

static int context_load(const struct tls_settings *s, SSL_CTX **ret, struct error *error)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int r;

	if (!ctx)
		return openssl_no_memory(error);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(ctx, s->insecure_skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	if ((r = set_versions(ctx, s, error)) < 0 || (r = set_cipher_suites(ctx, s, error)) < 0 ||
	    (r = set_curves(ctx, s, error)) < 0 || (r = load_trust(ctx, s, error)) < 0 ||
	    (r = load_identity(ctx, s, error)) < 0) {
		SSL_CTX_free(ctx);
		return r;
	}
	*ret = ctx;
	return 0;
}

int tls_context_new(const struct tls_settings *settings, struct tls_context **ret,
                    struct error *error)
{
	struct tls_context *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return error_no_memory(error);
	c->settings = settings;
	c->loaded_ns = clock_monotonic_ns();
	r = context_load(settings, &c->ssl, error);
	if (r < 0) {
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

int tls_context_refresh(struct tls_context *c, struct error *error)
{
	uint64_t interval = c->settings->reload_interval, now = clock_monotonic_ns();
	SSL_CTX *fresh;
	int r;

	if (interval == 0 || now - c->loaded_ns < interval)
		return 0;
	c->loaded_ns = now;
	r = context_load(c->settings, &fresh, error);
	if (r < 0)
		return r;
	SSL_CTX_free(c->ssl); /* sessions hold their own reference */
	c->ssl = fresh;
	return 0;
}

void tls_context_free(struct tls_context *c)
{
	if (!c)
		return;
	SSL_CTX_free(c->ssl);
	free(c);
}
