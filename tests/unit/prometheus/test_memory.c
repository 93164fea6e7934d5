#include "tests/support/failing_memory.h"
#include "tests/unit/prometheus/translation_text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Every kind of point; the bounds change, the deltas come out of order. */
static const char json[] =
	"{'resourceMetrics':[{'resource':{'attributes':[{'key':'service.name','value':{'"
	"stringValue':'s'}},"
	"{'key':'host','value':{'stringValue':'h'}}]},'scopeMetrics':[{'scope':{'name':'lib'},'"
	"metrics':["
	"{'name':'g','unit':'By','gauge':{'dataPoints':[{'timeUnixNano':'3000000','asInt':'1'},{'"
	"timeUnixNano':'2000000','asInt':'1'}]}},"
	"{'name':'c','description':'help','sum':{'aggregationTemporality':1,'isMonotonic':true,'"
	"dataPoints':["
	"{'timeUnixNano':'3000000','asInt':'1','exemplars':[{'asInt':'1','traceId':'"
	"000102030405060708090a0b0c0d0e0f'}]},"
	"{'timeUnixNano':'2000000','asInt':'1'}]}},"
	"{'name':'h','histogram':{'aggregationTemporality':1,'dataPoints':["
	"{'timeUnixNano':'2000000','count':'1','explicitBounds':[1],'bucketCounts':['1','0']},"
	"{'timeUnixNano':'3000000','count':'1','explicitBounds':[2],'bucketCounts':['1','0']}]}},"
	"{'name':'e','exponentialHistogram':{'aggregationTemporality':1,'dataPoints':["
	"{'timeUnixNano':'2000000','count':'1','scale':1,'positive':{'offset':1,'bucketCounts':['1'"
	"]}},"
	"{'timeUnixNano':'3000000','count':'1','scale':1,'positive':{'offset':90,'bucketCounts':['"
	"1']}}]}},"
	"{'name':'s','summary':{'dataPoints':[{'timeUnixNano':'2000000','count':'1','"
	"quantileValues':[{'quantile':0.5}]}]}}"
	"]}]}]}";

static struct translator *begin(void)
{
	struct translator_options options = {.expiry_ns = 1000000000};
	return translator_new(&options);
}

static double counter(const struct translation *tr, struct translator *t)
{
	double value = -1;

	for (size_t i = 0; i < tr->n_samples; i++)
		if (slice_equal(series_find_label(translator_table(t), tr->samples[i].series,
		                                  "__name__"),
		                SLICE_LITERAL("c_total")))
			value = tr->samples[i].value;
	return value;
}

/* A batch that is refused has added nothing up: the same batch again is told as if it were the
 * first. */
static void a_translation_succeeds_whole_or_not_at_all(void **state)
{
	struct batch *b = translation_batch(json);
	bool failed = true;

	(void)state;
	assert_non_null(b);
	for (unsigned long n = 1; failed; n++) {
		struct translator *t;
		struct translation tr;
		struct error error = ERROR_INIT;
		int r;

		failing_memory_arm(n);
		t = begin();
		r = t ? translator_batch(t, b, 0, &tr, &error) : -1;
		failed = failing_memory_disarm();
		if (t && r < 0) {
			assert_int_equal(error.kind, ERROR_RETRYABLE);
			assert_int_equal(translator_figures(t)->points, 0);
			error_clear(&error);
			assert_int_equal(translator_batch(t, b, 0, &tr, &error), 0);
			assert_true(counter(&tr, t) == 2);
			assert_int_equal(tr.n_samples, 17);
			assert_null(translation_wrong(t, &tr, NAME_ESCAPED_SUFFIXED));
		} else if (t) {
			/* single samples may be missing, where sums could not be told */
			assert_int_equal(r, 0);
			assert_null(translation_wrong(t, &tr, NAME_ESCAPED_SUFFIXED));
		}
		translator_free(t);
	}
	batch_unref(b);
}

static void ends_go_on_after_memory_was_short(void **state)
{
	struct batch *b = translation_batch(json);
	bool failed = true;

	(void)state;
	for (unsigned long n = 1; failed; n++) {
		struct translator *t = begin();
		struct translation tr;
		struct error error = ERROR_INIT;

		assert_int_equal(translator_batch(t, b, 0, &tr, &error), 0);
		failing_memory_arm(n);
		translator_expire(t, 5000000000, 10, 1000, &tr);
		failed = failing_memory_disarm();
		for (int i = 0; i < 3; i++)
			assert_int_equal(translator_expire(t, 5000000000, 10, 1000, &tr), 0);
		assert_int_equal(translator_table(t)->count, 0);
		assert_int_equal(translator_table(t)->symbols.count, 0);
		assert_int_equal(translator_table(t)->families.count, 0);
		translator_free(t);
	}
	batch_unref(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_translation_succeeds_whole_or_not_at_all),
		cmocka_unit_test(ends_go_on_after_memory_was_short),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
