#include "processors/memory_limiter/memory_limiter.h"
#include "tests/support/component_stage.h"
#include "tests/support/folder.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern const struct component_type processor_memory_limiter_type;

static const struct component_type *const limiter = &processor_memory_limiter_type;

static void refuses_limits_that_make_no_sense(void **state)
{
	struct stage s;

	stage_begin(&s);
	stage_expect_refused(&s, limiter, "", "'check_interval' must be greater than zero");
	stage_expect_refused(&s, limiter, "check_interval: 1s",
	                     "'limit_mib' or 'limit_percentage' must be greater than zero");
	stage_expect_refused(&s, limiter,
	                     "{check_interval: 1s, limit_mib: 100, spike_limit_mib: 100}",
	                     "'spike_limit_mib' must be smaller than 'limit_mib'");
	stage_expect_refused(
		&s, limiter,
		"{check_interval: 1s, limit_percentage: 80, spike_limit_percentage: 80}",
		"'spike_limit_percentage' must be smaller than 'limit_percentage'");
	stage_expect_refused(&s, limiter, "{check_interval: 1s, limit_percentage: 101}",
	                     "'limit_percentage' and 'spike_limit_percentage' must be greater than "
	                     "zero and less than or equal to hundred");
	stage_end(&s);
}

static void refuses_above_the_soft_limit_and_accepts_below_it(void **state)
{
	struct result *result;
	struct stage s;

	stage_begin(&s);
	s.answer_at_once = true;
	stage_create(&s, limiter, "{check_interval: 1s, limit_mib: 10, spike_limit_mib: 3}",
	             SIGNAL_TRACES);
	assert_int_equal(s.budget.limit, 10 << 20);

	result = stage_consume(&s, stage_batch(&s, SIGNAL_TRACES, 3, 0));
	assert_int_equal(result->outcome.status, OUTCOME_OK);

	assert_true(budget_take(&s.budget, 7 << 20));
	result = stage_consume(&s, stage_batch(&s, SIGNAL_TRACES, 4, 0));
	assert_int_equal(result->outcome.status, OUTCOME_RETRY);
	assert_int_equal(result->outcome.retry_after_ns, 1000000000);
	assert_string_equal(result->message, "data refused due to high memory usage");
	assert_int_equal(s.n_answered, 1);

	budget_return(&s.budget, 7 << 20);
	result = stage_consume(&s, stage_batch(&s, SIGNAL_TRACES, 5, 0));
	assert_int_equal(result->outcome.status, OUTCOME_OK);
	assert_true(stage_figure(&s, "otelcol_processor_memory_limiter_accepted_spans") == 8);
	assert_true(stage_figure(&s, "otelcol_processor_memory_limiter_refused_spans") == 4);
	stage_end(&s);
}

static void behind_a_stuck_destination_everything_is_held_or_refused_within_the_limit(void **state)
{
	enum { BATCHES = 200, ITEMS = 100 };
	int refused = 0, held = 0;
	struct result *result;
	struct stage s;

	stage_begin(&s);
	stage_create(&s, limiter, "{check_interval: 1s, limit_mib: 1}", SIGNAL_TRACES);
	for (int i = 0; i < BATCHES; i++) {
		result = stage_consume(&s, stage_batch(&s, SIGNAL_TRACES, ITEMS, 0));
		if (result->told) {
			assert_int_equal(result->outcome.status, OUTCOME_RETRY);
			refused += ITEMS;
		} else {
			held += ITEMS;
		}
	}
	assert_true(held > 0 && refused > 0);
	assert_int_equal(held, s.n_kept * ITEMS);
	assert_int_equal(held + refused, BATCHES * ITEMS);
	assert_true(s.budget.peak <= s.budget.limit);
	assert_int_equal(s.budget.limit, 1 << 20);
	assert_true(stage_figure(&s, "otelcol_processor_memory_limiter_accepted_spans") == held);
	assert_true(stage_figure(&s, "otelcol_processor_memory_limiter_refused_spans") == refused);

	stage_answer(&s, (struct outcome){.status = OUTCOME_OK});
	stage_answer(&s, (struct outcome){.status = OUTCOME_OK});
	result = stage_consume(&s, stage_batch(&s, SIGNAL_TRACES, ITEMS, 0));
	assert_false(result->told); /* taken again */
	stage_end(&s);
}

static void the_soft_limit_is_four_fifths_when_no_spike_is_given(void **state)
{
	struct result *result;
	struct stage s;

	stage_begin(&s);
	s.answer_at_once = true;
	stage_create(&s, limiter, "{check_interval: 1s, limit_mib: 10}", SIGNAL_LOGS);
	assert_true(budget_take(&s.budget, (8 << 20) - 100000));
	result = stage_consume(&s, stage_batch(&s, SIGNAL_LOGS, 1, 0));
	assert_int_equal(result->outcome.status, OUTCOME_OK);
	assert_true(budget_take(&s.budget, 100000));
	result = stage_consume(&s, stage_batch(&s, SIGNAL_LOGS, 1, 0));
	assert_int_equal(result->outcome.status, OUTCOME_RETRY);
	budget_return(&s.budget, 8 << 20);
	stage_end(&s);
}

static void the_smallest_hard_limit_holds(void **state)
{
	struct stage s;

	stage_begin(&s);
	s.budget.limit = 5 << 20;
	stage_create(&s, limiter, "{check_interval: 1s, limit_mib: 10}", SIGNAL_LOGS);
	assert_int_equal(s.budget.limit, 5 << 20);
	stage_end(&s);
}

static void percentages_are_of_what_this_machine_has(void **state)
{
	uint64_t total;
	struct stage s;

	stage_begin(&s);
	stage_create(&s, limiter, "{check_interval: 1s, limit_percentage: 50}", SIGNAL_METRICS);
	assert_int_equal(memory_limiter_total("", &total, NULL), 0);
	assert_int_equal(s.budget.limit, total / 100 * 50);
	stage_end(&s);
}

/* ---- how much memory there is */

static int make_tree(void **state)
{
	*state = (void *)folder_new();
	return 0;
}

static void put(const char *root, const char *path, const char *text)
{
	char command[512];

	snprintf(command, sizeof command, "mkdir -p $(dirname %s%s) && printf '%s' > %s%s", root,
	         path, text, root, path);
	assert_int_equal(system(command), 0);
}

static uint64_t total_of(const char *root)
{
	struct error error = ERROR_INIT;
	uint64_t total = 0;

	if (memory_limiter_total(root, &total, &error) < 0)
		fail_msg("%s", error.message);
	return total;
}

static void takes_the_machine_where_no_cgroup_limits(void **state)
{
	put(*state, "/proc/meminfo", "MemTotal:       2048 kB\\nMemFree: 1 kB\\n");
	assert_int_equal(total_of(*state), 2048 * 1024);
	put(*state, "/proc/self/cgroup", "0::/user.slice\\n");
	put(*state, "/sys/fs/cgroup/user.slice/memory.max", "max\\n");
	assert_int_equal(total_of(*state), 2048 * 1024);
}

static void takes_the_smallest_limit_of_a_v2_cgroup_and_its_ancestors(void **state)
{
	put(*state, "/proc/meminfo", "MemTotal: 2048 kB\\n");
	put(*state, "/proc/self/cgroup", "0::/a/b/c\\n");
	put(*state, "/sys/fs/cgroup/a/b/c/memory.max", "1000000\\n");
	assert_int_equal(total_of(*state), 1000000);
	put(*state, "/sys/fs/cgroup/a/memory.max", "500000\\n");
	assert_int_equal(total_of(*state), 500000);
	put(*state, "/sys/fs/cgroup/memory.max", "400000\\n");
	assert_int_equal(total_of(*state), 400000);
}

static void takes_the_limit_of_a_v1_cgroup(void **state)
{
	put(*state, "/proc/meminfo", "MemTotal: 2048 kB\\n");
	put(*state, "/proc/self/cgroup",
	    "7:cpu,cpuacct:/x\\n4:hugetlb,memory:/docker/1\\n0::/y\\n");
	put(*state, "/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes",
	    "9223372036854771712\\n");
	assert_int_equal(total_of(*state), 2048 * 1024);
	/* a container that sees the host's path but only its own mount */
	put(*state, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "700000\\n");
	assert_int_equal(total_of(*state), 700000);
}

static void says_when_nothing_is_known(void **state)
{
	struct error error = ERROR_INIT;
	uint64_t total = 7;

	assert_int_equal(memory_limiter_total(*state, &total, &error), -ENODATA);
	assert_non_null(strstr(error.message, "set limit_mib instead"));
	assert_int_equal(total, 7);
}

#define TREE_TEST(name) cmocka_unit_test_setup(name, make_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_limits_that_make_no_sense),
		cmocka_unit_test(refuses_above_the_soft_limit_and_accepts_below_it),
		cmocka_unit_test(
			behind_a_stuck_destination_everything_is_held_or_refused_within_the_limit),
		cmocka_unit_test(the_soft_limit_is_four_fifths_when_no_spike_is_given),
		cmocka_unit_test(the_smallest_hard_limit_holds),
		cmocka_unit_test(percentages_are_of_what_this_machine_has),
		TREE_TEST(takes_the_machine_where_no_cgroup_limits),
		TREE_TEST(takes_the_smallest_limit_of_a_v2_cgroup_and_its_ancestors),
		TREE_TEST(takes_the_limit_of_a_v1_cgroup),
		TREE_TEST(says_when_nothing_is_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
