/* units: text for durations, sizes and counts, both ways. */
#ifndef WEIR_BASE_UNITS_H
#define WEIR_BASE_UNITS_H

#include "core/base/buffer.h"

#include <stdint.h>

/* Go's time.ParseDuration: one or more number+unit, units ns us µs ms s m h, fractions, a leading
 * sign; "0" alone. Returns 0, -EINVAL (not a duration) or -ERANGE (does not fit in int64
 * nanoseconds). */
int duration_parse(struct slice text, int64_t *ret_ns);

/* The shortest Go form: "1h30m0s", "1.5s", "200ms", "0s". What duration_parse() reads back to the
 * same value. */
void duration_format(struct buffer *out, int64_t ns);

/* For people: three significant digits and one unit: "1.2ms", "340ns", "2m13s". */
void duration_format_short(struct buffer *out, double seconds);

/* Bytes: a whole number with an optional unit B KiB MiB GiB TiB kB MB GB TB. Returns 0, -EINVAL or
 * -ERANGE. */
int size_parse(struct slice text, uint64_t *ret_bytes);

/* For people: "512 B", "1.2 KiB", "3.4 GiB". */
void size_format_short(struct buffer *out, double bytes);

/* For people: "950", "12.3k", "4.56M". */
void count_format_short(struct buffer *out, double count);

#endif
