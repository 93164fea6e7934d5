#include "core/net/tls.h"

#include "core/net/tls_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

/* Plain bytes of one record; pieces are joined up to it so that small ones do not each become a
 * record. */
enum { RECORD_BYTES = 16 * 1024 };

struct tls_session {
	SSL *ssl;
	BIO *in, *out; /* owned by ssl */
	char host[256], where[280], alpn[16];
	char names[200]; /* of a certificate that was refused */
	bool open;
};

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
	unsigned char list[16];
	size_t len = strlen(alpn);

	list[0] = (unsigned char)len;
	memcpy(list + 1, alpn, len);
	return SSL_set_alpn_protos(ssl, list, (unsigned)len + 1) == 0;
}

/* Adds one name to the list that a message will show, as far as there is room. */
static void append_name(struct tls_session *s, const char *text, size_t len)
{
	size_t have = strlen(s->names);

	if (len + 3 > sizeof s->names - have)
		return;
	snprintf(s->names + have, sizeof s->names - have, "%s%.*s", have ? ", " : "", (int)len,
	         text);
	for (char *c = s->names + have; *c; c++)
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
}

/* Notes whom a certificate is for that is not for whom we wanted: once refused, it is gone. */
static void note_names(struct tls_session *s, X509 *certificate)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

	s->names[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		char text[INET6_ADDRSTRLEN] = "";

		if (name->type == GEN_DNS) {
			append_name(s, (const char *)name->d.dNSName->data,
			            (size_t)name->d.dNSName->length);
		} else if (name->type == GEN_IPADD) {
			int length = name->d.iPAddress->length;
			if (length == 4 || length == 16)
				inet_ntop(length == 4 ? AF_INET : AF_INET6, name->d.iPAddress->data,
				          text, sizeof text);
			append_name(s, text, strlen(text));
		}
	}
	GENERAL_NAMES_free(names);
}

static int on_verified(int ok, X509_STORE_CTX *chain)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());

	if (!ok)
		note_names(SSL_get_app_data(ssl), X509_STORE_CTX_get0_cert(chain));
	return ok;
}

int tls_session_new(struct tls_context *c, const char *host, const char *where, const char *alpn,
                    struct tls_session **ret, struct error *error)
{
	struct tls_session *s = calloc(1, sizeof *s);
	const char *override = c->settings->server_name_override;

	if (!s)
		return error_no_memory(error);
	snprintf(s->host, sizeof s->host, "%s", override && *override ? override : host);
	snprintf(s->where, sizeof s->where, "%s", where);
	snprintf(s->alpn, sizeof s->alpn, "%s", alpn);
	s->ssl = SSL_new(c->ssl);
	s->in = BIO_new(BIO_s_mem());
	s->out = BIO_new(BIO_s_mem());
	if (!s->ssl || !s->in || !s->out) {
		BIO_free(s->in);
		BIO_free(s->out);
		goto no_memory;
	}
	BIO_set_mem_eof_return(s->in, -1); /* empty is not the end */
	SSL_set_bio(s->ssl, s->in, s->out);
	SSL_set_connect_state(s->ssl);
	SSL_set_app_data(s->ssl, s);
	SSL_set_verify(s->ssl, SSL_CTX_get_verify_mode(c->ssl), on_verified);
	if (!expect_host(s->ssl, s->host) || !offer_alpn(s->ssl, s->alpn))
		goto no_memory;
	*ret = s;
	return 0;

no_memory:
	SSL_free(s->ssl);
	free(s);
	ERR_clear_error();
	return error_no_memory(error);
}

void tls_session_free(struct tls_session *s)
{
	if (!s)
		return;
	SSL_free(s->ssl);
	free(s);
}

int tls_receive(struct tls_session *s, struct slice ciphertext)
{
	while (ciphertext.len > 0) {
		int n = BIO_write(s->in, ciphertext.data,
		                  ciphertext.len < INT32_MAX ? (int)ciphertext.len : INT32_MAX);
		if (n <= 0)
			return -ENOMEM;
		ciphertext.data += n;
		ciphertext.len -= (size_t)n;
	}
	return 0;
}

static int wrong_name(const struct tls_session *s, struct error *error)
{
	return error_set(error, -EACCES,
	                 "certificate of %s is not for %s but for %s; connect by that name or set "
	                 "tls::server_name_override",
	                 s->where, s->host, s->names[0] ? s->names : "no name at all");
}

static int refused_certificate(struct tls_session *s, long verdict, struct error *error)
{
	const char *why = X509_verify_cert_error_string(verdict);

	switch (verdict) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return wrong_name(s, error);
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return error_set(error, -EACCES,
		                 "certificate of %s is not valid now: %s; renew it or check this "
		                 "machine's clock",
		                 s->where, why);
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return error_set(error, -EACCES,
		                 "certificate of %s is not trusted: %s; set tls::ca_file", s->where,
		                 why);
	default:
		return error_set(error, -EACCES, "certificate of %s is refused: %s", s->where, why);
	}
}

static int failed(struct tls_session *s, struct error *error)
{
	unsigned long code = ERR_peek_error();
	const char *why = code ? ERR_reason_error_string(code) : NULL;
	int reason = ERR_GET_REASON(code);
	long verdict = SSL_get_verify_result(s->ssl);

	ERR_clear_error();
	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verdict != X509_V_OK)
		return refused_certificate(s, verdict, error);
	switch (reason) {
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
		return error_set(
			error, -EPROTO,
			"%s does not speak TLS; set tls::insecure: true if it is meant to be "
			"plain text",
			s->where);
	case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
		return error_set(error, -EPROTO, "%s speaks TLS but not HTTP/2 (ALPN %s)", s->where,
		                 s->alpn);
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
		return error_set(
			error, -EACCES,
			"%s asks for a client certificate; set tls::cert_file and tls::key_file",
			s->where);
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
		return error_set(
			error, -EACCES,
			"%s refuses our certificate (%s); check tls::cert_file and tls::key_file",
			s->where, why);
	default:
		return error_set(error, -EPROTO, "TLS with %s failed: %s", s->where,
		                 why ? why : "the connection ended");
	}
}

static int check_alpn(struct tls_session *s, struct error *error)
{
	const unsigned char *chosen;
	unsigned len;

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
	if (r != 1) {
		r = SSL_get_error(s->ssl, r);
		return r == SSL_ERROR_WANT_READ || r == SSL_ERROR_WANT_WRITE ? 0 : failed(s, error);
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
		return failed(s, error);
	}
}

static int write_record(struct tls_session *s, const uint8_t *data, size_t len)
{
	ERR_clear_error();
	if (len > 0 && SSL_write(s->ssl, data, (int)len) != (int)len)
		return -EPROTO;
	return 0;
}

int tls_write(struct tls_session *s, const struct slice *pieces, size_t n)
{
	uint8_t record[RECORD_BYTES];
	size_t have = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t at = 0; at < pieces[i].len;) {
			size_t left = pieces[i].len - at, room = RECORD_BYTES - have;
			size_t take = left < room ? left : room;

			memcpy(record + have, pieces[i].data + at, take);
			at += take;
			have += take;
			if (have < RECORD_BYTES)
				continue;
			if (write_record(s, record, have) < 0)
				return -EPROTO;
			have = 0;
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
	char *data = NULL;
	long len = BIO_get_mem_data(s->out, &data);

	return slice_of(data, len > 0 ? (size_t)len : 0);
}

void tls_sent(struct tls_session *s)
{
	(void)BIO_reset(s->out);
}
