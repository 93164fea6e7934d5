/* otlp_http, private: the HTTP entrance. Knows the three paths and says verdicts as HTTP statuses with
 * a google.rpc.Status for a body. */
#ifndef WEIR_RECEIVERS_OTLP_HTTP_H
#define WEIR_RECEIVERS_OTLP_HTTP_H

#include "receivers/otlp/otlp_cors.h"
#include "receivers/otlp/otlp_intake.h"

struct otlp_http {
	struct entrance entrance;
	const struct otlp_http_config *config;
	struct cors cors;
	struct http_header *headers; /* response_headers, then room for an answer's own */
	size_t n_headers;
	struct buffer codings; /* that are taken, joined by commas */
};

/* Fails with no memory: false; then otlp_http_fini() is due as well. entrance.intake and what users
 * configure of an entrance are the caller's to set. */
bool otlp_http_init(struct otlp_http *h, const struct otlp_http_config *config);
void otlp_http_fini(struct otlp_http *h);

/* For http_server_new(); arg is the struct otlp_http. */
extern const struct http_handler otlp_http_handler;

#endif
