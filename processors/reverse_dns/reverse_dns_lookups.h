/* lookups: names of addresses that a resolver is asked for (PTR records): when, and what is kept.
 *
 * lookups_find() answers at once, from a cache. What is not in it is asked for, as far as the bounds
 * allow, and is in the cache later: a name, or that there is none. */
#ifndef WEIR_PROCESSORS_REVERSE_DNS_LOOKUPS_H
#define WEIR_PROCESSORS_REVERSE_DNS_LOOKUPS_H

#include "core/base/address.h"
#include "core/component.h"

struct metrics_sink;

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
