#include "core/net/http_fields.h"

#include <stdlib.h>

enum { FIELD_OVERHEAD = 32 };

struct record {
	size_t name_len, value_len;
};

void http_fields_fini(struct http_fields *f)
{
	buffer_fini(&f->records);
	*f = (struct http_fields){0};
}

void http_fields_begin(struct http_fields *f)
{
	static const struct record empty;

	f->last = f->records.len;
	f->n++;
	f->size += FIELD_OVERHEAD;
	buffer_append(&f->records, &empty, sizeof empty);
}

/* Records lie at any address. */
static struct record record_at(const struct http_fields *f, size_t at)
{
	struct record r;

	memcpy(&r, f->records.data + at, sizeof r);
	return r;
}

static void lengthen_last(struct http_fields *f, size_t name, size_t value)
{
	struct record r;

	f->size += name + value;
	if (f->records.failed)
		return;
	r = record_at(f, f->last);
	r.name_len += name;
	r.value_len += value;
	memcpy(f->records.data + f->last, &r, sizeof r);
}

void http_fields_add_name(struct http_fields *f, struct slice piece)
{
	uint8_t *to = buffer_reserve(&f->records, piece.len);

	if (to) {
		for (size_t i = 0; i < piece.len; i++) {
			uint8_t c = piece.data[i];
			to[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
		}
		f->records.len += piece.len;
	}
	lengthen_last(f, piece.len, 0);
}

void http_fields_add_value(struct http_fields *f, struct slice piece)
{
	buffer_append_slice(&f->records, piece);
	lengthen_last(f, 0, piece.len);
}

void http_fields_add(struct http_fields *f, struct slice name, struct slice value)
{
	http_fields_begin(f);
	http_fields_add_name(f, name);
	http_fields_add_value(f, value);
}

static struct slice trimmed(struct slice s)
{
	while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
		s.data++;
		s.len--;
	}
	while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

void *http_fields_pack(const struct http_fields *f, size_t front, struct http_header **ret_headers)
{
	size_t aligned = (front + 7) & ~(size_t)7, at = 0;
	size_t table = f->n * sizeof(struct http_header);
	struct http_header *headers;
	uint8_t *block, *bytes;

	if (f->records.failed)
		return NULL;
	block = malloc(aligned + table + f->records.len);
	if (!block)
		return NULL;
	memset(block, 0, aligned);
	headers = (struct http_header *)(void *)(block + aligned);
	bytes = block + aligned + table;
	for (size_t i = 0; i < f->n; i++) {
		struct record r = record_at(f, at);

		at += sizeof r;
		memcpy(bytes, f->records.data + at, r.name_len + r.value_len);
		headers[i] = (struct http_header){.name = slice_of(bytes, r.name_len),
		                                  .value = trimmed(slice_of(bytes + r.name_len,
		                                                            r.value_len))};
		bytes += r.name_len + r.value_len;
		at += r.name_len + r.value_len;
	}
	*ret_headers = headers;
	return block;
}
