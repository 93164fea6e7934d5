#include "tests/support/component_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

extern const struct component_type connector_forward_type;

static void passes_each_signal_on_untouched(void **state)
{
	for (int signal = 0; signal < SIGNAL_COUNT; signal++) {
		struct stage s;
		struct batch *b;

		stage_begin(&s);
		stage_create(&s, &connector_forward_type, "", (enum signal)signal);
		b = stage_batch(&s, (enum signal)signal, 3, 0);
		stage_consume(&s, b);
		assert_int_equal(s.n_kept, 1);
		assert_ptr_equal(s.kept[0], b);
		stage_answer(&s, (struct outcome){.status = OUTCOME_OK});
		stage_end(&s);
	}
}

static void hands_the_answer_back(void **state)
{
	struct stage s;
	struct result *result;

	stage_begin(&s);
	stage_create(&s, &connector_forward_type, "", SIGNAL_TRACES);
	result = stage_consume(&s, stage_batch(&s, SIGNAL_TRACES, 3, 0));
	assert_false(result->told);
	stage_answer(&s, (struct outcome){.status = OUTCOME_RETRY,
	                                  .retry_after_ns = 7,
	                                  .message = "the queue is full"});
	assert_int_equal(result->calls, 1);
	assert_int_equal(result->outcome.status, OUTCOME_RETRY);
	assert_int_equal(result->outcome.retry_after_ns, 7);
	assert_string_equal(result->message, "the queue is full");
	stage_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_each_signal_on_untouched),
		cmocka_unit_test(hands_the_answer_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
