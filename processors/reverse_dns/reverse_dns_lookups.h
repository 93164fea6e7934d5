/* lookups: names of addresses that a resolver is asked for (PTR records), with c-ares on the loop.
 *
 * lookups_find() answers at once, from a cache. What is not in it is asked for, as far as the bounds
 * allow, and is in the cache later: a name, or that there is none. Whatever an answer says is taken
 * for somebody else's text. */
#ifndef WEIR_PROCESSORS_REVERSE_DNS_LOOKUPS_H
#define WEIR_PROCESSORS_REVERSE_DNS_LOOKUPS_H

#include "core/base/address.h"
#include "core/component.h"

struct metrics_sink;

/* ptr: questions and answers as bytes. */

enum {
	PTR_QUESTION_SIZE = 80, /* holds 32 digits and dots, "ip6.arpa" and a NUL */
	PTR_NAME_SIZE = 256,
};

/* False for those that mean something only to one host or to many at once: loopback, link-local,
 * unspecified, multicast, reserved. */
bool ptr_may_be_asked(const struct address *a);

/* "1.2.0.192.in-addr.arpa" */
void ptr_question(const struct address *a, char text[static PTR_QUESTION_SIZE]);

struct ptr_answer {
	char name[PTR_NAME_SIZE]; /* lower case; empty unless PTR_NAME */
	uint32_t ttl_s;           /* the least on the way to it */
};

enum ptr_result {
	PTR_NAME, /* of several the first by their bytes, since resolvers turn them round */
	PTR_NONE, /* no PTR record */
	PTR_BAD,  /* no DNS message, or only what is no name of a host */
};

/* Follows CNAME records (RFC 2317). */
enum ptr_result ptr_answer_read(struct slice message, const char *question, struct ptr_answer *ret);

/* What both are told. */

struct lookups_cache_config {
	uint64_t max_entries, min_ttl, max_ttl, negative_ttl, failure_ttl;
};

struct lookups_config {
	bool enabled;
	struct string_list servers, only;
	const char *resolv_conf;
	uint64_t max_in_flight, rate, timeout;
	struct lookups_cache_config cache;
};

extern const struct option lookups_options[];

int lookups_check(const struct lookups_config *config, struct error *error);

/* resolver: c-ares on the loop. */

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

/* lookups */

struct lookups;

/* Memory only. The configuration and the component outlive it. */
int lookups_new(const struct lookups_config *config, const struct component *component,
                struct lookups **ret, struct error *error);
int lookups_start(struct lookups *l, struct error *error);

/* The file that names the servers; NULL: the configuration does. */
const char *lookups_resolv_conf(const struct lookups *l);
/* That file is another now. What is in flight is given up, and asked for again later. */
void lookups_renew(struct lookups *l);

struct lookups_tried {
	uint64_t hits, misses;
	uint64_t over_rate, over_in_flight; /* not asked for now */
};

/* The name that is known, or nothing; then it may be on its way. What was done is counted in tried.
 * Valid until the next call. l may be NULL. */
struct slice lookups_find(struct lookups *l, const struct address *a, struct lookups_tried *tried);

void lookups_collect(const struct lookups *l, const struct lookups_tried *tried,
                     struct metrics_sink *sink);

/* Gives up what is in flight; nothing is asked for any more. */
void lookups_stop(struct lookups *l); /* takes NULL */
void lookups_free(struct lookups *l); /* takes NULL */

#endif
