/* Every single allocation of the exporter fails once. */
#include "tests/support/failing_memory.h"
#include "tests/unit/export/fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { GIVEN = 6 };

static const char *tenant_key = "x-tenant";

/* Batches are joined, cut, retried and answered. True when an allocation failed on the way. */
static bool run_scenario(unsigned nth, bool batching, bool partitions)
{
	static const struct outcome later = {.status = OUTCOME_RETRY}, ok = {.status = OUTCOME_OK};
	static const struct batch_metadata fields[] = {{"x-tenant", "a"}, {"x-tenant", "b"}};
	static const struct batch_origin origins[] = {{.metadata = &fields[0], .n_metadata = 1},
	                                              {.metadata = &fields[1], .n_metadata = 1}};
	struct batch *batches[GIVEN];
	struct fixture *f = fixture_new();
	bool failed = false;

	f->config.sending_queue.batch.enabled = batching;
	f->config.sending_queue.batch.min_size = 8;
	f->config.sending_queue.batch.max_size = 8;
	f->config.sending_queue.batch.flush_timeout = NS_PER_MS;
	if (partitions)
		f->config.sending_queue.batch.partition.metadata_keys =
			(struct string_list){&tenant_key, 1};
	f->config.retry_on_failure.initial_interval = NS_PER_MS;
	f->at_once = &later;
	for (unsigned i = 0; i < GIVEN; i++) {
		batches[i] = make_batch(5, 5 * i, &f->budget);
		assert_true(batch_set_origin(batches[i], &origins[i % 2]));
	}
	failing_memory_arm(nth);
	f->exporter = exporter_new(&f->component, SIGNAL_TRACES, &f->config, fixture_send, f);
	if (!f->exporter) {
		assert_true(failing_memory_disarm());
		for (unsigned i = 0; i < GIVEN; i++)
			batch_unref(batches[i]);
		fixture_free(f);
		return true;
	}
	for (unsigned i = 0; i < GIVEN; i++)
		exporter_consume(f->exporter, batches[i], (struct done){NULL, NULL});
	f->at_once = &ok;
	begin_shutdown(f, 5 * NS_PER_S);
	failed = failing_memory_disarm();
	WAIT_UNTIL(f, f->closed);
	assert_accounts_balance(f);
	assert_int_equal(figure(f, "weir_exporter_received_items"), 5 * GIVEN);
	assert_int_equal(figure(f, "weir_exporter_dropped_items"), 0);
	assert_int_equal(figure(f, "weir_exporter_sent_items"), f->ok_items);
	assert_true(f->ok_items >= 5 * (GIVEN - 1)); /* one refused at most */
	fixture_free(f);
	return failed;
}

static void without_batching_no_failed_allocation_loses_an_item(void **state)
{
	for (unsigned nth = 1; run_scenario(nth, false, false); nth++)
		assert_true(nth < 1000);
}

static void with_batching_no_failed_allocation_loses_an_item(void **state)
{
	for (unsigned nth = 1; run_scenario(nth, true, false); nth++)
		assert_true(nth < 1000);
}

static void with_partitions_no_failed_allocation_loses_an_item(void **state)
{
	for (unsigned nth = 1; run_scenario(nth, true, true); nth++)
		assert_true(nth < 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_batching_no_failed_allocation_loses_an_item),
		cmocka_unit_test(with_batching_no_failed_allocation_loses_an_item),
		cmocka_unit_test(with_partitions_no_failed_allocation_loses_an_item),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
