/* http_config: the `limits` block of every component that listens for HTTP: what a peer may cost. */
#ifndef WEIR_NET_HTTP_CONFIG_H
#define WEIR_NET_HTTP_CONFIG_H

#include "config/option.h"
#include "core/net/http_server.h"

/* The fields of struct http_limits that have no key in the Collector (its keys, like
 * max_concurrent_streams and keepalive::server_parameters, stand where it has them). Defaults are those
 * of http_default_limits; a test compares. */
extern const struct option http_limits_options[];

#endif
