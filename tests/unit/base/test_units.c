#include "core/base/units.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS INT64_C(1000000)
#define S INT64_C(1000000000)

static void reads_durations_as_go_does(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} cases[] = {
		{"0", 0},
		{"-0", 0},
		{"0s", 0},
		{"1ns", 1},
		{"1us", 1000},
		{"1\xc2\xb5s", 1000},
		{"1\xce\xbcs", 1000},
		{"200ms", 200 * MS},
		{"1.5s", 1500 * MS},
		{".5s", 500 * MS},
		{"5.s", 5 * S},
		{"+3s", 3 * S},
		{"-1m", -60 * S},
		{"1h30m", 5400 * S},
		{"1m1h", 3660 * S},
		{"1h2m3.004005006s", 3723 * S + 4005006},
		{"0.1h", 360 * S},
		{"2562047h47m16.854775807s", INT64_MAX},
		{"-2562047h47m16.854775808s", INT64_MIN},
		{"9223372036854775807ns", INT64_MAX},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int64_t ns = -1;
		assert_int_equal(duration_parse(slice_from_string(cases[i].text), &ns), 0);
		if (ns != cases[i].ns)
			fail_msg("%s is %lld ns, not %lld", cases[i].text, (long long)cases[i].ns,
			         (long long)ns);
	}
}

static void refuses_what_is_no_duration(void **state)
{
	static const char *const texts[] = {"",     "-",    "1",    "s",    "1 s",
	                                    "1x",   ".s",   "1.s.", "--1s", "1s-1s",
	                                    "1e3s", "0x1s", "1S",   "1d",   " 1s"};
	int64_t ns = 77;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (duration_parse(slice_from_string(texts[i]), &ns) != -EINVAL)
			fail_msg("\"%s\" was taken for a duration", texts[i]);
	assert_int_equal(duration_parse((struct slice){0}, &ns), -EINVAL);
	assert_int_equal(ns, 77);
}

static void refuses_durations_that_do_not_fit(void **state)
{
	static const char *const texts[] = {"9223372036854775808ns",     "2562048h",
	                                    "99999999999999999999s",     "2562047h47m17s",
	                                    "-2562047h47m16.854775809s", "-9223372036854775809ns"};
	int64_t ns = 77;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (duration_parse(slice_from_string(texts[i]), &ns) != -ERANGE)
			fail_msg("\"%s\" was taken", texts[i]);
	assert_int_equal(ns, 77);
}

static void expect_duration(int64_t ns, const char *text)
{
	struct buffer b = BUFFER_INIT;
	int64_t back;

	duration_format(&b, ns);
	assert_string_equal(buffer_string(&b), text);
	assert_int_equal(duration_parse(buffer_slice(&b), &back), 0);
	assert_true(back == ns);
	buffer_fini(&b);
}

static void writes_durations_that_read_back_to_the_same_value(void **state)
{
	expect_duration(0, "0s");
	expect_duration(1, "1ns");
	expect_duration(1500, "1.5us");
	expect_duration(200 * MS, "200ms");
	expect_duration(1500 * MS, "1.5s");
	expect_duration(60 * S, "1m0s");
	expect_duration(5400 * S, "1h30m0s");
	expect_duration(-5400 * S - 1, "-1h30m0.000000001s");
	expect_duration(INT64_MAX, "2562047h47m16.854775807s");
	expect_duration(INT64_MIN, "-2562047h47m16.854775808s");
}

static void expect_short(void (*format)(struct buffer *, double), double v, const char *text)
{
	struct buffer b = BUFFER_INIT;

	format(&b, v);
	assert_string_equal(buffer_string(&b), text);
	buffer_fini(&b);
}

static void writes_durations_for_people(void **state)
{
	expect_short(duration_format_short, 0, "0s");
	expect_short(duration_format_short, 340e-9, "340ns");
	expect_short(duration_format_short, 1.234e-6, "1.23us");
	expect_short(duration_format_short, 999.9e-6, "1.00ms");
	expect_short(duration_format_short, 0.0123, "12.3ms");
	expect_short(duration_format_short, 0.9999, "1.00s");
	expect_short(duration_format_short, 59.94, "59.9s");
	expect_short(duration_format_short, 59.97, "1m00s");
	expect_short(duration_format_short, 133, "2m13s");
	expect_short(duration_format_short, 119.6, "2m00s");
	expect_short(duration_format_short, 3599.7, "1h00m");
	expect_short(duration_format_short, 3661, "1h01m");
	expect_short(duration_format_short, 7199, "1h59m");
	expect_short(duration_format_short, 360000, "100h00m");
	expect_short(duration_format_short, -133, "-2m13s");
	expect_short(duration_format_short, -0.0123, "-12.3ms");
	expect_short(duration_format_short, -7300, "-2h01m");
	expect_short(duration_format_short, (double)INFINITY, "infs");
	expect_short(duration_format_short, (double)NAN, "nans");
}

static void reads_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
		int r;
	} cases[] = {
		{"0", 0, 0},
		{"1024", 1024, 0},
		{"64MiB", 64 << 20, 0},
		{"1kB", 1000, 0},
		{"2GB", UINT64_C(2000000000), 0},
		{"3B", 3, 0},
		{"18446744073709551615", UINT64_MAX, 0},
		{"18446744073709551616", 0, -ERANGE},
		{"99999999TiB", 0, -ERANGE},
		{"", 0, -EINVAL},
		{"-1", 0, -EINVAL},
		{"1.5MiB", 0, -EINVAL},
		{"1 MiB", 0, -EINVAL},
		{"1mib", 0, -EINVAL},
		{"1KiBs", 0, -EINVAL},
		{"MiB", 0, -EINVAL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint64_t bytes = 0;
		if (size_parse(slice_from_string(cases[i].text), &bytes) != cases[i].r ||
		    bytes != cases[i].bytes)
			fail_msg("\"%s\" was read wrongly", cases[i].text);
	}
}

static void writes_sizes_and_counts_for_people(void **state)
{
	expect_short(size_format_short, 0, "0 B");
	expect_short(size_format_short, 512, "512 B");
	expect_short(size_format_short, 1229, "1.20 KiB");
	expect_short(size_format_short, 3.4 * (1 << 30), "3.40 GiB");
	expect_short(size_format_short, 1e30, "888178419700125 PiB");
	expect_short(count_format_short, 0, "0");
	expect_short(count_format_short, 950, "950");
	expect_short(count_format_short, 0.25, "0.25");
	expect_short(count_format_short, 12300, "12.3k");
	expect_short(count_format_short, 4.56e6, "4.56M");
	expect_short(count_format_short, 999999, "1.00M");
	expect_short(count_format_short, -12300, "-12.3k");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_durations_as_go_does),
		cmocka_unit_test(refuses_what_is_no_duration),
		cmocka_unit_test(refuses_durations_that_do_not_fit),
		cmocka_unit_test(writes_durations_that_read_back_to_the_same_value),
		cmocka_unit_test(writes_durations_for_people),
		cmocka_unit_test(reads_sizes),
		cmocka_unit_test(writes_sizes_and_counts_for_people),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
