/* An entry is the name of an address in one namespace. The entries of an address form a ring, from the
 * one seen last on by when they were seen. The one seen last stands in the table under the address, for
 * it is the answer for any namespace and mostly the only one; the others under address and namespace.
 * All are in one list by when they were seen. What a look-up finds to have expired leaves them at once,
 * but its memory stays until the table is next written to: somebody may hold its name.
 *
 * Memory, at most, for each: sizeof(struct entry), the name rounded up, and 16 bytes in the table, which
 * does not shrink. */
#include "core/names/names.h"

#include "core/base/clock.h"
#include "core/base/map.h"

#include <stdlib.h>

enum {
	TTL_MAX_S = 7 * 24 * 3600, /* an answer that is good for years is a mistake or a trick */
	EXPIRED_AT_ONCE = 2,       /* dropped from the oldest end by each names_add() */
	/* Names are given room in such steps, so that most fit where the last was. */
	ROOM_STEP = 16,
	MAP_FIRST_BYTES = 16 * sizeof(void *), /* what a map begins with */
};

/* What a look-up reads comes first: it is in no cache when there are many. */
struct entry {
	struct map_node node; /* in names->entries */
	struct address address;
	uint32_t network;
	uint16_t len;
	uint8_t room_steps;
	bool is_last; /* seen last of all of its address */
	uint64_t expires_ns;
	struct list link; /* in names->seen, or in names->gone */
	struct list same; /* the ring of its address, which has no head */
	uint8_t name[];
};

struct entry_key {
	const struct address *address;
	bool last; /* of any namespace */
	uint32_t network;
};

struct names {
	struct budget *budget;
	struct map entries;
	struct list seen; /* the one seen longest ago first */
	struct list gone; /* expired, in no other order; freed by the next call that writes */
	struct list witnesses;
	uint64_t max_age_ns;
	struct names_stats stats; /* all but count */
};

static bool entry_equal(const struct map_node *node, const void *key)
{
	const struct entry *e = CONTAINER_OF(node, struct entry, node);
	const struct entry_key *k = key;

	return e->is_last == k->last && (k->last || e->network == k->network) &&
	       memcmp(&e->address, k->address, sizeof e->address) == 0;
}

/* Of the hash of its address. */
static uint64_t entry_hash(uint64_t hash, bool last, uint32_t network)
{
	return last ? hash : hash + network * UINT64_C(0x9e3779b97f4a7c15);
}

/* Memory, charged */

static bool charge(struct names *n, size_t size)
{
	if (!budget_take(n->budget, size))
		return false;
	n->stats.bytes += size;
	return true;
}

static void discharge(struct names *n, size_t size)
{
	budget_return(n->budget, size);
	n->stats.bytes -= size;
}

static void *charged_alloc(struct names *n, size_t size)
{
	void *p;

	if (!charge(n, size))
		return NULL;
	if (!(p = malloc(size)))
		discharge(n, size);
	return p;
}

static void charged_free(struct names *n, void *p, size_t size)
{
	free(p);
	discharge(n, size);
}

static size_t map_bytes(const struct map *m)
{
	return m->buckets ? (m->mask + 1) * sizeof *m->buckets : 0;
}

/* Puts an entry into the table, which may double for it. A table that could not is as good as no
 * memory: so entries that stand in it can always change their places. */
static bool table_insert(struct names *n, uint64_t hash, struct entry *e)
{
	struct map *m = &n->entries;
	size_t before = map_bytes(m), after = before;
	bool done;

	if (!m->buckets)
		after = MAP_FIRST_BYTES;
	else if (m->count > m->mask)
		after = before * 2;
	if (!charge(n, after - before))
		return false;
	done = map_insert(m, entry_hash(hash, e->is_last, e->network), &e->node);
	if (done && map_bytes(m) < after) {
		map_remove(m, &e->node);
		done = false;
	}
	discharge(n, after - map_bytes(m));
	return done;
}

static size_t entry_size(const struct entry *e)
{
	return sizeof *e + (size_t)e->room_steps * ROOM_STEP;
}

static void entry_free(struct names *n, struct entry *e)
{
	charged_free(n, e, entry_size(e));
}

static void gone_free(struct names *n)
{
	struct entry *e, *following;

	LIST_FOR_EACH_SAFE(e, following, &n->gone, link) {
		list_remove(&e->link);
		entry_free(n, e);
	}
}

struct names *names_new(struct budget *budget)
{
	struct names *n = calloc(1, sizeof *n);

	if (!n)
		return NULL;
	n->budget = budget;
	map_init(&n->entries, entry_equal);
	list_init(&n->seen);
	list_init(&n->gone);
	list_init(&n->witnesses);
	return n;
}

/* Finding entries */

static struct entry *table_find(const struct names *n, uint64_t hash, const struct entry_key *key)
{
	struct map_node *node =
		map_find(&n->entries, entry_hash(hash, key->last, key->network), key);

	return node ? CONTAINER_OF(node, struct entry, node) : NULL;
}

static struct entry *entry_last(const struct names *n, uint64_t hash, const struct address *a)
{
	return table_find(n, hash, &(struct entry_key){.address = a, .last = true});
}

static struct entry *entry_find(const struct names *n, uint64_t hash, const struct address *a,
                                uint32_t network)
{
	struct entry *last = entry_last(n, hash, a);

	if (!last || last->network == network || list_is_empty(&last->same))
		return last && last->network == network ? last : NULL;
	return table_find(n, hash, &(struct entry_key){.address = a, .network = network});
}

/* Order among the entries of an address */

static void entry_set_last(struct names *n, struct entry *e, bool last)
{
	map_remove(&n->entries, &e->node);
	e->is_last = last;
	map_insert(&n->entries,
	           entry_hash(hash_bytes(&e->address, sizeof e->address), last, e->network),
	           &e->node);
}

/* It was seen after what was the last one until now. */
static void entry_become_last(struct names *n, struct entry *e, struct entry *before)
{
	entry_set_last(n, before, false);
	list_remove(&e->same);
	list_push(&before->same, &e->same);
	entry_set_last(n, e, true);
}

/* What is in no order any more is gone_free()'s. */
static void entry_take_out(struct names *n, struct entry *e)
{
	struct entry *following = LIST_FIRST(&e->same, struct entry, same);

	map_remove(&n->entries, &e->node);
	list_remove(&e->same);
	if (e->is_last && following)
		entry_set_last(n, following, true);
	list_remove(&e->link);
	list_push(&n->gone, &e->link);
}

static struct entry *oldest(const struct names *n)
{
	return LIST_FIRST(&n->seen, struct entry, link);
}

static bool is_expired(const struct entry *e, uint64_t now_ns)
{
	return e->expires_ns <= now_ns;
}

static void expire(struct names *n, struct entry *e)
{
	n->stats.expired++;
	entry_take_out(n, e);
}

void names_free(struct names *n)
{
	if (!n)
		return;
	while (!list_is_empty(&n->seen))
		entry_take_out(n, oldest(n));
	gone_free(n);
	discharge(n, map_bytes(&n->entries));
	map_fini(&n->entries);
	free(n);
}

void names_limit(struct names *n, size_t capacity, uint64_t max_age_ns)
{
	if (capacity > n->stats.capacity)
		n->stats.capacity = capacity;
	if (max_age_ns > n->max_age_ns)
		n->max_age_ns = max_age_ns;
	gone_free(n);
}

void names_join(struct names *n, struct names_witness *w)
{
	list_push(&n->witnesses, &w->link);
}

void names_leave(struct names_witness *w)
{
	if (w->link.next)
		list_remove(&w->link);
	w->link = (struct list){0};
}

void names_catch_up(struct names *n)
{
	struct names_witness *w;

	LIST_FOR_EACH(w, &n->witnesses, link)
		w->catch_up(w->arg);
}

/* Finding */

/* The entry for one namespace, or the one seen last. Drops those it finds to have expired. */
static struct entry *entry_find_live(struct names *n, uint64_t hash, const struct address *a,
                                     bool any, uint32_t network, uint64_t now_ns)
{
	struct entry *e;

	while ((e = any ? entry_last(n, hash, a) : entry_find(n, hash, a, network)) &&
	       is_expired(e, now_ns))
		expire(n, e);
	return e;
}

struct slice names_find_aged(struct names *n, uint32_t network, const struct address *address,
                             uint64_t now_ns, bool *ret_overdue)
{
	struct entry *e = entry_find_live(n, hash_bytes(address, sizeof *address), address,
	                                  network == NAMES_ANY_NETWORK, network, now_ns);

	*ret_overdue = e && e->expires_ns - now_ns <= n->max_age_ns;
	*(e ? &n->stats.hits : &n->stats.misses) += 1;
	return e ? slice_of(e->name, e->len) : slice_of(NULL, 0);
}

struct slice names_find(struct names *n, uint32_t network, const struct address *address,
                        uint64_t now_ns)
{
	bool overdue;

	return names_find_aged(n, network, address, now_ns, &overdue);
}

/* Adding */

static uint64_t expiry(const struct names *n, uint32_t ttl_s, uint64_t now_ns)
{
	uint64_t at = now_ns + (ttl_s < TTL_MAX_S ? ttl_s : TTL_MAX_S) * NS_PER_S;

	return n->max_age_ns < UINT64_MAX - at ? at + n->max_age_ns : UINT64_MAX;
}

static void name_set(struct entry *e, struct slice name)
{
	memcpy(e->name, name.data, name.len);
	e->len = (uint16_t)name.len;
}

static struct entry *entry_new(struct names *n, uint32_t network, const struct address *address,
                               struct slice name)
{
	size_t steps = (name.len + ROOM_STEP - 1) / ROOM_STEP;
	struct entry *e = charged_alloc(n, sizeof *e + steps * ROOM_STEP);

	if (!e)
		return NULL;
	e->address = *address;
	e->network = network;
	e->room_steps = (uint8_t)steps;
	list_init(&e->same);
	name_set(e, name);
	return e;
}

/* Puts an entry of a new key into its orders. */
static bool entry_put(struct names *n, struct entry *e, uint64_t hash)
{
	struct entry *last = entry_last(n, hash, &e->address);

	e->is_last = !last;
	if (!table_insert(n, hash, e))
		return false;
	if (last)
		entry_become_last(n, e, last);
	list_push(&n->seen, &e->link);
	return true;
}

/* The same key was seen again; its name, old or new, fits. */
static void entry_renew(struct names *n, struct entry *e, uint64_t hash, struct slice name)
{
	name_set(e, name);
	if (!e->is_last)
		entry_become_last(n, e, entry_last(n, hash, &e->address));
	list_remove(&e->link);
	list_push(&n->seen, &e->link);
}

static void make_room(struct names *n, uint64_t now_ns)
{
	for (int i = 0; i < EXPIRED_AT_ONCE && oldest(n) && is_expired(oldest(n), now_ns); i++)
		expire(n, oldest(n));
	if (n->entries.count < n->stats.capacity)
		return;
	n->stats.evicted++;
	entry_take_out(n, oldest(n));
}

/* The entry with that name and key, at the end of its orders; NULL: no memory. */
static struct entry *entry_add(struct names *n, uint32_t network, const struct address *address,
                               struct slice name, uint64_t now_ns)
{
	uint64_t hash = hash_bytes(address, sizeof *address);
	struct entry *known = entry_find_live(n, hash, address, false, network, now_ns), *e;

	if (known && name.len <= (size_t)known->room_steps * ROOM_STEP) {
		entry_renew(n, known, hash, name);
		n->stats.replaced++;
		return known;
	}
	if (!known)
		make_room(n, now_ns);
	if (!(e = entry_new(n, network, address, name)))
		return NULL;
	if (known)
		entry_take_out(n, known);
	if (!entry_put(n, e, hash)) {
		entry_free(n, e);
		return NULL;
	}
	*(known ? &n->stats.replaced : &n->stats.added) += 1;
	return e;
}

void names_add(struct names *n, uint32_t network, const struct address *address, struct slice name,
               uint32_t ttl_s, uint64_t now_ns)
{
	struct entry *e = NULL;

	gone_free(n);
	if (name.len && name.len <= NAMES_NAME_MAX && n->stats.capacity)
		e = entry_add(n, network, address, name, now_ns);
	if (e)
		e->expires_ns = expiry(n, ttl_s, now_ns);
	else
		n->stats.refused++;
	gone_free(n);
}

void names_stats(const struct names *n, struct names_stats *ret)
{
	*ret = n->stats;
	ret->count = n->entries.count;
}
