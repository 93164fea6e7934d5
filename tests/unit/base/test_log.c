/* log, and the small ones: clock, random, signal. */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/base/signal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Lines are read back from a pipe; nothing here writes more than it holds. */
struct fixture {
	int ends[2];
	struct log_sink sink;
	struct logger log;
	char text[20000];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	assert_int_equal(pipe(f->ends), 0);
	f->sink = (struct log_sink){.level = LOG_INFO, .fd = f->ends[1]};
	f->log = (struct logger){.sink = &f->sink, .subject = "exporter otlp/front"};
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	close(f->ends[0]);
	free(f);
	return 0;
}

/* Everything that was written; ends the pipe. */
static const char *written(struct fixture *f)
{
	size_t n = 0;
	ssize_t r;

	close(f->ends[1]);
	while ((r = read(f->ends[0], f->text + n, sizeof f->text - 1 - n)) > 0)
		n += (size_t)r;
	f->text[n] = '\0';
	return f->text;
}

static int count_lines(const char *text)
{
	int n = 0;
	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void writes_time_level_subject_and_message(void **state)
{
	struct fixture *f = *state;
	const char *line;

	log_warn(&f->log, "connect %s: %s", "10.0.0.1:4317", "refused");
	line = written(f);
	assert_int_equal(line[10], 'T');
	assert_string_equal(line + 23, "Z\twarn\texporter otlp/front: connect 10.0.0.1:4317: "
	                               "refused\n");
}

static void leaves_out_lines_below_the_level(void **state)
{
	struct fixture *f = *state;

	log_debug(&f->log, "no");
	log_info(&f->log, "yes");
	log_info(&(struct logger){.sink = NULL}, "nowhere");
	log_error(NULL, "nowhere");
	assert_int_equal(count_lines(written(f)), 1);
}

static void writes_json(void **state)
{
	struct fixture *f = *state;
	const char *line;

	f->sink.encoding = LOG_JSON;
	log_error(&f->log, "quote \" backslash \\ newline \n end");
	line = written(f);
	assert_non_null(strstr(line,
	                       "\"level\":\"error\",\"component\":\"exporter otlp/front\","
	                       "\"msg\":\"quote \\\" backslash \\\\ newline \\u000a end\"}\n"));
	assert_int_equal(count_lines(line), 1);
}

static void a_message_cannot_forge_lines_or_move_the_cursor(void **state)
{
	struct fixture *f = *state;
	const char *line;

	log_info(&f->log, "%s", "a\nb\x1b[2J\x7f");
	line = written(f);
	assert_int_equal(count_lines(line), 1);
	assert_non_null(strstr(line, "a\\x0ab\\x1b[2J\\x7f\n"));
}

static void json_holds_neither_broken_text_nor_hidden_controls(void **state)
{
	struct fixture *f = *state;

	f->sink.encoding = LOG_JSON;
	log_info(&f->log, "%s", "a\xc2\x9b 2J caf\xc3\xa9 \xff \xc3");
	assert_non_null(
		strstr(written(f), "\"a\\u009b 2J caf\xc3\xa9 \xef\xbf\xbd \xef\xbf\xbd\"}\n"));
}

static void long_messages_end_with_one_newline(void **state)
{
	struct fixture *f = *state;
	const char *text;
	char message[3000];

	memset(message, '\x01', sizeof message - 1);
	message[sizeof message - 1] = '\0';
	log_info(&f->log, "%s", message);
	text = written(f);
	assert_int_equal(count_lines(text), 1);
	assert_int_equal(text[strlen(text) - 1], '\n');
}

static void limits_each_call_site_and_says_what_was_left_out(void **state)
{
	struct fixture *f = *state;
	static struct log_site site;
	const char *text;

	for (int i = 0; i < 100; i++)
		log_write(&f->log, &site, LOG_INFO, "same");
	log_info(&f->log, "another site");
	/* the window is over */
	atomic_store(&site.window_start_ns, clock_monotonic_ns() - LOG_WINDOW_NS - 1);
	log_write(&f->log, &site, LOG_INFO, "same");
	text = written(f);
	assert_int_equal(count_lines(text), LOG_BURST + 2);
	assert_non_null(strstr(text, "another site\n"));
	assert_non_null(strstr(text, "same (and 90 like it since)\n"));
}

static void clocks_agree(void **state)
{
	uint64_t a = clock_monotonic_ns(), b = clock_monotonic_ns(), now = clock_realtime_ns();
	uint64_t wall = clock_monotonic_to_realtime(b);

	assert_true(a <= b);
	assert_true(now > UINT64_C(1600000000) * NS_PER_S);
	assert_true(wall < now + NS_PER_S && wall + NS_PER_S > now);
}

static void jitter_stays_within_its_fraction(void **state)
{
	uint64_t low = UINT64_MAX, high = 0;

	for (int i = 0; i < 10000; i++) {
		uint64_t v = random_jitter(1000, 0.5);
		assert_true(v >= 500 && v <= 1500);
		low = v < low ? v : low;
		high = v > high ? v : high;
	}
	assert_true(low < 600 && high > 1400);
	assert_int_equal(random_jitter(1000, 0), 1000);
	assert_int_equal(random_jitter(0, 1), 0);
	assert_true(random_jitter(UINT64_MAX, 1) <= UINT64_MAX);
	assert_true(random_u64() != random_u64());
}

static void signals_have_names_both_ways(void **state)
{
	enum signal s;

	assert_string_equal(signal_item_name(SIGNAL_METRICS), "metric_points");
	for (int i = 0; i < SIGNAL_COUNT; i++) {
		assert_true(signal_from_name(signal_name((enum signal)i), &s));
		assert_int_equal(s, i);
	}
	assert_false(signal_from_name("trace", &s));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(writes_time_level_subject_and_message),
		TEST(leaves_out_lines_below_the_level),
		TEST(writes_json),
		TEST(a_message_cannot_forge_lines_or_move_the_cursor),
		TEST(json_holds_neither_broken_text_nor_hidden_controls),
		TEST(long_messages_end_with_one_newline),
		TEST(limits_each_call_site_and_says_what_was_left_out),
		cmocka_unit_test(clocks_agree),
		cmocka_unit_test(jitter_stays_within_its_fraction),
		cmocka_unit_test(signals_have_names_both_ways),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
