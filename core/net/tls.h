/* tls: TLS for clients and servers, on OpenSSL. Sans-I/O: ciphertext in, plain bytes out, and the
 * other way round.
 *
 * A context holds certificates and rules and is shared by the connections of one component; a
 * session is one connection. The settings stay their owner's and outlive the context, which reads
 * them again to reload. */
#ifndef WEIR_NET_TLS_H
#define WEIR_NET_TLS_H

#include "core/base/error.h"
#include "core/base/slice.h"

#include <stdint.h>

/* The Collector's keys. NULL and 0: not given. A file and its _pem exclude each other. */
struct tls_settings {
	const char *ca_file, *ca_pem;
	const char *cert_file, *cert_pem, *key_file, *key_pem;
	const char *server_name_override;      /* clients */
	const char *client_ca_file;            /* servers: clients must show a certificate */
	const char *min_version, *max_version; /* "1.2" or "1.3" */
	const char *const *cipher_suites, *const *curves; /* IANA's and Go's names */
	size_t n_cipher_suites, n_curves;
	bool insecure_skip_verify, include_system_ca_certs_pool; /* the pool beside ca_file */
	uint64_t reload_interval;                                /* ns; 0: files are read once */
};

/* What can be said against settings without a look at the files: pairs that are not whole, versions,
 * suites and curves that do not exist. */
int tls_settings_check(const struct tls_settings *settings, struct error *error);
/* Of a server: certificate and key must be there as well. */
int tls_server_settings_check(const struct tls_settings *settings, struct error *error);

struct tls_context;

/* Reads the files. Errors name the setting, the file, and what is wrong with it. */
int tls_context_new(const struct tls_settings *settings, struct tls_context **ret,
                    struct error *error);
/* For a server, whose certificate and key are required. With client_ca_file clients must show a
 * certificate that it trusts. Without cipher_suites only those are spoken that HTTP/2 permits (RFC 9113,
 * 9.2.2). */
int tls_server_context_new(const struct tls_settings *settings, struct tls_context **ret,
                           struct error *error);
/* Reads the files as the one or the other would, and keeps nothing. */
int tls_context_try(const struct tls_settings *settings, bool server, struct error *error);
void tls_context_free(struct tls_context *c); /* takes NULL; sessions go on, settings may go */

/* Whether the key lies in a file that every user of the machine may read. */
bool tls_key_is_exposed(const struct tls_settings *settings);

/* Before a new connection is made or accepted: reads the files again when reload_interval has passed
 * since they were looked at (a server: and one of them has changed). 1: what was read is in use for new
 * sessions from now on; 0: nothing was to be done. Negative: the files cannot be used, what was loaded
 * before stays in use; a server that goes on to find the same says 0 then. */
int tls_context_refresh(struct tls_context *c, struct error *error);

/* When the certificate in use ends, in seconds since 1970; 0: there is none. */
int64_t tls_context_expires(const struct tls_context *c);

struct tls_session;

/* A session with that host (a name or an address, checked against the certificate); where is host
 * and port for messages. The peer must agree to speak alpn ("h2"). -ENOMEM. */
int tls_session_new(struct tls_context *c, const char *host, const char *where, const char *alpn,
                    struct tls_session **ret, struct error *error);
/* The server's side of a connection from peer. alpn are the protocols that can be spoken, best first,
 * ended by NULL and kept by reference; a client that asks for none of them is refused, one that does
 * not ask gets the last. -ENOMEM. */
int tls_session_accept(struct tls_context *c, const char *peer, const char *const *alpn,
                       struct tls_session **ret, struct error *error);
void tls_session_free(struct tls_session *s); /* takes NULL */

/* What was agreed upon, once the handshake is done: "h2". */
const char *tls_session_alpn(const struct tls_session *s);

/* Takes in ciphertext. It is not copied: tls_handshake() and tls_read() read it where it lies, and when
 * they have left something of it unread, tls_keep() must be called before it goes. -ENOMEM. */
int tls_receive(struct tls_session *s, struct slice ciphertext);
int tls_keep(struct tls_session *s);

/* Whether tls_read() has something to work on. */
bool tls_is_readable(const struct tls_session *s);

/* 1: done; 0: waits for the peer; negative: failed, with a sentence on what to do. */
int tls_handshake(struct tls_session *s, struct error *error);

/* Up to size plain bytes. 0: waits for more; -EPIPE: the peer has ended the session; else
 * failed. */
int tls_read(struct tls_session *s, uint8_t *to, size_t size, struct error *error);

/* Encrypts the pieces. -EPROTO or -ENOMEM. */
int tls_write(struct tls_session *s, const struct slice *pieces, size_t n);

/* Says to the peer that nothing more comes. */
void tls_finish(struct tls_session *s);

/* What is to be sent; valid until tls_sent(), which forgets it. */
struct slice tls_output(const struct tls_session *s);
void tls_sent(struct tls_session *s);

#endif
