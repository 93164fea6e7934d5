#include "tests/unit/data/batch_fixture.h"

static const struct batch_metadata fields[] = {{"x-tenant", "a"},
                                               {"user-agent", "sdk/1"},
                                               {"x-tag", "1"},
                                               {"x-tag", "2"}};
static const struct batch_origin origin = {.receiver = "otlp/front",
                                           .peer = "10.0.0.1:40000",
                                           .identity = "agent",
                                           .metadata = fields,
                                           .n_metadata = 4};

/* A batch of one group from there. */
static struct batch *receive_from(struct fixture *f, const struct batch_origin *o)
{
	struct batch *b = receive(f, SIGNAL_LOGS, SLICE_LITERAL("\x0a\x03\x1a\x01s"));

	assert_true(batch_set_origin(b, o));
	return b;
}

static void assert_text(const char *got, const char *wanted)
{
	if (!got || !wanted)
		assert_true(got == wanted);
	else
		assert_string_equal(got, wanted);
}

static void assert_origin(const struct batch *b, const struct batch_origin *o)
{
	assert_text(b->origin.receiver, o->receiver);
	assert_text(b->origin.peer, o->peer);
	assert_text(b->origin.identity, o->identity);
	assert_int_equal(b->origin.n_metadata, o->n_metadata);
	for (size_t i = 0; i < o->n_metadata; i++) {
		assert_string_equal(b->origin.metadata[i].name, o->metadata[i].name);
		assert_string_equal(b->origin.metadata[i].value, o->metadata[i].value);
	}
}

static void a_clone_and_both_parts_of_a_split_remember_where_they_came_from(void **state)
{
	struct fixture *f = *state;
	struct batch *b = receive_from(f, &origin), *clone = batch_clone(b), *head;
	struct batch *more = receive_from(f, &origin);

	assert_origin(clone, &origin);
	assert_true(batch_merge(b, more));
	assert_origin(b, &origin);
	assert_int_equal(batch_split(&b, BATCH_BYTES, 5, &head, NULL), 0);
	batch_unref(clone);
	assert_origin(head, &origin);
	assert_int_equal(head->n_groups, 1);
	batch_unref(head);
	assert_origin(b, &origin);
	batch_unref(b);
}

static void a_merged_batch_remembers_what_is_true_of_all_of_it(void **state)
{
	static const struct batch_metadata other_fields[] = {{"x-tag", "1"},
	                                                     {"X", ""},
	                                                     {"user-agent", "sdk/2"},
	                                                     {"x-tag", "2"},
	                                                     {"x-tenant", "a"}},
					   common[] = {{"x-tenant", "a"},
	                                               {"x-tag", "1"},
	                                               {"x-tag", "2"}};
	const struct batch_origin other = {.receiver = "otlp/front",
	                                   .peer = "10.0.0.2:40000",
	                                   .metadata = other_fields,
	                                   .n_metadata = 5},
				  wanted = {.receiver = "otlp/front",
	                                    .metadata = common,
	                                    .n_metadata = 3};
	struct fixture *f = *state;
	struct batch *b = receive_from(f, &origin);

	assert_true(batch_merge(b, receive_from(f, &other)));
	assert_origin(b, &wanted);
	assert_true(batch_merge(b, receive_from(f, &origin))); /* what is forgotten stays so */
	assert_origin(b, &wanted);
	assert_true(batch_merge(b, receive_from(f, &(struct batch_origin){0})));
	assert_origin(b, &(struct batch_origin){0});
	batch_unref(b);
}

static void fewer_or_more_values_of_a_name_are_not_the_same(void **state)
{
	static const struct batch_metadata one[] = {{"a", "1"}}, two[] = {{"a", "1"}, {"a", "1"}};
	const struct batch_origin first = {.metadata = one, .n_metadata = 1},
				  second = {.metadata = two, .n_metadata = 2};
	struct fixture *f = *state;
	struct batch *b = receive_from(f, &first);

	assert_true(batch_merge(b, receive_from(f, &second)));
	assert_int_equal(b->origin.n_metadata, 0);
	batch_unref(b);
	b = receive_from(f, &second);
	assert_true(batch_merge(b, receive_from(f, &first)));
	assert_int_equal(b->origin.n_metadata, 0);
	batch_unref(b);
}

static void an_empty_batch_takes_the_origin_of_what_comes(void **state)
{
	struct fixture *f = *state;
	struct batch *b = batch_new(SIGNAL_LOGS, &f->budget), *from = receive_from(f, &origin);

	batch_ref(from); /* shared: cloned on the way */
	assert_true(batch_merge(b, from));
	batch_unref(from);
	assert_origin(b, &origin);
	batch_unref(b);
}

static struct slice key_of(struct fixture *f, const struct batch_metadata *metadata, size_t n)
{
	static const char *const names[] = {"X-Tenant", "x-zone"};
	struct batch *b =
		receive_from(f, &(struct batch_origin){.metadata = metadata, .n_metadata = n});
	struct buffer key = BUFFER_INIT;
	struct slice copy;

	assert_true(batch_metadata_key(b, names, 2, &key));
	assert_true(arena_copy(&f->arena, buffer_slice(&key), &copy));
	buffer_fini(&key);
	batch_unref(b);
	return copy;
}

static void a_key_tells_every_combination_apart(void **state)
{
	static const struct batch_metadata combinations[][3] = {
		{{"x-other", "a"}},
		{{"x-tenant", ""}},
		{{"x-zone", ""}},
		{{"x-tenant", "a"}},
		{{"x-zone", "a"}},
		{{"x-tenant", "a"}, {"x-zone", "b"}},
		{{"x-tenant", "a"}, {"x-tenant", "b"}},
		{{"x-tenant", "b"}, {"x-tenant", "a"}},
		{{"x-tenant", "ab"}},
		{{"x-tenant", "a"}, {"x-tenant", "a"}, {"x-zone", "b"}},
	};
	enum { N = sizeof combinations / sizeof *combinations };
	struct fixture *f = *state;
	struct slice keys[N];

	for (size_t i = 0; i < N; i++) {
		size_t n = 0;

		while (n < 3 && combinations[i][n].name)
			n++;
		keys[i] = key_of(f, combinations[i], n);
		for (size_t j = 0; j < i; j++)
			assert_false(slice_equal(keys[i], keys[j]));
	}
	/* What is not asked for, and the order of names, is of no matter. */
	assert_true(slice_equal(key_of(f, NULL, 0), keys[0]));
	assert_true(slice_equal(
		key_of(f, (struct batch_metadata[]){{"x-zone", "b"}, {"x-tenant", "a"}, {"y", "c"}},
	               3),
		keys[5]));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_clone_and_both_parts_of_a_split_remember_where_they_came_from),
		TEST(a_merged_batch_remembers_what_is_true_of_all_of_it),
		TEST(fewer_or_more_values_of_a_name_are_not_the_same),
		TEST(an_empty_batch_takes_the_origin_of_what_comes),
		TEST(a_key_tells_every_combination_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
