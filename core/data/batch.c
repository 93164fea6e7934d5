#include "core/data/batch_internal.h"

#include "core/wire/otlp.h"

/* The batch lies in its own arena, so that it is charged like all it holds. */
struct batch *batch_new(enum signal signal, struct budget *budget)
{
	struct arena arena;
	struct batch *b;

	arena_init(&arena, budget);
	b = arena_alloc(&arena, sizeof *b);
	if (!b)
		return NULL;
	*b = (struct batch){.refs = 1, .signal = signal, .arena = arena};
	b->last = &b->first;
	return b;
}

struct batch *batch_new_like(const struct batch *b)
{
	struct batch *like = batch_new(b->signal, b->arena.budget);

	if (like && !batch_set_origin(like, &b->origin))
		batch_unref(TAKE(like));
	return like;
}

struct batch *batch_ref(struct batch *b)
{
	assert(b->refs > 0);
	b->refs++;
	return b;
}

static void free_unless_held(struct batch *b)
{
	struct arena arena;

	if (b->refs || b->guests)
		return;
	arena = b->arena;
	arena_fini(&arena);
}

void batch_unref(struct batch *b)
{
	if (!b)
		return;
	assert(b->refs > 0);
	if (b->refs > 1) {
		b->refs--;
		return;
	}
	for (struct group *g = b->first; g; g = g->next)
		group_release(g);
	b->first = NULL;
	b->refs = 0;
	free_unless_held(b);
}

void group_release(struct group *g)
{
	rcbuf_unref(TAKE(g->pin));
	if (g->home) {
		g->home->guests--;
		free_unless_held(TAKE(g->home));
	}
}

void group_move(struct group *to, struct group *from, struct batch *owner)
{
	struct group *next = to->next;

	*to = *from;
	to->next = next;
	if (to->depth != DEPTH_WIRE && !to->home) {
		to->home = owner;
		owner->guests++;
	}
	from->pin = NULL;
	from->home = NULL;
}

struct group *batch_add_group(struct batch *b)
{
	struct group *g = arena_alloc(&b->arena, sizeof *g);

	if (!g)
		return NULL;
	*b->last = g;
	b->last = &g->next;
	b->n_groups++;
	b->placed++;
	return g;
}

bool batch_add_wire(struct batch *b, struct slice wire, size_t items, struct rcbuf *pin)
{
	struct group *g = batch_add_group(b);

	if (!g)
		return false;
	g->wire = wire;
	g->items = items;
	g->pin = rcbuf_ref(pin);
	b->items += items;
	return true;
}

struct request {
	struct batch *batch;
	struct rcbuf *pin;
};

static bool on_group(void *arg, struct slice body, size_t items)
{
	struct request *request = arg;

	return batch_add_wire(request->batch, body, items, request->pin);
}

int batch_from_request(enum signal signal, struct rcbuf *pin, struct slice request,
                       struct budget *budget, struct batch **ret, struct error *error)
{
	struct request made = {.batch = batch_new(signal, budget), .pin = pin};
	int r;

	if (!made.batch)
		return error_no_memory(error);
	r = otlp_validate(signal, request, on_group, &made, error);
	if (r < 0) {
		batch_unref(made.batch);
		return r;
	}
	*ret = made.batch;
	return 0;
}

bool batch_append(struct batch *b, ProtobufCMessage *message)
{
	Otlp__Resource *resource = ((Otlp__ResourceSpans *)message)->resource;
	bool absent = !resource;
	struct group *g;

	assert(b->refs == 1);
	assert(message->descriptor == otlp_group_descriptor(b->signal));
	if (absent) {
		resource = arena_alloc(&b->arena, sizeof *resource);
		if (!resource)
			return false;
		otlp__resource__init(resource);
	}
	g = batch_add_group(b);
	if (!g)
		return false;
	((Otlp__ResourceSpans *)message)->resource = resource;
	g->depth = DEPTH_FULL;
	g->message = message;
	g->resource = resource;
	g->resource_absent = absent;
	g->items = otlp_count(b->signal, message);
	b->items += g->items;
	return true;
}
