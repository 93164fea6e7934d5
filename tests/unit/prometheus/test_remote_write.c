#include "core/prometheus/remote_write.h"
#include "tests/fuzz/remote_write_strict.h"
#include "tests/support/failing_memory.h"
#include "tests/unit/prometheus/translation_text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const char json[] =
	"{'resourceMetrics':[{'resource':{'attributes':[{'key':'service.name','value':{"
	"'stringValue':'s'}}]},'scopeMetrics':[{'metrics':["
	"{'name':'g','description':'What it is.','unit':'By','gauge':{'dataPoints':["
	"{'timeUnixNano':'1000000','asInt':'1'},{'timeUnixNano':'2000000','asDouble':0},"
	"{'timeUnixNano':'3000000','asDouble':-1.5}]}},"
	"{'name':'c','sum':{'aggregationTemporality':2,'isMonotonic':true,'dataPoints':["
	"{'timeUnixNano':'5000000','startTimeUnixNano':'4000000','asInt':'7','exemplars':[{"
	"'timeUnixNano':'5000000','asInt':'1','traceId':'000102030405060708090a0b0c0d0e0f'}]}]}},"
	"{'name':'e','exponentialHistogram':{'aggregationTemporality':2,'dataPoints':["
	"{'timeUnixNano':'6000000','startTimeUnixNano':'4000000','count':'6','sum':2.5,'scale':1,"
	"'zeroCount':'1','positive':{'offset':1,'bucketCounts':['1','0','4']}}]}}"
	"]}]}]}";

struct fixture {
	struct translator *translator;
	struct translation translation;
	struct remote_write writer;
	struct remote_write_request request;
	struct buffer bytes, text;
	struct strict_figures figures;
};

static bool told;
static bool once(void *arg, struct series_family *family)
{
	bool first = family->user == NULL;

	family->user = &told;
	return first;
}

static int begin(void **state)
{
	struct translator_options options = {0};
	struct remote_write_options limits = {.max_bytes = 1 << 20, .max_samples = 10000};
	struct fixture *f = calloc(1, sizeof *f);
	struct batch *b = translation_batch(json);

	f->translator = translator_new(&options);
	assert_int_equal(translator_batch(f->translator, b, 1, &f->translation, NULL), 0);
	batch_unref(b);
	remote_write_init(&f->writer, &translator_table(f->translator)->symbols, &limits);
	*state = f;
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;

	remote_write_request_fini(&f->request);
	remote_write_fini(&f->writer);
	translator_free(f->translator);
	buffer_fini(&f->bytes);
	buffer_fini(&f->text);
	free(f);
	return 0;
}

/* Builds a request of the samples from at on and reads it back; how many it took. */
static size_t build(struct fixture *f, enum remote_write_version version, size_t at)
{
	size_t added;

	remote_write_begin(&f->writer, version, &f->request);
	added = remote_write_add(&f->writer, f->translation.samples + at,
	                         f->translation.n_samples - at);
	assert_int_equal(remote_write_end(&f->writer), 0);
	buffer_clear(&f->bytes);
	buffer_clear(&f->text);
	for (size_t i = 0; i < f->request.n_pieces; i++)
		buffer_append_slice(&f->bytes, f->request.pieces[i]);
	assert_null(
		remote_write_strict(version, buffer_slice(&f->bytes), true, &f->figures, &f->text));
	return added;
}

static void writes_1_0(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(build(f, REMOTE_WRITE_1, 0), 5);
	assert_string_equal(
		buffer_string(&f->text),
		"__name__=g_bytes,job=s 1@1/0 0@2/0 -1.5@3/0\n"
		"__name__=c_total,job=s 7@5/0 # trace_id=000102030405060708090a0b0c0d0e0f 1@5\n"
		"__name__=e,job=s {count 6 sum 2.5 schema 1 zero 1 positive 3 negative 0 hint 0}"
		"@6/0\n");
}

static void writes_2_0(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(build(f, REMOTE_WRITE_2, 0), 5);
	assert_string_equal(
		buffer_string(&f->text),
		"__name__=g_bytes,job=s 1@1/0 0@2/0 -1.5@3/0 type 2 help 'What it is.' unit "
		"'bytes'\n"
		"__name__=c_total,job=s 7@5/4 # trace_id=000102030405060708090a0b0c0d0e0f 1@5 "
		"type 1 help '' unit ''\n"
		"__name__=e,job=s {count 6 sum 2.5 schema 1 zero 1 positive 3 negative 0 hint 0}"
		"@6/4 type 3 help '' unit ''\n");
}

static void counts_what_is_in_a_request(void **state)
{
	struct fixture *f = *state;

	build(f, REMOTE_WRITE_2, 0);
	assert_int_equal(f->request.samples, 4);
	assert_int_equal(f->request.histograms, 1);
	assert_int_equal(f->request.exemplars, 1);
	assert_int_equal(f->request.series_count, 3);
	assert_int_equal(f->request.newest_ms, 6);
	assert_int_equal(f->request.bytes, f->bytes.len);
}

static void tells_metadata_of_1_0_when_it_is_wanted(void **state)
{
	struct fixture *f = *state;

	f->writer.options.wants_metadata = once;
	build(f, REMOTE_WRITE_1, 0);
	assert_int_equal(f->figures.metadata, 3);
	assert_non_null(strstr(buffer_string(&f->text),
	                       "g_bytes: type 2 help 'What it is.' unit 'bytes'\n"));
	build(f, REMOTE_WRITE_1, 0);
	assert_int_equal(f->figures.metadata, 0);
}

static void keeps_to_its_number_of_samples(void **state)
{
	struct fixture *f = *state;

	f->writer.options.max_samples = 2;
	assert_int_equal(build(f, REMOTE_WRITE_2, 0), 2);
	assert_int_equal(build(f, REMOTE_WRITE_2, 2), 2);
	assert_int_equal(build(f, REMOTE_WRITE_2, 4), 1);
}

static void keeps_to_its_size(void **state)
{
	for (int version = REMOTE_WRITE_1; version <= REMOTE_WRITE_2; version++) {
		struct fixture *f = *state;
		size_t requests = 0;

		f->writer.options.max_bytes = 120;
		for (size_t at = 0; at < f->translation.n_samples; requests++) {
			at += build(f, (enum remote_write_version)version, at);
			assert_true(f->request.bytes <= 120 || f->request.series_count == 1);
		}
		assert_true(requests > 1);
	}
}

static void sends_a_series_that_is_larger_than_a_request(void **state)
{
	struct fixture *f = *state;

	f->writer.options.max_bytes = 1;
	assert_int_equal(build(f, REMOTE_WRITE_2, 0), 3);
	assert_int_equal(build(f, REMOTE_WRITE_1, 3), 1);
}

static void gives_back_the_symbols_of_exemplars(void **state)
{
	struct fixture *f = *state;
	uint32_t before = f->writer.symbols->count;

	build(f, REMOTE_WRITE_2, 0);
	assert_int_equal(f->writer.symbols->count, before);
}

/* The mark by which the places of one request are told from another's wraps round. */
static void takes_no_place_for_one_of_four_billion_requests_ago(void **state)
{
	struct fixture *f = *state;

	build(f, REMOTE_WRITE_2, 0);
	f->writer.stamp = UINT32_MAX;
	build(f, REMOTE_WRITE_2, 0);
	build(f, REMOTE_WRITE_2, 0);
}

static void survives_failing_allocations(void **state)
{
	for (int version = REMOTE_WRITE_1; version <= REMOTE_WRITE_2; version++) {
		struct fixture *f = *state;
		bool failed = true;

		for (unsigned long n = 1; failed; n++) {
			int r;

			remote_write_request_fini(&f->request);
			remote_write_fini(&f->writer);
			failing_memory_arm(n);
			remote_write_begin(&f->writer, (enum remote_write_version)version,
			                   &f->request);
			remote_write_add(&f->writer, f->translation.samples,
			                 f->translation.n_samples);
			r = remote_write_end(&f->writer);
			failed = failing_memory_disarm();
			assert_true(r == 0 || (failed && r == -ENOMEM));
			assert_true(n < 1000);
		}
		assert_int_equal(build(f, (enum remote_write_version)version, 0), 5);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(writes_1_0),
		TEST(writes_2_0),
		TEST(counts_what_is_in_a_request),
		TEST(tells_metadata_of_1_0_when_it_is_wanted),
		TEST(keeps_to_its_number_of_samples),
		TEST(keeps_to_its_size),
		TEST(sends_a_series_that_is_larger_than_a_request),
		TEST(gives_back_the_symbols_of_exemplars),
		TEST(takes_no_place_for_one_of_four_billion_requests_ago),
		TEST(survives_failing_allocations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
