/* map and list: members that stay where they are. */
#include "core/base/list.h"
#include "core/base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct member {
	struct map_node node;
	int key;
	bool seen;
};

static bool key_equal(const struct map_node *node, const void *key)
{
	return CONTAINER_OF(node, struct member, node)->key == *(const int *)key;
}

enum { MEMBERS = 5000 };

static uint64_t hash_of(int key)
{
	return hash_bytes(&key, sizeof key);
}

static void finds_what_was_inserted_and_not_removed(void **state)
{
	struct member *members = calloc(MEMBERS, sizeof *members);
	struct map m;
	int missing = -1;

	assert_non_null(members);
	map_init(&m, key_equal);
	assert_null(map_find(&m, hash_of(missing), &missing));
	for (int i = 0; i < MEMBERS; i++) {
		members[i].key = i;
		assert_true(map_insert(&m, hash_of(i), &members[i].node));
	}
	assert_int_equal(m.count, MEMBERS);
	for (int i = 0; i < MEMBERS; i += 2)
		map_remove(&m, &members[i].node);
	assert_int_equal(m.count, MEMBERS / 2);
	for (int i = 0; i < MEMBERS; i++)
		assert_ptr_equal(map_find(&m, hash_of(i), &i), i % 2 ? &members[i].node : NULL);
	map_fini(&m);
	assert_int_equal(m.count, 0);
	free(members);
}

static void keeps_members_with_equal_hashes_apart(void **state)
{
	struct member members[100] = {0};
	struct map m;

	map_init(&m, key_equal);
	for (int i = 0; i < 100; i++) {
		members[i].key = i;
		assert_true(map_insert(&m, 42, &members[i].node));
	}
	map_remove(&m, &members[50].node);
	for (int i = 0; i < 100; i++)
		assert_ptr_equal(map_find(&m, 42, &i), i == 50 ? NULL : &members[i].node);
	map_fini(&m);
}

static bool see_and_remove_odd(struct map_node *node, void *arg)
{
	struct member *member = CONTAINER_OF(node, struct member, node);

	assert_false(member->seen);
	member->seen = true;
	if (member->key % 2)
		map_remove(arg, node);
	return true;
}

static bool stop_at_third(struct map_node *node, void *arg)
{
	return ++*(int *)arg < 3;
}

static void a_walk_sees_each_member_once_and_may_remove_it(void **state)
{
	struct member members[1000] = {0};
	struct map m;
	int calls = 0;

	map_init(&m, key_equal);
	map_each(&m, see_and_remove_odd, &m);
	for (int i = 0; i < 1000; i++) {
		members[i].key = i;
		assert_true(map_insert(&m, hash_of(i), &members[i].node));
	}
	map_each(&m, see_and_remove_odd, &m);
	for (int i = 0; i < 1000; i++)
		assert_true(members[i].seen);
	assert_int_equal(m.count, 500);
	map_each(&m, stop_at_third, &calls);
	assert_int_equal(calls, 3);
	map_fini(&m);
}

struct item {
	struct list link;
	int n;
};

static void lists_keep_their_order(void **state)
{
	struct list head = LIST_INIT(head);
	struct item items[4], *item, *following;
	int n = 0;

	assert_null(LIST_FIRST(&head, struct item, link));
	for (int i = 0; i < 4; i++)
		items[i].n = i;
	list_push(&head, &items[1].link);
	list_push(&head, &items[3].link);
	list_push_front(&head, &items[0].link);
	list_insert_after(&items[1].link, &items[2].link);
	LIST_FOR_EACH(item, &head, link)
		assert_int_equal(item->n, n++);
	assert_int_equal(n, 4);
	LIST_FOR_EACH_SAFE(item, following, &head, link)
		if (item->n % 2)
			list_remove(&item->link);
	assert_ptr_equal(LIST_FIRST(&head, struct item, link), &items[0]);
	assert_ptr_equal(items[0].link.next, &items[2].link);
	list_remove(&items[1].link); /* twice */
	list_remove(&items[0].link);
	list_remove(&items[2].link);
	assert_true(list_is_empty(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_was_inserted_and_not_removed),
		cmocka_unit_test(keeps_members_with_equal_hashes_apart),
		cmocka_unit_test(a_walk_sees_each_member_once_and_may_remove_it),
		cmocka_unit_test(lists_keep_their_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
