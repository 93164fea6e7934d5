#include "core/base/random.h"
#include "receivers/dns/dns_series.h"
#include "tests/support/failing_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define START_UNIX UINT64_C(1700000000000000000)
#define SECOND UINT64_C(1000000000)

static const struct resource_owner curl = {.executable = "curl",
                                           .path = "/usr/bin/curl",
                                           .container_id = ""};

static void table(struct dns_table *t, size_t max_series, size_t max_names, unsigned labels)
{
	struct dns_table_limits limits = {.max_series = max_series,
	                                  .max_names = max_names,
	                                  .name_labels = labels,
	                                  .timeout_ns = 5 * SECOND};

	dns_table_init(t, "host", &limits, START_UNIX);
}

static struct dns_exchange exchange(const char *name)
{
	struct dns_exchange e = {
		.role = ROLE_CLIENT,
		.server_port = 53,
		.first_ns = 1 * SECOND,
		.answered_ns = 1 * SECOND + 20000000,
		.transmissions = 1,
		.question = slice_from_string(name),
		.type = DNS_A,
		.class = DNS_CLASS_IN,
	};

	address_parse(SLICE_LITERAL("10.0.0.53"), &e.server);
	return e;
}

static void add(struct dns_table *t, struct dns_exchange e)
{
	struct resource *r = resource_get(&t->series.resources, &curl);

	assert_non_null(r);
	dns_table_add(t, r, &e, 0);
	resource_unref(r);
}

static void send_all_refused(struct dns_table *t, bool delta, uint64_t now_unix_ns)
{
	aggregates_collect(&t->series);
	aggregates_sent(&t->series, aggregates_next(&t->series, delta, SIZE_MAX), delta,
	                now_unix_ns);
}

static void send_all(struct dns_table *t, bool delta, uint64_t now_unix_ns)
{
	send_all_refused(t, delta, now_unix_ns);
	aggregates_delivered(&t->series);
}

/* What is counted under a name in all its series; NULL: under any. */
static uint64_t count_of(const struct dns_table *t, const char *name)
{
	const struct aggregate *a;
	uint64_t n = 0;

	LIST_FOR_EACH(a, &t->series.by_touch, by_touch) {
		const struct dns_series *s = CONTAINER_OF(a, struct dns_series, base);

		if (!name || (s->key.name && strcmp(s->key.name->text, name) == 0))
			n += s->durations.count;
	}
	return n + (name ? 0 : t->overflow.durations.count);
}

static struct dns_series *only_series(struct dns_table *t)
{
	assert_int_equal(t->series.map.count, 1);
	return CONTAINER_OF(t->series.by_touch.next, struct dns_series, base.by_touch);
}

static void adds_up_lookups_and_repetitions(void **state)
{
	struct dns_table t;
	struct dns_exchange e = exchange("example.org");

	table(&t, 10, 10, 0);
	add(&t, e);
	e.transmissions = 3;
	e.answered_ns = e.first_ns + 3 * SECOND;
	add(&t, e);
	assert_int_equal(only_series(&t)->durations.count, 2);
	assert_float_equal(only_series(&t)->durations.sum, 3.02, 1e-9);
	assert_int_equal(only_series(&t)->durations.buckets[2], 1);  /* <= 25 ms */
	assert_int_equal(only_series(&t)->durations.buckets[11], 1); /* <= 5 s */
	assert_int_equal(only_series(&t)->retransmissions, 2);
	dns_table_fini(&t);
	(void)state;
}

static void an_unanswered_lookup_counts_as_the_timeout(void **state)
{
	struct dns_table t;
	struct dns_exchange e = exchange("example.org");

	table(&t, 10, 10, 0);
	e.ending = DNS_TIMEOUT;
	e.answered_ns = 0;
	add(&t, e);
	assert_float_equal(only_series(&t)->durations.sum, 5, 1e-9);
	assert_string_equal(only_series(&t)->key.error, "timeout");
	assert_int_equal(only_series(&t)->key.code, DNS_NO_CODE);
	dns_table_fini(&t);
	(void)state;
}

static void an_answer_from_elsewhere_is_no_lookup(void **state)
{
	struct dns_table t;
	struct dns_exchange e = exchange("example.org");

	table(&t, 10, 10, 0);
	e.other_address = true;
	add(&t, e);
	assert_int_equal(only_series(&t)->durations.count, 0);
	assert_int_equal(only_series(&t)->misdirected, 1);
	dns_table_fini(&t);
	(void)state;
}

static void what_differs_is_a_series_of_its_own(void **state)
{
	struct dns_table t;
	struct dns_exchange e = exchange("example.org");

	table(&t, 100, 10, 0);
	add(&t, e);
	e.question = SLICE_LITERAL("eXaMpLe.ORG");
	e.client_port = 4711;
	e.id = 12;
	add(&t, e);
	assert_int_equal(t.series.map.count, 1);
	e.type = DNS_AAAA;
	add(&t, e);
	e.rcode = 3;
	add(&t, e);
	e.transport = DNS_TCP;
	add(&t, e);
	e.role = ROLE_SERVER;
	add(&t, e);
	e.server_port = 5353;
	add(&t, e);
	e.server.bytes[15]++;
	add(&t, e);
	e.question = SLICE_LITERAL("example.net");
	add(&t, e);
	assert_int_equal(t.series.map.count, 8);
	dns_table_fini(&t);
	(void)state;
}

static void names_are_cut_or_left_out(void **state)
{
	struct dns_table t;

	table(&t, 100, 10, 2);
	add(&t, exchange("a.b.example.org"));
	add(&t, exchange("C.example.org"));
	add(&t, exchange("org"));
	assert_int_equal(t.series.map.count, 2);
	assert_int_equal(count_of(&t, "example.org"), 2);
	assert_int_equal(count_of(&t, "org"), 1);
	dns_table_fini(&t);
	table(&t, 100, 0, 0);
	add(&t, exchange("a.example.org"));
	add(&t, exchange("b.example.org"));
	add(&t, exchange(""));
	assert_null(only_series(&t)->key.name);
	dns_table_fini(&t);
	(void)state;
}

static void beyond_its_limit_the_overflow_series_keeps_the_totals(void **state)
{
	struct dns_table t;
	char name[] = "a.example.org";

	table(&t, 2, 10, 0);
	for (int i = 0; i < 5; i++, name[0]++)
		add(&t, exchange(name));
	assert_int_equal(t.series.map.count, 2);
	assert_int_equal(t.overflowed, 3);
	assert_int_equal(t.overflow.durations.count, 3);
	assert_int_equal(count_of(&t, NULL), 5);
	dns_table_add(&t, NULL, &(struct dns_exchange){.question = {0}}, 0); /* no memory */
	assert_int_equal(t.overflow.durations.count, 4);
	dns_table_fini(&t);
	(void)state;
}

/* The same, and every thousand look-ups a collection. */
static void add_and_send(struct dns_table *t, struct dns_exchange e, unsigned n)
{
	add(t, e);
	if (n % 1000 == 0)
		send_all(t, false, START_UNIX + 1 + n);
}

static void a_frequent_name_takes_the_place_of_the_least_frequent(void **state)
{
	struct dns_table t;

	table(&t, 100, 3, 0);
	for (int i = 0; i < 5; i++) {
		add(&t, exchange("a.test"));
		add(&t, exchange("b.test"));
	}
	add(&t, exchange("rare.test"));
	send_all(&t, false, START_UNIX + 1);
	for (int i = 0; i < 3; i++)
		add(&t, exchange("new.test"));
	assert_int_equal(count_of(&t, "~other"), 3); /* no reason yet */
	assert_int_equal(count_of(&t, "rare.test"), 1);
	add(&t, exchange("new.test"));
	assert_int_equal(count_of(&t, "new.test"), 1); /* from now on */
	assert_int_equal(count_of(&t, "rare.test"), 0);
	assert_int_equal(count_of(&t, "~other"), 3);
	assert_int_equal(count_of(&t, "a.test"), 5);
	assert_int_equal(t.names.replaced, 1);
	dns_table_fini(&t);
	(void)state;
}

static void a_name_like_that_of_the_rest_is_the_rest(void **state)
{
	struct dns_table t;

	table(&t, 100, 1, 0);
	add(&t, exchange("a.test"));
	add(&t, exchange("~OTHER"));
	add(&t, exchange("b.test"));
	assert_int_equal(t.series.map.count, 2); /* no two of the same attributes */
	assert_int_equal(count_of(&t, "~other"), 2);
	dns_table_fini(&t);
	(void)state;
}

static void all_series_of_a_name_make_room_with_it(void **state)
{
	struct dns_table t;
	struct dns_exchange e = exchange("old.test");

	table(&t, 100, 1, 0);
	add(&t, e);
	e.type = DNS_AAAA;
	e.transmissions = 2;
	add(&t, e);
	e.rcode = 3;
	add(&t, e);
	send_all(&t, false, START_UNIX + 1);
	for (int i = 0; i < 8; i++) /* it has 3 */
		add(&t, exchange("new.test"));
	assert_int_equal(count_of(&t, "old.test"), 0);
	assert_int_equal(count_of(&t, "new.test"), 1);
	assert_int_equal(count_of(&t, "~other"), 7);
	assert_int_equal(t.series.map.count, 2);
	dns_table_fini(&t);
	(void)state;
}

static void a_name_stays_until_all_that_it_counted_is_delivered(void **state)
{
	struct dns_table t;
	struct dns_exchange e = exchange("old.test");

	table(&t, 100, 1, 0);
	add(&t, e);
	e.type = DNS_AAAA;
	add(&t, e);
	for (int i = 0; i < 20; i++)
		add(&t, exchange("new.test"));
	assert_int_equal(count_of(&t, "old.test"), 2); /* nothing has been sent */
	send_all(&t, false, START_UNIX + 1);
	add(&t, e);
	for (int i = 0; i < 20; i++)
		add(&t, exchange("new.test"));
	assert_int_equal(count_of(&t, "old.test"), 3); /* one of its series has changed */
	send_all_refused(&t, false, START_UNIX + 2);
	add(&t, exchange("new.test"));
	assert_int_equal(count_of(&t, "old.test"), 3); /* and nobody knows of it */
	aggregates_delivered(&t.series);
	add(&t, exchange("new.test"));
	assert_int_equal(count_of(&t, "old.test"), 0);
	assert_int_equal(count_of(&t, "new.test"), 1);
	assert_int_equal(count_of(&t, "~other"), 41);
	dns_table_fini(&t);
	(void)state;
}

static void random_names_do_not_disturb_those_that_are_asked_for(void **state)
{
	enum { LOOKUPS = 200000, KEPT = 20 };
	struct dns_table t;
	char name[64];

	table(&t, 1000, KEPT, 0);
	for (unsigned i = 0; i < LOOKUPS; i++) {
		if (i % 10 == 0)
			snprintf(name, sizeof name, "site%u.test", i / 10 % KEPT);
		else
			snprintf(name, sizeof name, "%016llx.flood.test",
			         (unsigned long long)random_u64());
		add_and_send(&t, exchange(name), i);
	}
	for (unsigned i = 0; i < KEPT; i++) {
		snprintf(name, sizeof name, "site%u.test", i);
		assert_true(count_of(&t, name) >= LOOKUPS / 10 / KEPT * 9 / 10);
	}
	assert_true(t.series.map.count <= KEPT + 1);
	print_message("    %llu of %d look-ups changed which names are kept\n",
	              (unsigned long long)t.names.replaced, LOOKUPS);
	assert_true(t.names.replaced < LOOKUPS / 1000);
	dns_table_fini(&t);
	(void)state;
}

static void equally_frequent_names_do_not_take_turns(void **state)
{
	struct dns_table t;
	char name[32];

	table(&t, 1000, 100, 0);
	for (unsigned i = 0; i < 300000; i++) {
		snprintf(name, sizeof name, "site%u.test", (unsigned)(random_u64() % 300));
		add_and_send(&t, exchange(name), i);
	}
	print_message("    %llu names made room for equals\n",
	              (unsigned long long)t.names.replaced);
	assert_true(t.names.replaced < 300);
	dns_table_fini(&t);
	(void)state;
}

static void what_was_frequent_once_makes_room(void **state)
{
	struct dns_table t;

	table(&t, 100, 1, 0);
	for (unsigned i = 0; i < 10000; i++)
		add_and_send(&t, exchange("old.test"), i);
	for (unsigned i = 0; i < 20 * NAMES_WINDOW && !count_of(&t, "new.test"); i++)
		add_and_send(&t, exchange("new.test"), i);
	assert_true(count_of(&t, "new.test") > 0);
	dns_table_fini(&t);
	(void)state;
}

static void idle_names_leave_and_make_room(void **state)
{
	struct dns_table t;

	table(&t, 100, 2, 0);
	add(&t, exchange("a.test"));
	add(&t, exchange("b.test"));
	add(&t, exchange("c.test"));
	assert_int_equal(count_of(&t, "c.test"), 0);
	send_all(&t, false, START_UNIX + 1);
	aggregates_expire(&t.series, 100 * SECOND, 10 * SECOND);
	assert_int_equal(t.series.map.count, 0);
	assert_int_equal(t.series.resources.map.count, 0);
	add(&t, exchange("c.test"));
	assert_int_equal(count_of(&t, "c.test"), 1);
	dns_table_fini(&t);
	(void)state;
}

/* What a backend adds up: the newest value of each series that ever was; one that begins again is
 * another. */
struct backend {
	struct seen {
		uint64_t id, value;
	} seen[20000];
	size_t n;
	uint64_t total;
};

static void backend_take(struct backend *b, const struct dns_series *s, bool delta)
{
	struct {
		char name[32];
		uint64_t start;
		uint32_t type, code;
	} key;
	uint64_t id;
	size_t i = b->n;

	memset(&key, 0, sizeof key);
	snprintf(key.name, sizeof key.name, "%s", s->key.name ? s->key.name->text : "");
	key.start = s->base.start_unix_ns;
	key.type = s->key.type;
	key.code = s->key.code;
	id = hash_bytes(&key, sizeof key);
	while (i && b->seen[i - 1].id != id)
		i--;
	if (delta || !i) {
		assert_true(b->n < sizeof b->seen / sizeof *b->seen);
		i = ++b->n;
		b->seen[i - 1] = (struct seen){.id = id};
	}
	b->total += s->durations.count - b->seen[i - 1].value;
	b->seen[i - 1].value = s->durations.count;
}

static void backend_take_all(struct backend *b, const struct dns_table *t, bool delta)
{
	const struct aggregate *a;

	if (delta)
		b->n = 0;
	LIST_FOR_EACH(a, &t->series.by_touch, by_touch)
		backend_take(b, CONTAINER_OF(a, struct dns_series, base), delta);
	backend_take(b, &t->overflow, delta);
}

static void totals_are_exact_with_either_temporality(void **state)
{
	static struct backend b;

	for (int delta = 0; delta < 2; delta++) {
		struct dns_table t;
		uint64_t asked = 0;
		char name[32];

		b = (struct backend){0};
		table(&t, delta ? 30 : 1000, 5, 0);
		for (unsigned round = 0; round < 300; round++) {
			for (unsigned i = random_u64() % 100; i; i--, asked++) {
				struct dns_exchange e;
				uint64_t r = random_u64();

				snprintf(name, sizeof name, "n%u.test",
				         (unsigned)((r & 15) * (r >> 4 & 15) / 8 +
				                    round / 50 * 30));
				e = exchange(name);
				e.type = r >> 8 & 1 ? DNS_A : DNS_AAAA;
				e.rcode = r >> 9 & 3;
				add(&t, e);
			}
			backend_take_all(&b, &t, delta);
			assert_int_equal(b.total, asked);
			send_all(&t, delta, START_UNIX + 1 + round);
		}
		assert_true(t.names.replaced > 0);
		dns_table_fini(&t);
	}
	(void)state;
}

/* Whichever allocation fails: something is counted under another name, nothing is lost. */
static void totals_are_exact_without_memory(void **state)
{
	enum { LOOKUPS = 60 };
	unsigned long n = 0;
	bool failed;

	do {
		struct dns_table t;
		uint64_t sent = 0;
		char name[32];

		table(&t, 20, 3, 0);
		failing_memory_arm(++n);
		for (unsigned i = 0; i < LOOKUPS; i++) {
			struct resource *r = resource_get(&t.series.resources, &curl);
			struct dns_exchange e;

			snprintf(name, sizeof name, "n%u.test", i % 12 < 6 ? i / 12 : i % 12);
			e = exchange(name);
			dns_table_add(&t, r, &e, 0);
			resource_unref(r);
			if (i % 10 == 9) {
				sent += count_of(&t, NULL);
				send_all(&t, true, START_UNIX + i);
			}
		}
		failed = failing_memory_disarm();
		assert_int_equal(sent, LOOKUPS);
		assert_true(t.names.replaced > 0);
		dns_table_fini(&t);
	} while (failed);
	assert_true(n > 10);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_up_lookups_and_repetitions),
		cmocka_unit_test(an_unanswered_lookup_counts_as_the_timeout),
		cmocka_unit_test(an_answer_from_elsewhere_is_no_lookup),
		cmocka_unit_test(what_differs_is_a_series_of_its_own),
		cmocka_unit_test(names_are_cut_or_left_out),
		cmocka_unit_test(beyond_its_limit_the_overflow_series_keeps_the_totals),
		cmocka_unit_test(a_frequent_name_takes_the_place_of_the_least_frequent),
		cmocka_unit_test(a_name_like_that_of_the_rest_is_the_rest),
		cmocka_unit_test(all_series_of_a_name_make_room_with_it),
		cmocka_unit_test(a_name_stays_until_all_that_it_counted_is_delivered),
		cmocka_unit_test(random_names_do_not_disturb_those_that_are_asked_for),
		cmocka_unit_test(equally_frequent_names_do_not_take_turns),
		cmocka_unit_test(what_was_frequent_once_makes_room),
		cmocka_unit_test(idle_names_leave_and_make_room),
		cmocka_unit_test(totals_are_exact_with_either_temporality),
		cmocka_unit_test(totals_are_exact_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
