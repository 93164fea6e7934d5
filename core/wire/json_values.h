/* json_values: the texts of JSON's numbers and strings (RFC 8259) as values. Sans-I/O. */
#ifndef WEIR_WIRE_JSON_VALUES_H
#define WEIR_WIRE_JSON_VALUES_H

#include "core/base/slice.h"

/* mantissa * 10^exponent. The mantissa has no trailing zeros, so what is an integer of 64 bits is
 * recognised in whatever form it comes: 1500, 1.5e3, 15000e-1. */
struct json_number {
	bool negative;
	bool exact; /* mantissa and exponent hold all of it */
	uint64_t mantissa;
	int exponent;
	struct slice text;
};

/* Reads all of text as a number, which may begin with zeros as well. False: it is none. */
bool json_number_read(struct slice text, struct json_number *ret);

/* As an integer of that many bits, 32 or 64, in two's complement when it is_signed. */
enum json_fit { JSON_FITS, JSON_NOT_INTEGER, JSON_OUT_OF_RANGE };
enum json_fit json_number_integer(const struct json_number *n, unsigned bits, bool is_signed,
                                  uint64_t *ret);

/* As the nearest double. room is for at least text.len + 1 bytes, NULL when JSON_NUMBER_TEXT are
 * enough. False: it is beyond what a double can hold. */
enum { JSON_NUMBER_TEXT = 64 };
bool json_number_double(const struct json_number *n, char *room, double *ret);

/* What stands between a string's quotes, whose escapes are known to be well-formed, to ret, which has
 * room for text.len bytes. A surrogate without its other half becomes U+FFFD. Returns its length. */
size_t json_string_read(struct slice text, uint8_t *ret);

#endif
