/* gauge: gauges, and cumulative sums that may fall, that become part of another series.
 *
 * With `last` the latest of a batch goes on, and a store that orders by time shows the latest of
 * all. The others are taken over the latest value of each source that has not gone idle, however
 * the points came: the values lie in an array, and what blocks of them come to in a tree above it,
 * so that a new value costs the sixteen of its block on each level, and nothing drifts. */
#include "processors/cardinality_limit/cardinality_limit_totals.h"

#include <errno.h>
#include <math.h>

enum { BLOCK = 16, SLOTS_FIRST = 4, LEVELS = 8 /* 16^8 slots */ };

enum slot_state { SLOT_FREE, SLOT_INT, SLOT_REAL };

struct gauge_slot {
	union {
		int64_t as_int;
		double as_double;
		uint32_t next_free; /* its number + 1; 0: none */
	};
	uint64_t time : 62; /* ns / 4 */
	uint64_t state : 2;
};

/* What the slots below come to. */
struct gauge_part {
	struct amount value;
	uint32_t n; /* sources */
	bool stale; /* something below has changed; so are those above */
};

struct gauges {
	enum gauge_choice choice;
	uint32_t capacity, used, free, live; /* used: slots that were ever taken */
	unsigned levels;
	uint32_t level_at[LEVELS]; /* where the parts of a level begin */
	struct gauge_slot *slots;  /* capacity of them, then the parts */
	struct gauge_part *parts;
};

static size_t slots_size(const struct gauges *g)
{
	size_t parts = g->levels ? g->level_at[g->levels - 1] + 1u : 0;
	return g->capacity * sizeof *g->slots + parts * sizeof *g->parts;
}

bool gauges_live(const struct gauges *g)
{
	return g->live;
}

void gauges_free(struct cardinality *p, struct aggregate *total)
{
	struct gauges *g = total->gauges;

	if (!g)
		return;
	aggregate_release(p, total, g->slots, slots_size(g));
	aggregate_release(p, total, g, sizeof *g);
	total->gauges = NULL;
}

/* ---- the tree */

static void layout(struct gauges *g, uint32_t capacity)
{
	uint32_t parts = capacity, at = 0;

	g->capacity = capacity;
	g->levels = 0;
	do {
		parts = (parts + BLOCK - 1) / BLOCK;
		g->level_at[g->levels++] = at;
		at += parts;
	} while (parts > 1);
}

static void touch(struct gauges *g, uint32_t slot)
{
	for (unsigned level = 0; level < g->levels; level++) {
		struct gauge_part *part = &g->parts[g->level_at[level] + (slot /= BLOCK)];

		if (part->stale)
			break;
		part->stale = true;
	}
}

/* Exactly, also where an int has more digits than a double. */
static int compare_to_real(int64_t whole, double real)
{
	int64_t below;

	if (real >= 0x1p63 || real < -0x1p63)
		return real > 0 ? -1 : 1;
	below = (int64_t)floor(real);
	if (whole == below)
		return real > floor(real) ? -1 : 0;
	return whole < below ? -1 : 1;
}

static bool is_less(const struct amount *a, const struct amount *b)
{
	if (a->is_real == b->is_real)
		return a->is_real ? a->real < b->real : a->whole < b->whole;
	return b->is_real ? compare_to_real(a->whole, b->real) < 0
	                  : compare_to_real(b->whole, a->real) > 0;
}

static void combine(enum gauge_choice choice, struct gauge_part *into,
                    const struct gauge_part *part)
{
	if (!part->n)
		return;
	if (choice == GAUGE_SUM || choice == GAUGE_MEAN)
		amount_add(&into->value, &part->value);
	else if (!into->n || (choice == GAUGE_MIN ? is_less(&part->value, &into->value)
	                                          : is_less(&into->value, &part->value)))
		into->value = part->value;
	into->n += part->n;
}

static struct gauge_part part_of(const struct gauge_slot *s)
{
	struct gauge_part part = {.n = s->state != SLOT_FREE};

	if (s->state == SLOT_INT)
		amount_add_int(&part.value, s->as_int);
	else if (s->state == SLOT_REAL)
		amount_add_real(&part.value, s->as_double);
	return part;
}

static const struct gauge_part *refresh(struct gauges *g, unsigned level, uint32_t at)
{
	struct gauge_part *part = &g->parts[g->level_at[level] + at];
	uint32_t first = at * BLOCK, below;

	if (!part->stale)
		return part;
	*part = (struct gauge_part){0};
	below = level ? g->level_at[level] - g->level_at[level - 1] : g->used;
	for (uint32_t i = first; i < first + BLOCK && i < below; i++) {
		struct gauge_part leaf = level ? (struct gauge_part){0} : part_of(&g->slots[i]);

		combine(g->choice, part, level ? refresh(g, level - 1, i) : &leaf);
	}
	return part;
}

/* ---- slots */

static int gauges_begin(struct cardinality *p, struct aggregate *total, enum gauge_choice choice)
{
	void *made;
	int r;

	if (total->gauges)
		return 0;
	r = aggregate_alloc(p, total, sizeof *total->gauges, &made);
	if (r < 0)
		return r;
	total->gauges = made;
	total->gauges->choice = choice;
	return 0;
}

static int gauges_grow(struct cardinality *p, const struct aggregate *total)
{
	struct gauges *g = total->gauges, bigger = *g;
	size_t parts;
	void *made;
	int r;

	layout(&bigger, g->capacity ? 2 * g->capacity : SLOTS_FIRST);
	r = aggregate_alloc(p, total, slots_size(&bigger), &made);
	if (r < 0)
		return r;
	bigger.slots = made;
	bigger.parts = (struct gauge_part *)(bigger.slots + bigger.capacity);
	parts = bigger.level_at[bigger.levels - 1] + 1u;
	for (size_t i = 0; i < parts; i++)
		bigger.parts[i].stale = true;
	if (g->used)
		memcpy(bigger.slots, g->slots, g->used * sizeof *g->slots);
	aggregate_release(p, total, g->slots, slots_size(g));
	*g = bigger;
	return 0;
}

static uint32_t slot_take(struct gauges *g)
{
	uint32_t slot = g->free ? g->free - 1 : g->used++;

	if (g->free)
		g->free = g->slots[slot].next_free;
	g->slots[slot] = (struct gauge_slot){0};
	g->live++;
	return slot;
}

void gauges_leave(struct gauges *g, uint32_t slot)
{
	g->slots[slot].state = SLOT_FREE;
	g->slots[slot].next_free = g->free;
	g->free = slot + 1;
	g->live--;
	touch(g, slot);
}

/* ---- points */

/* The latest one is the total; of several of the same time the one that came last. */
static int gauge_add(struct cardinality *p, struct aggregate *total, void *message)
{
	const Otlp__NumberDataPoint *point = message;

	if (total->begun && point->time_unix_nano < total->time_ns)
		return 0;
	total->begun = true;
	total->time_ns = point->time_unix_nano;
	total->start_ns = point->start_time_unix_nano;
	total->sum = (struct amount){0};
	return point_sum.add(p, total, message);
}

static int gauge_track(struct cardinality *p, struct aggregate *total, uint64_t key, void *message,
                       const struct family *f, uint64_t now_ns)
{
	const Otlp__NumberDataPoint *point = message;
	struct last_place *last = places_find(&p->lasts, key);
	uint64_t time = point->time_unix_nano / 4;
	struct gauges *g;
	struct gauge_slot *s;
	int r;

	r = gauges_begin(p, total, f->gauge);
	if (r < 0)
		return r;
	g = total->gauges;
	if (last && (last->kind != LAST_GAUGE || last->gauges != g))
		return -ENOSPC; /* two keys that meet */
	if (!last) {
		if (!g->free && g->used == g->capacity)
			r = gauges_grow(p, total);
		if (r == 0 && !lasts_admit(p, 1, 0))
			r = -ENOSPC;
		if (r < 0)
			return r;
		last = places_add(&p->lasts, key);
		last->kind = LAST_GAUGE;
		last->gauges = g;
		last->slot = slot_take(g);
	}
	last_see(p, last, now_ns);
	s = &g->slots[last->slot];
	if (s->state != SLOT_FREE && time < s->time)
		return 0; /* late */
	s->time = time;
	if (point->value_case == OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE) {
		s->state = SLOT_REAL;
		s->as_double = point->as_double;
	} else {
		s->state = SLOT_INT;
		s->as_int = point->as_int;
	}
	touch(g, last->slot);
	return 0;
}

static int gauge_tell(const struct aggregate *total, struct arena *arena, void *message)
{
	struct gauges *g = total->gauges;
	Otlp__NumberDataPoint *out = message;
	const struct gauge_part *all;

	if (!g) {
		number_tell(&total->sum, out);
		return 0;
	}
	all = refresh(g, g->levels - 1, 0);
	number_tell(&all->value, out);
	if (g->choice == GAUGE_MEAN) {
		out->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
		out->as_double = amount_real(&all->value) / all->n;
	}
	return 0;
}

const struct point_kind point_gauge = {
	.open = number_open,
	.is_valued = number_is_valued,
	.add = gauge_add,
	.track = gauge_track,
	.tell = gauge_tell,
};
