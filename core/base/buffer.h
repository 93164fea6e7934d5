/* buffer: bytes that grow at the end. Owns its memory, not charged to any budget.
 *
 * Failure sticks: after an allocation failed, appends do nothing and .failed stays true until
 * buffer_clear(), so a run of appends is checked once. */
#ifndef WEIR_BASE_BUFFER_H
#define WEIR_BASE_BUFFER_H

#include "core/base/slice.h"

struct buffer {
	uint8_t *data;
	size_t len, capacity;
	bool failed;
};

#define BUFFER_INIT                                                                                \
	{                                                                                          \
		0                                                                                  \
	}

void buffer_fini(struct buffer *b);

/* Empties it and forgets a failure; keeps the memory. */
void buffer_clear(struct buffer *b);

uint8_t *buffer_grow(struct buffer *b, size_t extra); /* the slow way of buffer_reserve() */

/* Room for extra more bytes after len. Returns where to write them, or NULL. The caller then adds
 * to len. */
static inline uint8_t *buffer_reserve(struct buffer *b, size_t extra)
{
	if (b->data && !b->failed && extra <= b->capacity - b->len)
		return b->data + b->len;
	return buffer_grow(b, extra);
}

void buffer_append(struct buffer *b, const void *data, size_t len);
void buffer_append_slice(struct buffer *b, struct slice s);
void buffer_append_string(struct buffer *b, const char *s);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void buffer_append_byte(struct buffer *b, uint8_t byte)
{
	uint8_t *to = buffer_reserve(b, 1);

	if (to) {
		*to = byte;
		b->len++;
	}
}

/* Drops the first n bytes, n <= len. */
void buffer_consume(struct buffer *b, size_t n);

static inline struct slice buffer_slice(const struct buffer *b)
{
	return slice_of(b->data, b->len);
}

/* The contents as a NUL-terminated string owned by the buffer, or NULL after a failure. */
const char *buffer_string(struct buffer *b);

#endif
