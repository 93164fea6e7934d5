#include "core/data/batch_internal.h"

/* Where to cut: the first kept groups go with the head, or the first one alone is cut into
 * pieces. */
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

/* Puts the pieces where the first group stood. places is room for them in own's arena. */
static void link_pieces(struct batch *own, struct cut *cut, struct group *places)
{
	struct group *first = own->first, *last = &places[cut->n_pieces - 1];

	for (size_t i = 0; i < cut->n_pieces; i++) {
		struct rcbuf *body = cut->pieces[i].body;
		places[i] = (struct group){
			.next = &places[i] == last ? first->next : &places[i + 1],
			.items = cut->pieces[i].items,
			.wire = slice_of(body->data, body->size),
			.pin = rcbuf_ref(body),
		};
	}
	if (own->last == &first->next)
		own->last = &last->next;
	own->first = places;
	own->n_groups += cut->n_pieces - 1;
	own->placed += cut->n_pieces;
	group_release(first);
	cut->last = places;
	cut->items = places->items;
}

/* Moves the groups of own from first to the end, or to last, to the places made for them. */
static void move_groups(struct batch *to, struct batch *own, struct group *first)
{
	for (struct group *place = to->first; place; place = place->next, first = first->next)
		group_move(place, first, own);
}

/* Cannot fail: other, which has the places, gets the head or the rest; own keeps the other part. */
static void divide(struct batch *own, struct batch *other, const struct cut *cut,
                   bool other_is_head)
{
	struct batch *head = other_is_head ? other : own, *rest = other_is_head ? own : other;
	struct group *after = cut->last->next;
	size_t items = own->items, n_groups = own->n_groups;

	move_groups(other, own, other_is_head ? own->first : after);
	if (other_is_head) {
		own->first = after;
		if (!after)
			own->last = &own->first;
	} else {
		cut->last->next = NULL;
		own->last = &cut->last->next;
	}
	head->n_groups = cut->kept;
	head->items = cut->items;
	rest->n_groups = n_groups - cut->kept;
	rest->items = items - cut->items;
}

/* One part moves to a new batch, the other stays. It is the head that moves as long as the groups
 * that stay are at least half of those whose place the arena ever was; then the rest moves. So a
 * group moves a bounded number of times however small the heads are, and whoever splits and merges
 * for ever with the rest does not keep the arena of all that has long been sent. */
static int split_own(struct batch *own, enum batch_sizer sizer, size_t limit,
                     struct batch **ret_head, struct batch **ret_rest, struct error *error)
{
	struct cut cut = {0};
	struct group *places = NULL;
	struct arena scratch;
	struct batch *other = NULL;
	bool other_is_head;
	size_t n_rest, n_moved;
	int r;

	arena_init(&scratch, own->arena.budget);
	r = find_cut(own, sizer, limit, &scratch, &cut, error);
	if (r < 0)
		goto out;
	n_rest = own->n_groups + (cut.n_pieces ? cut.n_pieces - 1 : 0) - cut.kept;
	other_is_head = n_rest * 2 >= own->placed + cut.n_pieces;
	n_moved = other_is_head ? cut.kept : n_rest;
	other = batch_new_like(own);
	if (!other)
		goto no_memory;
	while (n_moved-- > 0)
		if (!batch_add_group(other))
			goto no_memory;
	if (cut.n_pieces) {
		places = arena_alloc_array(&own->arena, cut.n_pieces, sizeof *places);
		if (!places)
			goto no_memory;
		link_pieces(own, &cut, places);
	}
	if (cut.last)
		divide(own, other, &cut, other_is_head);
	*ret_head = other_is_head ? other : own;
	*ret_rest = other_is_head ? own : other;
	other = NULL;
	goto out;

no_memory:
	r = error_no_memory(error);
out:
	for (size_t i = 0; i < cut.n_pieces; i++)
		rcbuf_unref(cut.pieces[i].body);
	batch_unref(other);
	arena_fini(&scratch);
	return r;
}

int batch_split(struct batch **b, enum batch_sizer sizer, size_t limit, struct batch **ret_head,
                struct error *error)
{
	struct batch *own = *b, *head = NULL, *rest = NULL;
	int r;

	assert(sizer != BATCH_REQUESTS);
	if (own->refs > 1) {
		own = batch_clone(own);
		if (!own)
			return error_no_memory(error);
	}
	r = split_own(own, sizer, limit, &head, &rest, error);
	if (r < 0) {
		if (own != *b)
			batch_unref(own);
		return r;
	}
	if (own != *b)
		batch_unref(*b);
	*ret_head = head;
	*b = rest;
	return 0;
}
