/* headers: what an exporter's requests carry besides their own: the `headers` that users write, and what
 * their authenticator (`auth`) adds. All of it counts as secret. */
#ifndef WEIR_EXPORT_HEADERS_H
#define WEIR_EXPORT_HEADERS_H

#include "core/component.h"

enum { HEADERS_MAX = 32 }; /* that users may write */

struct auth_config {
	bool enabled; /* on when the block is written */
	const char *authenticator;
};
extern const struct option auth_client_options[];

/* The rows for an exporter's option table: a struct string_map and a struct auth_config. */
#define HEADERS_OPTIONS(type, headers_, auth_)                                                     \
	OPTION_STRING_MAP(type, headers_, .flags = OPTION_SECRET,                                  \
	                  .doc = "Sent with every request, for instance an authorization."),       \
		OPTION_OPTIONAL(type, auth_, auth_client_options,                                  \
	                        .doc = "Who adds an authorization to every request.")

/* Whether these can be sent. reserved, NULL-terminated and in lower case, are written by weir itself; a
 * name that ends in "-" is a prefix. -EINVAL. */
int headers_check(const struct string_map *map, const struct auth_config *auth,
                  const char *const *reserved, struct error *error);

struct headers_item {
	const char *name, *value; /* name in lower case */
};

struct headers {
	struct headers_item items[HEADERS_MAX + AUTH_HEADERS_MAX];
	size_t n_fixed;
	struct component *authenticator; /* NULL: none */
};

/* Values stay the configuration's, which has been checked. For create(): finds the authenticator. */
int headers_init(struct headers *h, const struct string_map *map, const struct auth_config *auth,
                 const struct host *host, struct error *error);
void headers_fini(struct headers *h);

/* Those of a request that goes out now: h->items[0 .. *ret_n), valid until the next call. Fails when the
 * authenticator does (a token that cannot be read), retryable. */
int headers_current(struct headers *h, size_t *ret_n, struct error *error);

/* "weir/0.1.0 (linux/amd64)". */
void headers_user_agent(const char *version, char *ret, size_t size);

#endif
