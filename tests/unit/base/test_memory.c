/* arena, budget, rcbuf and buffer: where the bytes are. */
#include "core/base/arena.h"
#include "core/base/buffer.h"
#include "core/base/rcbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void a_budget_charges_and_returns_exactly(void **state)
{
	struct budget b = {.limit = 100};

	assert_true(budget_take(&b, 60));
	assert_true(budget_take(&b, 40));
	assert_int_equal(b.used, 100);
	assert_false(budget_take(&b, 1));
	assert_int_equal(b.used, 100);
	assert_int_equal(b.refusals, 1);
	budget_return(&b, 60);
	assert_int_equal(b.used, 40);
	assert_int_equal(b.peak, 100);
	assert_false(budget_take(&b, SIZE_MAX));
	assert_true(budget_take(&b, 60));
}

static void no_budget_and_no_limit_always_grant(void **state)
{
	struct budget b = {0};

	assert_true(budget_take(NULL, SIZE_MAX));
	budget_return(NULL, 1);
	assert_true(budget_take(&b, (size_t)1 << 40));
	budget_return(&b, (size_t)1 << 40);
	assert_int_equal(b.used, 0);
}

static void an_arena_gives_zeroed_aligned_memory_of_any_size(void **state)
{
	static const size_t sizes[] = {1, 7, 8, 9, 100, 1000, 5000, 70000, 3, 200000, 16};
	struct budget b = {0};
	struct arena a;

	arena_init(&a, &b);
	for (size_t round = 0; round < 50; round++)
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			uint8_t *p = arena_alloc(&a, sizes[i]);
			assert_non_null(p);
			assert_int_equal((uintptr_t)p % 8, 0);
			for (size_t k = 0; k < sizes[i]; k++)
				assert_int_equal(p[k], 0);
			memset(p, 0xaa, sizes[i]);
		}
	assert_int_equal(b.used, a.charged);
	arena_fini(&a);
	assert_int_equal(b.used, 0);
}

static void an_arena_gives_distinct_memory_for_size_zero(void **state)
{
	struct arena a;

	arena_init(&a, NULL);
	for (int i = 0; i < 1000; i++) {
		void *p = arena_alloc(&a, 0), *q = arena_alloc(&a, 0);
		assert_non_null(p);
		assert_non_null(q);
		assert_ptr_not_equal(p, q);
	}
	arena_fini(&a);
}

static void an_arena_refuses_sizes_that_overflow(void **state)
{
	struct budget b = {.limit = 1 << 20};
	struct arena a;

	arena_init(&a, &b);
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX - 7));
	assert_null(arena_alloc(&a, SIZE_MAX - 40));
	assert_null(arena_alloc_array(&a, SIZE_MAX / 2, 3));
	assert_int_equal(b.used, 0);
	assert_non_null(arena_alloc_array(&a, 3, 8));
	arena_fini(&a);
}

static void an_arena_stops_at_its_budget_and_goes_on_when_there_is_room(void **state)
{
	struct budget b = {.limit = 3000};
	struct arena a;

	arena_init(&a, &b);
	assert_non_null(arena_alloc(&a, 100));
	assert_null(arena_alloc(&a, 3000));
	assert_int_equal(b.refusals, 1);
	assert_non_null(arena_alloc(&a, 100)); /* from the chunk that is there */
	b.limit = 10000;
	assert_non_null(arena_alloc(&a, 3000));
	arena_fini(&a);
	assert_int_equal(b.used, 0);
}

static void a_large_request_leaves_the_room_of_the_chunk_in_use(void **state)
{
	struct arena a;
	uint8_t *before, *after;

	arena_init(&a, NULL);
	before = arena_alloc(&a, 8);
	assert_non_null(arena_alloc(&a, 1 << 20));
	after = arena_alloc(&a, 8);
	assert_ptr_equal(after, before + 8);
	arena_fini(&a);
}

static void an_arena_copies_and_formats_text(void **state)
{
	struct arena a;
	struct slice copy;

	arena_init(&a, NULL);
	assert_true(arena_copy(&a, SLICE_LITERAL("weir"), &copy));
	assert_true(slice_equal(copy, SLICE_LITERAL("weir")));
	assert_int_equal(copy.data[4], 0);
	assert_true(arena_copy(&a, (struct slice){0}, &copy));
	assert_int_equal(copy.len, 0);
	assert_string_equal(arena_printf(&a, "%s/%d", "otlp", 2), "otlp/2");
	assert_false(arena_copy(&a, slice_of("", SIZE_MAX), &copy));
	arena_fini(&a);
}

static void an_rcbuf_is_charged_until_its_last_reference_goes(void **state)
{
	struct budget b = {.limit = 1000};
	struct rcbuf *buf = rcbuf_new(500, &b);

	assert_non_null(buf);
	assert_int_equal(buf->size, 500);
	assert_true(b.used >= 500);
	memset(buf->data, 1, 500);
	assert_null(rcbuf_new(600, &b));
	assert_null(rcbuf_new(SIZE_MAX, &b));
	assert_ptr_equal(rcbuf_ref(buf), buf);
	rcbuf_unref(buf);
	assert_true(b.used >= 500);
	rcbuf_unref(buf);
	assert_int_equal(b.used, 0);
	rcbuf_unref(NULL);
}

static void a_claim_is_charged_as_its_bytes_come(void **state)
{
	struct budget b = {.limit = 1000};
	struct rcbuf *claim;

	assert_null(rcbuf_claim(1000, &b)); /* beside the header that is too much */
	assert_int_equal(b.refusals, 1);
	assert_null(rcbuf_claim(SIZE_MAX, &b));
	claim = rcbuf_claim(800, &b);
	assert_non_null(claim);
	assert_true(b.used < 100);
	assert_int_equal(b.peak, b.used);
	assert_true(rcbuf_charge(claim, 300));
	assert_true(rcbuf_charge(claim, 200)); /* never less than before */
	assert_true(b.used >= 300 && b.used < 400);
	assert_true(budget_take(&b, 500));
	assert_false(rcbuf_charge(claim, 800));
	budget_return(&b, 500);
	assert_true(rcbuf_charge(claim, 800));
	rcbuf_unref(claim);
	assert_int_equal(b.used, 0);
}

static void an_rcbuf_is_resized_with_its_charge(void **state)
{
	struct budget b = {.limit = 1000};
	struct rcbuf *buf = rcbuf_new(100, &b), *moved;
	size_t before = b.used;

	memset(buf->data, 'x', 100);
	assert_null(rcbuf_resize(buf, 2000));
	assert_null(rcbuf_resize(buf, SIZE_MAX));
	assert_int_equal(b.used, before);
	moved = rcbuf_resize(buf, 300);
	assert_non_null(moved);
	assert_int_equal(b.used, before + 200);
	moved = rcbuf_resize(moved, 50);
	assert_non_null(moved);
	assert_int_equal(moved->size, 50);
	assert_int_equal(moved->data[49], 'x');
	assert_int_equal(b.used, before - 50);
	rcbuf_unref(moved);
	assert_int_equal(b.used, 0);
}

static void a_buffer_grows_and_drops_from_the_front(void **state)
{
	struct buffer b = BUFFER_INIT;
	char block[1000];

	memset(block, 'x', sizeof block);
	buffer_append_string(&b, "head");
	buffer_append(&b, block, sizeof block);
	buffer_append_byte(&b, '!');
	buffer_printf(&b, "%05d", 42);
	buffer_append_slice(&b, SLICE_LITERAL("tail"));
	assert_int_equal(b.len, 4 + 1000 + 1 + 5 + 4);
	buffer_consume(&b, 1004);
	assert_string_equal(buffer_string(&b), "!00042tail");
	buffer_consume(&b, b.len);
	assert_int_equal(b.len, 0);
	buffer_append(&b, NULL, 0);
	assert_string_equal(buffer_string(&b), "");
	buffer_fini(&b);
	buffer_fini(NULL);
}

static void a_buffer_prints_lines_longer_than_its_room(void **state)
{
	struct buffer b = BUFFER_INIT;

	buffer_printf(&b, "%0600d|", 7);
	buffer_printf(&b, "%0600d", 8);
	assert_int_equal(b.len, 1201);
	assert_int_equal(b.data[599], '7');
	assert_int_equal(b.data[1200], '8');
	buffer_fini(&b);
}

static void a_failed_buffer_stays_failed_until_it_is_cleared(void **state)
{
	struct buffer b = BUFFER_INIT;

	buffer_append_string(&b, "kept");
	assert_null(buffer_reserve(&b, SIZE_MAX));
	assert_true(b.failed);
	buffer_append_string(&b, "lost");
	assert_int_equal(b.len, 4);
	assert_null(buffer_string(&b));
	buffer_clear(&b);
	buffer_append_string(&b, "again");
	assert_string_equal(buffer_string(&b), "again");
	buffer_fini(&b);
}

static void slices_compare_by_bytes_and_then_by_length(void **state)
{
	assert_true(slice_equal((struct slice){0}, slice_of("x", 0)));
	assert_false(slice_equal(SLICE_LITERAL("a"), SLICE_LITERAL("ab")));
	assert_true(slice_compare(SLICE_LITERAL("a"), SLICE_LITERAL("ab")) < 0);
	assert_true(slice_compare(SLICE_LITERAL("b"), SLICE_LITERAL("ab")) > 0);
	assert_true(slice_compare(SLICE_LITERAL("\xff"), SLICE_LITERAL("\x01")) > 0);
	assert_int_equal(slice_compare((struct slice){0}, (struct slice){0}), 0);
	assert_int_equal(slice_from_string(NULL).len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_budget_charges_and_returns_exactly),
		cmocka_unit_test(no_budget_and_no_limit_always_grant),
		cmocka_unit_test(an_arena_gives_zeroed_aligned_memory_of_any_size),
		cmocka_unit_test(an_arena_gives_distinct_memory_for_size_zero),
		cmocka_unit_test(an_arena_refuses_sizes_that_overflow),
		cmocka_unit_test(an_arena_stops_at_its_budget_and_goes_on_when_there_is_room),
		cmocka_unit_test(a_large_request_leaves_the_room_of_the_chunk_in_use),
		cmocka_unit_test(an_arena_copies_and_formats_text),
		cmocka_unit_test(an_rcbuf_is_charged_until_its_last_reference_goes),
		cmocka_unit_test(a_claim_is_charged_as_its_bytes_come),
		cmocka_unit_test(an_rcbuf_is_resized_with_its_charge),
		cmocka_unit_test(a_buffer_grows_and_drops_from_the_front),
		cmocka_unit_test(a_buffer_prints_lines_longer_than_its_room),
		cmocka_unit_test(a_failed_buffer_stays_failed_until_it_is_cleared),
		cmocka_unit_test(slices_compare_by_bytes_and_then_by_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
