#include "core/observe/aggregate.h"

void aggregates_init(struct aggregates *t, const struct aggregate_kind *kind,
                     struct aggregate *overflow, const char *host_name, size_t limit,
                     uint64_t start_unix_ns)
{
	*t = (struct aggregates){.kind = kind, .overflow = overflow, .limit = limit};
	map_init(&t->map, kind->equal);
	resources_init(&t->resources, host_name);
	list_init(&t->by_touch);
	list_init(&overflow->of_resource);
	list_init(&overflow->by_touch);
	aggregates_begin(t, start_unix_ns);
}

void aggregates_begin(struct aggregates *t, uint64_t start_unix_ns)
{
	t->since_unix_ns = t->part_unix_ns = start_unix_ns;
	t->overflow->start_unix_ns = t->overflow->sent_unix_ns = start_unix_ns;
}

void aggregates_fini(struct aggregates *t)
{
	struct aggregate *s, *next;

	LIST_FOR_EACH_SAFE(s, next, &t->by_touch, by_touch)
		aggregate_remove(t, s);
	map_fini(&t->map);
	resources_fini(&t->resources);
}

bool aggregates_is_full(const struct aggregates *t)
{
	return t->map.count >= t->limit;
}

struct aggregate *aggregate_find(const struct aggregates *t, uint64_t hash, const void *key)
{
	struct map_node *n = map_find(&t->map, hash, key);

	return n ? CONTAINER_OF(n, struct aggregate, node) : NULL;
}

bool aggregate_insert(struct aggregates *t, struct aggregate *s, uint64_t hash,
                      struct resource *resource)
{
	if (aggregates_is_full(t) || !map_insert(&t->map, hash, &s->node))
		return false;
	s->start_unix_ns = s->sent_unix_ns = t->since_unix_ns;
	s->resource = resource_ref(resource);
	list_push(&resource->series, &s->of_resource);
	list_push(&t->by_touch, &s->by_touch);
	return true;
}

void aggregate_remove(struct aggregates *t, struct aggregate *s)
{
	struct resource *resource = s->resource;

	map_remove(&t->map, &s->node);
	list_remove(&s->of_resource);
	list_remove(&s->by_touch);
	t->kind->free(s);
	resource_unref(resource);
}

static void move_to_end(struct list *head, struct list *member)
{
	list_remove(member);
	list_push(head, member);
}

void aggregate_touch(struct aggregates *t, struct aggregate *s, uint64_t now_ns)
{
	s->touched_ns = now_ns;
	move_to_end(&t->by_touch, &s->by_touch);
}

bool aggregate_is_delivered(const struct aggregates *t, const struct aggregate *s)
{
	return !s->unsent && s->collection <= t->delivered;
}

void aggregates_expire(struct aggregates *t, uint64_t now_ns, uint64_t ttl_ns)
{
	struct aggregate *s, *next;

	LIST_FOR_EACH_SAFE(s, next, &t->by_touch, by_touch) {
		if (now_ns < s->touched_ns || now_ns - s->touched_ns < ttl_ns)
			break;
		if (s->open == 0 && aggregate_is_delivered(t, s))
			aggregate_remove(t, s);
	}
}

/* ---- collections
 *
 * What a collection is through with moves to the end of its list, so the rest begins at the front:
 * there is no place to remember that could go away. What is made meanwhile stands behind it. */

/* Passing over a silent series is cheap, but not so cheap that a million could be passed at once. */
enum { PASSED_FOR_EACH = 16 };

bool aggregate_is_silent(const struct aggregate *s, bool delta)
{
	return delta && !s->unsent && !s->open;
}

void aggregates_collect(struct aggregates *t)
{
	t->collection++;
	t->since_unix_ns = t->part_unix_ns;
}

struct aggregate_part aggregates_next(const struct aggregates *t, bool delta, size_t limit)
{
	struct aggregate_part part = {0};
	struct resource *r;
	struct aggregate *s;
	size_t telling = 0;

	LIST_FOR_EACH(r, &t->resources.all, link) {
		if (r->collection == t->collection)
			break;
		LIST_FOR_EACH(s, &r->series, of_resource) {
			if (s->collection == t->collection)
				break;
			telling += !aggregate_is_silent(s, delta);
			if (telling > limit || part.series / PASSED_FOR_EACH >= limit)
				return part;
			part.series++;
		}
	}
	part.overflow = t->overflow->collection != t->collection;
	return part;
}

bool aggregates_part_each(const struct aggregates *t, struct aggregate_part part,
                          bool (*on_resource)(void *arg, struct resource *r, size_t n), void *arg)
{
	struct resource *r;
	struct aggregate *s;

	LIST_FOR_EACH(r, &t->resources.all, link) {
		size_t n = 0;

		if (!part.series)
			break;
		LIST_FOR_EACH(s, &r->series, of_resource) {
			if (n == part.series || s->collection == t->collection)
				break;
			n++;
		}
		part.series -= n;
		if (n && !on_resource(arg, r, n))
			return false;
	}
	return true;
}

static void one_sent(struct aggregates *t, struct aggregate *s, bool delta, uint64_t now_unix_ns)
{
	s->collection = t->collection;
	s->sent_unix_ns = now_unix_ns;
	s->unsent = false;
	if (delta)
		t->kind->clear(s);
}

/* False: the resource has more than n series that are still to be sent. */
static bool resource_sent(struct aggregates *t, struct resource *r, size_t *n, bool delta,
                          uint64_t now_unix_ns)
{
	struct aggregate *s;

	while ((s = LIST_FIRST(&r->series, struct aggregate, of_resource)) &&
	       s->collection != t->collection) {
		if (!*n)
			return false;
		--*n;
		one_sent(t, s, delta, now_unix_ns);
		move_to_end(&r->series, &s->of_resource);
	}
	return true;
}

void aggregates_sent(struct aggregates *t, struct aggregate_part part, bool delta,
                     uint64_t now_unix_ns)
{
	struct resource *r;

	while ((r = LIST_FIRST(&t->resources.all, struct resource, link)) &&
	       r->collection != t->collection &&
	       resource_sent(t, r, &part.series, delta, now_unix_ns)) {
		r->collection = t->collection;
		move_to_end(&t->resources.all, &r->link);
	}
	t->part_unix_ns = now_unix_ns;
	if (!part.overflow)
		return;
	one_sent(t, t->overflow, delta, now_unix_ns);
	t->since_unix_ns = now_unix_ns;
}

void aggregates_delivered(struct aggregates *t)
{
	t->delivered = t->collection;
}
