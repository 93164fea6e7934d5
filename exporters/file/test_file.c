#include "tests/support/component_stage.h"
#include "tests/support/folder.h"

#include "core/base/clock.h"
#include "core/base/random.h"

#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

extern const struct component_type exporter_file_type;
static const struct component_type *const file = &exporter_file_type;

struct fixture {
	struct stage stage;
	const char *folder;
	char path[128];
};

static int begin(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	f->folder = folder_new();
	snprintf(f->path, sizeof f->path, "%s/data.json", f->folder);
	stage_begin(&f->stage);
	*state = f;
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;

	stage_end(&f->stage);
	free(f);
	return 0;
}

/* The rest of the configuration, after the path. */
static void create(struct fixture *f, const char *rest)
{
	char yaml[512];

	snprintf(yaml, sizeof yaml, "{path: %s%s}", f->path, rest);
	stage_create(&f->stage, file, yaml, SIGNAL_TRACES);
}

static struct result *give(struct fixture *f, enum signal signal, int items, int first)
{
	return stage_consume(&f->stage, stage_batch(&f->stage, signal, items, first));
}

static struct buffer content(const char *path)
{
	struct buffer b = BUFFER_INIT;
	FILE *in = fopen(path, "r");
	char block[4096];
	size_t n;

	assert_non_null(in);
	while ((n = fread(block, 1, sizeof block, in)) > 0)
		buffer_append(&b, block, n);
	fclose(in);
	return b;
}

static json_t *at(json_t *json, const char *path)
{
	char copy[128], *rest = copy, *step;

	snprintf(copy, sizeof copy, "%s", path);
	while ((step = strsep(&rest, "."))) {
		json = *step >= '0' && *step <= '9' ? json_array_get(json, (size_t)atoi(step))
		                                    : json_object_get(json, step);
		if (!json)
			fail_msg("%s is missing from %s", step, path);
	}
	return json;
}

static void refuses_configurations_that_make_no_sense(void **state)
{
	struct fixture *f = *state;

	stage_expect_refused(&f->stage, file, "{path: /x, directory_permissions: '0999'}",
	                     "directory_permissions must be an octal number like 0755");
	stage_expect_refused(&f->stage, file, "{path: /x, directory_permissions: rwx}",
	                     "directory_permissions must be an octal number like 0755");
}

static void writes_each_batch_as_a_line_of_otlp_json_in_order(void **state)
{
	static const char *const name_paths[SIGNAL_COUNT] = {
		"resourceSpans.0.scopeSpans.0.spans.0.name",
		"resourceMetrics.0.scopeMetrics.0.metrics.0.name",
		"resourceLogs.0.scopeLogs.0.logRecords.0.body.stringValue"};
	struct fixture *f = *state;
	struct result *results[30];
	struct buffer b;
	const char *line;

	create(f, "");
	for (int i = 0; i < 30; i++)
		results[i] = give(f, (enum signal)(i % 3), 2, i * 2);
	stage_wait(&f->stage, &results[29]->told);
	b = content(f->path);
	line = buffer_string(&b);
	for (int i = 0; i < 30; i++) {
		json_t *json = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL);
		char expected[32];
		assert_non_null(json);
		snprintf(expected, sizeof expected, "item %d", i * 2);
		assert_string_equal(json_string_value(at(json, name_paths[i % 3])), expected);
		json_decref(json);
		assert_int_equal(results[i]->outcome.status, OUTCOME_OK);
		line = strchr(line, '\n');
		assert_non_null(line);
		line++;
	}
	assert_string_equal(line, "");
	buffer_fini(&b);
	assert_true(stage_figure(&f->stage, "weir_exporter_file_waiting_batches") == 0);
	assert_true(stage_figure(&f->stage, "weir_exporter_file_written_bytes") > 1000);
}

static void expect_frame(const uint8_t *data, size_t len, struct slice request)
{
	size_t size =
		(size_t)data[0] << 24 | (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3];

	assert_int_equal(size, len - 4);
	assert_true(slice_equal(slice_of(data + 4, size), request));
}

static void writes_protobuf_after_its_length(void **state)
{
	struct fixture *f = *state;
	struct batch *batch = stage_batch(&f->stage, SIGNAL_METRICS, 3, 0);
	struct buffer request = BUFFER_INIT, b;
	struct result *result;

	assert_int_equal(batch_encode(batch, &request, NULL), 0);
	create(f, ", format: proto");
	result = stage_consume(&f->stage, batch);
	stage_wait(&f->stage, &result->told);
	b = content(f->path);
	expect_frame(b.data, b.len, buffer_slice(&request));
	buffer_fini(&b);
	buffer_fini(&request);
}

static void compresses_json(void **state)
{
	struct fixture *f = *state;
	struct result *result;
	struct buffer b;
	char plain[20000];
	size_t n;

	create(f, ", compression: zstd");
	result = give(f, SIGNAL_TRACES, 200, 0);
	stage_wait(&f->stage, &result->told);
	b = content(f->path);
	assert_true(b.len < 2000);
	n = ZSTD_decompress(plain, sizeof plain - 1, b.data + 4, b.len - 4);
	assert_false(ZSTD_isError(n));
	plain[n] = '\0';
	assert_non_null(strstr(plain, "{\"resourceSpans\":[{"));
	assert_non_null(strstr(plain, "\"item 199\""));
	buffer_fini(&b);
}

static void shared_batches_are_only_read(void **state)
{
	struct fixture *f = *state;
	struct batch *batch = stage_batch(&f->stage, SIGNAL_TRACES, 2, 0);
	struct buffer before = BUFFER_INIT, after = BUFFER_INIT;
	struct result *result;

	create(f, "");
	assert_int_equal(batch_encode(batch, &before, NULL), 0);
	result = stage_consume(&f->stage, batch_ref(batch));
	stage_wait(&f->stage, &result->told);
	assert_int_equal(batch->refs, 1);
	assert_int_equal(batch_encode(batch, &after, NULL), 0);
	assert_true(slice_equal(buffer_slice(&before), buffer_slice(&after)));
	buffer_fini(&before);
	buffer_fini(&after);
	batch_unref(batch);
}

/* A limit on file sizes stands in for a full disk. */
static void a_full_disk_is_answered_with_retry_until_there_is_room(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, small = {.rlim_cur = 300};
	struct result *a, *b, *c;
	struct buffer text;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	create(f, "");
	a = give(f, SIGNAL_TRACES, 1, 0);
	stage_wait(&f->stage, &a->told);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	b = give(f, SIGNAL_TRACES, 50, 1);
	stage_wait(&f->stage, &b->told);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(b->outcome.status, OUTCOME_RETRY);
	assert_true(b->outcome.retry_after_ns > 0);
	assert_non_null(strstr(b->message, "File too large"));
	assert_int_equal(f->stage.status, STATUS_RECOVERABLE_ERROR);
	assert_string_equal(f->stage.status_message, b->message);
	c = give(f, SIGNAL_TRACES, 1, 51);
	stage_wait(&f->stage, &c->told);
	assert_int_equal(c->outcome.status, OUTCOME_OK);
	assert_int_equal(f->stage.status, STATUS_OK);
	text = content(f->path);
	assert_non_null(strstr(buffer_string(&text), "item 0"));
	assert_null(strstr(buffer_string(&text), "item 1\""));
	assert_non_null(strstr(buffer_string(&text), "item 51"));
	buffer_fini(&text);
}

static void refuses_more_batches_than_may_wait(void **state)
{
	struct fixture *f = *state;
	struct result *results[300];
	int refused = 0;

	create(f, "");
	for (int i = 0; i < 300; i++)
		results[i] = give(f, SIGNAL_TRACES, 1, i);
	for (int i = 0; i < 300; i++) {
		stage_wait(&f->stage, &results[i]->told);
		refused += results[i]->outcome.status == OUTCOME_RETRY;
	}
	assert_int_equal(refused, 300 - 256);
}

static void what_waits_is_charged_to_the_budget(void **state)
{
	struct fixture *f = *state;
	struct result *a, *b;
	struct batch *next;

	create(f, "");
	a = give(f, SIGNAL_TRACES, 100, 0);
	assert_true(f->stage.budget.used > 1500);
	next = stage_batch(&f->stage, SIGNAL_TRACES, 100, 0);
	f->stage.budget.limit = f->stage.budget.used + 1000;
	b = stage_consume(&f->stage, next);
	assert_int_equal(b->outcome.status, OUTCOME_RETRY);
	stage_wait(&f->stage, &a->told);
	assert_int_equal(f->stage.budget.used, 0);
}

static void reopens_on_sigusr1(void **state)
{
	struct fixture *f = *state;
	struct result *a, *b;
	char moved[160];
	struct stat st;

	create(f, "");
	a = give(f, SIGNAL_TRACES, 1, 0);
	stage_wait(&f->stage, &a->told);
	snprintf(moved, sizeof moved, "%s/moved", f->folder);
	assert_int_equal(rename(f->path, moved), 0);
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	for (int i = 0; stat(f->path, &st) < 0 && i < 1000; i++) {
		/* the signal wakes the loop, and so does the end of the work */
		loop_run_once(f->stage.host.loop);
	}
	assert_int_equal(stat(f->path, &st), 0);
	b = give(f, SIGNAL_TRACES, 1, 1);
	stage_wait(&f->stage, &b->told);
	assert_int_equal(stat(f->path, &st), 0);
	assert_true(st.st_size > 0);
}

static void rotates_together_with_compression(void **state)
{
	struct fixture *f = *state;
	struct result *result;
	char command[256];

	create(f,
	       ", format: proto, compression: zstd, rotation: {max_megabytes: 1, max_backups: 2}");
	for (int i = 0; i < 5; i++) {
		/* random names do not compress */
		struct batch *b = stage_batch(&f->stage, SIGNAL_TRACES, 8, 0);
		assert_int_equal(batch_open(&b, DEPTH_FULL, NULL), 0);
		Otlp__ScopeSpans *scope = b->first->spans->scope_spans[0];
		for (size_t k = 0; k < scope->n_spans; k++) {
			scope->spans[k]->name.data = arena_alloc(&b->arena, 100000);
			scope->spans[k]->name.len = 100000;
			random_bytes(scope->spans[k]->name.data, 100000);
		}
		result = stage_consume(&f->stage, b);
		stage_wait(&f->stage, &result->told);
		assert_int_equal(result->outcome.status, OUTCOME_OK);
	}
	assert_true(stage_figure(&f->stage, "weir_exporter_file_rotations") == 4);
	snprintf(command, sizeof command, "test $(ls %s/data-*.json | wc -l) = 2", f->folder);
	assert_int_equal(system(command), 0);
}

static void acknowledges_after_the_flush_when_told_to(void **state)
{
	struct fixture *f = *state;
	struct result *result;

	create(f, ", flush_interval: 0s");
	result = give(f, SIGNAL_LOGS, 1, 0);
	assert_false(result->told);
	stage_wait(&f->stage, &result->told);
	assert_int_equal(result->outcome.status, OUTCOME_OK);
}

static void shutdown_writes_what_waits(void **state)
{
	struct fixture *f = *state;
	struct result *results[20], *after;
	struct buffer b;
	int lines = 0;

	create(f, "");
	for (int i = 0; i < 20; i++)
		results[i] = give(f, SIGNAL_TRACES, 1, i);
	stage_shutdown(&f->stage, clock_monotonic_ns() + 10 * NS_PER_S);
	after = give(f, SIGNAL_TRACES, 1, 0);
	assert_int_equal(after->outcome.status, OUTCOME_CANCELED);
	stage_wait(&f->stage, &f->stage.closed);
	for (int i = 0; i < 20; i++)
		assert_int_equal(results[i]->outcome.status, OUTCOME_OK);
	b = content(f->path);
	for (size_t i = 0; i < b.len; i++)
		lines += b.data[i] == '\n';
	assert_int_equal(lines, 20);
	buffer_fini(&b);
}

/* Nobody reads the pipe, so the second write hangs, as it does on a dead network file system. */
static void shutdown_gives_up_a_disk_that_hangs_at_its_deadline(void **state)
{
	struct fixture *f = *state;
	struct result *a, *b, *c;
	char drain[256];

	assert_int_equal(mkfifo(f->path, 0600), 0);
	create(f, "");
	a = give(f, SIGNAL_TRACES, 10000, 0); /* more than a pipe holds */
	b = give(f, SIGNAL_TRACES, 1, 0);
	c = give(f, SIGNAL_TRACES, 1, 0);
	stage_shutdown(&f->stage, clock_monotonic_ns() + 50 * NS_PER_MS);
	stage_wait(&f->stage, &f->stage.closed);
	assert_int_equal(a->outcome.status, OUTCOME_CANCELED);
	assert_int_equal(b->outcome.status, OUTCOME_CANCELED);
	assert_int_equal(c->outcome.status, OUTCOME_CANCELED);
	assert_int_equal(f->stage.budget.used, 0);
	/* Let the thread go, so that the test can end. */
	snprintf(drain, sizeof drain, "head -c 65537 < %s > /dev/null & ", f->path);
	assert_int_equal(system(drain), 0);
	snprintf(drain, sizeof drain, "timeout 5 cat %s > /dev/null &", f->path);
	assert_int_equal(system(drain), 0);
}

static void says_why_it_does_not_start(void **state)
{
	struct fixture *f = *state;
	struct create_args args = {.id = "file", .host = &f->stage.host};
	struct error error = ERROR_INIT;
	char yaml[256];

	snprintf(yaml, sizeof yaml, "path: %s/missing/data.json", f->folder);
	args.config = stage_config(&f->stage, file, yaml);
	assert_int_equal(file->create(&args, &f->stage.component, &error), 0);
	assert_true(file->start(f->stage.component, &error) < 0);
	assert_non_null(
		strstr(error.message, "create its directory, or set create_directory: true"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(refuses_configurations_that_make_no_sense),
		TEST(writes_each_batch_as_a_line_of_otlp_json_in_order),
		TEST(writes_protobuf_after_its_length),
		TEST(compresses_json),
		TEST(shared_batches_are_only_read),
		TEST(a_full_disk_is_answered_with_retry_until_there_is_room),
		TEST(refuses_more_batches_than_may_wait),
		TEST(what_waits_is_charged_to_the_budget),
		TEST(reopens_on_sigusr1),
		TEST(rotates_together_with_compression),
		TEST(acknowledges_after_the_flush_when_told_to),
		TEST(shutdown_writes_what_waits),
		TEST(shutdown_gives_up_a_disk_that_hangs_at_its_deadline),
		TEST(says_why_it_does_not_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
