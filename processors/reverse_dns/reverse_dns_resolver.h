/* resolver: asks resolvers for PTR records, with c-ares on the loop. What they answer it does not
 * read. */
#ifndef WEIR_PROCESSORS_REVERSE_DNS_RESOLVER_H
#define WEIR_PROCESSORS_REVERSE_DNS_RESOLVER_H

#include "core/base/error.h"
#include "core/base/slice.h"

struct lookups_config;
struct loop;

enum lookup_failure {
	FAILURE_NONE,
	/* An answer, but no name. */
	FAILURE_NAME_ERROR,
	FAILURE_NO_DATA,
	FAILURE_BAD_ANSWER,
	/* No answer. */
	FAILURE_TIMEOUT,
	FAILURE_SERVER, /* failed, refused, not there: c-ares does not tell these apart */
	/* Nobody was asked, or not to the end. */
	FAILURE_NO_MEMORY,
	FAILURE_CANCELED,
	FAILURES
};

/* message: with FAILURE_NONE, what the resolver answered. */
typedef void (*resolver_answered)(void *arg, enum lookup_failure failure, struct slice message);

struct resolver;

int resolver_check(const struct lookups_config *config, struct error *error);

/* Reads resolv.conf, where no servers are named. */
int resolver_new(struct loop *loop, const struct lookups_config *config, struct resolver **ret,
                 struct error *error);

/* Asks for the PTR records of a name. Calls answered exactly once, maybe before it returns. */
void resolver_ask(struct resolver *s, const char *name, resolver_answered answered, void *arg);

/* What has no answer yet is canceled, before this returns. */
void resolver_free(struct resolver *s); /* takes NULL */

#endif
