#include "core/data/batch_internal.h"

/* Where to cut: the first kept groups go with the head, or the first one alone is cut into pieces.
 */
struct cut {
	struct group *last; /* of the head */
	size_t items, kept; /* of the head */
	struct chopped *pieces;
	size_t n_pieces;
};

static size_t group_size(const struct group *g, enum batch_sizer sizer)
{
	return sizer == BATCH_ITEMS ? g->items : group_field_size(group_body_size(g));
}

/* As many whole groups as fit; when not even one does, the first is cut. */
static int find_cut(const struct batch *b, enum batch_sizer sizer, size_t limit,
                    struct arena *scratch, struct cut *cut, struct error *error)
{
	size_t sum = 0;

	for (struct group *g = b->first; g; g = g->next) {
		size_t size = group_size(g, sizer);

		if (size > limit || sum > limit - size)
			break;
		sum += size;
		cut->last = g;
		cut->items += g->items;
		cut->kept++;
	}
	if (cut->kept || !b->first)
		return 0;
	cut->last = b->first;
	cut->items = b->first->items;
	cut->kept = 1;
	if (b->first->items < 2)
		return 0;
	return group_chop(b->first, b->signal, sizer, limit, scratch, &cut->pieces, &cut->n_pieces,
	                  error);
}

/* Places in rest for all that is not the head's. */
static bool fill_rest(struct batch *rest, const struct cut *cut)
{
	for (size_t i = 1; i < cut->n_pieces; i++) {
		struct rcbuf *body = cut->pieces[i].body;
		if (!batch_add_wire(rest, slice_of(body->data, body->size), cut->pieces[i].items,
		                    body))
			return false;
	}
	for (const struct group *g = cut->last->next; g; g = g->next)
		if (!batch_add_group(rest))
			return false;
	return true;
}

/* Cannot fail: from here on head and rest are two batches. */
static void divide(struct batch *head, struct batch *rest, struct cut *cut)
{
	struct group *to = rest->first, *g = cut->last->next;

	if (cut->n_pieces) {
		struct rcbuf *body = cut->pieces[0].body;
		struct group *first = head->first, *next = first->next;

		group_release(first);
		*first = (struct group){
			.next = next,
			.items = cut->pieces[0].items,
			.wire = slice_of(body->data, body->size),
			.pin = rcbuf_ref(body),
		};
		cut->items = first->items;
		for (size_t i = 1; i < cut->n_pieces; i++)
			to = to->next;
	}
	for (; g; g = g->next, to = to->next) {
		group_move(to, g, head);
		rest->items += to->items;
	}
	cut->last->next = NULL;
	head->last = &cut->last->next;
	head->n_groups = cut->kept;
	head->items = cut->items;
}

/* The head is the old batch and the rest a new one: whoever splits and merges for ever with the
 * rest would otherwise keep the arena of all that has long been sent. */
static int split_own(struct batch *own, enum batch_sizer sizer, size_t limit,
                     struct batch **ret_rest, struct error *error)
{
	struct cut cut = {0};
	struct arena scratch;
	struct batch *rest;
	int r;

	arena_init(&scratch, own->arena.budget);
	rest = batch_new_like(own);
	r = rest ? find_cut(own, sizer, limit, &scratch, &cut, error) : error_no_memory(error);
	if (r == 0 && cut.last && !fill_rest(rest, &cut))
		r = error_no_memory(error);
	if (r == 0) {
		if (cut.last)
			divide(own, rest, &cut);
		*ret_rest = TAKE(rest);
	}
	for (size_t i = 0; i < cut.n_pieces; i++)
		rcbuf_unref(cut.pieces[i].body);
	batch_unref(rest);
	arena_fini(&scratch);
	return r;
}

int batch_split(struct batch **b, enum batch_sizer sizer, size_t limit, struct batch **ret_head,
                struct error *error)
{
	struct batch *own = *b, *rest = NULL;
	int r;

	assert(sizer != BATCH_REQUESTS);
	if (own->refs > 1) {
		own = batch_clone(own);
		if (!own)
			return error_no_memory(error);
	}
	r = split_own(own, sizer, limit, &rest, error);
	if (r < 0) {
		if (own != *b)
			batch_unref(own);
		return r;
	}
	if (own != *b)
		batch_unref(*b);
	*ret_head = own;
	*b = rest;
	return 0;
}
