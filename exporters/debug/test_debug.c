/* The exporter as a component: where its text goes, and what becomes of a batch. */
#include "core/data/build.h"
#include "core/component.h"
#include "tests/support/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct component_type exporter_debug_type;

/* As in debug.c; the option table is tested with config/. */
struct debug_config {
	int verbosity;
	uint64_t sampling_initial, sampling_thereafter;
	bool use_internal_logger;
	struct string_list output_paths;
};

struct rig {
	struct host host;
	struct debug_config config;
	const char *paths[2];
	struct component *exporter;
	unsigned outcomes[4];
	bool closed;
};

static void rig_init(struct rig *r, const char *path)
{
	*r = (struct rig){.config = {.sampling_initial = 1000, .sampling_thereafter = 1}};
	r->paths[0] = path;
	r->config.output_paths = (struct string_list){.items = r->paths, .count = 1};
}

static int rig_start(struct rig *r)
{
	struct create_args args = {.id = "debug",
	                           .config = &r->config,
	                           .host = &r->host,
	                           .signal = SIGNAL_LOGS};
	struct error error = ERROR_INIT;

	assert_int_equal(exporter_debug_type.create(&args, &r->exporter, &error), 0);
	return exporter_debug_type.start(r->exporter, &error);
}

static void on_closed(void *arg)
{
	((struct rig *)arg)->closed = true;
}

static void rig_fini(struct rig *r)
{
	exporter_debug_type.shutdown(r->exporter, 0, on_closed, r);
	assert_true(r->closed);
	exporter_debug_type.destroy(r->exporter);
}

static void on_done(void *arg, const struct outcome *o)
{
	((struct rig *)arg)->outcomes[o->status]++;
}

static void consume(struct rig *r)
{
	struct batch *b = batch_new(SIGNAL_LOGS, NULL);

	assert_non_null(b);
	exporter_debug_type.consume(r->exporter, b, (struct done){on_done, r});
}

static size_t lines(const char *path)
{
	FILE *f = fopen(path, "r");
	size_t n = 0;

	assert_non_null(f);
	for (int c; (c = fgetc(f)) != EOF;)
		n += c == '\n';
	fclose(f);
	return n;
}

static void appends_to_a_file(void **state)
{
	const char *path = folder_at("out");
	struct rig r;

	for (int i = 0; i < 2; i++) {
		rig_init(&r, path);
		assert_int_equal(rig_start(&r), 0);
		consume(&r);
		assert_int_equal(r.outcomes[OUTCOME_OK], 1);
		rig_fini(&r);
	}
	assert_int_equal(lines(path), 2);
	assert_int_equal(unlink(path), 0);
	(void)state;
}

static void prints_every_so_many_th_beyond_the_first(void **state)
{
	const char *path = folder_at("out");
	struct rig r;

	rig_init(&r, path);
	r.config.sampling_initial = 2;
	r.config.sampling_thereafter = 0;
	assert_int_equal(rig_start(&r), 0);
	for (int i = 0; i < 50; i++) /* all within two seconds */
		consume(&r);
	assert_int_equal(r.outcomes[OUTCOME_OK], 50);
	assert_true(lines(path) <=
	            2 + 1 + 2); /* a new second may begin, and says what was left out */
	rig_fini(&r);
	assert_int_equal(unlink(path), 0);
	(void)state;
}

static void a_file_that_cannot_be_opened_stops_the_start(void **state)
{
	struct rig r;

	rig_init(&r, "/nowhere/at/all");
	assert_int_equal(rig_start(&r), -ENOENT);
	rig_fini(&r);
	(void)state;
}

static void a_reader_that_has_gone_fails_the_batch(void **state)
{
	char path[64];
	int ends[2];
	struct rig r;

	assert_int_equal(pipe(ends), 0);
	snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
	rig_init(&r, path);
	assert_int_equal(rig_start(&r), 0);
	close(ends[0]);
	close(ends[1]);
	consume(&r);
	assert_int_equal(r.outcomes[OUTCOME_PERMANENT], 1);
	rig_fini(&r);
	(void)state;
}

static void a_reader_that_does_not_read_holds_up_nobody(void **state)
{
	char path[64], block[4096] = {0};
	int ends[2];
	struct rig r;

	assert_int_equal(pipe(ends), 0);
	snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
	rig_init(&r, path);
	assert_int_equal(rig_start(&r), 0);
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	while (write(ends[1], block, sizeof block) > 0)
		continue;
	for (int i = 0; i < 1000; i++) /* the first waits a moment, the others do not */
		consume(&r);
	assert_int_equal(r.outcomes[OUTCOME_PERMANENT], 1000);
	while (read(ends[0], block, sizeof block) == (ssize_t)sizeof block)
		if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
			break;
	consume(&r);
	assert_int_equal(r.outcomes[OUTCOME_OK], 1);
	rig_fini(&r);
	close(ends[0]);
	close(ends[1]);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_to_a_file),
		cmocka_unit_test(prints_every_so_many_th_beyond_the_first),
		cmocka_unit_test(a_file_that_cannot_be_opened_stops_the_start),
		cmocka_unit_test(a_reader_that_has_gone_fails_the_batch),
		cmocka_unit_test(a_reader_that_does_not_read_holds_up_nobody),
	};

	signal(SIGPIPE, SIG_IGN); /* as the program does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
