/* names: which name an address was asked for under, as answers of resolvers told it: one bounded
 * table of the process. A receiver that sees answers fills it, processors ask it (host->names), and
 * it outlives both, so that nothing is forgotten when a configuration is loaded again.
 *
 * An address may mean different things in different network namespaces, so a name belongs to one;
 * who does not know the namespace asks for the name that was seen last in any. A name lasts as long
 * as the answer's time to live says, and max_age longer: connections outlive the records that led to
 * them. At the bound the name that was seen longest ago makes room.
 *
 * Belongs to one thread. Charged to the budget. */
#ifndef WEIR_NAMES_NAMES_H
#define WEIR_NAMES_NAMES_H

#include "core/base/address.h"
#include "core/base/budget.h"
#include "core/base/list.h"

enum { NAMES_NAME_MAX = 1024 }; /* bytes; longer ones are not taken */
#define NAMES_ANY_NETWORK 0     /* no inode has that number */

struct names;

/* Empty, with room for no name until somebody sets limits. NULL: no memory. */
struct names *names_new(struct budget *budget);
void names_free(struct names *n); /* takes NULL */

/* Sets the bounds: at most capacity names; max_age_ns is what is added to times to live. Several
 * may set them: the larger ones hold. Memory is taken as names come. */
void names_limit(struct names *n, size_t capacity, uint64_t max_age_ns);

/* In that network namespace (its inode; NAMES_ANY_NETWORK: it is not known which) the address was
 * given for the name, for ttl_s seconds, of which at most a week counts. A name of the same address
 * and namespace is replaced. Not taken, and counted: a name that is empty or too long, no room (a
 * capacity of 0), no memory. */
void names_add(struct names *n, uint32_t network, const struct address *address, struct slice name,
               uint32_t ttl_s, uint64_t now_ns);

/* The name, or nothing. network NAMES_ANY_NETWORK: the one seen last. Valid until the next
 * names_add(), names_limit() or names_free(). */
struct slice names_find(struct names *n, uint32_t network, const struct address *address,
                        uint64_t now_ns);

/* The same, and whether its time to live is over, so that only max_age keeps it. */
struct slice names_find_aged(struct names *n, uint32_t network, const struct address *address,
                             uint64_t now_ns, bool *ret_overdue);

/* One who fills the table, and to whom it happens that what he has seen is still on its way to it. */
struct names_witness {
	struct list link;
	/* Adds what was observed until now. May do nothing when it is not the moment. Calls nobody who
	 * might ask for names. */
	void (*catch_up)(void *arg);
	void *arg;
};

void names_join(struct names *n, struct names_witness *w); /* w stays until it leaves */
void names_leave(struct names_witness *w);                 /* takes one that never joined, zeroed */

/* Before names are asked for: all witnesses catch up, so that an address that was learned a moment
 * ago has its name from the first batch on. */
void names_catch_up(struct names *n);

struct names_stats {
	size_t count, capacity, bytes;
	uint64_t added, replaced;
	uint64_t evicted; /* made room for others before their time */
	uint64_t expired;
	uint64_t refused; /* not taken */
	uint64_t hits, misses;
};
void names_stats(const struct names *n, struct names_stats *ret);

#endif
