#include "core/export/queue.h"

#include <assert.h>

void queue_init(struct queue *q, const struct queue_config *config)
{
	*q = (struct queue){.config = config};
	list_init(&q->ready);
	list_init(&q->blocked);
}

static bool has_room(const struct queue *q, size_t size)
{
	return size <= q->config->queue_size && q->used <= q->config->queue_size - size;
}

static void take(struct queue *q, struct request *r)
{
	q->used += r->first->entry->size;
	list_push(&q->ready, &r->link);
}

enum queue_answer queue_offer(struct queue *q, struct request *r)
{
	size_t size = r->first->entry->size;

	if (size > q->config->queue_size)
		return QUEUE_TOO_LARGE;
	if (list_is_empty(&q->blocked) && has_room(q, size)) {
		take(q, r);
		return QUEUE_TAKEN;
	}
	if (!q->config->block_on_overflow || q->n_blocked >= QUEUE_BLOCKED_LIMIT)
		return QUEUE_FULL;
	list_push(&q->blocked, &r->link);
	q->n_blocked++;
	return QUEUE_BLOCKED;
}

struct request *queue_first(const struct queue *q)
{
	return LIST_FIRST(&q->ready, struct request, link);
}

void queue_pop(struct queue *q, struct request *r)
{
	list_remove(&r->link);
}

void queue_return(struct queue *q, struct request *r)
{
	list_push_front(&q->ready, &r->link);
}

void queue_release(struct queue *q, size_t size)
{
	assert(size <= q->used);
	q->used -= size;
}

struct request *queue_take_blocked(struct queue *q)
{
	struct request *r = LIST_FIRST(&q->blocked, struct request, link);

	if (r) {
		list_remove(&r->link);
		q->n_blocked--;
	}
	return r;
}

struct request *queue_unblock(struct queue *q)
{
	struct request *r = LIST_FIRST(&q->blocked, struct request, link);

	if (!r || !has_room(q, r->first->entry->size))
		return NULL;
	queue_take_blocked(q);
	take(q, r);
	return r;
}
