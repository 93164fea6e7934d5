#include "core/base/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buffer_fini(struct buffer *b)
{
	if (!b)
		return;
	free(b->data);
	*b = (struct buffer)BUFFER_INIT;
}

void buffer_clear(struct buffer *b)
{
	b->len = 0;
	b->failed = false;
}

uint8_t *buffer_grow(struct buffer *b, size_t extra)
{
	size_t capacity = b->capacity ? b->capacity : 256;
	uint8_t *data;

	if (b->failed)
		return NULL;
	if (extra > SIZE_MAX / 2 - b->len) {
		b->failed = true;
		return NULL;
	}
	while (capacity - b->len < extra)
		capacity *= 2;
	data = realloc(b->data, capacity);
	if (!data) {
		b->failed = true;
		return NULL;
	}
	b->data = data;
	b->capacity = capacity;
	return data + b->len;
}

void buffer_append(struct buffer *b, const void *data, size_t len)
{
	uint8_t *p = buffer_reserve(b, len);
	if (!p || !len)
		return;
	memcpy(p, data, len);
	b->len += len;
}

void buffer_append_slice(struct buffer *b, struct slice s)
{
	buffer_append(b, s.data, s.len);
}

void buffer_append_string(struct buffer *b, const char *s)
{
	buffer_append(b, s, strlen(s));
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
	va_list args;
	uint8_t *p;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0 || !(p = buffer_reserve(b, (size_t)n + 1)))
		return;
	va_start(args, format);
	vsnprintf((char *)p, (size_t)n + 1, format, args);
	va_end(args);
	b->len += (size_t)n;
}

void buffer_consume(struct buffer *b, size_t n)
{
	assert(n <= b->len);
	if (n && n < b->len)
		memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}

const char *buffer_string(struct buffer *b)
{
	uint8_t *p = buffer_reserve(b, 1);
	if (!p)
		return NULL;
	*p = '\0';
	return (const char *)b->data;
}
