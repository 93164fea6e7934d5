/* libcurl's TLS under the rules of core/net/tls: what a tls_context has loaded is put into the context
 * that libcurl makes for each new connection. So files are read, checked and reloaded in one way for
 * all clients, and a bad new certificate leaves the old one in use. */
#include "core/net/http_client_internal.h"
#include "core/net/tls_internal.h"

#include <openssl/err.h>
#include <stdio.h>

static bool copy_identity(const SSL_CTX *from, SSL_CTX *to)
{
	X509 *certificate = SSL_CTX_get0_certificate(from);
	EVP_PKEY *key = SSL_CTX_get0_privatekey(from);
	STACK_OF(X509) *chain = NULL;

	if (!certificate || !key)
		return true;
	SSL_CTX_get0_chain_certs((SSL_CTX *)from, &chain);
	return SSL_CTX_use_certificate(to, certificate) == 1 &&
	       SSL_CTX_use_PrivateKey(to, key) == 1 &&
	       (!chain || SSL_CTX_set1_chain(to, chain) == 1);
}

static bool copy_ciphers(const SSL_CTX *from, SSL_CTX *to)
{
	STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(from);
	struct buffer old = BUFFER_INIT, new = BUFFER_INIT;
	bool done;

	for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
		const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
		bool is_new = strcmp(SSL_CIPHER_get_version(cipher), "TLSv1.3") == 0;
		struct buffer *list = is_new ? &new : &old;

		buffer_printf(list, "%s%s", list->len ? ":" : "", SSL_CIPHER_get_name(cipher));
	}
	done = buffer_string(&old) && buffer_string(&new) &&
	       (!old.len || SSL_CTX_set_cipher_list(to, buffer_string(&old)) == 1) &&
	       (!new.len || SSL_CTX_set_ciphersuites(to, buffer_string(&new)) == 1);
	buffer_fini(&old);
	buffer_fini(&new);
	return done;
}

/* A context does not tell its groups. The names have been checked: X25519, or P256 for P-256. */
static bool set_groups(const struct tls_settings *s, SSL_CTX *to)
{
	struct buffer list = BUFFER_INIT;
	bool done = true;

	for (size_t i = 0; i < s->n_curves; i++) {
		bool is_nist = s->curves[i][0] == 'P';

		buffer_printf(&list, "%s%s%s", i ? ":" : "", is_nist ? "P-" : "",
		              s->curves[i] + is_nist);
	}
	if (s->n_curves > 0)
		done = buffer_string(&list) && SSL_CTX_set1_groups_list(to, (char *)list.data) == 1;
	buffer_fini(&list);
	return done;
}

static CURLcode on_context(CURL *easy, void *context, void *arg)
{
	struct http_client *c = arg;
	struct error error = ERROR_INIT;
	SSL_CTX *from, *to = context;
	bool done;

	(void)easy;
	if (!c->tls && tls_context_new(&c->tls_settings, &c->tls, &error) < 0)
		return CURLE_OUT_OF_MEMORY;
	if (tls_context_refresh(c->tls, &error) < 0)
		log_warn(c->log, "new TLS files cannot be used, the old ones stay: %s",
		         error.message);
	from = c->tls->ssl;
	SSL_CTX_set_options(to, SSL_CTX_get_options(from));
	done = SSL_CTX_set_min_proto_version(to, SSL_CTX_get_min_proto_version(from)) == 1 &&
	       SSL_CTX_set_max_proto_version(to, SSL_CTX_get_max_proto_version(from)) == 1 &&
	       SSL_CTX_set1_param(to, SSL_CTX_get0_param(from)) == 1 && copy_ciphers(from, to) &&
	       set_groups(&c->tls_settings, to) && copy_identity(from, to);
	SSL_CTX_set1_cert_store(to, SSL_CTX_get_cert_store(from));
	ERR_clear_error();
	return done ? CURLE_OK : CURLE_OUT_OF_MEMORY;
}

CURLcode http_client_tls_apply(struct http_client *c, CURL *easy)
{
	bool verify = !c->tls_settings.insecure_skip_verify;
	CURLcode r;

	/* libcurl's own authorities stay out of it. */
	r = curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
	if (r == CURLE_OK)
		r = curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	if (r == CURLE_OK)
		r = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
	if (r == CURLE_OK)
		r = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
	if (r == CURLE_OK)
		r = curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_context);
	if (r == CURLE_OK)
		r = curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, c);
	return r;
}
