#include "core/base/random.h"
#include "receivers/sockets/sockets_series.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define START_UNIX UINT64_C(1700000000000000000)
#define SECOND UINT64_C(1000000000)

static const struct resource_owner curl = {.executable = "curl",
                                           .path = "/usr/bin/curl",
                                           .container_id = ""};

static struct sockets_record record(uint8_t role, uint8_t peer, uint8_t flags)
{
	struct sockets_record r = {
		.cookie = 1,
		.family = AF_INET,
		.role = role,
		.flags = flags,
		.local_port = role == ROLE_SERVER ? 80 : 40001,
		.remote_port = role == ROLE_SERVER ? 40001 : 80,
		.remote_address = {10, 0, 0, peer},
	};
	return r;
}

static void add(struct sockets_table *t, const struct resource_owner *owner,
                struct sockets_record r, uint64_t now_ns)
{
	struct resource *resource = resource_get(&t->series.resources, owner);

	assert_non_null(resource);
	sockets_table_add(t, resource, &r, now_ns);
	resource_unref(resource);
}

static void send_all(struct sockets_table *t, bool delta, uint64_t now_unix_ns)
{
	aggregates_collect(&t->series);
	aggregates_sent(&t->series, aggregates_next(&t->series, delta, SIZE_MAX), delta,
	                now_unix_ns);
	aggregates_delivered(&t->series);
}

static struct sockets_series *only_series(struct sockets_table *t)
{
	assert_int_equal(t->series.map.count, 1);
	return LIST_FIRST(&t->series.by_touch, struct sockets_series, base.by_touch);
}

static void adds_up_the_life_of_a_connection(void **state)
{
	struct sockets_table t;
	struct sockets_record r = record(ROLE_CLIENT, 1, SOCKETS_OPENED);
	struct sockets_series *s;

	sockets_table_init(&t, "host", 10, false, START_UNIX);
	r.started_ns = 1 * SECOND;
	r.established_ns = 1 * SECOND + 2000000;
	r.at_ns = 2 * SECOND;
	r.sent_bytes = 100;
	r.srtt_us = 300;
	add(&t, &curl, r, 0);
	s = only_series(&t);
	assert_int_equal(s->base.open, 1);

	r.flags = SOCKETS_CLOSED;
	r.at_ns = r.established_ns + 3 * SECOND;
	r.sent_bytes = 0;
	r.received_bytes = 7;
	r.retransmitted_segments = 2;
	r.resets_received = 1;
	add(&t, &curl, r, 0);

	assert_ptr_equal(only_series(&t), s);
	assert_int_equal(s->base.open, 0);
	assert_int_equal(s->counters[SERIES_OPENED], 1);
	assert_int_equal(s->counters[SERIES_SENT_BYTES], 100);
	assert_int_equal(s->counters[SERIES_RECEIVED_BYTES], 7);
	assert_int_equal(s->counters[SERIES_RETRANSMITTED_SEGMENTS], 2);
	assert_int_equal(s->counters[SERIES_RESETS_RECEIVED], 1);
	assert_int_equal(s->histograms[SERIES_CONNECT_DURATION]->count, 1);
	assert_float_equal(s->histograms[SERIES_CONNECT_DURATION]->sum, 0.002, 1e-12);
	assert_int_equal(s->histograms[SERIES_CONNECT_DURATION]->buckets[4], 1); /* <= 2.5 ms */
	assert_int_equal(s->histograms[SERIES_CONNECTION_DURATION]->count, 1);
	assert_float_equal(s->histograms[SERIES_CONNECTION_DURATION]->max, 3, 1e-12);
	assert_int_equal(s->histograms[SERIES_RTT]->count, 2);
	assert_int_equal(s->histograms[SERIES_RTT]->buckets[2], 2); /* 0.3 ms <= 0.5 ms */
	assert_int_equal(t.overflowed, 0);
	sockets_table_fini(&t);
	(void)state;
}

static void a_value_on_a_bound_belongs_below_it(void **state)
{
	struct sockets_table t;
	struct sockets_record r = record(ROLE_CLIENT, 1, 0);

	sockets_table_init(&t, "host", 10, false, START_UNIX);
	r.flags = SOCKETS_OPENED;
	r.sent_bytes = 1;
	r.srtt_us = 1000;
	add(&t, &curl, r, 0);
	r.flags = 0;
	r.srtt_us = 99000000;
	add(&t, &curl, r, 0);
	assert_int_equal(only_series(&t)->histograms[SERIES_RTT]->buckets[3], 1);
	assert_int_equal(only_series(&t)->histograms[SERIES_RTT]->buckets[DISTRIBUTION_BOUNDS_MAX],
	                 1);
	sockets_table_fini(&t);
	(void)state;
}

static void counts_failures_by_reason(void **state)
{
	static const struct {
		int error;
		enum series_counter counter;
	} reasons[] = {
		{ECONNREFUSED, SERIES_FAILED_REFUSED},
		{ECONNRESET, SERIES_FAILED_RESET},
		{ETIMEDOUT, SERIES_FAILED_TIMED_OUT},
		{EHOSTUNREACH, SERIES_FAILED_HOST_UNREACHABLE},
		{ENETUNREACH, SERIES_FAILED_NETWORK_UNREACHABLE},
		{0, SERIES_FAILED_OTHER},
		{EACCES, SERIES_FAILED_OTHER},
	};
	struct sockets_table t;

	sockets_table_init(&t, "host", 10, false, START_UNIX);
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
		struct sockets_record r = record(ROLE_CLIENT, 1, SOCKETS_FAILED);
		r.error = (uint16_t)reasons[i].error;
		uint64_t before = i ? only_series(&t)->counters[reasons[i].counter] : 0;
		add(&t, &curl, r, 0);
		assert_int_equal(only_series(&t)->counters[reasons[i].counter], before + 1);
	}
	assert_int_equal(only_series(&t)->base.open, 0);
	assert_false(only_series(&t)->had_open);
	assert_int_equal(only_series(&t)->counters[SERIES_OPENED], 0);
	sockets_table_fini(&t);
	(void)state;
}

static void clients_of_a_server_share_a_series_unless_told_apart(void **state)
{
	for (int apart = 0; apart < 2; apart++) {
		struct sockets_table t;
		sockets_table_init(&t, "host", 10, apart, START_UNIX);
		add(&t, &curl, record(ROLE_SERVER, 1, SOCKETS_OPENED), 0);
		add(&t, &curl, record(ROLE_SERVER, 2, SOCKETS_OPENED), 0);
		assert_int_equal(t.series.map.count, apart ? 2 : 1);
		sockets_table_fini(&t);
	}
	(void)state;
}

static void tells_servers_families_and_roles_apart(void **state)
{
	struct sockets_table t;
	struct sockets_record r = record(ROLE_CLIENT, 1, SOCKETS_OPENED);

	sockets_table_init(&t, "host", 10, false, START_UNIX);
	add(&t, &curl, r, 0);
	r.local_port++; /* ephemeral: the same series */
	add(&t, &curl, r, 0);
	assert_int_equal(t.series.map.count, 1);
	r.remote_port++;
	add(&t, &curl, r, 0);
	assert_int_equal(t.series.map.count, 2);
	r.remote_address[0]++;
	add(&t, &curl, r, 0);
	assert_int_equal(t.series.map.count, 3);
	r.family = AF_INET6;
	add(&t, &curl, r, 0);
	assert_int_equal(t.series.map.count, 4);
	r.remote_address[15]++;
	add(&t, &curl, r, 0);
	assert_int_equal(t.series.map.count, 5);
	add(&t, &curl, record(ROLE_SERVER, 1, SOCKETS_OPENED), 0);
	assert_int_equal(t.series.map.count, 6);
	sockets_table_fini(&t);
	(void)state;
}

static void a_role_that_is_not_known_shows_no_port(void **state)
{
	struct sockets_table t;
	struct sockets_record r = record(ROLE_UNKNOWN, 1, SOCKETS_PREEXISTING);

	sockets_table_init(&t, "host", 10, true, START_UNIX);
	add(&t, &curl, r, 0);
	r.remote_port++;
	add(&t, &curl, r, 0);
	assert_int_equal(only_series(&t)->key.server_port, 0);
	assert_int_equal(only_series(&t)->base.open, 2);
	assert_int_equal(only_series(&t)->counters[SERIES_OPENED], 0);
	sockets_table_fini(&t);
	(void)state;
}

static void a_pid_that_is_used_again_is_another_resource(void **state)
{
	struct resource_owner a = {"sh", "/bin/sh", "", 7, 100}, b = {"sh", "/bin/sh", "", 7, 200};
	struct sockets_table t;

	sockets_table_init(&t, "host", 10, false, START_UNIX);
	add(&t, &a, record(ROLE_CLIENT, 1, SOCKETS_OPENED), 0);
	add(&t, &b, record(ROLE_CLIENT, 1, SOCKETS_OPENED), 0);
	assert_int_equal(t.series.resources.map.count, 2);
	assert_int_equal(t.series.map.count, 2);
	sockets_table_fini(&t);
	(void)state;
}

static void beyond_the_limit_totals_are_kept_in_overflow(void **state)
{
	struct sockets_table t;
	struct sockets_record r;

	sockets_table_init(&t, "host", 2, false, START_UNIX);
	for (uint8_t peer = 1; peer <= 5; peer++) {
		r = record(ROLE_CLIENT, peer, SOCKETS_OPENED);
		r.cookie = peer;
		r.sent_bytes = 10;
		r.srtt_us = 5;
		add(&t, &curl, r, 0);
	}
	assert_int_equal(t.series.map.count, 2);
	assert_int_equal(t.overflowed, 3);
	assert_int_equal(t.overflow.base.open, 3);
	assert_int_equal(t.overflow.counters[SERIES_OPENED], 3);
	assert_int_equal(t.overflow.counters[SERIES_SENT_BYTES], 30);
	assert_int_equal(t.overflow.histograms[SERIES_RTT]->count, 3);
	sockets_table_fini(&t);
	(void)state;
}

static void what_was_opened_in_overflow_closes_there(void **state)
{
	struct sockets_table t;
	struct sockets_record a = record(ROLE_CLIENT, 1, SOCKETS_OPENED | SOCKETS_CLOSED);
	struct sockets_record b = record(ROLE_CLIENT, 2, SOCKETS_OPENED);
	struct sockets_series *s;

	sockets_table_init(&t, "host", 1, false, START_UNIX);
	add(&t, &curl, a, 0);
	b.cookie = 20;
	add(&t, &curl, b, 0);
	assert_int_equal(t.overflow.base.open, 1);

	/* its place is free now, and another connection to the same peer takes it */
	send_all(&t, false, START_UNIX + 1);
	aggregates_expire(&t.series, 10 * SECOND, SECOND);
	assert_int_equal(t.series.map.count, 0);
	b.cookie = 21;
	add(&t, &curl, b, 10 * SECOND);
	s = only_series(&t);
	assert_int_equal(s->base.open, 1);

	b.cookie = 20;
	b.flags = SOCKETS_CLOSED;
	add(&t, &curl, b, 10 * SECOND);
	assert_int_equal(s->base.open, 1);
	assert_int_equal(t.overflow.base.open, 0);
	assert_int_equal(t.strays.count, 0);
	b.cookie = 21;
	add(&t, &curl, b, 10 * SECOND);
	assert_int_equal(s->base.open, 0);
	sockets_table_fini(&t);
	(void)state;
}

static void drops_series_that_nothing_touches_but_not_open_ones(void **state)
{
	struct sockets_table t;
	struct sockets_record a = record(ROLE_CLIENT, 1, SOCKETS_OPENED | SOCKETS_CLOSED);
	struct sockets_record b = record(ROLE_CLIENT, 2, SOCKETS_OPENED);

	sockets_table_init(&t, "host", 10, false, START_UNIX);
	add(&t, &curl, a, 0);
	add(&t, &curl, b, 0);
	aggregates_expire(&t.series, 100 * SECOND, 10 * SECOND);
	assert_int_equal(t.series.map.count, 2); /* not sent yet */
	send_all(&t, false, START_UNIX + 5);
	aggregates_expire(&t.series, 9 * SECOND, 10 * SECOND);
	assert_int_equal(t.series.map.count, 2);
	aggregates_expire(&t.series, 10 * SECOND, 10 * SECOND);
	assert_int_equal(only_series(&t)->base.open, 1);

	add(&t, &curl, a, 20 * SECOND); /* comes back: from 0, with a start time of its own */
	struct sockets_series *s =
		CONTAINER_OF(t.series.by_touch.prev, struct sockets_series, base.by_touch);
	assert_int_equal(s->counters[SERIES_OPENED], 1);
	assert_int_equal(s->base.start_unix_ns, START_UNIX + 5);
	sockets_table_fini(&t);
	(void)state;
}

static bool count_part(void *arg, struct resource *r, size_t n)
{
	size_t *seen = arg;

	(void)r;
	*seen += n;
	return true;
}

static void a_collection_hands_out_every_series_once(void **state)
{
	static const struct resource_owner owners[] = {
		{.executable = "a", .path = "", .container_id = ""},
		{.executable = "b", .path = "", .container_id = ""},
		{.executable = "c", .path = "", .container_id = ""},
	};
	struct sockets_table t;
	struct aggregate_part part;
	size_t parts = 0, seen = 0;

	sockets_table_init(&t, "host", 1000, false, START_UNIX);
	for (uint8_t i = 0; i < 100; i++)
		add(&t, &owners[i % 3], record(ROLE_CLIENT, i, SOCKETS_OPENED | SOCKETS_CLOSED), 0);
	aggregates_collect(&t.series);
	do {
		part = aggregates_next(&t.series, true, 7);
		assert_true(aggregates_part_each(&t.series, part, count_part, &seen));
		aggregates_sent(&t.series, part, true, START_UNIX + 9);
		parts++;
		/* made meanwhile: belongs to the next collection */
		add(&t, &owners[0], record(ROLE_CLIENT, (uint8_t)(100 + parts), SOCKETS_OPENED), 0);
	} while (!part.overflow);
	assert_int_equal(seen, 100);
	assert_true(parts >= 100 / 7);

	/* one that is given up after a part: the next begins with what was left out */
	for (uint8_t i = 0; i < 100; i++)
		add(&t, &owners[i % 3], record(ROLE_CLIENT, i, SOCKETS_OPENED | SOCKETS_CLOSED), 0);
	aggregates_collect(&t.series);
	part = aggregates_next(&t.series, true, 90);
	aggregates_sent(&t.series, part, true, START_UNIX + 10);
	aggregates_collect(&t.series);
	part = aggregates_next(&t.series, true, 10 + parts);
	aggregates_sent(&t.series, part, true, START_UNIX + 11);
	for (struct list *l = t.series.by_touch.next; l != &t.series.by_touch; l = l->next)
		assert_false(CONTAINER_OF(l, struct sockets_series, base.by_touch)->base.unsent);

	aggregates_collect(
		&t.series); /* a hundred that are silent are not passed in one go either */
	assert_in_range(aggregates_next(&t.series, true, 2).series, 3, 2 * 16);
	sockets_table_fini(&t);
	(void)state;
}

static void a_resource_goes_with_its_last_series(void **state)
{
	struct sockets_table t;

	sockets_table_init(&t, "host", 10, false, START_UNIX);
	add(&t, &curl, record(ROLE_CLIENT, 1, SOCKETS_OPENED | SOCKETS_CLOSED), 0);
	assert_int_equal(t.series.resources.map.count, 1);
	send_all(&t, false, START_UNIX);
	aggregates_expire(&t.series, 10 * SECOND, SECOND);
	assert_int_equal(t.series.resources.map.count, 0);
	assert_true(list_is_empty(&t.series.resources.all));
	sockets_table_fini(&t);
	(void)state;
}

static void delta_begins_again_and_keeps_what_is_open(void **state)
{
	struct sockets_table t;
	struct sockets_record r = record(ROLE_CLIENT, 1, SOCKETS_OPENED);

	sockets_table_init(&t, "host", 10, false, START_UNIX);
	r.sent_bytes = 5;
	r.srtt_us = 5;
	add(&t, &curl, r, 0);
	send_all(&t, true, START_UNIX + 1);
	assert_int_equal(only_series(&t)->counters[SERIES_SENT_BYTES], 0);
	assert_int_equal(only_series(&t)->counters[SERIES_OPENED], 0);
	assert_int_equal(only_series(&t)->histograms[SERIES_RTT]->count, 0);
	assert_int_equal(only_series(&t)->base.open, 1);
	assert_int_equal(t.series.since_unix_ns, START_UNIX + 1);
	sockets_table_fini(&t);
	(void)state;
}

static void a_recount_sets_right_what_lost_records_left(void **state)
{
	struct sockets_table t;
	struct sockets_record r = record(ROLE_CLIENT, 1, SOCKETS_OPENED);
	struct resource *resource;

	sockets_table_init(&t, "host", 1, false, START_UNIX);
	for (r.cookie = 1; r.cookie <= 4; r.cookie++)
		add(&t, &curl, r, 0);
	r.remote_port = 81; /* overflow */
	for (r.cookie = 5; r.cookie <= 8; r.cookie++)
		add(&t, &curl, r, 0);

	sockets_table_recount(&t);
	resource = resource_get(&t.series.resources, &curl);
	r.cookie = 2;
	r.remote_port = 80;
	sockets_table_recount_seen(&t, resource, &r);
	r.cookie = 7;
	r.remote_port = 81;
	sockets_table_recount_seen(&t, resource, &r);
	resource_unref(resource);
	assert_int_equal(only_series(&t)->base.open, 1);
	assert_int_equal(t.overflow.base.open, 1);
	assert_int_equal(t.strays.count, 1);
	assert_int_equal(only_series(&t)->counters[SERIES_OPENED], 4);
	sockets_table_fini(&t);
	(void)state;
}

/* ---- against a reference that knows every socket */

enum { SOCKETS = 400, PEERS = 24, STEPS = 40000, OWNERS = 3 };

struct simulated {
	bool open;
	uint64_t cookie;
	uint8_t peer, owner, role;
};

struct totals {
	uint64_t counters[SERIES_COUNTER_COUNT];
	uint64_t histogram_counts[SERIES_HISTOGRAM_COUNT];
	int64_t open;
};

static void sum_series(struct totals *t, const struct sockets_series *s)
{
	for (size_t i = 0; i < SERIES_COUNTER_COUNT; i++)
		t->counters[i] += s->counters[i];
	for (size_t i = 0; i < SERIES_HISTOGRAM_COUNT; i++)
		t->histogram_counts[i] += s->histograms[i] ? s->histograms[i]->count : 0;
	t->open += s->base.open;
}

/* Series that expire take their counters along: before, they are added to *gone. */
static void check_totals(struct sockets_table *t, const struct totals *want,
                         const struct totals *gone)
{
	struct totals have = *gone;
	struct sockets_series *s;

	LIST_FOR_EACH(s, &t->series.by_touch, base.by_touch) {
		assert_true(s->base.open >= 0);
		sum_series(&have, s);
	}
	assert_true(t->overflow.base.open >= 0);
	sum_series(&have, &t->overflow);
	assert_memory_equal(&have, want, sizeof have);
}

static void expire(struct sockets_table *t, uint64_t now_ns, struct totals *gone)
{
	struct totals before = {0}, after = {0};
	struct sockets_series *s;

	LIST_FOR_EACH(s, &t->series.by_touch, base.by_touch)
		sum_series(&before, s);
	aggregates_expire(&t->series, now_ns, 500);
	LIST_FOR_EACH(s, &t->series.by_touch, base.by_touch)
		sum_series(&after, s);
	for (size_t i = 0; i < SERIES_COUNTER_COUNT; i++)
		gone->counters[i] += before.counters[i] - after.counters[i];
	for (size_t i = 0; i < SERIES_HISTOGRAM_COUNT; i++)
		gone->histogram_counts[i] += before.histogram_counts[i] - after.histogram_counts[i];
	assert_int_equal(before.open, after.open);
}

static struct sockets_record step(struct simulated *sim, uint64_t random, uint64_t *next_cookie)
{
	struct sockets_record r;

	if (!sim->open) {
		sim->cookie = (*next_cookie)++;
		sim->peer = random % PEERS;
		sim->owner = (random >> 8) % OWNERS;
		sim->role = (random >> 16) % 3;
		r = record(sim->role, sim->peer, SOCKETS_OPENED);
		if ((random >> 20) % 8 == 0)
			r.flags = SOCKETS_FAILED;
		else if ((random >> 20) % 8 == 1)
			r.flags = SOCKETS_PREEXISTING;
		sim->open = !(r.flags & SOCKETS_FAILED);
		r.error = (random >> 24) % 2 ? ECONNREFUSED : 0;
	} else {
		r = record(sim->role, sim->peer, 0);
	}
	r.cookie = sim->cookie;
	if (sim->open && (random >> 28) % 3 == 0) {
		r.flags |= SOCKETS_CLOSED;
		sim->open = false;
	}
	r.started_ns = 1;
	r.established_ns = r.flags & SOCKETS_PREEXISTING ? 0 : 2;
	r.at_ns = 3;
	r.sent_bytes = (random >> 32) % 3;
	r.received_bytes = (random >> 34) % 1000;
	r.retransmitted_segments = (random >> 44) % 4;
	r.resets_sent = (random >> 46) % 2;
	r.srtt_us = (random >> 48) % 4;
	return r;
}

static void reference_add(struct totals *t, const struct sockets_record *r)
{
	t->counters[SERIES_OPENED] += !!(r->flags & SOCKETS_OPENED);
	t->counters[SERIES_SENT_BYTES] += r->sent_bytes;
	t->counters[SERIES_RECEIVED_BYTES] += r->received_bytes;
	t->counters[SERIES_RETRANSMITTED_SEGMENTS] += r->retransmitted_segments;
	t->counters[SERIES_RESETS_SENT] += r->resets_sent;
	if (r->flags & SOCKETS_FAILED)
		t->counters[r->error ? SERIES_FAILED_REFUSED : SERIES_FAILED_OTHER]++;
	if (r->flags & SOCKETS_OPENED && r->role == ROLE_CLIENT)
		t->histogram_counts[SERIES_CONNECT_DURATION]++;
	if (r->flags & SOCKETS_CLOSED && r->established_ns)
		t->histogram_counts[SERIES_CONNECTION_DURATION]++;
	if (r->srtt_us && r->sent_bytes + r->received_bytes)
		t->histogram_counts[SERIES_RTT]++;
	if (r->flags & (SOCKETS_OPENED | SOCKETS_PREEXISTING))
		t->open++;
	if (r->flags & SOCKETS_CLOSED)
		t->open--;
}

static void totals_stay_exact_whatever_comes(void **state)
{
	static const size_t limits[] = {1, 5, 60, 1000};
	static const struct resource_owner owners[OWNERS] = {{"a", "", ""},
	                                                     {"b", "/b", ""},
	                                                     {"b", "/b", "c0"}};
	uint64_t seed = random_u64();

	print_message("seed %llu\n", (unsigned long long)seed);
	for (size_t l = 0; l < sizeof limits / sizeof *limits; l++) {
		struct simulated sims[SOCKETS] = {0};
		struct totals want = {0}, gone = {0};
		uint64_t cookie = 1, x = seed + l;
		struct sockets_table t;

		sockets_table_init(&t, "host", limits[l], false, START_UNIX);
		for (uint64_t i = 0; i < STEPS; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			/* at times few sockets are active, so that series expire */
			struct simulated *sim = &sims[x % (i / 5000 % 2 ? 20 : SOCKETS)];
			struct sockets_record r =
				step(sim, x * UINT64_C(0x9e3779b97f4a7c15), &cookie);

			reference_add(&want, &r);
			add(&t, &owners[sim->owner], r, i);
			assert_true(t.series.map.count <= limits[l]);
			assert_true(t.strays.count <= limits[l]);
			if (i % 97 == 0) {
				send_all(&t, false, START_UNIX + i);
				expire(&t, i, &gone);
				check_totals(&t, &want, &gone);
			}
		}
		check_totals(&t, &want, &gone);
		sockets_table_fini(&t);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_up_the_life_of_a_connection),
		cmocka_unit_test(a_value_on_a_bound_belongs_below_it),
		cmocka_unit_test(counts_failures_by_reason),
		cmocka_unit_test(clients_of_a_server_share_a_series_unless_told_apart),
		cmocka_unit_test(tells_servers_families_and_roles_apart),
		cmocka_unit_test(a_role_that_is_not_known_shows_no_port),
		cmocka_unit_test(a_pid_that_is_used_again_is_another_resource),
		cmocka_unit_test(beyond_the_limit_totals_are_kept_in_overflow),
		cmocka_unit_test(what_was_opened_in_overflow_closes_there),
		cmocka_unit_test(drops_series_that_nothing_touches_but_not_open_ones),
		cmocka_unit_test(a_collection_hands_out_every_series_once),
		cmocka_unit_test(a_resource_goes_with_its_last_series),
		cmocka_unit_test(delta_begins_again_and_keeps_what_is_open),
		cmocka_unit_test(a_recount_sets_right_what_lost_records_left),
		cmocka_unit_test(totals_stay_exact_whatever_comes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
