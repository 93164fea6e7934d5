/* names: the table of observed names, against its promises and against a slow reference. */
#include "core/names/names.h"

#include "core/base/clock.h"
#include "tests/support/failing_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define S NS_PER_S

static struct address address_of(uint32_t number)
{
	struct address a;
	uint8_t bytes[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
	                    (uint8_t)(number >> 8), (uint8_t)number};

	assert_true(address_from_bytes(slice_of(bytes, sizeof bytes), &a));
	return a;
}

static void add(struct names *n, uint32_t network, uint32_t number, const char *name,
                uint32_t ttl_s, uint64_t now_ns)
{
	struct address a = address_of(number);

	names_add(n, network, &a, slice_from_string(name), ttl_s, now_ns);
}

/* "" for nothing. The text is valid until the next call. */
static const char *found(struct names *n, uint32_t network, uint32_t number, uint64_t now_ns)
{
	static char text[NAMES_NAME_MAX + 1];
	struct address a = address_of(number);
	struct slice name = names_find(n, network, &a, now_ns);

	assert_true(name.len < sizeof text);
	if (name.len)
		memcpy(text, name.data, name.len);
	text[name.len] = '\0';
	return text;
}

static struct names_stats stats(const struct names *n)
{
	struct names_stats s;

	names_stats(n, &s);
	return s;
}

static void has_room_for_no_name_until_it_is_given_limits(void **state)
{
	struct names *n = names_new(NULL);

	add(n, 1, 1, "a.example", 60, 0);
	assert_string_equal(found(n, 1, 1, 0), "");
	assert_int_equal(stats(n).refused, 1);
	names_limit(n, 10, 0);
	add(n, 1, 1, "a.example", 60, 0);
	assert_string_equal(found(n, 1, 1, 0), "a.example");
	names_limit(n, 5, 0);
	assert_int_equal(stats(n).capacity, 10);
	names_free(n);
	names_free(NULL);
}

static void an_address_has_a_name_in_each_namespace_and_the_last_one_in_any(void **state)
{
	struct names *n = names_new(NULL);

	names_limit(n, 10, 0);
	add(n, 1, 7, "one.example", 10, 0);
	add(n, 2, 7, "two.example", 10, 0);
	add(n, 3, 7, "three.example", 5, 0);
	assert_string_equal(found(n, 1, 7, 0), "one.example");
	assert_string_equal(found(n, 2, 7, 0), "two.example");
	assert_string_equal(found(n, 4, 7, 0), "");
	assert_string_equal(found(n, NAMES_ANY_NETWORK, 7, 0), "three.example");
	add(n, 1, 7, "again.example", 10, 0);
	assert_string_equal(found(n, NAMES_ANY_NETWORK, 7, 0), "again.example");
	add(n, 3, 7, "three.example", 5, 0);
	/* The last one has expired: the one before it. */
	assert_string_equal(found(n, NAMES_ANY_NETWORK, 7, 5 * S), "again.example");
	assert_int_equal(stats(n).count, 2);
	/* A namespace that is not known: only who asks for any finds it. */
	add(n, NAMES_ANY_NETWORK, 7, "nowhere.example", 10, 0);
	assert_string_equal(found(n, 1, 7, 0), "again.example");
	assert_string_equal(found(n, NAMES_ANY_NETWORK, 7, 0), "nowhere.example");
	names_free(n);
}

static void a_name_lasts_its_time_to_live_and_max_age_longer(void **state)
{
	struct names *n = names_new(NULL);

	names_limit(n, 10, 60 * S);
	add(n, 1, 1, "a.example", 30, 5 * S);
	add(n, 1, 2, "b.example", UINT32_MAX, 0); /* is cut to a week */
	assert_string_equal(found(n, 1, 1, 95 * S - 1), "a.example");
	assert_string_equal(found(n, 1, 1, 95 * S), "");
	assert_string_equal(found(n, 1, 2, 7 * 24 * 3600 * S), "b.example");
	assert_string_equal(found(n, 1, 2, (7 * 24 * 3600 + 60) * S), "");
	assert_int_equal(stats(n).expired, 2);
	names_limit(n, 10, UINT64_MAX);
	add(n, 1, 1, "a.example", 30, 5 * S);
	assert_string_equal(found(n, 1, 1, UINT64_MAX - 1), "a.example");
	names_free(n);
}

static void count(void *arg)
{
	++*(int *)arg;
}

static void witnesses_catch_up_until_they_leave(void **state)
{
	struct names *n = names_new(NULL);
	int caught_up[2] = {0};
	struct names_witness a = {.catch_up = count, .arg = &caught_up[0]},
			     b = {.catch_up = count, .arg = &caught_up[1]}, never = {0};

	assert_non_null(n);
	names_catch_up(n);
	names_join(n, &a);
	names_join(n, &b);
	names_catch_up(n);
	names_leave(&a);
	names_leave(&a);
	names_leave(&never);
	names_catch_up(n);
	assert_int_equal(caught_up[0], 1);
	assert_int_equal(caught_up[1], 2);
	names_leave(&b);
	names_free(n);
	(void)state;
}

static void tells_what_only_max_age_keeps(void **state)
{
	struct names *n = names_new(NULL);
	struct address a = address_of(1);
	bool overdue = true;

	names_limit(n, 10, 60 * S);
	add(n, 1, 1, "a.example", 30, 0);
	assert_int_equal(names_find_aged(n, 1, &a, 30 * S - 1, &overdue).len, 9);
	assert_false(overdue);
	assert_int_equal(names_find_aged(n, 1, &a, 30 * S, &overdue).len, 9);
	assert_true(overdue);
	assert_int_equal(names_find_aged(n, 1, &a, 90 * S, &overdue).len, 0);
	assert_false(overdue);
	names_free(n);
}

static void a_look_up_does_not_take_away_what_another_was_given(void **state)
{
	struct names *n = names_new(NULL);
	struct address a = address_of(1);
	struct slice name;

	names_limit(n, 10, 0);
	add(n, 1, 1, "a.example", 10, 0);
	name = names_find(n, 1, &a, 0);
	assert_int_equal(names_find(n, 1, &a, 10 * S).len, 0);
	assert_true(slice_equal(name, SLICE_LITERAL("a.example")));
	assert_int_equal(stats(n).count, 0);
	assert_true(stats(n).bytes > 0);
	names_free(n);
}

static void at_the_bound_the_one_seen_longest_ago_makes_room(void **state)
{
	struct names *n = names_new(NULL);

	names_limit(n, 3, 0);
	for (uint32_t i = 0; i < 3; i++)
		add(n, 1, i, "x.example", 60, 0);
	add(n, 1, 0, "x.example", 60, 0); /* seen again */
	add(n, 1, 3, "x.example", 60, 0);
	assert_string_equal(found(n, 1, 0, 0), "x.example");
	assert_string_equal(found(n, 1, 1, 0), "");
	assert_int_equal(stats(n).evicted, 1);
	assert_int_equal(stats(n).count, 3);
	/* What has expired goes before what has not. */
	add(n, 1, 4, "x.example", 60, 61 * S);
	assert_int_equal(stats(n).evicted, 1);
	assert_int_equal(stats(n).expired, 2);
	assert_int_equal(stats(n).count, 2);
	names_free(n);
}

static void takes_names_of_any_length_that_is_promised(void **state)
{
	static char longest[NAMES_NAME_MAX + 2];
	struct budget budget = {0};
	struct names *n = names_new(&budget);

	names_limit(n, 3, 0);
	memset(longest, 'x', sizeof longest - 1);
	add(n, 1, 1, longest, 60, 0);
	add(n, 1, 1, "", 60, 0);
	assert_int_equal(stats(n).refused, 2);
	longest[NAMES_NAME_MAX] = '\0';
	add(n, 1, 1, "a", 60, 0);
	add(n, 1, 1, longest, 60, 0);
	assert_string_equal(found(n, 1, 1, 0), longest);
	add(n, 1, 1, "a", 60, 0);
	assert_string_equal(found(n, 1, 1, 0), "a");
	assert_int_equal(stats(n).replaced, 2);
	assert_int_equal(stats(n).bytes, budget.used);
	names_free(n);
	assert_int_equal(budget.used, 0);
}

/* Random addresses, as somebody who answers questions of his own could make them. */
static void millions_of_addresses_take_no_more_than_the_bound(void **state)
{
	enum { CAPACITY = 5000, ADDED = 400000 };
	struct budget budget = {0};
	struct names *n = names_new(&budget);
	size_t full = 0;

	names_limit(n, CAPACITY, 0);
	for (uint32_t i = 0; i < ADDED; i++) {
		add(n, 1 + i % 7, i * 2654435761U, "name.of.some.length.example", 3600, 0);
		if (i == CAPACITY * 2)
			full = budget.used;
	}
	assert_int_equal(stats(n).count, CAPACITY);
	assert_int_equal(stats(n).evicted, ADDED - CAPACITY);
	assert_true(budget.peak < full + full / 10);
	names_free(n);
	assert_int_equal(budget.used, 0);
}

static void what_the_budget_refuses_is_not_taken(void **state)
{
	struct budget budget = {.limit = 4096};
	struct names *n = names_new(&budget);

	names_limit(n, 1000, 0);
	for (uint32_t i = 0; i < 1000; i++)
		add(n, 1, i, "name.example", 60, 0);
	assert_true(stats(n).count > 5 && stats(n).count < 100);
	assert_int_equal(stats(n).refused + stats(n).added, 1000);
	assert_int_equal(stats(n).bytes, budget.used);
	assert_string_equal(found(n, 1, 0, 0), "name.example");
	names_free(n);
	assert_int_equal(budget.used, 0);
}

static void survives_failing_allocations(void **state)
{
	bool failed = true;

	for (unsigned long k = 1; failed; k++) {
		struct budget budget = {0};
		struct names *n;

		failing_memory_arm(k);
		n = names_new(&budget);
		if (n) {
			names_limit(n, 20, 0);
			for (uint32_t i = 0; i < 40; i++)
				add(n, 1 + i % 7, i % 12, i % 2 ? "a.example" : "b.longer.example",
				    60, 0);
			/* Of a key that is there. */
			add(n, 1 + 39 % 7, 39 % 12,
			    "a.name.that.needs.more.room.than.there.was.example", 60, 0);
		}
		failed = failing_memory_disarm();
		if (n) {
			assert_int_equal(stats(n).refused, failed ? stats(n).refused : 0);
			assert_true(stats(n).refused <= 1);
			assert_int_equal(stats(n).bytes, budget.used);
		}
		names_free(n);
		assert_int_equal(budget.used, 0);
		assert_true(k < 1000);
	}
}

/* The reference: an array, searched from end to end. */
struct known {
	uint32_t network, number;
	uint64_t expires_ns, seen;
	char name[40];
};

enum { REFERENCE = 50 };

struct reference {
	struct known all[REFERENCE];
	size_t count;
	uint64_t clock;
};

static void reference_remove(struct reference *r, size_t i)
{
	r->all[i] = r->all[--r->count];
}

static size_t reference_oldest(const struct reference *r)
{
	size_t best = 0;

	for (size_t i = 1; i < r->count; i++)
		if (r->all[i].seen < r->all[best].seen)
			best = i;
	return best;
}

static void reference_add(struct reference *r, uint32_t network, uint32_t number, const char *name,
                          uint64_t expires_ns, uint64_t now_ns)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->all[i].network == network && r->all[i].number == number) {
			reference_remove(r, i);
			break;
		}
	for (size_t i = 0; r->count == REFERENCE && i < 2; i++)
		if (r->all[reference_oldest(r)].expires_ns <= now_ns)
			reference_remove(r, reference_oldest(r));
	if (r->count == REFERENCE)
		reference_remove(r, reference_oldest(r));
	r->all[r->count] = (struct known){network, number, expires_ns, r->clock++, ""};
	snprintf(r->all[r->count++].name, sizeof r->all->name, "%s", name);
}

static const char *reference_find(const struct reference *r, uint32_t network, uint32_t number,
                                  uint64_t now_ns)
{
	const struct known *best = NULL;

	for (size_t i = 0; i < r->count; i++) {
		const struct known *k = &r->all[i];

		if (k->number == number && k->expires_ns > now_ns &&
		    (network == NAMES_ANY_NETWORK || k->network == network) &&
		    (!best || k->seen > best->seen))
			best = k;
	}
	return best ? best->name : "";
}

/* Times to live are equal here, so that the oldest are those that expire first and both agree on who
 * makes room. */
static void finds_what_a_slow_search_finds(void **state)
{
	enum { STEPS = 40000, TTL_S = 30 };
	struct reference reference = {.count = 0};
	struct budget budget = {0};
	struct names *n = names_new(&budget);
	uint64_t now_ns = 0;

	srand(1);
	names_limit(n, REFERENCE, 2 * S);
	for (int i = 0; i < STEPS; i++) {
		uint32_t network = (uint32_t)rand() % 4, number = (uint32_t)rand() % 40;
		char name[40];

		now_ns += (uint64_t)rand() % (S / 2) * (i / 1000 % 3);
		if (rand() % 2) {
			snprintf(name, sizeof name, "%.*s%d.example", rand() % 25,
			         "a-prefix-of-some-length.-", i);
			add(n, network + 1, number, name, TTL_S, now_ns);
			reference_add(&reference, network + 1, number, name,
			              now_ns + (TTL_S + 2) * S, now_ns);
		}
		network = (uint32_t)rand() % 5; /* any, too */
		number = (uint32_t)rand() % 40;
		assert_string_equal(found(n, network, number, now_ns),
		                    reference_find(&reference, network, number, now_ns));
		assert_true(stats(n).count <= REFERENCE);
		assert_int_equal(stats(n).bytes, budget.used);
	}
	assert_true(stats(n).evicted > 100 && stats(n).expired > 100 && stats(n).hits > 1000);
	names_free(n);
	assert_int_equal(budget.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_room_for_no_name_until_it_is_given_limits),
		cmocka_unit_test(an_address_has_a_name_in_each_namespace_and_the_last_one_in_any),
		cmocka_unit_test(a_name_lasts_its_time_to_live_and_max_age_longer),
		cmocka_unit_test(witnesses_catch_up_until_they_leave),
		cmocka_unit_test(tells_what_only_max_age_keeps),
		cmocka_unit_test(a_look_up_does_not_take_away_what_another_was_given),
		cmocka_unit_test(at_the_bound_the_one_seen_longest_ago_makes_room),
		cmocka_unit_test(takes_names_of_any_length_that_is_promised),
		cmocka_unit_test(millions_of_addresses_take_no_more_than_the_bound),
		cmocka_unit_test(what_the_budget_refuses_is_not_taken),
		cmocka_unit_test(survives_failing_allocations),
		cmocka_unit_test(finds_what_a_slow_search_finds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
