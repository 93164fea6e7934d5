#include "core/prometheus/name.h"
#include "core/prometheus/number.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct row {
	enum name_strategy strategy;
	const char *ns, *name, *unit;
	enum metric_type type;
	const char *wanted;
};

static const struct row rows[] = {
	/* words and suffixes */
	{NAME_ESCAPED_SUFFIXED, "", "http.server.request.duration", "s", METRIC_HISTOGRAM,
         "http_server_request_duration_seconds"},
	{NAME_ESCAPED_SUFFIXED, "", "requests", "", METRIC_COUNTER, "requests_total"},
	{NAME_ESCAPED_SUFFIXED, "", "requests_total", "", METRIC_COUNTER, "requests_total"},
	{NAME_ESCAPED_SUFFIXED, "", "cpu.seconds.total", "s", METRIC_COUNTER, "cpu_seconds_total"},
	{NAME_ESCAPED_SUFFIXED, "", "system.cpu.utilization", "1", METRIC_GAUGE,
         "system_cpu_utilization_ratio"},
	{NAME_ESCAPED_SUFFIXED, "", "cpu_usage_ratio", "1", METRIC_GAUGE, "cpu_usage_ratio"},
	{NAME_ESCAPED_SUFFIXED, "", "items", "1", METRIC_COUNTER, "items_total"},
	{NAME_ESCAPED_SUFFIXED, "", "items", "1", METRIC_UNKNOWN, "items"},
	{NAME_ESCAPED_SUFFIXED, "", "items", "1", METRIC_HISTOGRAM, "items"},
	{NAME_ESCAPED_SUFFIXED, "", "queue", "{items}", METRIC_GAUGE, "queue"},
	{NAME_ESCAPED_SUFFIXED, "", "io", "By/{op}", METRIC_GAUGE, "io_bytes"},
	{NAME_ESCAPED_SUFFIXED, "", "speed", "m/s", METRIC_GAUGE, "speed_meters_per_second"},
	{NAME_ESCAPED_SUFFIXED, "", "requests", "1/s", METRIC_GAUGE, "requests_per_second"},
	{NAME_ESCAPED_SUFFIXED, "", "requests_per_second", "1/s", METRIC_GAUGE,
         "requests_per_second"},
	{NAME_ESCAPED_SUFFIXED, "", "rate", "By/m", METRIC_GAUGE, "rate_bytes_per_minute"},
	{NAME_ESCAPED_SUFFIXED, "", "response_time_seconds", "s", METRIC_GAUGE,
         "response_time_seconds"},
	{NAME_ESCAPED_SUFFIXED, "", "custom", "unit@with#special/chars", METRIC_GAUGE,
         "custom_unit_with_special_per_chars"},
	{NAME_ESCAPED_SUFFIXED, "", "metric__with__many", "unit__many", METRIC_GAUGE,
         "metric_with_many_unit_many"},
	{NAME_ESCAPED_SUFFIXED, "", "disk", "TiBy", METRIC_GAUGE, "disk_tebibytes"},
	{NAME_ESCAPED_SUFFIXED, "", "fan", "%", METRIC_GAUGE, "fan_percent"},
	{NAME_ESCAPED_SUFFIXED, "", "temperature", "Cel", METRIC_GAUGE, "temperature_celsius"},
	{NAME_ESCAPED_SUFFIXED, "", "a:b.c", "", METRIC_GAUGE, "a:b_c"},
	{NAME_ESCAPED_SUFFIXED, "app", "requests", "1/s", METRIC_COUNTER,
         "app_requests_per_second_total"},
	/* digits, and what leaves nothing */
	{NAME_ESCAPED_SUFFIXED, "", "123.requests", "", METRIC_GAUGE, "_123_requests"},
	{NAME_ESCAPED_SUFFIXED, "", "total.9", "", METRIC_COUNTER, "_9_total"},
	{NAME_ESCAPED_SUFFIXED, "app", "123_requests", "", METRIC_COUNTER,
         "app_123_requests_total"},
	{NAME_ESCAPED_SUFFIXED, "", "@#$%", "s", METRIC_COUNTER, ""},
	{NAME_ESCAPED_SUFFIXED, "", "", "s", METRIC_GAUGE, ""},
	{NAME_ESCAPED_SUFFIXED, "", "t\xc3\xa4glich.summe", "", METRIC_GAUGE, "t_glich_summe"},
	/* without suffixes */
	{NAME_ESCAPED, "", "requests", "By", METRIC_COUNTER, "requests"},
	{NAME_ESCAPED, "", "metric@@##$$name", "", METRIC_GAUGE, "metric_name"},
	{NAME_ESCAPED, "", "123metric", "", METRIC_GAUGE, "_123metric"},
	{NAME_ESCAPED, "test@namespace!!??", "metric", "", METRIC_GAUGE, "test_namespace_metric"},
	{NAME_ESCAPED, "9", "metric", "", METRIC_GAUGE, "_9_metric"},
	{NAME_ESCAPED, "", "@#$%", "", METRIC_GAUGE, ""},
	/* UTF-8 */
	{NAME_UTF8_SUFFIXED, "", "requ\xc3\xaasts", "1/s", METRIC_GAUGE,
         "requ\xc3\xaasts_per_second"},
	{NAME_UTF8_SUFFIXED, "", "requests", "", METRIC_COUNTER, "requests_total"},
	{NAME_UTF8_SUFFIXED, "", "requests_total", "", METRIC_COUNTER, "requests_total"},
	{NAME_UTF8_SUFFIXED, "", "cpu_seconds_total", "s", METRIC_COUNTER, "cpu_seconds_total"},
	{NAME_UTF8_SUFFIXED, "", "http.server.duration", "ms", METRIC_HISTOGRAM,
         "http.server.duration_milliseconds"},
	{NAME_UTF8_SUFFIXED, "", "load", "1", METRIC_GAUGE, "load_ratio"},
	{NAME_UTF8_SUFFIXED, "test@namespace", "metric", "", METRIC_COUNTER,
         "test@namespace_metric_total"},
	{NAME_UTF8, "", "http.server.duration", "ms", METRIC_COUNTER, "http.server.duration"},
	{NAME_UTF8, "", "bad\xff", "", METRIC_GAUGE, "bad\xef\xbf\xbd"},
};

static void metrics_are_named_as_the_specification_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *r = &rows[i];
		struct buffer out = BUFFER_INIT;

		buffer_append_string(&out, "9"); /* what stands before does not matter */
		name_metric(&out, r->strategy, slice_from_string(r->ns), slice_from_string(r->name),
		            slice_from_string(r->unit), r->type);
		assert_string_equal(buffer_string(&out) + 1, r->wanted);
		buffer_fini(&out);
	}
}

static void labels_are_named_as_the_specification_says(void **state)
{
	static const struct {
		enum name_strategy strategy;
		const char *key, *wanted;
	} labels[] = {
		{NAME_ESCAPED_SUFFIXED, "http.method", "http_method"},
		{NAME_ESCAPED_SUFFIXED, "label:with:colons", "label_with_colons"},
		{NAME_ESCAPED_SUFFIXED, "LabelWithCapitals", "LabelWithCapitals"},
		{NAME_ESCAPED_SUFFIXED, "many...dots", "many_dots"},
		{NAME_ESCAPED_SUFFIXED, "special$chars)", "special_chars_"},
		{NAME_ESCAPED, "123label", "key_123label"},
		{NAME_ESCAPED, "_private", "_private"},
		{NAME_ESCAPED, "__name__", "_name_"},
		{NAME_ESCAPED, "\xe5\xad\x97", "_"},
		{NAME_ESCAPED, "", ""},
		{NAME_UTF8, "http.method", "http.method"},
		{NAME_UTF8_SUFFIXED, "\xe5\xad\x97", "\xe5\xad\x97"},
		{NAME_UTF8, "__name__", "key__name__"},
		{NAME_UTF8, "\xff", "\xef\xbf\xbd"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
		struct buffer out = BUFFER_INIT;

		name_label(&out, labels[i].strategy, slice_from_string(labels[i].key));
		assert_string_equal(buffer_string(&out), labels[i].wanted);
		buffer_fini(&out);
	}
}

static void units_become_words(void **state)
{
	static const char *const units[][2] = {
		/* all words that the specification has */
		{"d", "days"},
		{"h", "hours"},
		{"min", "minutes"},
		{"s", "seconds"},
		{"ms", "milliseconds"},
		{"us", "microseconds"},
		{"ns", "nanoseconds"},
		{"By", "bytes"},
		{"KiBy", "kibibytes"},
		{"MiBy", "mebibytes"},
		{"GiBy", "gibibytes"},
		{"TiBy", "tebibytes"},
		{"kBy", "kilobytes"},
		{"MBy", "megabytes"},
		{"GBy", "gigabytes"},
		{"TBy", "terabytes"},
		{"m", "meters"},
		{"V", "volts"},
		{"A", "amperes"},
		{"J", "joules"},
		{"W", "watts"},
		{"g", "grams"},
		{"Cel", "celsius"},
		{"Hz", "hertz"},
		{"%", "percent"},
		{"1/s", "per_second"},
		{"1/m", "per_minute"},
		{"1/h", "per_hour"},
		{"1/d", "per_day"},
		{"1/w", "per_week"},
		{"1/mo", "per_month"},
		{"1/y", "per_year"},
		/* and what is none */
		{"By/s", "bytes_per_second"},
		{"1", ""},
		{"{packets}", ""},
		{"", ""},
		{"/", ""},
		{"KiBy/{x}", "kibibytes"},
		{"{a}/s", "per_second"},
		{"my unit", "my_unit"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		struct buffer out = BUFFER_INIT;

		name_unit(&out, NAME_ESCAPED, slice_from_string(units[i][0]));
		assert_string_equal(buffer_string(&out), units[i][1]);
		buffer_fini(&out);
	}
}

static void any_bytes_give_a_valid_name(void **state)
{
	uint64_t seed = 42;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct buffer metric = BUFFER_INIT, label = BUFFER_INIT;
		uint8_t bytes[3][12];
		struct slice parts[3];

		for (int i = 0; i < 3; i++) {
			for (size_t j = 0; j < sizeof bytes[i]; j++) {
				seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
				bytes[i][j] = "9a_: /{}\xff.1totalratio"[(seed >> 33) % 20];
			}
			parts[i] = slice_of(bytes[i], (seed >> 20) % sizeof bytes[i]);
		}
		for (int strategy = NAME_ESCAPED_SUFFIXED; strategy <= NAME_ESCAPED; strategy++) {
			buffer_clear(&metric);
			name_metric(&metric, (enum name_strategy)strategy, parts[0], parts[1],
			            parts[2], round % 2 ? METRIC_COUNTER : METRIC_GAUGE);
			if (metric.len)
				assert_true(name_is_legacy_metric(buffer_slice(&metric)));
		}
		name_label(&label, NAME_ESCAPED, parts[1]);
		assert_true(!parts[1].len == !label.len);
		if (label.len)
			assert_true(name_is_legacy_label(buffer_slice(&label)));
		assert_false(label.len >= 2 && memcmp(label.data, "__", 2) == 0);
		buffer_fini(&metric);
		buffer_fini(&label);
	}
}

static void numbers_are_short_and_exact(void **state)
{
	static const struct {
		double value;
		const char *wanted;
	} numbers[] = {
		{0.005, "0.005"},
		{1, "1"},
		{10000000, "10000000"},
		{-2.5, "-2.5"},
		{0, "0"},
		{-0.0, "-0"},
		{INFINITY, "+Inf"},
		{-INFINITY, "-Inf"},
		{NAN, "NaN"},
		{1e300, "1e+300"},
		{0.1 + 0.2, "0.30000000000000004"},
		{1e16, "10000000000000000"},
		{5e-324, "4.94065645841247e-324"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		struct buffer out = BUFFER_INIT;

		number_append(&out, numbers[i].value);
		assert_string_equal(buffer_string(&out), numbers[i].wanted);
		buffer_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metrics_are_named_as_the_specification_says),
		cmocka_unit_test(labels_are_named_as_the_specification_says),
		cmocka_unit_test(units_become_words),
		cmocka_unit_test(any_bytes_give_a_valid_name),
		cmocka_unit_test(numbers_are_short_and_exact),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
