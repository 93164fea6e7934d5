/* What a scalar means, as YAML 1.2's core schema and Go's yaml.v3 (which the Collector uses) have
 * it: null, true, 12, 0x1f, 0o17, 0123 (octal), 1_000, 1.5, .inf; all else is a string. */
#include "config/yaml.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { NUMBER_MAX = 64 }; /* a longer scalar is no number */

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return false;
}

static const char *const null_words[] = {"", "~", "null", "Null", "NULL", NULL};
static const char *const true_words[] = {"true", "True", "TRUE", NULL};
static const char *const false_words[] = {"false", "False", "FALSE", NULL};
static const char *const nan_words[] = {".nan", ".NaN", ".NAN", NULL};
static const char *const infinity_words[] = {".inf", ".Inf", ".INF", NULL};

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

/* Splits sign and base off. Returns the digits, or NULL when they do not make an integer. */
static const char *integer_digits(const char *text, bool *ret_negative, unsigned *ret_base)
{
	const char *digits;
	bool any = false;

	*ret_negative = *text == '-';
	if (*text == '-' || *text == '+')
		text++;
	*ret_base = 10;
	digits = text;
	if (text[0] == '0' && text[1]) {
		char c = text[1];
		*ret_base = c == 'x' || c == 'X' ? 16 : c == 'b' || c == 'B' ? 2 : 8;
		digits = text + (c == 'o' || c == 'O' || *ret_base != 8 ? 2 : 1);
	}
	for (const char *p = digits; *p; p++) {
		if (*p == '_')
			continue;
		if (digit_value(*p) >= (int)*ret_base)
			return NULL;
		any = true;
	}
	return any && *digits != '_' ? digits : NULL;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_float(const char *p)
{
	size_t whole, fraction = 0;

	p += *p == '-' || *p == '+';
	whole = strspn(p, "0123456789");
	p += whole;
	if (*p == '.') {
		fraction = strspn(++p, "0123456789");
		p += fraction;
	}
	if (!whole && !fraction)
		return false;
	if (*p == 'e' || *p == 'E') {
		size_t digits;
		p++;
		p += *p == '-' || *p == '+';
		digits = strspn(p, "0123456789");
		if (!digits)
			return false;
		p += digits;
	}
	return *p == '\0';
}

void node_resolve_plain(struct node *n)
{
	const char *text = n->text;
	bool negative, is_signed = *text == '-' || *text == '+';
	unsigned base;

	if (is_one_of(text, null_words)) {
		n->kind = NODE_NULL;
		n->text = "";
	} else if (is_one_of(text, true_words) || is_one_of(text, false_words)) {
		n->type = SCALAR_BOOL;
	} else if (strlen(text) > NUMBER_MAX) {
		n->type = SCALAR_STRING;
	} else if (integer_digits(text, &negative, &base)) {
		n->type = SCALAR_INT;
	} else if (is_float(text) || is_one_of(text, nan_words) ||
	           is_one_of(text + is_signed, infinity_words)) {
		n->type = SCALAR_FLOAT;
	}
}

const struct node *node_get(const struct node *map, const char *key)
{
	if (!map || map->kind != NODE_MAP)
		return NULL;
	for (size_t i = 0; i < map->count; i++)
		if (strcmp(map->entries[i].key, key) == 0)
			return map->entries[i].value;
	return NULL;
}

const char *node_type_name(const struct node *n)
{
	static const char *const kinds[] = {"null", "string", "list", "map"};
	static const char *const types[] = {"string", "bool", "int", "float"};

	return n->kind == NODE_SCALAR ? types[n->type] : kinds[n->kind];
}

int node_int(const struct node *n, bool *ret_negative, uint64_t *ret_magnitude)
{
	unsigned base;
	bool negative;
	uint64_t value = 0;
	const char *digits = integer_digits(n->text, &negative, &base);

	if (!digits)
		return -EINVAL;
	for (; *digits; digits++) {
		if (*digits == '_')
			continue;
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit_value(*digits), &value))
			return -ERANGE;
	}
	*ret_negative = negative && value;
	*ret_magnitude = value;
	return 0;
}

bool node_bool(const struct node *n)
{
	return is_one_of(n->text, true_words);
}

double node_float(const struct node *n)
{
	bool negative, is_signed = *n->text == '-' || *n->text == '+';
	uint64_t magnitude;

	if (n->type == SCALAR_INT && node_int(n, &negative, &magnitude) == 0)
		return negative ? -(double)magnitude : (double)magnitude;
	if (is_one_of(n->text, nan_words))
		return NAN;
	if (is_one_of(n->text + is_signed, infinity_words))
		return *n->text == '-' ? -INFINITY : INFINITY;
	return strtod(n->text, NULL);
}
