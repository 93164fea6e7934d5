#include "core/observe/outbox.h"

#include "core/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { LIMIT = 2, ITEMS = 10 };

/* The next component: keeps what comes until the test answers. */
struct next {
	struct batch *batches[8];
	struct done dones[8];
	unsigned n;
};

static void take(void *self, struct batch *batch, struct done done)
{
	struct next *n = self;

	assert_true(n->n < sizeof n->batches / sizeof *n->batches);
	n->batches[n->n] = batch;
	n->dones[n->n++] = done;
}

/* Answers the oldest. */
static void answer(struct next *n, struct outcome outcome)
{
	struct done done = n->dones[0];

	assert_true(n->n > 0);
	batch_unref(n->batches[0]);
	n->n--;
	memmove(n->batches, n->batches + 1, n->n * sizeof *n->batches);
	memmove(n->dones, n->dones + 1, n->n * sizeof *n->dones);
	done_call(done, &outcome);
}

static void on_settled(void *arg)
{
	++*(unsigned *)arg;
}

struct rig {
	struct budget budget;
	struct next next;
	struct outbox *outbox;
	unsigned settled;
};

static void begin(struct rig *r, bool keep)
{
	memset(r, 0, sizeof *r);
	r->outbox =
		outbox_new((struct consumer){take, &r->next}, LIMIT, keep, on_settled, &r->settled);
	assert_non_null(r->outbox);
}

static void end(struct rig *r)
{
	outbox_free(r->outbox);
	while (r->next.n)
		answer(&r->next, (struct outcome){.status = OUTCOME_CANCELED});
	assert_int_equal(r->budget.used, 0); /* no batch is held */
}

static void send(struct rig *r)
{
	struct batch *b = batch_new(SIGNAL_LOGS, &r->budget);

	assert_non_null(b);
	b->items = ITEMS;
	assert_true(outbox_send(r->outbox, b));
}

static void has_room_until_its_limit_is_unfinished(void **state)
{
	struct rig r;

	begin(&r, true);
	send(&r);
	assert_true(outbox_has_room(r.outbox));
	send(&r);
	assert_false(outbox_has_room(r.outbox));
	assert_int_equal(outbox_items(r.outbox), 2 * ITEMS);
	answer(&r.next, (struct outcome){.status = OUTCOME_RETRY});
	assert_false(outbox_has_room(r.outbox)); /* it is to come again */
	assert_int_equal(r.settled, 0);
	answer(&r.next, (struct outcome){.status = OUTCOME_OK});
	assert_true(outbox_has_room(r.outbox));
	assert_int_equal(r.settled, 1);
	assert_int_equal(outbox_items(r.outbox), ITEMS);
	end(&r);
	(void)state;
}

static void sends_again_when_it_is_time(void **state)
{
	uint64_t now = clock_monotonic_ns();
	struct rig r;

	begin(&r, true);
	send(&r);
	answer(&r.next,
	       (struct outcome){.status = OUTCOME_RETRY, .retry_after_ns = 100 * NS_PER_S});
	outbox_retry(r.outbox, now + 99 * NS_PER_S);
	assert_int_equal(r.next.n, 0);
	outbox_retry(r.outbox, now + 200 * NS_PER_S);
	assert_int_equal(r.next.n, 1);
	assert_int_equal(r.next.batches[0]->items, ITEMS);
	outbox_retry(r.outbox, now + 200 * NS_PER_S); /* it is under way */
	assert_int_equal(r.next.n, 1);
	answer(&r.next, (struct outcome){.status = OUTCOME_OK});
	assert_true(outbox_is_empty(r.outbox));
	assert_int_equal(outbox_counts(r.outbox)->delivered, ITEMS);
	end(&r);
	(void)state;
}

static void what_the_next_batch_says_again_is_let_go(void **state)
{
	struct rig r;

	begin(&r, false);
	send(&r);
	answer(&r.next, (struct outcome){.status = OUTCOME_RETRY});
	assert_true(outbox_is_empty(r.outbox));
	assert_int_equal(outbox_counts(r.outbox)->refused, ITEMS);
	assert_int_equal(r.settled, 1);
	end(&r);
	(void)state;
}

static void every_item_is_counted_once(void **state)
{
	const struct outbox_counts *counts;
	struct rig r;

	begin(&r, true);
	counts = outbox_counts(r.outbox);
	send(&r);
	answer(&r.next, (struct outcome){.status = OUTCOME_OK, .rejected_items = 3});
	assert_int_equal(counts->delivered, ITEMS - 3);
	assert_int_equal(counts->lost, 3);
	send(&r);
	answer(&r.next, (struct outcome){.status = OUTCOME_OK, .rejected_items = UINT64_MAX});
	assert_int_equal(counts->delivered, ITEMS - 3);
	assert_int_equal(counts->lost, 3 + ITEMS);
	send(&r);
	answer(&r.next, (struct outcome){.status = OUTCOME_PERMANENT});
	assert_int_equal(counts->lost, 3 + 2 * ITEMS);
	assert_int_equal(counts->refused, 0);
	end(&r);
	(void)state;
}

/* Freed with one batch that waits and one that is with the next component. */
static void outcomes_that_come_late_come_to_nobody(void **state)
{
	struct rig r;

	begin(&r, true);
	send(&r);
	answer(&r.next, (struct outcome){.status = OUTCOME_RETRY});
	send(&r);
	outbox_free(r.outbox);
	r.outbox = NULL;
	answer(&r.next, (struct outcome){.status = OUTCOME_RETRY});
	assert_int_equal(r.settled, 0);
	end(&r);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_room_until_its_limit_is_unfinished),
		cmocka_unit_test(sends_again_when_it_is_time),
		cmocka_unit_test(what_the_next_batch_says_again_is_let_go),
		cmocka_unit_test(every_item_is_counted_once),
		cmocka_unit_test(outcomes_that_come_late_come_to_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
