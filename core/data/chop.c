/* chop: one group larger than a limit becomes several, at the level of the wire.
 *
 * The group is read as a tree of nodes (group, scope, and for metrics the metric and its data) with
 * leaves (spans, data points, log records). A node's other fields are its envelope: each piece that
 * holds one of its leaves gets a copy of it, so that every piece is whole by itself. Nothing is
 * decoded; a group that is decoded already is encoded first. Pieces are written backwards into a
 * block of their exact size, each of its own, so that it is freed when it has been sent. The whole
 * group is chopped at once: cutting heads off one by one would copy the rest again and again. */
#include "core/data/batch_internal.h"

#include "core/data/build.h"
#include "core/wire/cursor.h"
#include "core/wire/otlp.h"

#include <errno.h>

enum { LEVELS = 4 };

struct node {
	struct node *parent;
	unsigned level; /* 0: the group */
	uint8_t number; /* of the field that holds it; below 16, as all in OTLP that hold nodes */
	struct slice before; /* envelope in front of the first child */
	struct slice *after; /* and behind it */
	size_t n_after;
	size_t envelope; /* bytes of before and after */
};

/* A span, data point or log record; or a node without any, which has no items. */
struct leaf {
	struct node *parent;
	struct slice raw; /* tag included */
	size_t items;
};

struct chop {
	enum signal signal;
	struct arena *scratch;
	struct build_list leaves;
};

/* A piece in the making: the nodes that its last leaf stands in and their lengths so far. */
struct piece {
	struct node *open[LEVELS];
	size_t length[LEVELS];
	unsigned depth;
	size_t first, end; /* leaves */
	size_t items;
};

/* ---- reading */

static bool is_child(const struct chop *c, unsigned level, const struct cursor_field *f)
{
	if (f->type != WIRE_LENGTH)
		return false;
	switch (level) {
	case 0:
		return f->number == OTLP_GROUP_SCOPES;
	case 1:
		return f->number == OTLP_SCOPE_ITEMS;
	case 2:
		return f->number == OTLP__METRIC__DATA_GAUGE ||
		       f->number == OTLP__METRIC__DATA_SUM ||
		       f->number == OTLP__METRIC__DATA_HISTOGRAM ||
		       f->number == OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM ||
		       f->number == OTLP__METRIC__DATA_SUMMARY;
	default:
		return f->number == OTLP_METRIC_POINTS;
	}
}

static bool holds_leaves(const struct chop *c, unsigned level)
{
	return level == (c->signal == SIGNAL_METRICS ? 3 : 1);
}

static bool add_leaf(struct chop *c, struct node *parent, struct slice raw, size_t items)
{
	struct leaf *leaf = arena_alloc(c->scratch, sizeof *leaf);

	if (!leaf)
		return false;
	*leaf = (struct leaf){.parent = parent, .raw = raw, .items = items};
	return build_list_add(c->scratch, &c->leaves, leaf);
}

/* A metric that names its data more than once says by the rules of merging what it means; written
 * anew it says so plainly. */
static int rewrite_metric(struct chop *c, struct slice *body, struct error *error)
{
	struct buffer encoded = BUFFER_INIT;
	ProtobufCMessage *metric;
	int r = otlp_decode(&otlp__metric__descriptor, *body, c->scratch, &metric, error);

	if (r == 0 && (!otlp_encode(metric, &encoded) ||
	               !arena_copy(c->scratch, buffer_slice(&encoded), body)))
		r = error_no_memory(error);
	buffer_fini(&encoded);
	return r;
}

/* How many children, and how many slices the envelope behind the first of them has. */
static int count_children(const struct chop *c, unsigned level, struct slice body,
                          size_t *ret_children, size_t *ret_after, struct error *error)
{
	struct cursor cursor = cursor_of(body);
	struct cursor_field f;
	bool after_child = false;

	*ret_children = *ret_after = 0;
	while (cursor_next(&cursor, &f)) {
		bool child = is_child(c, level, &f);
		*ret_children += child;
		*ret_after += !child && after_child;
		after_child = child;
	}
	return cursor.error ? error_set(error, -EBADMSG, "not OTLP: a group is malformed") : 0;
}

static int read_node(struct chop *c, struct node *parent, const struct cursor_field *field,
                     unsigned level, struct error *error);

static int read_children(struct chop *c, struct node *node, struct slice body, struct error *error)
{
	struct cursor cursor = cursor_of(body);
	struct cursor_field f;
	bool any = false, in_after = false;
	int r = 0;

	while (r == 0 && cursor_next(&cursor, &f)) {
		if (is_child(c, node->level, &f)) {
			any = true;
			in_after = false;
			if (!holds_leaves(c, node->level))
				r = read_node(c, node, &f, node->level + 1, error);
			else if (!add_leaf(c, node, f.raw, 1))
				r = error_no_memory(error);
			continue;
		}
		node->envelope += f.raw.len;
		if (!any) {
			node->before = slice_of(body.data, node->before.len + f.raw.len);
		} else if (in_after) {
			node->after[node->n_after - 1].len += f.raw.len;
		} else {
			node->after[node->n_after++] = f.raw;
			in_after = true;
		}
	}
	return r;
}

static int read_node(struct chop *c, struct node *parent, const struct cursor_field *field,
                     unsigned level, struct error *error)
{
	struct slice body = field->body;
	size_t n_children, n_after;
	struct node *node;
	int r = count_children(c, level, body, &n_children, &n_after, error);

	if (r == 0 && level == 2 && n_children > 1) {
		r = rewrite_metric(c, &body, error);
		if (r == 0)
			r = count_children(c, level, body, &n_children, &n_after, error);
	}
	if (r < 0)
		return r;
	if (n_children == 0 && parent)
		return add_leaf(c, parent, field->raw, 0) ? 0 : error_no_memory(error);
	node = arena_alloc(c->scratch, sizeof *node);
	if (!node)
		return error_no_memory(error);
	*node = (struct node){
		.parent = parent,
		.level = level,
		.number = (uint8_t)field->number,
		.after = arena_alloc_array(c->scratch, n_after, sizeof *node->after),
	};
	if (!node->after)
		return error_no_memory(error);
	return read_children(c, node, body, error);
}

/* ---- measuring */

static unsigned chain_of(const struct leaf *leaf, struct node *ret_chain[LEVELS])
{
	for (struct node *n = leaf->parent; n; n = n->parent)
		ret_chain[n->level] = n;
	return leaf->parent->level + 1;
}

static unsigned shared_levels(struct node *const *a, unsigned n_a, struct node *const *b,
                              unsigned n_b)
{
	unsigned n = 0;

	while (n < n_a && n < n_b && a[n] == b[n])
		n++;
	return n;
}

/* A node's field in its parent. */
static size_t field_size(size_t body)
{
	return 1 + cursor_varint_size(body) + body;
}

static void piece_close(struct piece *p, unsigned depth)
{
	while (p->depth > depth) {
		p->depth--;
		p->length[p->depth - 1] += field_size(p->length[p->depth]);
	}
}

static void piece_add(struct piece *p, const struct leaf *leaf)
{
	struct node *chain[LEVELS];
	unsigned n = chain_of(leaf, chain);
	unsigned shared = shared_levels(p->open, p->depth, chain, n);

	if (p->depth)
		piece_close(p, shared);
	for (; p->depth < n; p->depth++) {
		p->open[p->depth] = chain[p->depth];
		p->length[p->depth] = chain[p->depth]->envelope;
	}
	p->length[n - 1] += leaf->raw.len;
	p->items += leaf->items;
	p->end++;
}

/* The whole body, were it closed now. */
static size_t piece_body_size(struct piece p)
{
	piece_close(&p, 1);
	return p.length[0];
}

static size_t piece_size(const struct piece *p, enum batch_sizer sizer)
{
	return sizer == BATCH_ITEMS ? p->items : group_field_size(piece_body_size(*p));
}

/* ---- writing */

static uint8_t *put_before(uint8_t *at, struct slice bytes)
{
	if (bytes.len)
		memcpy(at - bytes.len, bytes.data, bytes.len);
	return at - bytes.len;
}

static uint8_t *open_node(uint8_t *at, const struct node *node)
{
	for (size_t i = node->n_after; i-- > 0;)
		at = put_before(at, node->after[i]);
	return at;
}

static uint8_t *close_node(uint8_t *at, const struct node *node, const uint8_t *end)
{
	size_t length, n;

	at = put_before(at, node->before);
	if (node->level == 0)
		return at;
	length = (size_t)(end - at);
	n = cursor_varint_size(length);
	at -= n;
	for (size_t i = 0; i < n; i++, length >>= 7)
		at[i] = (uint8_t)((length & 0x7f) | (i + 1 < n ? 0x80 : 0));
	*--at = (uint8_t)(node->number << 3 | WIRE_LENGTH);
	return at;
}

static void write_piece(const struct chop *c, const struct piece *p, struct rcbuf *to)
{
	struct node *open[LEVELS], *chain[LEVELS];
	const uint8_t *ends[LEVELS];
	unsigned depth = 0;
	uint8_t *at = to->data + to->size;

	for (size_t i = p->end; i-- > p->first;) {
		const struct leaf *leaf = c->leaves.items[i];
		unsigned n = chain_of(leaf, chain), shared = shared_levels(open, depth, chain, n);

		for (; depth > shared; depth--)
			at = close_node(at, open[depth - 1], ends[depth - 1]);
		for (; depth < n; depth++) {
			open[depth] = chain[depth];
			ends[depth] = at;
			at = open_node(at, chain[depth]);
		}
		at = put_before(at, leaf->raw);
	}
	for (; depth > 0; depth--)
		at = close_node(at, open[depth - 1], ends[depth - 1]);
	assert(at == to->data);
}

static bool finish_piece(struct chop *c, const struct piece *p, struct build_list *pieces)
{
	struct chopped *chopped = arena_alloc(c->scratch, sizeof *chopped);

	if (!chopped || !build_list_add(c->scratch, pieces, chopped))
		return false;
	*chopped = (struct chopped){
		.body = rcbuf_new(piece_body_size(*p), c->scratch->budget),
		.items = p->items,
	};
	if (!chopped->body)
		return false;
	write_piece(c, p, chopped->body);
	return true;
}

static bool write_pieces(struct chop *c, enum batch_sizer sizer, size_t limit,
                         struct build_list *pieces)
{
	struct piece p = {0};

	for (size_t i = 0; i < c->leaves.count; i++) {
		const struct leaf *leaf = c->leaves.items[i];
		struct piece with = p;

		piece_add(&with, leaf);
		if (p.items > 0 && piece_size(&with, sizer) > limit) {
			if (!finish_piece(c, &p, pieces))
				return false;
			with = (struct piece){.first = i, .end = i};
			piece_add(&with, leaf);
		}
		p = with;
	}
	return finish_piece(c, &p, pieces);
}

int group_chop(const struct group *g, enum signal signal, enum batch_sizer sizer, size_t limit,
               struct arena *scratch, struct chopped **ret, size_t *ret_n, struct error *error)
{
	struct chop c = {.signal = signal, .scratch = scratch};
	struct cursor_field whole = {.number = OTLP_REQUEST_GROUPS, .type = WIRE_LENGTH};
	struct build_list pieces = {0};
	struct buffer encoded = BUFFER_INIT;
	struct chopped *list = NULL;
	int r = 0;

	whole.body = g->wire;
	if (!g->wire.data) {
		if (!group_encode(g, &encoded))
			r = error_no_memory(error);
		whole.body = buffer_slice(&encoded);
	}
	if (r == 0)
		r = read_node(&c, NULL, &whole, 0, error);
	if (r == 0 && !write_pieces(&c, sizer, limit, &pieces))
		r = error_no_memory(error);
	if (r == 0) {
		list = arena_alloc_array(scratch, pieces.count, sizeof *list);
		if (!list)
			r = error_no_memory(error);
	}
	for (size_t i = 0; i < pieces.count; i++) {
		struct chopped *piece = pieces.items[i];
		if (r == 0)
			list[i] = *piece;
		else
			rcbuf_unref(piece->body);
	}
	if (r == 0) {
		*ret = list;
		*ret_n = pieces.count;
	}
	buffer_fini(&encoded);
	return r;
}
