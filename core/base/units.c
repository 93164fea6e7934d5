#include "core/base/units.h"

#include <errno.h>
#include <math.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* Longer names before their prefixes. */
static const struct unit duration_units[] = {
	{"ns", 1},
	{"us", 1000},
	{"\xc2\xb5s", 1000},
	{"\xce\xbcs", 1000},
	{"ms", 1000000},
	{"s", 1000000000},
	{"m", UINT64_C(60000000000)},
	{"h", UINT64_C(3600000000000)},
	{NULL, 0},
};

static const struct unit size_units[] = {
	{"KiB", UINT64_C(1) << 10},
	{"MiB", UINT64_C(1) << 20},
	{"GiB", UINT64_C(1) << 30},
	{"TiB", UINT64_C(1) << 40},
	{"kB", 1000},
	{"MB", 1000000},
	{"GB", 1000000000},
	{"TB", UINT64_C(1000000000000)},
	{"B", 1},
	{NULL, 0},
};

static const struct unit *unit_at(const struct unit *units, const uint8_t *p, const uint8_t *end)
{
	for (const struct unit *u = units; u->name; u++) {
		size_t n = strlen(u->name);
		if ((size_t)(end - p) >= n && memcmp(p, u->name, n) == 0)
			return u;
	}
	return NULL;
}

static bool is_digit(const uint8_t *p, const uint8_t *end)
{
	return p < end && *p >= '0' && *p <= '9';
}

int duration_parse(struct slice text, int64_t *ret_ns)
{
	const uint8_t *p = text.data, *end;
	bool negative = false;
	uint64_t total = 0;

	if (!text.len)
		return -EINVAL;
	end = p + text.len;
	if (p < end && (*p == '-' || *p == '+'))
		negative = *p++ == '-';
	if (end - p == 1 && *p == '0') {
		*ret_ns = 0;
		return 0;
	}
	if (p == end)
		return -EINVAL;
	while (p < end) {
		uint64_t whole = 0, product, added;
		double fraction = 0, place = 1;
		bool digits = false;
		const struct unit *u;

		for (; is_digit(p, end); p++, digits = true)
			if (__builtin_mul_overflow(whole, 10, &whole) ||
			    __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole))
				return -ERANGE;
		if (p < end && *p == '.')
			for (p++; is_digit(p, end); p++, digits = true)
				fraction += (*p - '0') * (place /= 10);
		if (!digits || !(u = unit_at(duration_units, p, end)))
			return -EINVAL;
		p += strlen(u->name);
		if (__builtin_mul_overflow(whole, u->factor, &product) ||
		    __builtin_add_overflow(product, (uint64_t)(fraction * (double)u->factor + 0.5),
		                           &added) ||
		    __builtin_add_overflow(total, added, &total) ||
		    total > (uint64_t)INT64_MAX + negative)
			return -ERANGE;
	}
	*ret_ns = negative ? (int64_t)(0 - total) : (int64_t)total;
	return 0;
}

/* value / factor as a decimal without trailing zeros. */
static void format_fraction(struct buffer *out, uint64_t value, uint64_t factor)
{
	uint64_t rest = value % factor;

	buffer_printf(out, "%llu", (unsigned long long)(value / factor));
	if (!rest)
		return;
	buffer_append_byte(out, '.');
	while (rest) {
		rest *= 10;
		buffer_append_byte(out, (uint8_t)('0' + rest / factor));
		rest %= factor;
	}
}

void duration_format(struct buffer *out, int64_t ns)
{
	uint64_t v = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;

	if (ns < 0)
		buffer_append_byte(out, '-');
	if (v == 0) {
		buffer_append_string(out, "0s");
	} else if (v < 1000) {
		buffer_printf(out, "%lluns", (unsigned long long)v);
	} else if (v < 1000000) {
		format_fraction(out, v, 1000);
		buffer_append_string(out, "us");
	} else if (v < 1000000000) {
		format_fraction(out, v, 1000000);
		buffer_append_string(out, "ms");
	} else {
		uint64_t minutes = v / UINT64_C(60000000000);
		if (minutes >= 60)
			buffer_printf(out, "%lluh", (unsigned long long)(minutes / 60));
		if (minutes)
			buffer_printf(out, "%llum", (unsigned long long)(minutes % 60));
		format_fraction(out, v % UINT64_C(60000000000), 1000000000);
		buffer_append_byte(out, 's');
	}
}

/* Three significant digits. */
static void format_significant(struct buffer *out, double v)
{
	double a = fabs(v);
	buffer_printf(out, a >= 99.95 ? "%.0f" : a >= 9.995 ? "%.1f" : "%.2f", v);
}

void duration_format_short(struct buffer *out, double seconds)
{
	const char *sign = seconds < 0 ? "-" : "";
	double a = fabs(seconds);

	if (a == 0) {
		buffer_append_string(out, "0s");
	} else if (!isfinite(a)) {
		buffer_printf(out, "%fs", seconds);
	} else if (a < 999.5e-9) {
		buffer_printf(out, "%.0fns", seconds * 1e9);
	} else if (a < 999.5e-6) {
		format_significant(out, seconds * 1e6);
		buffer_append_string(out, "us");
	} else if (a < 999.5e-3) {
		format_significant(out, seconds * 1e3);
		buffer_append_string(out, "ms");
	} else if (a < 59.95) {
		format_significant(out, seconds);
		buffer_append_byte(out, 's');
	} else if (a = round(a), a < 3600) {
		buffer_printf(out, "%s%dm%02ds", sign, (int)(a / 60), (int)fmod(a, 60));
	} else {
		buffer_printf(out, "%s%.0fh%02dm", sign, floor(a / 3600), (int)fmod(a / 60, 60));
	}
}

int size_parse(struct slice text, uint64_t *ret_bytes)
{
	const uint8_t *p = text.data, *end;
	const struct unit *u;
	uint64_t value = 0;

	if (!text.len || !is_digit(p, end = p + text.len))
		return -EINVAL;
	for (; is_digit(p, end); p++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return -ERANGE;
	if (p < end) {
		u = unit_at(size_units, p, end);
		if (!u || p + strlen(u->name) != end)
			return -EINVAL;
		if (__builtin_mul_overflow(value, u->factor, &value))
			return -ERANGE;
	}
	*ret_bytes = value;
	return 0;
}

void size_format_short(struct buffer *out, double bytes)
{
	static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	size_t i = 0;

	while (fabs(bytes) >= 999.5 && i + 1 < sizeof names / sizeof *names) {
		bytes /= 1024;
		i++;
	}
	if (i == 0)
		buffer_printf(out, "%.0f", bytes);
	else
		format_significant(out, bytes);
	buffer_printf(out, " %s", names[i]);
}

void count_format_short(struct buffer *out, double count)
{
	static const char *const names[] = {"", "k", "M", "G", "T"};
	size_t i = 0;

	while (fabs(count) >= 999.5 && i + 1 < sizeof names / sizeof *names) {
		count /= 1000;
		i++;
	}
	if (i == 0)
		buffer_printf(out, count == floor(count) ? "%.0f" : "%.2f", count);
	else
		format_significant(out, count);
	buffer_append_string(out, names[i]);
}
