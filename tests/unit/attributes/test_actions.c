/* What the actions promise beyond their results, which the processors' tests tell: what they write to, and what they
 * allocate. */
#include "core/attributes/actions.h"

#include "core/data/build.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { INSERT, UPDATE, UPSERT, DELETE, HASH, EXTRACT, CONVERT };

/* Builders give many items one list that nobody can write to. */
static const Otlp__AnyValue constant = {
	.base = PROTOBUF_C_MESSAGE_INIT(&otlp__any_value__descriptor),
	.value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE,
	{.string_value = {.data = (uint8_t *)"abc", .len = 3}},
};
static const Otlp__KeyValue pair = {
	.base = PROTOBUF_C_MESSAGE_INIT(&otlp__key_value__descriptor),
	.key = {.data = (uint8_t *)"a", .len = 1},
	.value = (Otlp__AnyValue *)&constant,
};
static Otlp__KeyValue *const shared[] = {(Otlp__KeyValue *)&pair};

static struct actions *make(struct attribute_action *items, size_t n)
{
	struct group_list list = {.items = items, .count = n};
	struct error error = ERROR_INIT;
	struct actions *a = NULL;

	if (actions_new(&list, &a, &error) < 0)
		fail_msg("%s", error.message);
	return a;
}

static void writes_to_nothing_that_is_shared(void **state)
{
	struct attribute_action items[] = {
		{.key = "a", .action = HASH},
		{.key = "b", .action = INSERT, .value = {.kind = SCALAR_IS_INT, .integer = 1}},
		{.key = "b", .action = CONVERT, .converted_type = "string"},
	};
	static const struct batch_origin nowhere;
	struct actions *a = make(items, 3);
	struct arena arena;

	arena_init(&arena, NULL);
	actions_begin(a, &nowhere);
	for (int i = 0; i < 2; i++) { /* two items of one list: each is hashed once */
		Otlp__KeyValue **list = (Otlp__KeyValue **)shared;
		size_t n = 1;
		assert_int_equal(actions_apply(a, &arena, &n, &list), 0);
		assert_int_equal(n, 2);
		assert_ptr_not_equal(list, shared);
		assert_memory_equal(list[0]->value->string_value.data, "ba7816bf", 8);
		assert_memory_equal(list[1]->value->string_value.data, "1", 1);
	}
	assert_memory_equal(constant.string_value.data, "abc", 3);
	arena_fini(&arena);
	actions_free(a);
}

static void allocates_nothing_where_nothing_changes(void **state)
{
	struct attribute_action items[] = {
		{.key = "a", .action = INSERT, .value = {.kind = SCALAR_IS_INT, .integer = 1}},
		{.key = "b", .action = UPDATE, .value = {.kind = SCALAR_IS_INT, .integer = 1}},
		{.key = "b", .pattern = "^http", .action = DELETE},
		{.key = "b", .action = HASH},
		{.key = "a", .pattern = "(?P<x>[0-9])", .action = EXTRACT},
		{.key = "a", .action = CONVERT, .converted_type = "int"},
		{.key = "c", .action = UPSERT, .from_attribute = "none"},
		{.key = "d", .action = UPSERT, .from_context = "metadata.none"},
	};
	static const struct batch_origin nowhere;
	struct actions *a = make(items, 8);
	Otlp__KeyValue **list = (Otlp__KeyValue **)shared;
	struct arena arena;
	size_t n = 1;

	arena_init(&arena, NULL);
	actions_begin(a, &nowhere);
	assert_int_equal(actions_apply(a, &arena, &n, &list), 0);
	assert_ptr_equal(list, shared);
	assert_int_equal(n, 1);
	assert_null(arena.head);
	arena_fini(&arena);
	actions_free(a);
}

static void leaves_the_list_when_there_is_no_memory(void **state)
{
	struct attribute_action items[] = {
		{.key = "a", .action = DELETE},
		{.key = "b", .action = INSERT, .value = {.kind = SCALAR_IS_STRING, .string = "x"}},
	};
	static const struct batch_origin nowhere;
	struct actions *a = make(items, 2);
	struct budget budget = {.limit = 1};
	Otlp__KeyValue **list = (Otlp__KeyValue **)shared;
	struct arena arena;
	size_t n = 1;

	arena_init(&arena, &budget);
	actions_begin(a, &nowhere);
	assert_int_equal(actions_apply(a, &arena, &n, &list), -ENOMEM);
	assert_ptr_equal(list, shared);
	assert_int_equal(n, 1);
	arena_fini(&arena);
	actions_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_to_nothing_that_is_shared),
		cmocka_unit_test(allocates_nothing_where_nothing_changes),
		cmocka_unit_test(leaves_the_list_when_there_is_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
