/* slice: bytes that somebody else owns, with their length. Not NUL-terminated, may hold any
 * byte. */
#ifndef WEIR_BASE_SLICE_H
#define WEIR_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const uint8_t *data;
	size_t len;
};

#define SLICE_LITERAL(s) ((struct slice){(const uint8_t *)(s), sizeof(s) - 1})

/* For printf: printf("%.*s", SLICE_PRINTF(s)). Only for bytes known to be text. */
#define SLICE_PRINTF(s) (int)(s).len, (const char *)(s).data

static inline struct slice slice_of(const void *data, size_t len)
{
	return (struct slice){(const uint8_t *)data, len};
}

static inline struct slice slice_from_string(const char *s)
{
	return slice_of(s, s ? strlen(s) : 0);
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Order of bytes, a shorter prefix first. Returns <0, 0, >0 as memcmp. */
static inline int slice_compare(struct slice a, struct slice b)
{
	size_t shared = a.len < b.len ? a.len : b.len;
	int r = shared ? memcmp(a.data, b.data, shared) : 0;
	return r ? r : (a.len > b.len) - (a.len < b.len);
}

#endif
