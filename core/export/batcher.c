#include "core/export/batcher.h"

#include "core/base/clock.h"

#include <errno.h>
#include <stdlib.h>

/* Requests that are answered meanwhile give memory back. */
#define NO_MEMORY_PAUSE_NS (100 * NS_PER_MS)

/* What is being joined of one combination of values. */
struct partition {
	struct list link; /* in batcher.open or batcher.leaving */
	struct map_node by_values;
	struct request *request;
	uint64_t flush_at_ns;
	size_t n_values;
	uint8_t values[]; /* batch_metadata_key() */
};

static bool values_equal(const struct map_node *node, const void *key)
{
	const struct partition *p = CONTAINER_OF(node, struct partition, by_values);

	return slice_equal(slice_of(p->values, p->n_values), *(const struct slice *)key);
}

void batcher_init(struct batcher *b, const struct queue_config *config)
{
	*b = (struct batcher){.config = &config->batch, .min_size = config->batch.min_size};
	list_init(&b->open);
	list_init(&b->leaving);
	map_init(&b->by_values, values_equal);
	/* More than the queue holds would never come together. */
	if (config->batch.sizer == config->sizer && b->min_size > config->queue_size)
		b->min_size = config->queue_size;
}

void batcher_fini(struct batcher *b)
{
	map_fini(&b->by_values);
	buffer_fini(&b->values);
}

bool batcher_is_empty(const struct batcher *b)
{
	return b->by_values.count == 0;
}

/* ---- partitions */

static struct partition *partition_open(struct batcher *b, struct slice values, uint64_t hash,
                                        struct request *r, uint64_t now_ns)
{
	struct partition *p = malloc(sizeof *p + values.len);

	if (!p)
		return NULL;
	*p = (struct partition){.request = r,
	                        .flush_at_ns = now_ns + b->config->flush_timeout,
	                        .n_values = values.len};
	if (values.len)
		memcpy(p->values, values.data, values.len);
	if (!map_insert(&b->by_values, hash, &p->by_values)) {
		free(p);
		return NULL;
	}
	list_push(&b->open, &p->link);
	return p;
}

static struct request *partition_close(struct batcher *b, struct partition *p)
{
	struct request *r = p->request;

	list_remove(&p->link);
	map_remove(&b->by_values, &p->by_values);
	free(p);
	return r;
}

static void partition_leave(struct batcher *b, struct partition *p)
{
	list_remove(&p->link);
	list_push(&b->leaving, &p->link);
}

/* It was leaving, but what is left of it may be joined again. */
static void partition_stay(struct batcher *b, struct partition *p)
{
	struct partition *later;

	list_remove(&p->link);
	LIST_FOR_EACH(later, &b->open, link)
		if (later->flush_at_ns > p->flush_at_ns)
			break;
	list_push(&later->link,
	          &p->link); /* before it; at the end of the list, when there is none */
}

/* ---- what comes */

/* r is not taken: something has to leave first, or memory to come back. */
static bool make_way(struct batcher *b, struct partition *p, uint64_t now_ns)
{
	if (p)
		partition_leave(b, p);
	else
		b->paused_until = now_ns + NO_MEMORY_PAUSE_NS;
	return false;
}

bool batcher_add(struct batcher *b, struct request *r, uint64_t now_ns)
{
	const struct string_list *keys = &b->config->partition.metadata_keys;
	struct partition *p, *oldest = LIST_FIRST(&b->open, struct partition, link);
	struct map_node *found;
	struct slice values;
	uint64_t hash;

	buffer_clear(&b->values);
	if (!batch_metadata_key(r->batch, keys->items, keys->count, &b->values))
		return make_way(b, oldest, now_ns);
	values = buffer_slice(&b->values);
	hash = hash_bytes(values.data, values.len);
	found = map_find(&b->by_values, hash, &values);
	if (found) {
		p = CONTAINER_OF(found, struct partition, by_values);
		if (!request_merge(p->request, r))
			return make_way(b, p, now_ns); /* it goes as it is */
	} else {
		if (b->by_values.count >= BATCHER_OPEN_LIMIT)
			return make_way(b, oldest, now_ns);
		p = partition_open(b, values, hash, r, now_ns);
		if (!p)
			return make_way(b, oldest, now_ns);
	}
	if (p->request->size >= b->min_size)
		partition_leave(b, p);
	return true;
}

/* ---- what goes */

bool batcher_is_too_large(const struct batcher *b, const struct request *r)
{
	return b->config->max_size && r->size > b->config->max_size && r->batch->items <= 1;
}

/* Cuts until the front holds items: groups may be empty. */
static struct request *split(struct batcher *b, struct partition *p, uint64_t now_ns,
                             struct request **ret_broken, struct error *error)
{
	struct request *head = NULL;
	int r = 0;

	while (r == 0 && !head && p->request->batch->items > 1) {
		r = request_split(p->request, (enum batch_sizer)b->config->sizer,
		                  b->config->max_size, &head, error);
		if (r == 0 && !head->first)
			request_free(TAKE(head));
	}
	if (r == -ENOMEM)
		b->paused_until = now_ns + NO_MEMORY_PAUSE_NS;
	else if (r < 0)
		*ret_broken = partition_close(b, p);
	else if (!p->request->first)
		request_free(partition_close(b, p));
	else if (p->request->size < b->min_size)
		partition_stay(b, p);
	return head;
}

struct request *batcher_take(struct batcher *b, bool flush, uint64_t now_ns,
                             struct request **ret_broken, struct error *error)
{
	struct partition *p = LIST_FIRST(&b->leaving, struct partition, link);
	const struct request *r;

	if (now_ns < b->paused_until)
		return NULL;
	b->paused_until = 0;
	if (!p) {
		p = LIST_FIRST(&b->open, struct partition, link);
		if (!p || (!flush && now_ns < p->flush_at_ns))
			return NULL;
	}
	r = p->request;
	if (b->config->max_size && r->size > b->config->max_size && r->batch->items > 1)
		return split(b, p, now_ns, ret_broken, error);
	return partition_close(b, p);
}

struct request *batcher_give_up(struct batcher *b)
{
	struct partition *p = LIST_FIRST(&b->leaving, struct partition, link);

	if (!p)
		p = LIST_FIRST(&b->open, struct partition, link);
	return p ? partition_close(b, p) : NULL;
}

uint64_t batcher_due(const struct batcher *b)
{
	const struct partition *p = LIST_FIRST(&b->open, struct partition, link);

	if (b->paused_until)
		return b->paused_until;
	return p ? p->flush_at_ns : 0;
}
