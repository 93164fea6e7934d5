#include "receivers/dns/dns_names.h"

#include <stdlib.h>
#include <string.h>

/* A sketch is 128 KiB. With a window of as many look-ups as a row has counters, random names alone
 * leave less than one count in each, so that a name seen once looks like one. */
enum {
	SKETCH_ROWS = 4,
	SKETCH_WIDTH = NAMES_WINDOW,
	SKETCH_MAX = UINT8_MAX,
};

/* The names of one resource. */
struct dns_name_set {
	struct map map;
	struct resource *resource; /* its series hold it */
	uint32_t window;           /* floor is of this one */
	uint64_t floor;            /* no name has fewer hits */
	/* No name that would have had to make room might go since that collection was delivered. */
	bool waits;
	uint32_t waits_since;
};

const struct dns_known_name dns_other_name = {.len = sizeof "~other" - 1, .text = "~other"};

void dns_names_init(struct dns_names *n, size_t max_names, unsigned labels)
{
	*n = (struct dns_names){.max_names = max_names, .labels = labels};
}

void dns_names_fini(struct dns_names *n)
{
	free(n->sketch);
}

/* ---- how often */

static uint64_t halved(uint64_t count, uint32_t times)
{
	return times < 64 ? count >> times : 0;
}

static uint64_t hits_of(const struct dns_names *n, const struct dns_known_name *name)
{
	return halved(name->hits, n->window - name->window);
}

static void window_count(struct dns_names *n)
{
	if (++n->asked < NAMES_WINDOW)
		return;
	n->asked = 0;
	n->window++;
	for (size_t i = 0; n->sketch && i < SKETCH_ROWS * SKETCH_WIDTH; i++)
		n->sketch[i] /= 2;
}

/* Counts a name that has no series; returns how often it came, or a little more. Only the smallest of
 * its counters grow. 0: no memory. */
static unsigned sketch_count(struct dns_names *n, uint64_t hash)
{
	uint8_t *cells[SKETCH_ROWS], least = SKETCH_MAX;

	if (!n->sketch && !(n->sketch = calloc(SKETCH_ROWS, SKETCH_WIDTH)))
		return 0;
	for (size_t i = 0; i < SKETCH_ROWS; i++) {
		cells[i] = &n->sketch[i * SKETCH_WIDTH + (hash >> 16 * i) % SKETCH_WIDTH];
		least = *cells[i] < least ? *cells[i] : least;
	}
	if (least == SKETCH_MAX)
		return least;
	for (size_t i = 0; i < SKETCH_ROWS; i++)
		if (*cells[i] == least)
			++*cells[i];
	return least + 1u;
}

/* ---- sets */

static bool name_equal(const struct map_node *node, const void *key)
{
	const struct dns_known_name *name = CONTAINER_OF(node, struct dns_known_name, node);

	return slice_equal(slice_of(name->text, name->len), *(const struct slice *)key);
}

static struct dns_name_set *set_of(struct resource *resource)
{
	struct dns_name_set *set = resource->names;

	if (set)
		return set;
	set = calloc(1, sizeof *set);
	if (!set)
		return NULL;
	map_init(&set->map, name_equal);
	set->resource = resource;
	resource->names = set;
	return set;
}

static void set_release(struct dns_name_set *set)
{
	if (set->map.count)
		return;
	set->resource->names = NULL;
	map_fini(&set->map);
	free(set);
}

void dns_name_release(struct dns_known_name *name)
{
	struct dns_name_set *set = name ? name->set : NULL;

	if (!set || !list_is_empty(&name->series))
		return;
	map_remove(&set->map, &name->node);
	free(name);
	set_release(set);
}

static struct dns_known_name *name_add(const struct dns_names *n, struct dns_name_set *set,
                                       uint64_t hash, struct slice text, uint64_t hits)
{
	struct dns_known_name *name = calloc(1, sizeof *name + text.len + 1);

	if (!name || !map_insert(&set->map, hash, &name->node)) {
		free(name);
		set_release(set);
		return NULL;
	}
	name->set = set;
	name->window = n->window;
	name->hits = hits;
	name->len = text.len;
	memcpy(name->text, text.data, text.len);
	list_init(&name->series);
	return name;
}

struct search {
	const struct dns_names *names;
	struct dns_known_name *least, *free; /* of all, and of those that may go */
};

static bool has_fewer(const struct dns_names *n, const struct dns_known_name *name,
                      const struct dns_known_name *than)
{
	return !than || hits_of(n, name) < hits_of(n, than);
}

static bool compare_hits(struct map_node *node, void *arg)
{
	struct dns_known_name *name = CONTAINER_OF(node, struct dns_known_name, node);
	struct search *s = arg;

	if (has_fewer(s->names, name, s->least))
		s->least = name;
	if (has_fewer(s->names, name, s->free) && s->names->may_go(s->names->arg, name))
		s->free = name;
	return true;
}

/* Names that are asked for equally often differ by chance: without a margin they would take each
 * other's places for ever. A name that was seen once may have been seen by mistake. */
static bool is_clearly_more(uint64_t hits, uint64_t than)
{
	return hits > 2 * than + 1;
}

/* The name that makes room for one of so many hits, or NULL. That no name has fewer hits than the
 * least had when last looked at, and that none may go before the next collection is delivered, spares
 * the look at all of them for most. */
static struct dns_known_name *least_below(const struct dns_names *n, struct dns_name_set *set,
                                          uint64_t hits)
{
	struct search s = {.names = n};

	if (!is_clearly_more(hits, halved(set->floor, n->window - set->window)) ||
	    (set->waits && set->waits_since == n->delivered))
		return NULL;
	map_each(&set->map, compare_hits, &s);
	set->window = n->window;
	set->floor = hits_of(n, s.least);
	set->waits_since = n->delivered;
	set->waits = is_clearly_more(hits, set->floor) &&
	             !(s.free && is_clearly_more(hits, hits_of(n, s.free)));
	return s.free && is_clearly_more(hits, hits_of(n, s.free)) ? s.free : NULL;
}

/* A name that is not in its full set. */
static struct dns_known_name *name_admit(struct dns_names *n, struct dns_name_set *set,
                                         uint64_t hash, struct slice text)
{
	uint64_t sketched[] = {hash, (uint64_t)(uintptr_t)set};
	uint64_t hits = sketch_count(n, hash_bytes(sketched, sizeof sketched));
	struct dns_known_name *least = least_below(n, set, hits), *name = NULL;

	if (least)
		name = name_add(n, set, hash, text, hits);
	if (!name) {
		n->folded++;
		return (struct dns_known_name *)&dns_other_name;
	}
	n->replaced++;
	n->on_replaced(n->arg, least); /* frees it with its series; the new one keeps the set */
	return name;
}

struct dns_known_name *dns_names_find(struct dns_names *n, struct resource *resource,
                                      struct slice question)
{
	char lower[DNS_NAME_TEXT];
	struct dns_name_set *set;
	struct map_node *found;
	struct slice text;
	uint64_t hash;

	if (!n->max_names || !question.len)
		return NULL;
	text = n->labels ? dns_name_last(question, n->labels) : question;
	if (text.len > sizeof lower)
		return NULL;
	memcpy(lower, text.data, text.len);
	dns_name_lower(lower, text.len);
	text = slice_of(lower, text.len);
	if (slice_equal(text, slice_of(dns_other_name.text, dns_other_name.len)))
		return (struct dns_known_name *)&dns_other_name; /* somebody did ask for it */
	hash = hash_bytes(lower, text.len);
	window_count(n);
	set = set_of(resource);
	if (!set)
		return (struct dns_known_name *)&dns_other_name;
	found = map_find(&set->map, hash, &text);
	if (found) {
		struct dns_known_name *name = CONTAINER_OF(found, struct dns_known_name, node);

		name->hits = hits_of(n, name) + 1;
		name->window = n->window;
		return name;
	}
	if (set->map.count < n->max_names) {
		set->floor = 0;
		return name_add(n, set, hash, text, 1);
	}
	return name_admit(n, set, hash, text);
}
