/* debug_text: values of OTLP as text for people. What came over the network may hold anything:
 * bytes that would move the cursor, change colours or the direction of writing are shown as \x.. */
#ifndef WEIR_EXPORTERS_DEBUG_TEXT_H
#define WEIR_EXPORTERS_DEBUG_TEXT_H

#include "core/base/buffer.h"
#include "core/wire/otlp.pb-c.h"

enum { TEXT_SHORT = 60 }; /* characters of a value in the short view; longer ones end in "…" */

static inline struct slice text_slice(ProtobufCBinaryData b)
{
	return slice_of(b.data, b.len);
}

/* At most max characters of it, escaped; 0: all. */
void text_escaped(struct buffer *out, struct slice text, size_t max);

/* Columns that text (escaped, UTF-8) takes on a terminal; one for each character. */
size_t text_width(struct slice text);
void text_spaces(struct buffer *out, size_t n);

/* text, and spaces up to the width; on its right or left end. */
void text_left(struct buffer *out, struct slice text, size_t width);
void text_right(struct buffer *out, struct slice text, size_t width);

/* A value; strings in quotes only where they would be misread. max as above. NULL: "-". */
void text_value(struct buffer *out, const Otlp__AnyValue *value, size_t max);

/* A number in a UCUM unit, for people: "1.2ms", "4.9 KiB", "12.3k", "40 %". */
void text_quantity(struct buffer *out, double value, struct slice unit);

/* The part of a key that tells enough: "http.route" -> "route", "k8s.pod.name" -> "pod.name". */
struct slice text_short_key(struct slice key);

/* key=value of each on one line, with short keys and "server=10.0.0.1:80" for an address and its
 * port. Values equal to skip are left out. */
void text_attributes(struct buffer *out, Otlp__KeyValue *const *attributes, size_t n,
                     struct slice skip);

void text_hex(struct buffer *out, struct slice bytes);

/* Local time of day "11:02:05.123", and the moment "2026-11-20 11:02:05.123456789 UTC". 0: "-". */
void text_time_of_day(struct buffer *out, uint64_t unix_ns);
void text_moment(struct buffer *out, uint64_t unix_ns);

#endif
