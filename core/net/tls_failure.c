/* What a failed session says: to a client's operator about the server, to a server's about the
 * client. */
#include "core/net/tls_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

void tls_note_name(struct tls_session *s, const char *text, size_t len)
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

static void note_common_name(struct tls_session *s, const X509 *certificate)
{
	X509_NAME *subject = X509_get_subject_name(certificate);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	const ASN1_STRING *name =
		at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));

	if (name)
		tls_note_name(s, (const char *)ASN1_STRING_get0_data(name),
		              (size_t)ASN1_STRING_length(name));
}

void tls_note_certificate(struct tls_session *s, const X509 *certificate)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

	s->names[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		char text[INET6_ADDRSTRLEN] = "";

		if (name->type == GEN_DNS) {
			tls_note_name(s, (const char *)name->d.dNSName->data,
			              (size_t)name->d.dNSName->length);
		} else if (name->type == GEN_IPADD) {
			int length = name->d.iPAddress->length;
			if (length == 4 || length == 16)
				inet_ntop(length == 4 ? AF_INET : AF_INET6, name->d.iPAddress->data,
				          text, sizeof text);
			tls_note_name(s, text, strlen(text));
		}
	}
	GENERAL_NAMES_free(names);
	/* A server is known by the names above only; of a client any name helps to find it. */
	if (s->server && !s->names[0])
		note_common_name(s, certificate);
}

static int wrong_name(const struct tls_session *s, struct error *error)
{
	return error_set(error, -EACCES,
	                 "certificate of %s is not for %s but for %s; connect by that name or set "
	                 "tls::server_name_override",
	                 s->where, s->host, s->names[0] ? s->names : "no name at all");
}

static bool is_untrusted(long verdict)
{
	return verdict == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
	       verdict == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
	       verdict == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
	       verdict == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
	       verdict == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
}

static bool is_out_of_date(long verdict)
{
	return verdict == X509_V_ERR_CERT_HAS_EXPIRED || verdict == X509_V_ERR_CERT_NOT_YET_VALID;
}

static int refused_server(const struct tls_session *s, long verdict, struct error *error)
{
	const char *why = X509_verify_cert_error_string(verdict);

	if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH)
		return wrong_name(s, error);
	if (is_out_of_date(verdict))
		return error_set(error, -EACCES,
		                 "certificate of %s is not valid now: %s; renew it or check this "
		                 "machine's clock",
		                 s->where, why);
	if (is_untrusted(verdict))
		return error_set(error, -EACCES,
		                 "certificate of %s is not trusted: %s; set tls::ca_file", s->where,
		                 why);
	return error_set(error, -EACCES, "certificate of %s is refused: %s", s->where, why);
}

static int refused_client(const struct tls_session *s, long verdict, struct error *error)
{
	const char *why = X509_verify_cert_error_string(verdict);
	const char *name = s->names[0] ? s->names : "without a name";

	if (is_out_of_date(verdict))
		return error_set(error, -EACCES,
		                 "client certificate of %s (%s) is not valid now: %s; renew it or "
		                 "check this machine's clock",
		                 s->where, name, why);
	if (is_untrusted(verdict))
		return error_set(error, -EACCES,
		                 "client certificate of %s (%s) is not trusted: %s; whom to trust "
		                 "is in tls::client_ca_file",
		                 s->where, name, why);
	return error_set(error, -EACCES, "client certificate of %s (%s) is refused: %s", s->where,
	                 name, why);
}

/* The other side told us that it does not like our certificate. */
static bool is_certificate_alert(int reason)
{
	return reason == SSL_R_TLSV1_ALERT_UNKNOWN_CA ||
	       reason == SSL_R_SSLV3_ALERT_BAD_CERTIFICATE ||
	       reason == SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED ||
	       reason == SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN ||
	       reason == SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED;
}

static int unspecific(const struct tls_session *s, const char *why, struct error *error)
{
	return error_set(error, -EPROTO, "TLS with %s failed: %s", s->where,
	                 why ? why : "the connection ended");
}

static int client_failure(const struct tls_session *s, int reason, const char *why,
                          struct error *error)
{
	if (is_certificate_alert(reason))
		return error_set(
			error, -EACCES,
			"%s refuses our certificate (%s); check tls::cert_file and tls::key_file",
			s->where, why);
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
	default:
		return unspecific(s, why, error);
	}
}

static const char *version_name(int version)
{
	switch (version) {
	case SSL3_VERSION:
		return "SSL 3.0";
	case TLS1_VERSION:
		return "TLS 1.0";
	case TLS1_1_VERSION:
		return "TLS 1.1";
	case TLS1_2_VERSION:
		return "TLS 1.2";
	case TLS1_3_VERSION:
		return "TLS 1.3";
	default:
		return "another version";
	}
}

static int server_failure(const struct tls_session *s, int reason, const char *why,
                          struct error *error)
{
	if (is_certificate_alert(reason))
		return error_set(error, -EACCES,
		                 "%s refuses our certificate (%s); the authority of "
		                 "tls::cert_file must be one that it trusts",
		                 s->where, why);
	switch (reason) {
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
		return error_set(error, -EPROTO,
		                 "%s does not speak TLS, which this port asks for; let it connect "
		                 "with TLS (https://)",
		                 s->where);
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
		return error_set(
			error, -EPROTO,
			"%s offers %s at most, but tls::min_version asks for %s; let it be "
			"updated",
			s->where, version_name(SSL_client_version(s->ssl)),
			version_name((int)SSL_get_min_proto_version(s->ssl)));
	case SSL_R_NO_SHARED_CIPHER:
		return error_set(error, -EPROTO,
		                 "%s and this port have no cipher suite in common that goes with "
		                 "the certificate; see tls::cipher_suites",
		                 s->where);
	case SSL_R_NO_APPLICATION_PROTOCOL:
		return error_set(error, -EPROTO,
		                 "%s asks to speak %s, which this port does not (ALPN); it may "
		                 "take the gRPC port for the HTTP port or the other way round",
		                 s->where, s->names[0] ? s->names : "nothing");
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return error_set(error, -EACCES,
		                 "%s shows no client certificate, which tls::client_ca_file asks "
		                 "for",
		                 s->where);
	default:
		return unspecific(s, why, error);
	}
}

int tls_failure(struct tls_session *s, struct error *error)
{
	unsigned long code = ERR_peek_error();
	const char *why = code ? ERR_reason_error_string(code) : NULL;
	int reason = ERR_GET_REASON(code);
	long verdict = SSL_get_verify_result(s->ssl);

	ERR_clear_error();
	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verdict != X509_V_OK)
		return s->server ? refused_client(s, verdict, error)
		                 : refused_server(s, verdict, error);
	return s->server ? server_failure(s, reason, why, error)
	                 : client_failure(s, reason, why, error);
}
