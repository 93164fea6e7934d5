/* dns_names: which names of a resource have series of their own: at most so many, and those that are
 * asked for most. Pure.
 *
 * While there is room every name is taken. Into a full set a name is taken in place of the least
 * frequent one, and only when it has been asked for more than twice as often, and more than once: a
 * flood of random names changes nothing but a sketch (count-min, conservative), as TinyLFU admits to
 * a cache. All counts are halved every NAMES_WINDOW look-ups, so that what was frequent once makes
 * room. A name goes only while all that its series counted has been delivered: nothing is lost with
 * it, and nothing has to be counted again elsewhere. */
#ifndef WEIR_RECEIVERS_DNS_NAMES_H
#define WEIR_RECEIVERS_DNS_NAMES_H

#include "core/base/list.h"
#include "core/observe/resource.h"
#include "core/l7/dns.h"

enum { NAMES_WINDOW = 32768 }; /* look-ups, of all resources */

/* A name that has series; it goes with the last of them. */
struct dns_known_name {
	struct map_node node;
	struct dns_name_set *set; /* NULL: dns_other_name */
	struct list series;       /* whoever uses it: dns_series.of_name */
	uint32_t window;          /* hits are of this one */
	uint64_t hits;
	size_t len;
	char text[];
};

/* "~other": all the names of a resource that have no series of their own. */
extern const struct dns_known_name dns_other_name;

struct dns_names {
	size_t max_names;   /* of a resource; 0: names are not told apart */
	unsigned labels;    /* the last so many of each; 0: all */
	uint8_t *sketch;    /* how often the others were asked for; NULL until a set is full */
	uint32_t window;    /* halvings so far */
	uint32_t asked;     /* look-ups of this window */
	uint64_t folded;    /* look-ups counted under dns_other_name */
	uint64_t replaced;  /* names that made room */
	uint32_t delivered; /* the last collection that was, of whoever sends the series */
	/* Whether all that the name's series counted is delivered. */
	bool (*may_go)(void *arg, const struct dns_known_name *name);
	/* The name makes room: drops its series. */
	void (*on_replaced)(void *arg, struct dns_known_name *name);
	void *arg;
};

/* Without may_go and on_replaced: these the caller sets. */
void dns_names_init(struct dns_names *n, size_t max_names, unsigned labels);
void dns_names_fini(struct dns_names *n);

/* The name under which a question is counted, in lower case. NULL: without. Whoever takes one that
 * has no series yet and then makes none gives it back with dns_name_release(). */
struct dns_known_name *dns_names_find(struct dns_names *n, struct resource *resource,
                                      struct slice question);

/* Frees it when it has no series. Takes NULL. */
void dns_name_release(struct dns_known_name *name);

#endif
