#include "core/prometheus/exposition.h"
#include "tests/support/failing_memory.h"
#include "tests/unit/prometheus/translation_text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Every kind of point, two sources, exemplars. */
static const char *const json[] = {
	"{'resourceMetrics':[{'scopeMetrics':[{'metrics':["
	"{'name':'g','gauge':{'dataPoints':[{'timeUnixNano':'3000000','asInt':'1'}]}},"
	"{'name':'c','sum':{'aggregationTemporality':2,'isMonotonic':true,'dataPoints':["
	"{'startTimeUnixNano':'1000000','timeUnixNano':'3000000','asInt':'1','exemplars':[{"
	"'asInt':'1','traceId':'000102030405060708090a0b0c0d0e0f'}]}]}},"
	"{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':[{"
	"'startTimeUnixNano':'1000000','timeUnixNano':'3000000','count':'1','sum':1,"
	"'explicitBounds':[1],'bucketCounts':['1','0']}]}},"
	"{'name':'e','exponentialHistogram':{'aggregationTemporality':2,'dataPoints':[{"
	"'startTimeUnixNano':'1000000','timeUnixNano':'3000000','count':'1','sum':1,"
	"'positive':{'bucketCounts':['1']}}]}}]}]}]}",
	"{'resourceMetrics':[{'scopeMetrics':[{'metrics':["
	"{'name':'c','sum':{'aggregationTemporality':2,'isMonotonic':true,'dataPoints':["
	"{'startTimeUnixNano':'2000000','timeUnixNano':'4000000','asInt':'1'}]}},"
	"{'name':'e','exponentialHistogram':{'aggregationTemporality':2,'dataPoints':[{"
	"'startTimeUnixNano':'2000000','timeUnixNano':'4000000','count':'1','sum':1,"
	"'positive':{'bucketCounts':['1']}}]}}]}]}]}",
};

static void on_series_end(void *arg, struct series *s)
{
	exposition_on_series_end(arg, s);
}

static void on_family_end(void *arg, struct series_family *family)
{
	exposition_on_family_end(arg, family);
}

static void tell(struct translator *t, struct exposition *e, struct batch *b)
{
	struct error error = ERROR_INIT;
	struct translation tr;

	if (translator_batch(t, b, 0, &tr, &error) < 0)
		return;
	for (size_t i = 0; i < tr.n_samples; i++)
		exposition_tell(e, &tr.samples[i]);
}

static void write_pages(struct exposition *e)
{
	for (int format = EXPOSITION_TEXT; format <= EXPOSITION_PROTOBUF; format++) {
		struct buffer page = BUFFER_INIT;
		struct exposition_cursor c;

		exposition_begin(&c, e,
		                 (struct exposition_choice){(enum exposition_format)format, false},
		                 true);
		while (!page.failed && exposition_write(&c, &page, 100))
			;
		exposition_end(&c);
		buffer_fini(&page);
	}
}

static void survives_every_failing_allocation(void **state)
{
	struct batch *batches[] = {translation_batch(json[0]), translation_batch(json[1])};
	bool failed = true;

	(void)state;
	for (unsigned long n = 1; failed; n++) {
		struct exposition e = {0};
		struct translator_options options = {.one_type = true,
		                                     .tell_late = true,
		                                     .on_series_end = on_series_end,
		                                     .on_family_end = on_family_end,
		                                     .arg = &e};
		struct translator *t;

		failing_memory_arm(n);
		t = translator_new(&options);
		if (t && exposition_init(&e, translator_table(t), NULL) == 0) {
			tell(t, &e, batches[0]);
			tell(t, &e, batches[1]);
			write_pages(&e);
		}
		failed = failing_memory_disarm();
		if (e.table) { /* and goes on afterwards */
			tell(t, &e, batches[0]);
			write_pages(&e);
			exposition_fini(&e);
		}
		translator_free(t);
	}
	batch_unref(batches[0]);
	batch_unref(batches[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(survives_every_failing_allocation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
