#include "core/net/tls.h"

#include "core/net/tls_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

/* Plain bytes of one record; pieces are joined up to it so that small ones do not each become a
 * record. */
enum { RECORD_BYTES = 16 * 1024 };

/* More than this is not kept for output while a session is idle. */
enum { KEEP_OUTPUT = 1024 };

static bool is_address(const char *host)
{
	unsigned char bytes[16];

	return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* What the certificate has to be for. SNI is for names only (RFC 6066). */
static bool expect_host(SSL *ssl, const char *host)
{
	if (is_address(host))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static bool offer_alpn(SSL *ssl, const char *alpn)
{
	unsigned char list[256];
	size_t len = strlen(alpn);

	if (len > sizeof list - 1)
		return false;
	list[0] = (unsigned char)len;
	memcpy(list + 1, alpn, len);
	return SSL_set_alpn_protos(ssl, list, (unsigned)len + 1) == 0;
}

static int on_verified(int ok, X509_STORE_CTX *chain)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());

	if (!ok)
		tls_note_certificate(SSL_get_app_data(ssl), X509_STORE_CTX_get0_cert(chain));
	return ok;
}

/* extra: bytes behind the session's where. */
static struct tls_session *session_new(struct tls_context *c, const char *where, size_t extra)
{
	size_t len = strlen(where) + 1;
	struct tls_session *s = calloc(1, sizeof *s + len + extra);
	BIO *io;

	if (!s)
		return NULL;
	memcpy(s->where, where, len);
	s->context = c;
	c->refs++;
	s->ssl = SSL_new(c->ssl);
	io = BIO_new(c->io);
	if (!s->ssl || !io) {
		BIO_free(io);
		tls_session_free(s);
		ERR_clear_error();
		return NULL;
	}
	BIO_set_data(io, s);
	BIO_set_init(io, 1);
	SSL_set_bio(s->ssl, io, io);
	SSL_set_app_data(s->ssl, s);
	SSL_set_verify(s->ssl, SSL_CTX_get_verify_mode(c->ssl), on_verified);
	return s;
}

int tls_session_new(struct tls_context *c, const char *host, const char *where, const char *alpn,
                    struct tls_session **ret, struct error *error)
{
	const char *override = c->settings->server_name_override;
	const char *name = override && *override ? override : host;
	size_t name_len = strlen(name) + 1, alpn_len = strlen(alpn) + 1;
	struct tls_session *s = session_new(c, where, name_len + alpn_len);
	char *behind;

	if (!s)
		return error_no_memory(error);
	behind = s->where + strlen(where) + 1;
	s->host = memcpy(behind, name, name_len);
	s->alpn = memcpy(behind + name_len, alpn, alpn_len);
	SSL_set_connect_state(s->ssl);
	if (!expect_host(s->ssl, s->host) || !offer_alpn(s->ssl, s->alpn)) {
		tls_session_free(s);
		ERR_clear_error();
		return error_no_memory(error);
	}
	*ret = s;
	return 0;
}

int tls_session_accept(struct tls_context *c, const char *peer, const char *const *alpn,
                       struct tls_session **ret, struct error *error)
{
	struct tls_session *s = session_new(c, peer, 0);

	if (!s)
		return error_no_memory(error);
	s->server = true;
	s->offers = alpn;
	s->alpn = "";
	/* Whoever does not ask for a protocol gets the last, see tls.h. */
	for (size_t i = 0; alpn[i]; i++)
		s->alpn = alpn[i];
	SSL_set_accept_state(s->ssl);
	*ret = s;
	return 0;
}

void tls_session_free(struct tls_session *s)
{
	if (!s)
		return;
	SSL_free(s->ssl);
	tls_context_unref(s->context);
	buffer_fini(&s->kept);
	buffer_fini(&s->out);
	free(s);
}

const char *tls_session_alpn(const struct tls_session *s)
{
	return s->open ? s->alpn : "";
}

/* What is kept is the rest that in points to, or nothing is kept. */
static void forget_read(struct tls_session *s)
{
	if (s->in.len == 0)
		buffer_fini(&s->kept);
	else if (s->kept.len > 0)
		buffer_consume(&s->kept, s->kept.len - s->in.len);
}

int tls_receive(struct tls_session *s, struct slice ciphertext)
{
	forget_read(s);
	if (s->in.len == 0) {
		s->in = ciphertext;
		return 0;
	}
	if (s->kept.len == 0)
		buffer_append_slice(&s->kept, s->in);
	buffer_append_slice(&s->kept, ciphertext);
	s->in = buffer_slice(&s->kept);
	return s->kept.failed ? -ENOMEM : 0;
}

int tls_keep(struct tls_session *s)
{
	forget_read(s);
	if (s->kept.len == 0)
		buffer_append_slice(&s->kept, s->in);
	s->in = buffer_slice(&s->kept);
	return s->kept.failed ? -ENOMEM : 0;
}

bool tls_is_readable(const struct tls_session *s)
{
	return s->in.len > 0 || SSL_has_pending(s->ssl);
}

static int check_alpn(const struct tls_session *s, struct error *error)
{
	const unsigned char *chosen;
	unsigned len;

	if (s->server)
		return 0;
	SSL_get0_alpn_selected(s->ssl, &chosen, &len);
	if (len == strlen(s->alpn) && memcmp(chosen, s->alpn, len) == 0)
		return 0;
	return error_set(error, -EPROTO, "%s speaks TLS but not HTTP/2 (ALPN %s)", s->where,
	                 s->alpn);
}

int tls_handshake(struct tls_session *s, struct error *error)
{
	int r;

	if (s->open)
		return 1;
	ERR_clear_error();
	r = SSL_do_handshake(s->ssl);
	if (s->out.failed)
		return error_no_memory(error);
	if (r != 1) {
		r = SSL_get_error(s->ssl, r);
		return r == SSL_ERROR_WANT_READ || r == SSL_ERROR_WANT_WRITE
		               ? 0
		               : tls_failure(s, error);
	}
	r = check_alpn(s, error);
	s->open = r == 0;
	return r < 0 ? r : 1;
}

int tls_read(struct tls_session *s, uint8_t *to, size_t size, struct error *error)
{
	int n;

	ERR_clear_error();
	n = SSL_read(s->ssl, to, size < INT32_MAX ? (int)size : INT32_MAX);
	if (n > 0)
		return n;
	switch (SSL_get_error(s->ssl, n)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		return -EPIPE;
	default:
		return tls_failure(s, error);
	}
}

static int write_record(struct tls_session *s, const uint8_t *data, size_t len)
{
	ERR_clear_error();
	if (len > 0 && SSL_write(s->ssl, data, (int)len) != (int)len) {
		ERR_clear_error();
		return s->out.failed ? -ENOMEM : -EPROTO;
	}
	return 0;
}

int tls_write(struct tls_session *s, const struct slice *pieces, size_t n)
{
	uint8_t record[RECORD_BYTES];
	size_t have = 0;
	int r;

	for (size_t i = 0; i < n; i++)
		for (size_t at = 0; at < pieces[i].len;) {
			size_t left = pieces[i].len - at, room = RECORD_BYTES - have;
			size_t take = left < room ? left : room;

			/* A whole record of one piece is encrypted where it lies. */
			if (have == 0 && take == RECORD_BYTES) {
				r = write_record(s, pieces[i].data + at, take);
			} else {
				memcpy(record + have, pieces[i].data + at, take);
				have += take;
				r = have == RECORD_BYTES ? write_record(s, record, have) : 0;
				have = have == RECORD_BYTES ? 0 : have;
			}
			at += take;
			if (r < 0)
				return r;
		}
	return write_record(s, record, have);
}

void tls_finish(struct tls_session *s)
{
	if (s->open)
		SSL_shutdown(s->ssl);
	ERR_clear_error();
}

struct slice tls_output(const struct tls_session *s)
{
	return buffer_slice(&s->out);
}

void tls_sent(struct tls_session *s)
{
	if (s->out.capacity > KEEP_OUTPUT)
		buffer_fini(&s->out);
	buffer_clear(&s->out);
}
