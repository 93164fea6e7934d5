#include "core/net/tls_internal.h"

#include "core/base/buffer.h"
#include "core/base/clock.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <time.h>

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
	return tls_is_text(m->file) || tls_is_text(m->pem);
}

static struct material material_of(const char *key, const char *file, const char *pem)
{
	return (struct material){tls_is_text(file) ? file : NULL, tls_is_text(pem) ? pem : NULL,
	                         key};
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

/* Whatever the user lists is trusted, be it a root or the peer's own certificate. */
static void trust_any_listed(SSL_CTX *ctx)
{
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
}

static int load_trust(SSL_CTX *ctx, const struct tls_settings *s, struct error *error)
{
	struct material ca = material_of("ca", s->ca_file, s->ca_pem);

	trust_any_listed(ctx);
	if (!is_given(&ca) || s->include_system_ca_certs_pool)
		SSL_CTX_set_default_verify_paths(ctx);
	ERR_clear_error();
	return is_given(&ca) ? each_certificate(&ca, trust, ctx, error) : 0;
}

/* Clients are told whom we trust, so that one with several certificates shows the right one. */
static bool trust_and_tell(SSL_CTX *ctx, X509 *x, unsigned index)
{
	return trust(ctx, x, index) && SSL_CTX_add_client_CA(ctx, x) == 1;
}

static int load_client_trust(SSL_CTX *ctx, const struct tls_settings *s, struct error *error)
{
	struct material ca = material_of("client_ca", s->client_ca_file, NULL);

	if (!is_given(&ca))
		return 0;
	trust_any_listed(ctx);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	/* A session that is resumed would not be verified again. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(ctx, 0);
	return each_certificate(&ca, trust_and_tell, ctx, error);
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
	/* A key of another kind than the certificate's is taken, beside it, and found by the check. */
	if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		r = material_error(m, -EINVAL,
		                   "does not belong to the certificate in tls::cert_file", error);
	EVP_PKEY_free(key);
	return r;
}

bool tls_key_is_exposed(const struct tls_settings *s)
{
	struct stat file;

	return tls_is_text(s->key_file) && stat(s->key_file, &file) == 0 &&
	       (file.st_mode & S_IROTH);
}

static int load_identity(SSL_CTX *ctx, const struct tls_settings *s, struct error *error)
{
	struct material cert = material_of("cert", s->cert_file, s->cert_pem);
	struct material key = material_of("key", s->key_file, s->key_pem);
	int r;

	if (!is_given(&cert))
		return 0;
	r = each_certificate(&cert, present, ctx, error);
	return r < 0 ? r : load_key(ctx, &key, error);
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

/* Those of TLS 1.3 (TLS_AES_..., TLS_CHACHA20_...) are a list of their own in OpenSSL. */
static int set_cipher_suites(SSL_CTX *ctx, const struct tls_settings *s, struct error *error)
{
	struct buffer old = BUFFER_INIT, new = BUFFER_INIT;
	int r;

	for (size_t i = 0; i < s->n_cipher_suites; i++)
		append_name(strstr(s->cipher_suites[i], "_WITH_") ? &old : &new,
		            tls_suite(s->cipher_suites[i]));
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
	struct buffer list = BUFFER_INIT;

	for (size_t i = 0; i < s->n_curves; i++)
		append_name(&list, tls_curve(s->curves[i]));
	return apply_list(ctx, &list, set_groups, "curve_preferences", error);
}

/* The first protocol of ours that the client can speak as well. */
static int on_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_len,
                   const unsigned char *theirs, unsigned len, void *arg)
{
	struct tls_session *s = SSL_get_app_data(ssl);

	(void)arg;
	for (size_t i = 0; s->offers[i]; i++)
		for (unsigned at = 0; at < len; at += 1u + theirs[at])
			if (theirs[at] == strlen(s->offers[i]) &&
			    memcmp(theirs + at + 1, s->offers[i], theirs[at]) == 0) {
				*chosen = theirs + at + 1;
				*chosen_len = theirs[at];
				s->alpn = s->offers[i];
				return SSL_TLSEXT_ERR_OK;
			}
	s->names[0] = '\0';
	for (unsigned at = 0; at < len; at += 1u + theirs[at])
		tls_note_name(s, (const char *)theirs + at + 1, theirs[at]);
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Tickets are enough to resume by, and cost no memory. Their keys are the context's own: they end with
 * it when the files have changed. */
static int prepare_server(SSL_CTX *ctx)
{
	static const unsigned char id[] = "weir";

	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	return SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1) == 1 &&
	                       SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1
	               ? 0
	               : -ENOMEM;
}

static int context_load(const struct tls_settings *s, bool server, SSL_CTX **ret,
                        struct error *error)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	int r = 0;

	if (!ctx || (server && prepare_server(ctx) < 0)) {
		SSL_CTX_free(ctx);
		return openssl_no_memory(error);
	}
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_min_proto_version(ctx, tls_min_version(s));
	SSL_CTX_set_max_proto_version(ctx, tls_max_version(s));
	if (!server)
		SSL_CTX_set_verify(ctx, s->insecure_skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
		                   NULL);
	if ((r = set_cipher_suites(ctx, s, error)) < 0 || (r = set_curves(ctx, s, error)) < 0 ||
	    (r = server ? load_client_trust(ctx, s, error) : load_trust(ctx, s, error)) < 0 ||
	    (r = load_identity(ctx, s, error)) < 0) {
		SSL_CTX_free(ctx);
		return r;
	}
	*ret = ctx;
	return 0;
}

/* OpenSSL reads where the caller's bytes lie, and writes into the session's buffer. */

static int on_bio_read(BIO *bio, char *to, int size)
{
	struct tls_session *s = BIO_get_data(bio);
	size_t n = s->in.len < (size_t)size ? s->in.len : (size_t)size;

	BIO_clear_retry_flags(bio);
	if (n == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(to, s->in.data, n);
	s->in.data += n;
	s->in.len -= n;
	return (int)n;
}

static int on_bio_write(BIO *bio, const char *data, int len)
{
	struct tls_session *s = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	buffer_append(&s->out, data, (size_t)len);
	return s->out.failed ? -1 : len;
}

static long on_bio_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *io_new(void)
{
	BIO_METHOD *io = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "weir");

	if (!io)
		return NULL;
	BIO_meth_set_read(io, on_bio_read);
	BIO_meth_set_write(io, on_bio_write);
	BIO_meth_set_ctrl(io, on_bio_control);
	return io;
}

static void look_at(const char *path, struct tls_file_state *ret)
{
	struct stat file;

	memset(ret, 0, sizeof *ret);
	if (!tls_is_text(path) ||
	    stat(path, &file) < 0) /* through symlinks: they are how files change */
		return;
	ret->device = file.st_dev;
	ret->inode = file.st_ino;
	ret->size = file.st_size;
	ret->modified = file.st_mtim;
	ret->changed = file.st_ctim;
}

/* True when one of the files is not as it was seen last. */
static bool look_at_files(struct tls_context *c)
{
	const char *paths[TLS_SERVER_FILES] = {c->settings->cert_file, c->settings->key_file,
	                                       c->settings->client_ca_file};
	struct tls_file_state seen[TLS_SERVER_FILES];
	bool changed;

	for (size_t i = 0; i < TLS_SERVER_FILES; i++)
		look_at(paths[i], &seen[i]);
	changed = memcmp(seen, c->files, sizeof seen) != 0;
	memcpy(c->files, seen, sizeof seen);
	return changed;
}

static int context_new(const struct tls_settings *settings, bool server, struct tls_context **ret,
                       struct error *error)
{
	struct tls_context *c;
	int r = server ? tls_server_settings_check(settings, error)
	               : tls_settings_check(settings, error);

	if (r < 0)
		return r;
	c = calloc(1, sizeof *c);
	if (!c)
		return error_no_memory(error);
	c->refs = 1;
	c->settings = settings;
	c->server = server;
	c->looked_ns = clock_monotonic_ns();
	look_at_files(c);
	c->io = io_new();
	r = c->io ? context_load(settings, server, &c->ssl, error) : openssl_no_memory(error);
	if (r < 0) {
		tls_context_unref(c);
		return r;
	}
	*ret = c;
	return 0;
}

int tls_context_new(const struct tls_settings *settings, struct tls_context **ret,
                    struct error *error)
{
	return context_new(settings, false, ret, error);
}

int tls_server_context_new(const struct tls_settings *settings, struct tls_context **ret,
                           struct error *error)
{
	return context_new(settings, true, ret, error);
}

int tls_context_try(const struct tls_settings *settings, bool server, struct error *error)
{
	struct tls_context *c = NULL;
	int r = server ? tls_server_context_new(settings, &c, error)
	               : tls_context_new(settings, &c, error);

	tls_context_free(c);
	return r;
}

static bool is_current(const X509 *x)
{
	return X509_cmp_current_time(X509_get0_notBefore(x)) < 0 &&
	       X509_cmp_current_time(X509_get0_notAfter(x)) > 0;
}

/* A certificate that no client would take is no better than the one there is. */
static int check_renewed(SSL_CTX *old, SSL_CTX *fresh, struct error *error)
{
	if (!is_current(SSL_CTX_get0_certificate(fresh)) &&
	    is_current(SSL_CTX_get0_certificate(old)))
		return error_set(error, -EINVAL,
		                 "the new certificate is not valid now; renew it or check this "
		                 "machine's clock");
	return 0;
}

static int load_again(struct tls_context *c, struct error *error)
{
	SSL_CTX *fresh = NULL;
	int r = context_load(c->settings, c->server, &fresh, error);

	if (r == 0 && c->server)
		r = check_renewed(c->ssl, fresh, error);
	if (r < 0) {
		SSL_CTX_free(fresh);
		return r;
	}
	SSL_CTX_free(c->ssl); /* sessions hold their own reference */
	c->ssl = fresh;
	return 1;
}

int tls_context_refresh(struct tls_context *c, struct error *error)
{
	uint64_t interval = c->settings->reload_interval, now = clock_monotonic_ns();
	struct error why = ERROR_INIT;
	bool changed, was_stale = c->stale;
	int r;

	if (interval == 0 || now - c->looked_ns < interval)
		return 0;
	c->looked_ns = now;
	if (!c->server)
		return load_again(c, error);
	changed = look_at_files(c);
	if (!changed && !was_stale)
		return 0;
	r = load_again(c, &why);
	c->stale = r < 0;
	if (r < 0 && (changed || !was_stale)) {
		if (error)
			*error = why;
		return r;
	}
	return r < 0 ? 0 : r;
}

int64_t tls_context_expires(const struct tls_context *c)
{
	const X509 *x = SSL_CTX_get0_certificate(c->ssl);
	struct tm tm;

	if (!x || ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) != 1)
		return 0;
	return timegm(&tm);
}

void tls_context_unref(struct tls_context *c)
{
	if (--c->refs > 0)
		return;
	SSL_CTX_free(c->ssl);
	BIO_meth_free(c->io);
	free(c);
}

void tls_context_free(struct tls_context *c)
{
	if (c)
		tls_context_unref(c);
}
