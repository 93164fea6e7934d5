#include "core/wire/json_values.h"

#include <math.h>
#include <stdlib.h>

/* Beyond this an exponent makes any mantissa 0, infinite or no integer; kept small, so that sums of
 * it cannot overflow. */
enum { EXPONENT_LIMIT = 100000000 };

static bool is_digit(const uint8_t *at, const uint8_t *end)
{
	return at < end && *at >= '0' && *at <= '9';
}

static bool append_digit(uint64_t *value, unsigned digit)
{
	return !__builtin_mul_overflow(*value, 10, value) &&
	       !__builtin_add_overflow(*value, digit, value);
}

/* Digits of the mantissa. Zeros wait until another digit follows them. */
static const uint8_t *read_digits(struct json_number *n, int *zeros, const uint8_t *at,
                                  const uint8_t *end)
{
	for (; is_digit(at, end); at++) {
		if (*at == '0') {
			if (*zeros < EXPONENT_LIMIT)
				++*zeros;
			continue;
		}
		if (n->mantissa == 0)
			*zeros = 0;
		for (; *zeros > 0 && n->exact; --*zeros)
			n->exact = append_digit(&n->mantissa, 0);
		n->exact = n->exact && append_digit(&n->mantissa, *at - '0');
	}
	return at;
}

static const uint8_t *read_exponent(int *exponent, const uint8_t *at, const uint8_t *end)
{
	bool negative = false;
	int value = 0;

	if (at < end && (*at == '-' || *at == '+'))
		negative = *at++ == '-';
	if (!is_digit(at, end))
		return NULL;
	for (; is_digit(at, end); at++)
		if (value < EXPONENT_LIMIT)
			value = value * 10 + (*at - '0');
	*exponent += negative ? -value : value;
	return at;
}

bool json_number_read(struct slice text, struct json_number *ret)
{
	struct json_number n = {.exact = true, .text = text};
	const uint8_t *at = text.data, *end, *point;
	int zeros = 0;

	if (text.len == 0)
		return false;
	end = at + text.len;
	if (*at == '-') {
		n.negative = true;
		at++;
	}
	if (!is_digit(at, end))
		return false;
	at = read_digits(&n, &zeros, at, end);
	if (at < end && *at == '.') {
		point = ++at;
		at = read_digits(&n, &zeros, at, end);
		if (at == point)
			return false;
		n.exponent = at - point < EXPONENT_LIMIT ? -(int)(at - point) : -EXPONENT_LIMIT;
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		at = read_exponent(&n.exponent, at + 1, end);
		if (!at)
			return false;
	}
	n.exponent = n.mantissa ? n.exponent + zeros : 0;
	*ret = n;
	return at == end;
}

enum json_fit json_number_integer(const struct json_number *n, unsigned bits, bool is_signed,
                                  uint64_t *ret)
{
	uint64_t value = n->mantissa, limit = UINT64_MAX >> (64 - bits);

	if (n->exact && n->exponent < 0)
		return JSON_NOT_INTEGER;
	if (!n->exact)
		return n->exponent < 0 ? JSON_NOT_INTEGER : JSON_OUT_OF_RANGE;
	for (int i = 0; i < n->exponent; i++)
		if (!append_digit(&value, 0))
			return JSON_OUT_OF_RANGE;
	if (is_signed)
		limit = (limit >> 1) + n->negative;
	else if (n->negative)
		limit = 0;
	if (value > limit)
		return JSON_OUT_OF_RANGE;
	*ret = n->negative ? -value : value;
	return JSON_FITS;
}

bool json_number_double(const struct json_number *n, char *room, double *ret)
{
	char text[JSON_NUMBER_TEXT];
	double value;

	if (n->exact && n->exponent == 0 && n->mantissa < UINT64_C(1) << 53) {
		value = (double)n->mantissa;
		*ret = n->negative ? -value : value;
		return true;
	}
	if (!room)
		room = text;
	memcpy(room, n->text.data, n->text.len);
	room[n->text.len] = '\0';
	value = strtod(room, NULL);
	if (isinf(value))
		return false;
	*ret = value;
	return true;
}

/* ---- strings */

static uint32_t hex4(const uint8_t *p)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++) {
		uint8_t c = p[i];
		value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return value;
}

static size_t put_character(uint32_t c, uint8_t *ret)
{
	if (c < 0x80) {
		ret[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		ret[0] = (uint8_t)(0xc0 | c >> 6);
		ret[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		ret[0] = (uint8_t)(0xe0 | c >> 12);
		ret[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		ret[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	ret[0] = (uint8_t)(0xf0 | c >> 18);
	ret[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	ret[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	ret[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

/* The character whose four digits stand at at. Returns the byte behind it, and behind the other half
 * of a pair. */
static const uint8_t *read_unicode(const uint8_t *at, const uint8_t *end, uint32_t *ret)
{
	uint32_t c = hex4(at), low;

	at += 4;
	if (c >= 0xd800 && c < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
		low = hex4(at + 2);
		if (low >= 0xdc00 && low < 0xe000) {
			*ret = 0x10000 + ((c & 0x3ff) << 10 | (low & 0x3ff));
			return at + 6;
		}
	}
	*ret = c >= 0xd800 && c < 0xe000 ? 0xfffd : c;
	return at;
}

size_t json_string_read(struct slice text, uint8_t *ret)
{
	static const char escapes[] = "b\bf\fn\nr\rt\t";
	const uint8_t *at = text.data, *end = at + text.len;
	uint8_t *to = ret;

	while (at < end) {
		const uint8_t *escape = memchr(at, '\\', (size_t)(end - at));
		size_t plain = (size_t)((escape ? escape : end) - at);
		uint32_t c;

		memcpy(to, at, plain);
		to += plain;
		at += plain;
		if (!escape || end - at < 2)
			break;
		c = at[1];
		at += 2;
		if (c == 'u') {
			if (end - at < 4)
				break;
			at = read_unicode(at, end, &c);
		} else
			for (const char *e = escapes; *e; e += 2)
				if ((uint32_t)e[0] == c) {
					c = (uint8_t)e[1];
					break;
				}
		to += put_character(c, to);
	}
	return (size_t)(to - ret);
}
