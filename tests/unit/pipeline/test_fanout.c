#include "core/pipeline/fanout.h"
#include "tests/unit/export/make_batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { BRANCHES = 3 };

struct branch {
	struct batch *batch;
	struct done done;
	unsigned refs_when_given;
};

struct told {
	unsigned calls;
	struct outcome outcome;
	char message[64];
};

static void on_batch(void *self, struct batch *batch, struct done done)
{
	struct branch *b = self;

	b->batch = batch;
	b->done = done;
	b->refs_when_given = batch->refs;
}

static void on_done(void *arg, const struct outcome *outcome)
{
	struct told *t = arg;

	t->calls++;
	t->outcome = *outcome;
	strncpy(t->message, outcome->message ? outcome->message : "", sizeof t->message - 1);
}

/* Gives one batch to branches that write as writes says, one letter each: w or r. */
static struct batch *fan(struct arena *arena, struct branch *branches, const char *writes,
                         struct told *told, struct budget *budget)
{
	struct fanout_branch list[BRANCHES];
	struct batch *batch = make_batch(4, 0, budget);
	size_t n = strlen(writes);

	memset(branches, 0, BRANCHES * sizeof *branches);
	memset(told, 0, sizeof *told);
	for (size_t i = 0; i < n; i++)
		list[i] = (struct fanout_branch){{on_batch, &branches[i]}, writes[i] == 'w'};
	consumer_consume(fanout_new(arena, list, n), batch, (struct done){on_done, told});
	return batch;
}

static void answer(struct branch *branches)
{
	for (size_t i = 0; i < BRANCHES; i++)
		done_ok(branches[i].done);
}

static void release(struct branch *branches)
{
	for (size_t i = 0; i < BRANCHES; i++)
		batch_unref(branches[i].batch);
}

static void readers_share_and_writers_get_their_own(void **state)
{
	struct budget budget = {0};
	struct branch b[BRANCHES];
	struct batch *original;
	struct arena arena;
	struct told told;

	arena_init(&arena, NULL);
	original = fan(&arena, b, "rwr", &told, &budget);
	assert_ptr_equal(b[0].batch, original);
	assert_ptr_equal(b[2].batch, original);
	assert_int_equal(original->refs, 2);
	assert_ptr_not_equal(b[1].batch, original);
	assert_int_equal(b[1].refs_when_given, 1);
	assert_int_equal(b[1].batch->items, 4);
	answer(b);
	assert_int_equal(told.calls, 1);
	release(b);

	original = fan(&arena, b, "www", &told, &budget);
	assert_ptr_not_equal(b[0].batch, original);
	assert_ptr_not_equal(b[1].batch, original);
	assert_ptr_equal(b[2].batch, original); /* nobody reads: the last takes it */
	assert_int_equal(b[2].refs_when_given, 1);
	answer(b);
	assert_int_equal(told.calls, 1);
	release(b);

	original = fan(&arena, b, "w", &told, &budget);
	assert_ptr_equal(b[0].batch, original);
	answer(b);
	assert_int_equal(told.calls, 1);
	release(b);
	arena_fini(&arena);
	assert_int_equal(budget.used, 0);
}

static void the_outcome_is_told_once_when_all_have_answered(void **state)
{
	static const struct {
		enum outcome_status given[BRANCHES], joined;
		const char *message;
	} cases[] = {
		{{OUTCOME_OK, OUTCOME_OK, OUTCOME_OK},
	         OUTCOME_OK,
	         "0"}, /* why some were rejected */
		{{OUTCOME_OK, OUTCOME_PERMANENT, OUTCOME_OK}, OUTCOME_PERMANENT, "1"},
		{{OUTCOME_PERMANENT, OUTCOME_RETRY, OUTCOME_PERMANENT}, OUTCOME_RETRY, "1"},
		{{OUTCOME_CANCELED, OUTCOME_OK, OUTCOME_OK}, OUTCOME_CANCELED, "0"},
		{{OUTCOME_CANCELED, OUTCOME_OK, OUTCOME_PERMANENT}, OUTCOME_PERMANENT, "2"},
	};
	static const char *const names[] = {"0", "1", "2"};
	struct branch b[BRANCHES];
	struct arena arena;
	struct told told;

	arena_init(&arena, NULL);
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		fan(&arena, b, "rrr", &told, NULL);
		for (size_t i = 0; i < BRANCHES; i++) {
			assert_int_equal(told.calls, 0);
			done_call(b[i].done, &(struct outcome){.status = cases[c].given[i],
			                                       .retry_after_ns = 10 + i,
			                                       .rejected_items = i,
			                                       .message = names[i]});
		}
		assert_int_equal(told.calls, 1);
		assert_int_equal(told.outcome.status, cases[c].joined);
		assert_string_equal(told.message, cases[c].message);
		assert_int_equal(told.outcome.retry_after_ns, 12);
		assert_int_equal(told.outcome.rejected_items, 2);
		release(b);
	}
	arena_fini(&arena);
}

static void a_branch_without_memory_asks_to_come_again(void **state)
{
	struct budget budget = {0};
	struct branch b[BRANCHES];
	struct fanout_branch list[2] = {{{on_batch, &b[0]}, true}, {{on_batch, &b[1]}, false}};
	struct batch *batch = make_batch(4, 0, &budget);
	struct told told = {0};
	struct arena arena;

	memset(b, 0, sizeof b);
	arena_init(&arena, NULL);
	budget.limit = budget.used;
	consumer_consume(fanout_new(&arena, list, 2), batch, (struct done){on_done, &told});
	assert_null(b[0].batch);
	assert_ptr_equal(b[1].batch, batch);
	done_ok(b[1].done);
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.outcome.status, OUTCOME_RETRY);
	release(b);
	arena_fini(&arena);
	assert_int_equal(budget.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_share_and_writers_get_their_own),
		cmocka_unit_test(the_outcome_is_told_once_when_all_have_answered),
		cmocka_unit_test(a_branch_without_memory_asks_to_come_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
