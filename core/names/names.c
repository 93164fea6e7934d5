/* An entry is the name of an address in one namespace. It stands in its address's list (the one seen
 * last first, which is the answer for any namespace) and in the list of all by when they were seen;
 * by its key only where an address has several, which is rare. What a look-up finds to have expired
 * leaves them at once, but its memory stays until the table is next written to: somebody may hold its
 * name.
 *
 * Memory, at most, for each: sizeof(struct entry) + sizeof(struct place), the name rounded up, and 16
 * bytes in each of the two indexes, which do not shrink. */
#include "core/names/names.h"

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/map.h"

#include <stdlib.h>

enum {
	TTL_MAX_S = 7 * 24 * 3600, /* an answer that is good for years is a mistake or a trick */
	EXPIRED_AT_ONCE = 2,       /* dropped from the oldest end by each names_add() */
	ROOM_STEP =
		16, /* names are given room in such steps, so that most fit where the last was */
	MAP_FIRST_BYTES = 16 * sizeof(void *), /* what a map begins with */
};

/* An address. */
struct place {
	struct map_node node; /* in names->places */
	struct list entries;  /* the one seen last first */
	struct address address;
};

struct entry {
	struct map_node node; /* in names->entries, if indexed */
	struct place *place;
	struct list same; /* in place->entries */
	struct list link; /* in names->seen, or in names->gone */
	uint64_t expires_ns;
	uint32_t network;
	uint16_t len, room;
	bool indexed; /* all of a place with more than one are */
	uint8_t name[];
};

struct entry_key {
	const struct place *place;
	uint32_t network;
};

struct names {
	struct budget *budget;
	struct map places, entries;
	size_t count;
	struct list seen; /* the one seen longest ago first */
	struct list gone; /* expired, in no other order; freed by the next call that writes */
	uint64_t max_age_ns;
	struct names_stats stats; /* all but count */
};

static bool place_equal(const struct map_node *node, const void *key)
{
	return memcmp(&CONTAINER_OF(node, struct place, node)->address, key,
	              sizeof(struct address)) == 0;
}

static bool entry_equal(const struct map_node *node, const void *key)
{
	const struct entry *e = CONTAINER_OF(node, struct entry, node);
	const struct entry_key *k = key;

	return e->network == k->network && e->place == k->place;
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

/* As map_insert(), which may double the map. */
static bool index_insert(struct names *n, struct map *m, uint64_t hash, struct map_node *node)
{
	size_t before = map_bytes(m), more = m->buckets ? before : MAP_FIRST_BYTES;
	bool done;

	if (m->buckets && m->count <= m->mask)
		more = 0;
	if (!charge(n, more))
		return false;
	done = map_insert(m, hash, node);
	discharge(n, before + more - map_bytes(m));
	return done;
}

static size_t entry_size(const struct entry *e)
{
	return sizeof *e + e->room;
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
	map_init(&n->places, place_equal);
	map_init(&n->entries, entry_equal);
	list_init(&n->seen);
	list_init(&n->gone);
	return n;
}

/* Taking out: an entry that is in no order any more is gone_free()'s. */

static void place_drop_if_empty(struct names *n, struct place *p)
{
	if (!list_is_empty(&p->entries))
		return;
	map_remove(&n->places, &p->node);
	charged_free(n, p, sizeof *p);
}

static void entry_take_out(struct names *n, struct entry *e)
{
	if (e->indexed)
		map_remove(&n->entries, &e->node);
	e->indexed = false;
	n->count--;
	list_remove(&e->same);
	place_drop_if_empty(n, e->place);
	e->place = NULL;
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
	discharge(n, map_bytes(&n->places) + map_bytes(&n->entries));
	map_fini(&n->places);
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

/* Finding */

static struct place *place_find(const struct names *n, uint64_t hash, const struct address *a)
{
	struct map_node *node = map_find(&n->places, hash, a);

	return node ? CONTAINER_OF(node, struct place, node) : NULL;
}

static struct entry *place_first(const struct place *p)
{
	return LIST_FIRST(&p->entries, struct entry, same);
}

static bool place_has_several(const struct place *p)
{
	return p->entries.next->next != &p->entries;
}

static uint64_t entry_hash(const struct place *p, uint32_t network)
{
	return p->node.hash + network * UINT64_C(0x9e3779b97f4a7c15);
}

static struct entry *entry_find(const struct names *n, const struct place *p, uint32_t network)
{
	struct entry_key key = {p, network};
	struct map_node *node;

	if (place_first(p)->network == network)
		return place_first(p);
	if (!place_has_several(p))
		return NULL;
	node = map_find(&n->entries, entry_hash(p, network), &key);
	return node ? CONTAINER_OF(node, struct entry, node) : NULL;
}

/* The entry for one namespace, or the one seen last. Drops those it finds to have expired. */
static struct entry *entry_find_live(struct names *n, uint64_t hash, const struct address *a,
                                     bool any, uint32_t network, uint64_t now_ns)
{
	struct place *p;
	struct entry *e;

	while ((p = place_find(n, hash, a))) {
		e = any ? place_first(p) : entry_find(n, p, network);
		if (!e || !is_expired(e, now_ns))
			return e;
		expire(n, e);
	}
	return NULL;
}

struct slice names_find(struct names *n, uint32_t network, const struct address *address,
                        uint64_t now_ns)
{
	struct entry *e = entry_find_live(n, hash_bytes(address, sizeof *address), address,
	                                  network == NAMES_ANY_NETWORK, network, now_ns);

	if (!e) {
		n->stats.misses++;
		return slice_of(NULL, 0);
	}
	n->stats.hits++;
	return slice_of(e->name, e->len);
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

static struct entry *entry_new(struct names *n, struct slice name)
{
	size_t room = (name.len + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;
	struct entry *e = charged_alloc(n, sizeof *e + room);

	if (!e)
		return NULL;
	e->room = (uint16_t)room;
	e->indexed = false;
	name_set(e, name);
	return e;
}

static struct place *place_add(struct names *n, uint64_t hash, const struct address *address)
{
	struct place *p = charged_alloc(n, sizeof *p);

	if (!p)
		return NULL;
	p->address = *address;
	list_init(&p->entries);
	if (index_insert(n, &n->places, hash, &p->node))
		return p;
	charged_free(n, p, sizeof *p);
	return NULL;
}

static bool entry_index(struct names *n, struct entry *e)
{
	if (!e->indexed)
		e->indexed =
			index_insert(n, &n->entries, entry_hash(e->place, e->network), &e->node);
	return e->indexed;
}

/* Puts an entry of a new key into its orders. */
static bool entry_put(struct names *n, struct entry *e, uint32_t network, uint64_t hash,
                      const struct address *address)
{
	struct place *p = place_find(n, hash, address);
	bool alone = !p;

	if (!p && !(p = place_add(n, hash, address)))
		return false;
	e->network = network;
	e->place = p;
	if (!alone && (!entry_index(n, place_first(p)) || !entry_index(n, e)))
		return false;
	list_push_front(&p->entries, &e->same);
	list_push(&n->seen, &e->link);
	n->count++;
	return true;
}

/* The same key was seen again; its name, old or new, fits. */
static void entry_renew(struct names *n, struct entry *e, struct slice name)
{
	name_set(e, name);
	list_remove(&e->same);
	list_push_front(&e->place->entries, &e->same);
	list_remove(&e->link);
	list_push(&n->seen, &e->link);
}

static void make_room(struct names *n, uint64_t now_ns)
{
	for (int i = 0; i < EXPIRED_AT_ONCE && oldest(n) && is_expired(oldest(n), now_ns); i++)
		expire(n, oldest(n));
	if (n->count < n->stats.capacity)
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

	if (known && name.len <= known->room) {
		entry_renew(n, known, name);
		n->stats.replaced++;
		return known;
	}
	if (!known)
		make_room(n, now_ns);
	if (!(e = entry_new(n, name)))
		return NULL;
	if (known)
		entry_take_out(n, known);
	if (!entry_put(n, e, network, hash, address)) {
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
	ret->count = n->count;
}
