#include "core/export/batcher.h"

#include "core/base/clock.h"

#include <errno.h>

/* Requests that are answered meanwhile give memory back. */
#define NO_MEMORY_PAUSE_NS (100 * NS_PER_MS)

void batcher_init(struct batcher *b, const struct queue_config *config)
{
	*b = (struct batcher){.config = &config->batch, .min_size = config->batch.min_size};
	/* More than the queue holds would never come together. */
	if (config->batch.sizer == config->sizer && b->min_size > config->queue_size)
		b->min_size = config->queue_size;
}

bool batcher_add(struct batcher *b, struct request *r, uint64_t now_ns)
{
	if (b->open)
		return request_merge(b->open, r);
	b->open = r;
	b->flush_at_ns = now_ns + b->config->flush_timeout;
	return true;
}

bool batcher_is_too_large(const struct batcher *b, const struct request *r)
{
	return b->config->max_size && r->size > b->config->max_size && r->batch->items <= 1;
}

/* Cuts until the front holds items: groups may be empty. */
static struct request *split(struct batcher *b, uint64_t now_ns, struct request **ret_broken,
                             struct error *error)
{
	struct request *head = NULL;
	int r = 0;

	while (r == 0 && !head && b->open->batch->items > 1) {
		r = request_split(b->open, (enum batch_sizer)b->config->sizer, b->config->max_size,
		                  &head, error);
		if (r == 0 && !head->first)
			request_free(TAKE(head));
	}
	if (r == -ENOMEM)
		b->paused_until = now_ns + NO_MEMORY_PAUSE_NS;
	else if (r < 0)
		*ret_broken = TAKE(b->open);
	else if (!b->open->first)
		request_free(TAKE(b->open));
	return head;
}

struct request *batcher_take(struct batcher *b, bool flush, uint64_t now_ns,
                             struct request **ret_broken, struct error *error)
{
	const struct request *open = b->open;

	if (!open || now_ns < b->paused_until)
		return NULL;
	b->paused_until = 0;
	if (b->config->max_size && open->size > b->config->max_size && open->batch->items > 1)
		return split(b, now_ns, ret_broken, error);
	if (flush || open->size >= b->min_size || now_ns >= b->flush_at_ns)
		return TAKE(b->open);
	return NULL;
}

uint64_t batcher_due(const struct batcher *b)
{
	if (b->paused_until)
		return b->paused_until;
	return b->open ? b->flush_at_ns : 0;
}
