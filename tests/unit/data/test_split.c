#include "core/wire/cursor.h"
#include "core/wire/otlp.h"
#include "tests/unit/data/batch_fixture.h"

#include <errno.h>

/* What a request says, however it is cut: one line for each item, with the envelope it stands in,
 * in order. */
struct story {
	struct arena *arena;
	struct buffer text;
};

static void tell(struct story *s, const char *what, const ProtobufCMessage *m)
{
	struct slice bytes = otlp_protobuf_c_pack(s->arena, m);

	buffer_append_string(&s->text, what);
	buffer_append_slice(&s->text, bytes);
}

static void tell_points(struct story *s, const Otlp__ResourceMetrics *group,
                        const Otlp__ScopeMetrics *scope, Otlp__Metric *metric)
{
	Otlp__ResourceMetrics group_shell = *group;
	Otlp__ScopeMetrics scope_shell = *scope;
	size_t *n;
	ProtobufCMessage ***points, **all;
	size_t n_all;

	group_shell.n_scope_metrics = 0;
	scope_shell.n_metrics = 0;
	switch (metric->data_case) {
	case OTLP__METRIC__DATA__NOT_SET:
		return;
	default: /* each kind of data begins with its points */
		n = &metric->gauge->n_data_points;
		points = (ProtobufCMessage ***)&metric->gauge->data_points;
		break;
	}
	n_all = *n;
	all = *points;
	*n = 0;
	for (size_t i = 0; i < n_all; i++) {
		tell(s, "\ngroup ", &group_shell.base);
		tell(s, " scope ", &scope_shell.base);
		tell(s, " metric ", &metric->base);
		tell(s, " point ", all[i]);
	}
	*n = n_all;
	*points = all;
}

static void tell_group(struct story *s, enum signal signal, const struct group *g)
{
	if (signal == SIGNAL_METRICS) {
		const Otlp__ResourceMetrics *group = g->metrics;
		for (size_t i = 0; i < group->n_scope_metrics; i++)
			for (size_t j = 0; j < group->scope_metrics[i]->n_metrics; j++)
				tell_points(s, group, group->scope_metrics[i],
				            group->scope_metrics[i]->metrics[j]);
		return;
	}
	/* ResourceLogs and ScopeLogs look like ResourceSpans and ScopeSpans. */
	for (size_t i = 0; i < g->spans->n_scope_spans; i++) {
		Otlp__ResourceSpans group_shell = *g->spans;
		Otlp__ScopeSpans scope_shell = *g->spans->scope_spans[i];

		group_shell.n_scope_spans = 0;
		scope_shell.n_spans = 0;
		for (size_t j = 0; j < g->spans->scope_spans[i]->n_spans; j++) {
			tell(s, "\ngroup ", &group_shell.base);
			tell(s, " scope ", &scope_shell.base);
			tell(s, " item ", &g->spans->scope_spans[i]->spans[j]->base);
		}
	}
}

static void tell_batch(struct fixture *f, struct story *s, const struct batch *b)
{
	struct batch *copy = receive(f, b->signal, contents(f, b));

	assert_int_equal(copy->items, b->items);
	open_to(&copy, DEPTH_FULL);
	for (struct group *g = copy->first; g; g = g->next) {
		if (g->resource_absent)
			g->spans->resource = NULL;
		tell_group(s, b->signal, g);
	}
	batch_unref(copy);
}

static void check_counts(const struct batch *b)
{
	size_t groups = 0, items = 0;

	for (const struct group *g = b->first; g; g = g->next) {
		groups++;
		items += g->items;
	}
	assert_int_equal(groups, b->n_groups);
	assert_int_equal(items, b->items);
}

/* Cuts all of b, and checks that the pieces keep to the limit and tell the same story. Takes b. */
static void check_split(struct fixture *f, struct batch *b, enum batch_sizer sizer, size_t limit)
{
	struct story whole = {.arena = &f->arena}, pieces = {.arena = &f->arena};
	struct error error = ERROR_INIT;

	tell_batch(f, &whole, b);
	while (batch_size(b, sizer) > limit) {
		size_t items = b->items;
		struct batch *head = NULL;

		if (batch_split(&b, sizer, limit, &head, &error) < 0)
			fail_msg("%s", error.message);
		check_counts(head);
		check_counts(b);
		assert_int_equal(head->items + b->items, items);
		assert_true(head->n_groups > 0);
		assert_true(batch_size(head, sizer) <= limit || head->items <= 1);
		tell_batch(f, &pieces, head);
		batch_unref(head);
	}
	tell_batch(f, &pieces, b);
	batch_unref(b);
	assert_false(whole.text.failed || pieces.text.failed);
	assert_bytes(buffer_slice(&pieces.text), buffer_slice(&whole.text));
	buffer_fini(&whole.text);
	buffer_fini(&pieces.text);
}

static void test_pieces_say_together_what_the_whole_said(void **state)
{
	struct fixture *f = *state;

	for (int round = 0; round < 30; round++)
		for (int s = 0; s < SIGNAL_COUNT; s++)
			for (enum depth d = DEPTH_WIRE; d <= DEPTH_FULL; d++) {
				struct slice request = random_request(f, s);
				size_t limit = 1 + (size_t)(otlp_random_u64(&f->random) >> 60);
				struct batch *b = receive(f, s, request);

				open_to(&b, d);
				check_split(f, b, BATCH_ITEMS, limit);
				b = receive(f, s, request);
				open_to(&b, d);
				check_split(f, b, BATCH_BYTES, limit * 100);
				assert_int_equal(f->budget.used, 0);
			}
}

static void test_other_encodings_are_cut_as_well(void **state)
{
	struct fixture *f = *state;

	for (int round = 0; round < 30; round++)
		for (int s = 0; s < SIGNAL_COUNT; s++) {
			struct slice odd =
				otlp_random_scramble(&f->random, otlp_request_descriptor(s),
			                             random_request(f, s));
			check_split(f, receive(f, s, odd), BATCH_ITEMS, 1);
			check_split(f, receive(f, s, odd), BATCH_BYTES, 300);
		}
}

/* Fields of the same metric that come twice are merged before they are cut. */
static void test_a_metric_with_its_data_in_parts_is_cut(void **state)
{
	struct fixture *f = *state;
	struct slice request = SLICE_LITERAL("\x0a\x19\x12\x17\x12\x15"
	                                     "\x0a\x01m\x2a\x02\x0a\x00"
	                                     "\x3a\x04\x0a\x00\x0a\x00"
	                                     "\x3a\x06\x0a\x02\x40\x01\x10\x02");

	check_split(f, receive(f, SIGNAL_METRICS, request), BATCH_ITEMS, 1);
}

static struct slice request_of(struct fixture *f, unsigned groups, unsigned items)
{
	struct slice request = SLICE_LITERAL("");

	for (unsigned i = 0; i < groups; i++) {
		uint8_t bytes[100] = {0x0a, (uint8_t)(5 + 2 * items), 0x12, (uint8_t)(2 * items)};
		for (unsigned j = 0; j < items; j++)
			bytes[4 + 2 * j] = 0x12;
		bytes[4 + 2 * items] = 0x1a; /* schema_url */
		bytes[5 + 2 * items] = 1;
		bytes[6 + 2 * items] = (uint8_t)i;
		request = joined(f, request, slice_of(bytes, 7 + 2 * items));
	}
	return request;
}

static struct batch *split_once(struct batch **b, enum batch_sizer sizer, size_t limit)
{
	struct batch *head = NULL;
	struct error error = ERROR_INIT;

	assert_int_equal(batch_split(b, sizer, limit, &head, &error), 0);
	return head;
}

static void test_cuts_between_groups_where_it_can(void **state)
{
	struct fixture *f = *state;
	struct batch *b = receive(f, SIGNAL_TRACES, request_of(f, 4, 5)), *head;

	head = split_once(&b, BATCH_ITEMS, 12);
	assert_int_equal(head->items, 10); /* two more would fit, but would cut a group */
	assert_int_equal(b->items, 10);
	batch_unref(head);
	head = split_once(&b, BATCH_ITEMS, 3); /* smaller than any group */
	assert_int_equal(head->items, 3);
	assert_int_equal(b->items, 7);
	batch_unref(head);
	head = split_once(&b, BATCH_ITEMS, 6); /* the rest of one and no part of the next */
	assert_int_equal(head->items, 2);
	batch_unref(head);
	batch_unref(b);
}

static void test_a_head_is_as_large_as_fits(void **state)
{
	struct fixture *f = *state;

	for (size_t limit = 10; limit < 60; limit++) {
		struct batch *b = receive(f, SIGNAL_LOGS, request_of(f, 1, 30)), *head;
		size_t size;

		head = split_once(&b, BATCH_BYTES, limit);
		size = batch_bytes(head);
		assert_true(size <= limit && size + 2 > limit); /* an item has two bytes */
		batch_unref(head);
		batch_unref(b);
	}
}

static void test_a_single_item_larger_than_the_limit_goes_alone(void **state)
{
	struct fixture *f = *state;
	struct slice request = request_of(f, 1, 1);
	struct batch *b = receive(f, SIGNAL_LOGS, request), *head;

	head = split_once(&b, BATCH_BYTES, 3);
	assert_bytes(contents(f, head), request);
	assert_int_equal(b->n_groups, 0);
	batch_unref(head);
	batch_unref(b);
	b = receive(f, SIGNAL_LOGS, request_of(f, 1, 3));
	for (int i = 0; i < 3; i++) {
		head = split_once(&b, BATCH_BYTES, 3);
		assert_int_equal(head->items, 1);
		batch_unref(head);
	}
	batch_unref(b);
}

static void test_a_shared_batch_stays_whole_for_the_others(void **state)
{
	struct fixture *f = *state;
	struct slice request = request_of(f, 3, 4);

	for (enum depth d = DEPTH_WIRE; d <= DEPTH_FULL; d++) {
		struct batch *b = receive(f, SIGNAL_TRACES, request), *other, *head;

		open_to(&b, d);
		other = batch_ref(b);
		head = split_once(&b, BATCH_ITEMS, 2);
		assert_int_equal(head->refs, 1);
		assert_int_equal(b->refs, 1);
		assert_int_equal(other->refs, 1);
		assert_int_equal(other->items, 12);
		assert_bytes(contents(f, other), request);
		assert_int_equal(head->items + b->items, 12);
		batch_unref(other);
		contents(f, head);
		contents(f, b);
		batch_unref(head);
		batch_unref(b);
	}
}

/* A batcher that never runs empty: what was sent must not stay charged because of what remains. */
static void test_splitting_and_merging_for_ever_does_not_grow(void **state)
{
	struct fixture *f = *state;

	for (enum depth d = DEPTH_WIRE; d <= DEPTH_FULL; d++) {
		struct batch *pending = batch_new(SIGNAL_TRACES, &f->budget);
		size_t early = 0;

		for (int i = 0; i < 400; i++) {
			struct batch *more = receive(f, SIGNAL_TRACES, request_of(f, 5, 3));

			open_to(&more, d);
			assert_true(batch_merge(pending, more));
			while (pending->items > 10)
				batch_unref(split_once(&pending, BATCH_ITEMS, 10));
			if (i == 50)
				early = f->budget.used;
		}
		assert_true(f->budget.used <= 2 * early);
		batch_unref(pending);
		assert_int_equal(f->budget.used, 0);
	}
}

static void test_a_failed_split_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct slice request = request_of(f, 2, 40);
	struct batch *head = NULL;
	unsigned failures = 0;

	for (size_t more = 0; !head; more += 64) {
		struct batch *b = receive(f, SIGNAL_LOGS, request), *before = b;
		struct error error = ERROR_INIT;

		open_to(&b, DEPTH_FULL);
		f->budget.limit = f->budget.used + more;
		if (batch_split(&b, BATCH_ITEMS, 7, &head, &error) < 0) {
			assert_int_equal(error.code, -ENOMEM);
			assert_ptr_equal(b, before);
			assert_int_equal(b->items, 80);
			assert_bytes(contents(f, b), request);
			failures++;
		}
		f->budget.limit = 0;
		batch_unref(b);
	}
	assert_true(failures > 3);
	batch_unref(head);
}

/* Cut into pieces of one item, a group of many takes time that grows with it, not with its
 * square. */
static void test_a_large_group_is_read_once(void **state)
{
	enum { ITEMS = 20000 };
	struct fixture *f = *state;
	struct buffer items = BUFFER_INIT, request = BUFFER_INIT;
	struct batch *b;
	size_t heads = 1;

	for (int i = 0; i < ITEMS; i++)
		buffer_append(&items, "\x12\x00", 2);
	/* 40,000 bytes of items in a scope, 40,004 in the group */
	buffer_append(&request, "\x0a\xc4\xb8\x02\x12\xc0\xb8\x02", 8);
	buffer_append_slice(&request, buffer_slice(&items));
	b = receive(f, SIGNAL_TRACES, buffer_slice(&request));
	assert_int_equal(b->items, ITEMS);
	for (; b->items > 1; heads++)
		batch_unref(split_once(&b, BATCH_ITEMS, 1));
	assert_int_equal(heads, ITEMS);
	batch_unref(b);
	buffer_fini(&items);
	buffer_fini(&request);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pieces_say_together_what_the_whole_said),
		TEST(other_encodings_are_cut_as_well),
		TEST(a_metric_with_its_data_in_parts_is_cut),
		TEST(cuts_between_groups_where_it_can),
		TEST(a_head_is_as_large_as_fits),
		TEST(a_single_item_larger_than_the_limit_goes_alone),
		TEST(a_shared_batch_stays_whole_for_the_others),
		TEST(splitting_and_merging_for_ever_does_not_grow),
		TEST(a_failed_split_changes_nothing),
		TEST(a_large_group_is_read_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
