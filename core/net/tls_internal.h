/* tls_internal: what the files of tls share. For no one else. */
#ifndef WEIR_NET_TLS_INTERNAL_H
#define WEIR_NET_TLS_INTERNAL_H

#include "core/base/buffer.h"
#include "core/net/tls.h"

#include <openssl/ssl.h>
#include <sys/stat.h>

/* The file behind a name; another one, or another content, is another state. */
struct tls_file_state {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
};

enum { TLS_SERVER_FILES = 3 };

struct tls_context {
	const struct tls_settings *settings;
	SSL_CTX *ssl;
	BIO_METHOD *io;
	unsigned refs; /* its owner's and one of every session */
	bool server;

	uint64_t looked_ns;
	struct tls_file_state files[TLS_SERVER_FILES];
	bool stale; /* the files are not what is in use: they could not be taken over */
};

/* An empty text, as an unset variable gives it, is none. */
bool tls_is_text(const char *text);

/* OpenSSL's numbers and names for those of the settings; 0 and NULL: there is no such one. Suites have
 * IANA's names, curves Go's. */
int tls_min_version(const struct tls_settings *s);
int tls_max_version(const struct tls_settings *s);
const char *tls_suite(const char *name);
const char *tls_curve(const char *name);

void tls_context_unref(struct tls_context *c);

struct tls_session {
	struct tls_context *context;
	SSL *ssl;
	struct slice in; /* ciphertext that was not read yet: the caller's, or kept */
	struct buffer kept, out;
	bool open, server;
	char names[200];  /* of a certificate that was refused, of protocols that were not agreed
	                    upon */
	const char *alpn; /* client: what must be agreed upon; server: what was */
	const char *const *offers; /* server: what can be spoken */
	const char *host;          /* client: whom the certificate must be for */
	char where[];              /* for messages; alpn and host of a client lie behind it */
};

/* What the two ends of a list of names say in s->names: adds one, as far as there is room. */
void tls_note_name(struct tls_session *s, const char *text, size_t len);

/* Notes whom a certificate is for that is going to be refused: once it is, it is gone. */
void tls_note_certificate(struct tls_session *s, const X509 *certificate);

/* Makes a sentence of what OpenSSL's error queue holds, and empties it. */
int tls_failure(struct tls_session *s, struct error *error);

#endif
