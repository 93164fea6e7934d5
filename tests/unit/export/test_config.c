#include "core/base/clock.h"
#include "core/export/exporter.h"
#include "core/export/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct exporter_config valid(void)
{
	return (struct exporter_config){.timeout = 5 * NS_PER_S,
	                                .retry_on_failure = {.enabled = true,
	                                                     .initial_interval = 5 * NS_PER_S,
	                                                     .max_interval = 30 * NS_PER_S,
	                                                     .max_elapsed_time = 300 * NS_PER_S,
	                                                     .randomization_factor = 0.5,
	                                                     .multiplier = 1.5},
	                                .sending_queue = {.enabled = true,
	                                                  .num_consumers = 10,
	                                                  .queue_size = 1000,
	                                                  .batch = {.enabled = true,
	                                                            .flush_timeout =
	                                                                    200 * NS_PER_MS,
	                                                            .min_size = 8192,
	                                                            .sizer = BATCH_ITEMS}}};
}

static void assert_refused(const struct exporter_config *c, const char *message)
{
	struct error error = ERROR_INIT;

	assert_true(exporter_config_check(c, &error) < 0);
	assert_string_equal(error.message, message);
}

static void mistakes_are_told_in_the_collectors_words(void **state)
{
	static const char *tenants[] = {"x-tenant", "X-TENANT"};
	struct error error = ERROR_INIT;
	struct exporter_config c = valid();

	assert_int_equal(exporter_config_check(&c, &error), 0);
	c.sending_queue.num_consumers = 0;
	assert_refused(&c, "sending_queue: `num_consumers` must be positive");
	c = valid();
	c.sending_queue.queue_size = 0;
	assert_refused(&c, "sending_queue: `queue_size` must be positive");
	c = valid();
	c.sending_queue.storage = "file_storage";
	c.sending_queue.wait_for_result = true;
	assert_refused(&c, "sending_queue: `wait_for_result` is not supported with a persistent "
	                   "queue configured with `storage`");
	c = valid();
	c.sending_queue.batch.sizer = BATCH_REQUESTS;
	assert_refused(&c, "sending_queue: `batch` supports only `items` or `bytes` sizer, found "
	                   "\"requests\"");
	c = valid();
	c.sending_queue.sizer = BATCH_ITEMS;
	c.sending_queue.batch.min_size = 1001;
	assert_refused(&c, "sending_queue: `min_size` must be less than or equal to `queue_size`");
	c = valid();
	c.sending_queue.batch.max_size = 100;
	assert_refused(&c, "sending_queue: `batch`: `max_size` must be greater or equal to "
	                   "`min_size` (8192)");
	c = valid();
	c.sending_queue.batch.partition.metadata_keys = (struct string_list){tenants, 2};
	assert_refused(&c, "sending_queue: `batch`: duplicate entry in metadata_keys: \"X-TENANT\" "
	                   "(case-insensitive)");
	c = valid();
	c.retry_on_failure.max_elapsed_time = NS_PER_S;
	assert_refused(&c, "retry_on_failure: 'max_elapsed_time' must not be less than "
	                   "'initial_interval'");
	c = valid();
	c.retry_on_failure.max_elapsed_time = 10 * NS_PER_S;
	assert_refused(&c,
	               "retry_on_failure: 'max_elapsed_time' must not be less than 'max_interval'");
	c = valid();
	c.retry_on_failure.randomization_factor = 1.5;
	assert_refused(&c, "retry_on_failure: 'randomization_factor' must be within [0, 1]");
}

static void what_is_off_is_not_checked(void **state)
{
	struct error error = ERROR_INIT;
	struct exporter_config c = valid();

	c.sending_queue.enabled = c.retry_on_failure.enabled = false;
	c.sending_queue.num_consumers = 0;
	c.retry_on_failure.max_elapsed_time = 1;
	assert_int_equal(exporter_config_check(&c, &error), 0);
}

static void a_small_queue_of_items_needs_no_word_about_batching(void **state)
{
	struct error error = ERROR_INIT;
	struct exporter_config c = valid();

	c.sending_queue.sizer = BATCH_ITEMS;
	c.sending_queue.queue_size = 100;
	assert_int_equal(exporter_config_check(&c, &error), 0);
}

static void waits_grow_up_to_the_bound_and_are_spread(void **state)
{
	struct exporter_config c = valid();
	uint64_t wait, now = 1000 * NS_PER_S, base = 5 * NS_PER_S;
	unsigned early = 0, late = 0;
	struct retry r;

	retry_begin(&r, &c.retry_on_failure, now);
	for (unsigned i = 0; i < 10; i++) {
		assert_true(retry_next(&r, &c.retry_on_failure, now, 0, &wait));
		assert_true(wait >= base / 2 && wait <= base + base / 2);
		base = base * 3 / 2 < 30 * NS_PER_S ? base * 3 / 2 : 30 * NS_PER_S;
	}
	/* Senders that failed together do not come again together. */
	for (unsigned i = 0; i < 200; i++) {
		retry_begin(&r, &c.retry_on_failure, now);
		assert_true(retry_next(&r, &c.retry_on_failure, now, 0, &wait));
		early += wait < 4 * NS_PER_S;
		late += wait > 6 * NS_PER_S;
	}
	assert_in_range(early, 20, 120);
	assert_in_range(late, 20, 120);
}

static void the_servers_delay_counts_when_it_is_longer(void **state)
{
	struct exporter_config c = valid();
	uint64_t wait, now = 1000 * NS_PER_S;
	struct retry r;

	c.retry_on_failure.randomization_factor = 0;
	retry_begin(&r, &c.retry_on_failure, now);
	assert_true(retry_next(&r, &c.retry_on_failure, now, NS_PER_S, &wait));
	assert_int_equal(wait, 5 * NS_PER_S);
	assert_true(retry_next(&r, &c.retry_on_failure, now, 60 * NS_PER_S, &wait));
	assert_int_equal(wait, 60 * NS_PER_S);
	/* Beyond max_elapsed_time it is not waited for. */
	assert_false(retry_next(&r, &c.retry_on_failure, now, 301 * NS_PER_S, &wait));
	assert_false(retry_next(&r, &c.retry_on_failure, now + 299 * NS_PER_S, 0, &wait));
	c.retry_on_failure.max_elapsed_time = 0;
	assert_true(retry_next(&r, &c.retry_on_failure, now + 9999 * NS_PER_S, 0, &wait));
}

static void a_delay_beyond_all_bounds_is_no_short_one(void **state)
{
	struct exporter_config c = valid();
	struct retry r;
	uint64_t wait = 0, now = 1000 * NS_PER_S;

	retry_begin(&r, &c.retry_on_failure, now);
	assert_false(retry_next(&r, &c.retry_on_failure, now + 5, UINT64_MAX, &wait));
	c.retry_on_failure.max_elapsed_time = 0; /* never given up */
	assert_true(retry_next(&r, &c.retry_on_failure, now + 5, UINT64_MAX, &wait));
	assert_true(wait > 365 * 86400 * NS_PER_S);
	assert_true(now + 5 + wait > now); /* a point in time */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_are_told_in_the_collectors_words),
		cmocka_unit_test(what_is_off_is_not_checked),
		cmocka_unit_test(a_small_queue_of_items_needs_no_word_about_batching),
		cmocka_unit_test(waits_grow_up_to_the_bound_and_are_spread),
		cmocka_unit_test(the_servers_delay_counts_when_it_is_longer),
		cmocka_unit_test(a_delay_beyond_all_bounds_is_no_short_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
