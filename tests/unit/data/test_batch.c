#include "core/data/build.h"
#include "core/wire/otlp.h"
#include "tests/unit/data/batch_fixture.h"

#include <errno.h>

static void test_a_request_is_sent_on_as_it_came(void **state)
{
	struct fixture *f = *state;

	for (int round = 0; round < 50; round++)
		for (int s = 0; s < SIGNAL_COUNT; s++) {
			struct slice request = random_request(f, s);
			struct batch *b = receive(f, s, request);
			struct error error = ERROR_INIT;
			struct gather g;

			assert_bytes(contents(f, b), request);
			assert_int_equal(batch_gather(b, &g, &error), 0);
			assert_true(g.n_pieces <= 1); /* not taken apart, not copied */
			assert_int_equal(g.own.len, 0);
			gather_fini(&g);
			assert_int_equal(batch_size(b, BATCH_ITEMS), b->items);
			assert_int_equal(batch_size(b, BATCH_REQUESTS), 1);
			batch_unref(b);
			assert_int_equal(f->budget.used, 0);
		}
}

static void test_a_header_longer_than_needed_is_written_anew(void **state)
{
	struct fixture *f = *state;
	struct batch *b = receive(f, SIGNAL_LOGS, SLICE_LITERAL("\x0a\x83\x00\x1a\x01s"));

	assert_bytes(contents(f, b), SLICE_LITERAL("\x0a\x03\x1a\x01s"));
	batch_unref(b);
}

static void test_opening_changes_no_byte(void **state)
{
	struct fixture *f = *state;

	for (int round = 0; round < 50; round++)
		for (int s = 0; s < SIGNAL_COUNT; s++) {
			struct slice request = random_request(f, s);
			struct batch *b = receive(f, s, request);

			open_to(&b, DEPTH_WIRE);
			assert_bytes(contents(f, b), request);
			open_to(&b, DEPTH_RESOURCE);
			assert_bytes(contents(f, b), request);
			for (struct group *g = b->first; g; g = g->next) {
				assert_non_null(g->resource);
				assert_null(g->wire.data);
			}
			open_to(&b, DEPTH_FULL);
			assert_bytes(contents(f, b), request);
			batch_unref(b);

			b = receive(f, s, request);
			open_to(&b, DEPTH_FULL);
			assert_bytes(contents(f, b), request);
			for (struct group *g = b->first; g; g = g->next) {
				assert_ptr_equal(g->resource, g->spans->resource);
				assert_int_equal(otlp_count(s, g->message), g->items);
			}
			size_t used = f->budget.used;
			open_to(&b, DEPTH_RESOURCE); /* deeper groups stay as they are */
			assert_true(f->budget.used == used);
			for (struct group *g = b->first; g; g = g->next)
				assert_int_equal(g->depth, DEPTH_FULL);
			batch_unref(b);
		}
}

static void test_reading_keeps_the_bytes_and_opening_gives_them_up(void **state)
{
	struct fixture *f = *state;
	/* A status whose code comes twice: decoded and encoded again it would be shorter. */
	struct slice request = SLICE_LITERAL("\x0a\x0a\x12\x08\x12\x06\x7a\x04\x18\x01\x18\x02");
	struct batch *b = receive(f, SIGNAL_TRACES, request), *other = batch_ref(b);
	struct error error = ERROR_INIT;

	assert_int_equal(batch_read(b, &error), 0); /* shared, and that is allowed */
	assert_int_equal(b->first->depth, DEPTH_FULL);
	assert_int_equal(b->first->spans->scope_spans[0]->spans[0]->status->code, 2);
	assert_bytes(contents(f, b), request);
	open_to(&b, DEPTH_RESOURCE);
	assert_ptr_not_equal(b, other);
	assert_bytes(contents(f, b), request); /* the resource alone was opened */
	open_to(&b, DEPTH_FULL);
	assert_bytes(contents(f, b), SLICE_LITERAL("\x0a\x08\x12\x06\x12\x04\x7a\x02\x18\x02"));
	assert_bytes(contents(f, other), request);
	open_to(&other, DEPTH_RESOURCE); /* read to FULL before: now it may be written */
	assert_bytes(contents(f, other), SLICE_LITERAL("\x0a\x08\x12\x06\x12\x04\x7a\x02\x18\x02"));
	batch_unref(b);
	batch_unref(other);
}

static void add_attribute(struct batch *b, struct group *g, const char *key, const char *value)
{
	struct build_list attributes = {0};

	for (size_t i = 0; i < g->resource->n_attributes; i++)
		assert_true(build_list_add(&b->arena, &attributes, g->resource->attributes[i]));
	assert_true(build_string(&b->arena, &attributes, key, slice_from_string(value)));
	g->resource->attributes = (Otlp__KeyValue **)attributes.items;
	g->resource->n_attributes = attributes.count;
}

static void test_a_resource_may_be_written_at_either_depth(void **state)
{
	struct fixture *f = *state;
	/* No resource, then one with an attribute; a schema_url stays behind. */
	struct slice request = SLICE_LITERAL("\x0a\x03\x1a\x01s"
	                                     "\x0a\x0a\x0a\x05\x0a\x03\x0a\x01k\x1a\x01s");
	struct slice wanted =
		SLICE_LITERAL("\x0a\x0f\x0a\x0a\x0a\x08\x0a\x01n\x12\x03\x0a\x01v\x1a\x01s"
	                      "\x0a\x14\x0a\x0f\x0a\x03\x0a\x01k"
	                      "\x0a\x08\x0a\x01n\x12\x03\x0a\x01v\x1a\x01s");

	for (enum depth d = DEPTH_RESOURCE; d <= DEPTH_FULL; d++) {
		struct batch *b = receive(f, SIGNAL_METRICS, request);

		open_to(&b, d);
		assert_true(b->first->resource_absent);
		assert_bytes(contents(f, b), request);
		for (struct group *g = b->first; g; g = g->next)
			add_attribute(b, g, "n", "v");
		assert_bytes(contents(f, b), wanted);
		open_to(&b, DEPTH_FULL); /* what was written is not lost on the way down */
		assert_bytes(contents(f, b), wanted);
		batch_unref(b);
	}
}

static void test_opening_a_shared_batch_gives_a_clone(void **state)
{
	struct fixture *f = *state;
	struct batch *b = receive_random(f, SIGNAL_METRICS), *mine = batch_ref(b);
	struct slice before = contents(f, b);

	open_to(&mine, DEPTH_FULL);
	assert_ptr_not_equal(mine, b);
	assert_int_equal(mine->refs, 1);
	assert_int_equal(b->refs, 1);
	for (struct group *g = mine->first; g; g = g->next)
		add_attribute(mine, g, "only", "mine");
	assert_bytes(contents(f, b), before);
	batch_unref(b);
	contents(f, mine); /* lives without the batch it came from */
	batch_unref(mine);
}

static void test_a_clone_lives_and_changes_by_itself(void **state)
{
	struct fixture *f = *state;

	for (int round = 0; round < 20; round++)
		for (int s = 0; s < SIGNAL_COUNT; s++)
			for (enum depth d = DEPTH_WIRE; d <= DEPTH_FULL; d++) {
				struct batch *b = receive_random(f, s), *clone, *again;
				struct slice before;

				open_to(&b, d);
				for (struct group *g = b->first; g && d != DEPTH_WIRE; g = g->next)
					add_attribute(b, g, "built", "in the arena");
				b->origin.receiver = "otlp/front";
				b->origin.peer = "192.0.2.1:4711";
				before = contents(f, b);
				clone = batch_clone(b);
				assert_non_null(clone);
				assert_string_equal(clone->origin.receiver, "otlp/front");
				assert_string_equal(clone->origin.peer, "192.0.2.1:4711");
				assert_int_equal(clone->items, b->items);
				open_to(&b, DEPTH_FULL);
				for (struct group *g = b->first; g; g = g->next)
					add_attribute(b, g, "later", "not in the clone");
				batch_unref(b);
				assert_bytes(contents(f, clone), before);
				again = batch_clone(clone);
				batch_unref(clone);
				open_to(&again, DEPTH_FULL);
				assert_bytes(contents(f, again), before);
				batch_unref(again);
				assert_int_equal(f->budget.used, 0);
			}
}

static void test_merging_joins_groups_of_any_depth(void **state)
{
	struct fixture *f = *state;

	for (enum depth first = DEPTH_WIRE; first <= DEPTH_FULL; first++)
		for (enum depth second = DEPTH_WIRE; second <= DEPTH_FULL; second++)
			for (int shared = 0; shared < 2; shared++) {
				struct slice a = random_request(f, SIGNAL_LOGS);
				struct slice b = random_request(f, SIGNAL_LOGS);
				struct batch *into = receive(f, SIGNAL_LOGS, a);
				struct batch *from = receive(f, SIGNAL_LOGS, b), *holder = NULL;
				size_t items = into->items + from->items;
				size_t groups = into->n_groups + from->n_groups;

				open_to(&into, first);
				open_to(&from, second);
				if (shared)
					holder = batch_ref(from);
				assert_true(batch_merge(into, from));
				assert_int_equal(into->items, items);
				assert_int_equal(into->n_groups, groups);
				assert_bytes(contents(f, into), joined(f, a, b));
				if (holder)
					assert_bytes(contents(f, holder), b);
				batch_unref(holder);
				/* Opened further, now that its groups live in two batches. */
				open_to(&into, DEPTH_FULL);
				assert_bytes(contents(f, into), joined(f, a, b));
				batch_unref(into);
				assert_int_equal(f->budget.used, 0);
			}
}

static void test_a_merged_batch_lets_go_of_nothing_too_early(void **state)
{
	struct fixture *f = *state;
	struct batch *all = batch_new(SIGNAL_TRACES, &f->budget), *more;
	struct slice wanted = SLICE_LITERAL("");

	for (int i = 0; i < 30; i++) {
		struct slice request = random_request(f, SIGNAL_TRACES);
		struct batch *inner = receive(f, SIGNAL_TRACES, request);

		open_to(&inner, (enum depth)(i % 3));
		more = batch_new(SIGNAL_TRACES, &f->budget);
		assert_true(batch_merge(more, inner)); /* twice moved */
		assert_true(batch_merge(all, more));
		wanted = joined(f, wanted, request);
	}
	assert_bytes(contents(f, all), wanted);
	batch_unref(all);
}

static void test_refuses_what_is_not_otlp(void **state)
{
	struct fixture *f = *state;
	struct rcbuf *pin = rcbuf_new(5, &f->budget);
	struct error error = ERROR_INIT;
	struct batch *b = NULL;

	memcpy(pin->data, "\x0a\x03\x12\x07x", 5);
	assert_int_equal(batch_from_request(SIGNAL_TRACES, pin, slice_of(pin->data, 5), &f->budget,
	                                    &b, &error),
	                 -EBADMSG);
	assert_null(b);
	assert_string_equal(error.message, "not OTLP: ResourceSpans.scope_spans (field 2) at byte "
	                                   "3 is cut short or malformed");
	rcbuf_unref(pin);
}

/* ---- building */

static void test_what_is_built_reads_as_it_was_meant(void **state)
{
	struct fixture *f = *state;
	struct batch *b = batch_new(SIGNAL_LOGS, &f->budget);
	Otlp__ResourceLogs *group = BUILD(&b->arena, Otlp__ResourceLogs, otlp__resource_logs);
	Otlp__ScopeLogs *scope = BUILD(&b->arena, Otlp__ScopeLogs, otlp__scope_logs);
	Otlp__LogRecord *record = BUILD(&b->arena, Otlp__LogRecord, otlp__log_record);
	struct build_list scopes = {0}, records = {0}, attributes = {0};
	const Otlp__AnyValue *value;
	char text[] = "gone soon";

	assert_true(build_string(&b->arena, &attributes, "s", slice_from_string(text)));
	text[0] = 'x';
	assert_true(build_int(&b->arena, &attributes, "i", -5));
	assert_true(build_double(&b->arena, &attributes, "d", 0.5));
	assert_true(build_bool(&b->arena, &attributes, "b", true));
	assert_true(build_int(&b->arena, &attributes, "i", 6));
	record->attributes = (Otlp__KeyValue **)attributes.items;
	record->n_attributes = attributes.count;
	record->event_name = build_text("weir.test");
	for (int i = 0; i < 20; i++)
		assert_true(build_list_add(&b->arena, &records, record));
	scope->log_records = (Otlp__LogRecord **)records.items;
	scope->n_log_records = records.count;
	assert_true(build_list_add(&b->arena, &scopes, scope));
	group->scope_logs = (Otlp__ScopeLogs **)scopes.items;
	group->n_scope_logs = 1;
	assert_true(batch_append(b, &group->base));

	assert_int_equal(b->items, 20);
	assert_non_null(b->first->resource);
	value = attribute_find(record->attributes, record->n_attributes, "s");
	assert_bytes(slice_of(value->string_value.data, value->string_value.len),
	             SLICE_LITERAL("gone soon"));
	assert_int_equal(attribute_find(record->attributes, record->n_attributes, "i")->int_value,
	                 -5);
	assert_true(attribute_find(record->attributes, record->n_attributes, "d")->double_value ==
	            0.5);
	assert_true(attribute_find(record->attributes, record->n_attributes, "b")->bool_value);
	assert_null(attribute_find(record->attributes, record->n_attributes, "missing"));
	{
		struct slice sent = contents(f, b);
		struct batch *back = receive(f, SIGNAL_LOGS, sent);
		assert_int_equal(back->items, 20);
		batch_unref(back);
	}
	batch_unref(b);
}

/* ---- memory */

/* A gateway's life with two requests, under a limit. Returns 0 or -ENOMEM. */
static int live(struct fixture *f, struct slice request)
{
	struct rcbuf *pin = rcbuf_new(request.len, &f->budget);
	struct batch *b = NULL, *other = NULL, *shared = NULL, *head = NULL, *shared_head = NULL;
	struct error error = ERROR_INIT;
	int r = -ENOMEM;

	if (!pin)
		return r;
	memcpy(pin->data, request.data, request.len);
	r = batch_from_request(SIGNAL_METRICS, pin, slice_of(pin->data, pin->size), &f->budget, &b,
	                       &error);
	if (r == 0)
		r = batch_from_request(SIGNAL_METRICS, pin, slice_of(pin->data, pin->size),
		                       &f->budget, &other, &error);
	rcbuf_unref(pin);
	if (r < 0)
		goto out;
	shared = batch_ref(b);
	if ((r = batch_read(other, &error)) < 0 ||
	    (r = batch_open(&b, DEPTH_RESOURCE, &error)) < 0 ||
	    (r = batch_open(&b, DEPTH_FULL, &error)) < 0)
		goto out;
	if (!batch_merge(b, other)) {
		r = error_no_memory(&error);
		goto out;
	}
	other = NULL;
	r = batch_split(&b, BATCH_ITEMS, b->items / 3, &head, &error);
	if (r == 0)
		r = batch_split(&shared, BATCH_BYTES, 400, &shared_head, &error);
out:
	batch_unref(shared_head);
	batch_unref(head);
	batch_unref(shared);
	batch_unref(other);
	batch_unref(b);
	if (r < 0) {
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(error.kind, ERROR_RETRYABLE);
	}
	return r;
}

static void test_every_failed_allocation_is_answered_and_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct slice request = random_request(f, SIGNAL_METRICS);
	unsigned failures = 0;

	while (request.len < 2000)
		request = random_request(f, SIGNAL_METRICS);
	f->budget.limit = 1;
	while (live(f, request) < 0) {
		assert_int_equal(f->budget.used, 0);
		f->budget.limit += 256;
		failures++;
	}
	assert_true(failures > 20);
}

enum { MIB = 1 << 20, EMPTY_MESSAGES = MIB / 2 };

/* Messages without a field after head, two bytes each: nothing becomes more when it is decoded. */
static struct rcbuf *many_empty(struct fixture *f, uint8_t tag, struct slice head)
{
	struct rcbuf *pin = rcbuf_new(head.len + 2 * EMPTY_MESSAGES, &f->budget);
	uint8_t *at;

	assert_non_null(pin);
	memcpy(pin->data, head.data, head.len);
	at = pin->data + head.len;
	for (int i = 0; i < EMPTY_MESSAGES; i++) {
		*at++ = tag;
		*at++ = 0;
	}
	return pin;
}

static void test_a_small_request_that_becomes_a_large_batch_is_refused(void **state)
{
	struct fixture *f = *state;
	/* A group of 1 MiB + 4 bytes, its scope of 1 MiB. */
	struct rcbuf *pin = many_empty(f, 0x12, SLICE_LITERAL("\x0a\x84\x80\x40\x12\x80\x80\x40"));
	struct batch *b, *shared;
	struct error error = ERROR_INIT;
	size_t before;

	f->budget.limit = 32 * MIB;
	assert_int_equal(batch_from_request(SIGNAL_TRACES, pin, slice_of(pin->data, pin->size),
	                                    &f->budget, &b, &error),
	                 0);
	rcbuf_unref(pin);
	before = f->budget.used;
	assert_int_equal(b->items, EMPTY_MESSAGES);
	assert_true(before < MIB + 4096);
	assert_int_equal(batch_read(b, &error), -ENOMEM);
	assert_int_equal(error.kind, ERROR_RETRYABLE);
	assert_true(f->budget.used == before); /* it may wait long in somebody's queue */
	assert_int_equal(batch_open(&b, DEPTH_FULL, &error), -ENOMEM);
	assert_true(f->budget.used == before);
	shared = batch_ref(b);
	assert_int_equal(batch_open(&b, DEPTH_FULL, &error), -ENOMEM);
	assert_ptr_equal(b, shared);
	assert_true(f->budget.used == before);
	batch_unref(shared);
	open_to(&b, DEPTH_RESOURCE);
	batch_unref(b);
}

static void test_a_request_of_many_empty_groups_is_refused(void **state)
{
	struct fixture *f = *state;
	struct rcbuf *pin = many_empty(f, 0x0a, SLICE_LITERAL(""));
	struct batch *b = NULL;
	struct error error = ERROR_INIT;

	f->budget.limit = 32 * MIB;
	assert_int_equal(batch_from_request(SIGNAL_LOGS, pin, slice_of(pin->data, pin->size),
	                                    &f->budget, &b, &error),
	                 -ENOMEM);
	assert_int_equal(error.kind, ERROR_RETRYABLE);
	assert_null(b);
	rcbuf_unref(pin);
	assert_int_equal(f->budget.used, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_request_is_sent_on_as_it_came),
		TEST(a_header_longer_than_needed_is_written_anew),
		TEST(opening_changes_no_byte),
		TEST(reading_keeps_the_bytes_and_opening_gives_them_up),
		TEST(a_resource_may_be_written_at_either_depth),
		TEST(opening_a_shared_batch_gives_a_clone),
		TEST(a_clone_lives_and_changes_by_itself),
		TEST(merging_joins_groups_of_any_depth),
		TEST(a_merged_batch_lets_go_of_nothing_too_early),
		TEST(refuses_what_is_not_otlp),
		TEST(what_is_built_reads_as_it_was_meant),
		TEST(every_failed_allocation_is_answered_and_leaves_nothing),
		TEST(a_small_request_that_becomes_a_large_batch_is_refused),
		TEST(a_request_of_many_empty_groups_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
