/* tls_internal: what tls.c and tls_context.c share. For no one else. */
#ifndef WEIR_NET_TLS_INTERNAL_H
#define WEIR_NET_TLS_INTERNAL_H

#include "core/net/tls.h"

#include <openssl/ssl.h>

struct tls_context {
	const struct tls_settings *settings;
	SSL_CTX *ssl;
	uint64_t loaded_ns;
};

#endif
