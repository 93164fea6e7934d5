#include "receivers/sockets/sockets_owners.h"

#include <stdlib.h>
#include <string.h>

struct owner {
	struct map_node node;
	struct proc_key key;
	struct resource *resource;
	int64_t open;
};

static bool owner_equal(const struct map_node *node, const void *key)
{
	return memcmp(&CONTAINER_OF(node, struct owner, node)->key, key, sizeof(struct proc_key)) ==
	       0;
}

void owners_init(struct owners *o, struct proc_cache *processes, struct resources *resources,
                 bool per_process)
{
	*o = (struct owners){.processes = processes,
	                     .resources = resources,
	                     .per_process = per_process};
	map_init(&o->map, owner_equal);
}

static void owner_drop(struct owners *o, struct owner *w)
{
	map_remove(&o->map, &w->node);
	resource_unref(w->resource);
	free(w);
}

static bool drop(struct map_node *node, void *arg)
{
	owner_drop(arg, CONTAINER_OF(node, struct owner, node));
	return true;
}

void owners_fini(struct owners *o)
{
	map_each(&o->map, drop, o);
	map_fini(&o->map);
}

static struct owner *owner_find(struct owners *o, const struct proc_key *key)
{
	struct map_node *n = map_find(&o->map, hash_bytes(key, sizeof *key), key);

	return n ? CONTAINER_OF(n, struct owner, node) : NULL;
}

/* Without memory its connections are counted all the same, only under a name that may change. */
static struct owner *owner_remember(struct owners *o, const struct proc_key *key,
                                    struct resource *resource)
{
	struct owner *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->key = *key;
	if (!map_insert(&o->map, hash_bytes(key, sizeof *key), &w->node)) {
		free(w);
		return NULL;
	}
	w->resource = resource_ref(resource);
	return w;
}

/* change: what happens to the number of the owner's open connections. */
static struct resource *resource_count(struct owners *o, const struct proc_key *key, int change,
                                       uint64_t now_ns)
{
	struct owner *w = owner_find(o, key);
	struct resource *r;

	r = w ? resource_ref(w->resource)
	      : resource_of_process(o->resources, o->processes, key, o->per_process, now_ns);
	if (!w && r && change > 0)
		w = owner_remember(o, key, r);
	if (!w)
		return r;
	w->open += change;
	if (w->open <= 0 && change < 0)
		owner_drop(o, w);
	return r;
}

struct resource *owners_resource(struct owners *o, const struct sockets_record *record,
                                 uint64_t now_ns)
{
	struct proc_key key = resource_process_key(&record->owner);

	return resource_count(o, &key, sockets_opening(record), now_ns);
}

static bool forget_open(struct map_node *node, void *arg)
{
	(void)arg;
	CONTAINER_OF(node, struct owner, node)->open = 0;
	return true;
}

void owners_recount(struct owners *o)
{
	map_each(&o->map, forget_open, NULL);
}

struct resource *owners_recount_seen(struct owners *o, const struct sockets_record *record,
                                     uint64_t now_ns)
{
	struct proc_key key = resource_process_key(&record->owner);

	return resource_count(o, &key, 1, now_ns);
}

static bool drop_unseen(struct map_node *node, void *arg)
{
	struct owner *w = CONTAINER_OF(node, struct owner, node);

	if (w->open == 0)
		owner_drop(arg, w);
	return true;
}

void owners_recount_end(struct owners *o)
{
	map_each(&o->map, drop_unseen, o);
}
