#include "core/observe/aggregate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { START = 1000 };

static const struct resource_owner curl = {.executable = "curl",
                                           .path = "/usr/bin/curl",
                                           .container_id = ""};

/* A series known by its number. */
struct numbered {
	struct aggregate base;
	unsigned number, count;
};

static struct numbered *own(struct aggregate *a)
{
	return CONTAINER_OF(a, struct numbered, base);
}

static bool number_equal(const struct map_node *node, const void *key)
{
	return CONTAINER_OF(node, struct numbered, base.node)->number == *(const unsigned *)key;
}

static void number_clear(struct aggregate *a)
{
	own(a)->count = 0;
}

static void number_free(struct aggregate *a)
{
	free(own(a));
}

static const struct aggregate_kind kind = {number_equal, number_clear, number_free};

struct rig {
	struct aggregates table;
	struct numbered overflow;
	unsigned next;
};

static void begin(struct rig *r)
{
	*r = (struct rig){.next = 0};
	aggregates_init(&r->table, &kind, &r->overflow.base, "host", 10000, START);
}

/* One more series, in which something was counted. */
static struct numbered *add(struct rig *r)
{
	struct resource *resource = resource_get(&r->table.resources, &curl);
	struct numbered *s = calloc(1, sizeof *s);

	assert_true(resource && s);
	s->number = r->next++;
	assert_true(aggregate_insert(&r->table, &s->base, s->number, resource));
	resource_unref(resource);
	s->count = 1;
	s->base.unsent = true;
	aggregate_touch(&r->table, &s->base, 0);
	return s;
}

/* The next part, of at most limit series. */
static struct aggregate_part send_part(struct rig *r, bool delta, size_t limit, uint64_t now)
{
	struct aggregate_part part = aggregates_next(&r->table, delta, limit);

	aggregates_sent(&r->table, part, delta, now);
	return part;
}

static void what_is_made_now_begins_with_the_last_collection(void **state)
{
	struct rig r;

	begin(&r);
	assert_int_equal(add(&r)->base.start_unix_ns, START);
	add(&r);
	aggregates_collect(&r.table);
	send_part(&r, false, 1, START + 10);
	/* It may still be in that collection. */
	assert_int_equal(add(&r)->base.start_unix_ns, START);
	/* The rest was given up: what is in no part of this one is new since then. */
	aggregates_collect(&r.table);
	assert_int_equal(add(&r)->base.start_unix_ns, START + 10);
	assert_true(send_part(&r, false, 10, START + 20).overflow);
	assert_int_equal(add(&r)->base.start_unix_ns, START + 20);
	aggregates_fini(&r.table);
	(void)state;
}

static void a_part_passes_over_silent_series_to_a_bound(void **state)
{
	enum { SERIES = 100, LIMIT = 2 };
	struct aggregate_part part;
	size_t passed = 0;
	struct rig r;

	begin(&r);
	for (int i = 0; i < SERIES; i++)
		add(&r);
	aggregates_collect(&r.table);
	send_part(&r, true, SERIES, START + 1);
	aggregates_collect(&r.table); /* in which nobody has anything to say */
	do {
		part = send_part(&r, true, LIMIT, START + 2);
		assert_true(part.series <= LIMIT * 16);
		passed += part.series;
	} while (!part.overflow);
	assert_int_equal(passed, SERIES);
	aggregates_fini(&r.table);
	(void)state;
}

static void a_series_goes_when_all_that_it_counted_was_delivered(void **state)
{
	struct numbered *s;
	struct rig r;

	begin(&r);
	s = add(&r);
	aggregates_expire(&r.table, 100, 1);
	assert_int_equal(r.table.map.count, 1); /* not sent */
	aggregates_collect(&r.table);
	send_part(&r, false, 10, START + 1);
	aggregates_expire(&r.table, 100, 1);
	assert_int_equal(r.table.map.count, 1); /* not delivered */
	assert_int_equal(s->count, 1);
	aggregates_delivered(&r.table);
	s->base.open = 1;
	aggregates_expire(&r.table, 100, 1);
	assert_int_equal(r.table.map.count, 1); /* open */
	s->base.open = 0;
	aggregates_expire(&r.table, 100, 101);
	assert_int_equal(r.table.map.count, 1); /* not yet */
	aggregates_expire(&r.table, 100, 100);
	assert_int_equal(r.table.map.count, 0);
	aggregates_fini(&r.table);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_made_now_begins_with_the_last_collection),
		cmocka_unit_test(a_part_passes_over_silent_series_to_a_bound),
		cmocka_unit_test(a_series_goes_when_all_that_it_counted_was_delivered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
