/* A message's length stands before it and is known after it: one byte is kept free for it, which is
 * enough below 128 bytes; larger messages move up by what is missing. */
#include "core/prometheus/remote_write.h"

#include <errno.h>
#include <stdlib.h>

struct remote_write_place {
	uint32_t stamp, index;
};

enum {
	VARINT_LARGEST = 10,
	LENGTH_LARGEST = 5,
	/* Tag, length; value; timestamp; start timestamp. */
	SAMPLE_LARGEST = 1 + LENGTH_LARGEST + 9 + 2 * (1 + VARINT_LARGEST),
	METADATA_LARGEST = 32,
	/* All of a histogram but its spans, deltas and custom values. */
	HISTOGRAM_REST = 160,
	/* What one TimeSeries takes at most. */
	RUN_SAMPLES = 1000,
	RUN_HISTOGRAMS = 100,
};

/* ---- protobuf, written where there is room */

#define TAG(number, type) (uint8_t)((number) << 3 | (type))
#define VARINT(number) TAG(number, 0)
#define FIXED64(number) TAG(number, 1)
#define BYTES(number) TAG(number, 2)

static inline uint8_t *put_varint(uint8_t *at, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*at++ = (uint8_t)(value | 0x80);
	*at++ = (uint8_t)value;
	return at;
}

static inline uint8_t *put_number(uint8_t *at, uint8_t tag, uint64_t value)
{
	if (value == 0)
		return at;
	*at++ = tag;
	return put_varint(at, value);
}

static inline uint64_t zigzag(int64_t value)
{
	return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline uint8_t *put_bits(uint8_t *at, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof bits);
	for (int i = 0; i < 8; i++)
		*at++ = (uint8_t)(bits >> 8 * i);
	return at;
}

/* Left out only when it is +0, whose bits are none. */
static inline uint8_t *put_double(uint8_t *at, uint8_t tag, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof bits);
	if (bits == 0)
		return at;
	*at++ = tag;
	return put_bits(at, value);
}

static inline uint8_t *put_text(uint8_t *at, uint8_t tag, struct slice text)
{
	*at++ = tag;
	at = put_varint(at, text.len);
	if (text.len)
		memcpy(at, text.data, text.len);
	return at + text.len;
}

/* start is the byte that was kept for the length; at, behind the message, has room for four more. */
static inline uint8_t *close_message(uint8_t *start, uint8_t *at)
{
	size_t len = (size_t)(at - start) - 1;
	uint8_t length[VARINT_LARGEST];
	size_t extra;

	if (len < 0x80) {
		*start = (uint8_t)len;
		return at;
	}
	extra = (size_t)(put_varint(length, len) - length) - 1;
	memmove(start + 1 + extra, start + 1, len);
	memcpy(start, length, extra + 1);
	return at + extra;
}

/* The same for what was written in several steps; start is an offset. */
static void end_message(struct buffer *b, size_t start)
{
	if (buffer_reserve(b, LENGTH_LARGEST))
		b->len = (size_t)(close_message(b->data + start, b->data + b->len) - b->data);
}

static size_t begin_message(struct buffer *b, uint8_t tag)
{
	buffer_append_byte(b, tag);
	buffer_append_byte(b, 0);
	return b->len - 1;
}

/* ---- symbols of 2.0 */

static bool grow_places(struct remote_write *w, uint32_t id)
{
	uint32_t wanted = w->symbols->end > id ? w->symbols->end : id + 1;
	struct remote_write_place *grown;

	if (wanted < w->n_places * 2)
		wanted = w->n_places * 2;
	grown = realloc(w->places, wanted * sizeof *grown);
	if (!grown)
		return false;
	memset(grown + w->n_places, 0, (wanted - w->n_places) * sizeof *grown);
	w->places = grown;
	w->n_places = wanted;
	return true;
}

static uint32_t add_symbol(struct remote_write *w, uint32_t id)
{
	struct slice text = symbols_text(w->symbols, id);
	struct buffer *b = &w->request->symbols;
	uint8_t *at = buffer_reserve(b, text.len + 1 + LENGTH_LARGEST);

	if (at)
		b->len = (size_t)(put_text(at, BYTES(4), text) - b->data);
	w->places[id] = (struct remote_write_place){w->stamp, w->n_symbols};
	return w->n_symbols++;
}

/* The symbol's place in this request. */
static inline uint32_t place(struct remote_write *w, uint32_t id)
{
	if (id == SYMBOL_EMPTY)
		return 0;
	if (id >= w->n_places && !grow_places(w, id)) {
		w->failed = true;
		return 0;
	}
	return w->places[id].stamp == w->stamp ? w->places[id].index : add_symbol(w, id);
}

/* A text that is no series' becomes a symbol for as long as the request is built, so that it too stands
 * there once. */
static bool borrow_symbol(struct remote_write *w, struct slice text, uint32_t *ret)
{
	bool full;
	uint32_t id;

	if (w->n_borrowed == w->max_borrowed) {
		size_t wanted = w->max_borrowed ? w->max_borrowed * 2 : 64;
		uint32_t *grown = realloc(w->borrowed, wanted * sizeof *grown);

		if (!grown)
			return false;
		w->borrowed = grown;
		w->max_borrowed = wanted;
	}
	id = symbols_intern(w->symbols, text, &full);
	if (id == SYMBOL_NONE)
		return false;
	w->borrowed[w->n_borrowed++] = id;
	*ret = id;
	return true;
}

/* ---- what 1.0 and 2.0 have in common */

static uint8_t *put_spans(uint8_t *at, uint8_t tag, const struct native_span *spans, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t *start;

		*at++ = tag;
		start = at++;
		at = put_number(at, VARINT(1), zigzag(spans[i].offset));
		at = put_number(at, VARINT(2), spans[i].length);
		at = close_message(start, at);
	}
	return at;
}

static uint8_t *put_deltas(uint8_t *at, uint8_t tag, const int64_t *deltas, size_t n)
{
	uint8_t *start;

	if (n == 0)
		return at;
	*at++ = tag;
	start = at++;
	for (size_t i = 0; i < n; i++)
		at = put_varint(at, zigzag(deltas[i]));
	return close_message(start, at);
}

static uint8_t *put_custom_values(uint8_t *at, const double *values, size_t n)
{
	uint8_t *start;

	if (n == 0)
		return at;
	at = put_varint(at, 16 << 3 | 2);
	start = at++;
	for (size_t i = 0; i < n; i++)
		at = put_bits(at, values[i]);
	return close_message(start, at);
}

enum { RESET_UNKNOWN, RESET_YES, RESET_NO, RESET_GAUGE };

/* Field numbers are the same in both versions; the start timestamp is 2.0's. A oneof's member is
 * written even when it is zero: it says that the histogram is of integers. */
static uint8_t *put_histogram(uint8_t *at, const struct native_histogram *h, const struct sample *s,
                              bool with_start)
{
	*at++ = VARINT(1);
	at = put_varint(at, h->count);
	at = put_double(at, FIXED64(3), h->sum);
	at = put_number(at, VARINT(4), zigzag(h->schema));
	at = put_double(at, FIXED64(5), h->zero_threshold);
	*at++ = VARINT(6);
	at = put_varint(at, h->zero_count);
	at = put_spans(at, BYTES(8), h->negative_spans, h->n_negative_spans);
	at = put_deltas(at, BYTES(9), h->negative_deltas, h->n_negative_deltas);
	at = put_spans(at, BYTES(11), h->positive_spans, h->n_positive_spans);
	at = put_deltas(at, BYTES(12), h->positive_deltas, h->n_positive_deltas);
	at = put_number(at, VARINT(14),
	                h->gauge   ? RESET_GAUGE
	                : h->reset ? RESET_YES
	                           : RESET_UNKNOWN);
	at = put_number(at, VARINT(15), (uint64_t)s->ms);
	at = put_custom_values(at, h->custom_values, h->n_custom_values);
	if (with_start && s->start_ms != 0) {
		at = put_varint(at, 17 << 3);
		at = put_varint(at, (uint64_t)s->start_ms);
	}
	return at;
}

static size_t histogram_largest(const struct native_histogram *h)
{
	return HISTOGRAM_REST + (h->n_negative_spans + h->n_positive_spans) * 20 +
	       (h->n_negative_deltas + h->n_positive_deltas) * VARINT_LARGEST +
	       h->n_custom_values * 8;
}

static void add_histogram(struct remote_write *w, const struct sample *s, uint8_t tag)
{
	static const struct native_histogram none;
	const struct native_histogram *h = s->histogram ? s->histogram : &none;
	struct buffer *b = &w->request->series;
	uint8_t *at = buffer_reserve(b, histogram_largest(h)), *start;

	if (!at)
		return;
	*at++ = tag;
	start = at++;
	at = put_histogram(at, h, s, w->version == REMOTE_WRITE_2);
	b->len = (size_t)(close_message(start, at) - b->data);
}

static void add_samples(struct remote_write *w, const struct sample *samples, size_t n)
{
	struct buffer *b = &w->request->series;
	bool with_start = w->version == REMOTE_WRITE_2;
	uint8_t *at = buffer_reserve(b, n * SAMPLE_LARGEST);

	if (!at)
		return;
	for (size_t i = 0; i < n; i++) {
		uint8_t *start;

		*at++ = BYTES(2);
		start = at++;
		at = put_double(at, FIXED64(1), samples[i].value);
		at = put_number(at, VARINT(2), (uint64_t)samples[i].ms);
		if (with_start)
			at = put_number(at, VARINT(3), (uint64_t)samples[i].start_ms);
		*start = (uint8_t)(at - start - 1);
	}
	b->len = (size_t)(at - b->data);
}

/* ---- 1.0 */

static void add_label_1(struct buffer *b, struct slice name, struct slice value)
{
	uint8_t *at = buffer_reserve(b, name.len + value.len + 2 + 4 * LENGTH_LARGEST), *start;

	if (!at)
		return;
	*at++ = BYTES(1);
	start = at++;
	at = put_text(at, BYTES(1), name);
	at = put_text(at, BYTES(2), value);
	b->len = (size_t)(close_message(start, at) - b->data);
}

static void add_labels_1(struct remote_write *w, const struct series *s)
{
	for (uint32_t i = 0; i < s->shape->n_labels; i++) {
		struct series_label label = series_label(s, i);

		add_label_1(&w->request->series, symbols_text(w->symbols, label.name),
		            symbols_text(w->symbols, label.value));
	}
}

static void add_exemplar_1(struct remote_write *w, const struct exemplar *e)
{
	struct buffer *b = &w->request->series;
	size_t start = begin_message(b, BYTES(3));
	uint8_t *at;

	for (size_t i = 0; i < e->n_labels; i++)
		add_label_1(b, e->labels[i].name, e->labels[i].value);
	at = buffer_reserve(b, SAMPLE_LARGEST);
	if (!at)
		return;
	at = put_double(at, FIXED64(2), e->value);
	at = put_number(at, VARINT(3), (uint64_t)e->ms);
	b->len = (size_t)(at - b->data);
	end_message(b, start);
}

static void add_metadata_1(struct remote_write *w, const struct series_family *f)
{
	struct slice name = symbols_text(w->symbols, f->name);
	struct slice help = symbols_text(w->symbols, f->help);
	struct slice unit = symbols_text(w->symbols, f->unit);
	struct buffer *b = &w->request->metadata;
	uint8_t *at = buffer_reserve(b, name.len + help.len + unit.len + METADATA_LARGEST), *start;

	if (!at)
		return;
	*at++ = BYTES(3);
	start = at++;
	at = put_number(at, VARINT(1), f->type);
	at = put_text(at, BYTES(2), name);
	if (help.len)
		at = put_text(at, BYTES(4), help);
	if (unit.len)
		at = put_text(at, BYTES(5), unit);
	b->len = (size_t)(close_message(start, at) - b->data);
}

/* ---- 2.0 */

static void add_labels_2(struct remote_write *w, const struct series *s)
{
	struct buffer *b = &w->request->series;
	const struct series_shape *shape = s->shape;
	size_t largest = (size_t)shape->n_labels * 2 * LENGTH_LARGEST + 1 + LENGTH_LARGEST;
	uint8_t *at = buffer_reserve(b, largest), *start;

	if (!at)
		return;
	*at++ = BYTES(1);
	start = at++;
	for (uint32_t i = 0; i < shape->n_labels; i++) {
		at = put_varint(at, place(w, shape->names[i]));
		at = put_varint(at, place(w, s->values[i]));
	}
	b->len = (size_t)(close_message(start, at) - b->data);
}

static void add_metadata_2(struct remote_write *w, const struct series_family *f)
{
	struct buffer *b = &w->request->series;
	uint8_t *at = buffer_reserve(b, METADATA_LARGEST), *start;

	if (!at)
		return;
	*at++ = BYTES(5);
	start = at++;
	at = put_number(at, VARINT(1), f->type);
	at = put_number(at, VARINT(3), place(w, f->help));
	at = put_number(at, VARINT(4), place(w, f->unit));
	b->len = (size_t)(close_message(start, at) - b->data);
}

static bool add_exemplar_2(struct remote_write *w, const struct exemplar *e)
{
	size_t largest = e->n_labels * 2 * LENGTH_LARGEST + 2 * SAMPLE_LARGEST;
	size_t first = w->n_borrowed;
	struct buffer *b = &w->request->series;
	uint8_t *at, *start, *refs;
	uint32_t id;

	for (size_t i = 0; i < e->n_labels; i++)
		if (!borrow_symbol(w, e->labels[i].name, &id) ||
		    !borrow_symbol(w, e->labels[i].value, &id))
			return false;
	at = buffer_reserve(b, largest);
	if (!at)
		return false;
	*at++ = BYTES(4);
	start = at++;
	if (e->n_labels) {
		*at++ = BYTES(1);
		refs = at++;
		for (size_t i = 0; i < e->n_labels * 2; i++)
			at = put_varint(at, place(w, w->borrowed[first + i]));
		at = close_message(refs, at);
	}
	at = put_double(at, FIXED64(2), e->value);
	at = put_number(at, VARINT(3), (uint64_t)e->ms);
	b->len = (size_t)(close_message(start, at) - b->data);
	return true;
}

/* ---- requests */

static size_t add_exemplars(struct remote_write *w, const struct sample *s)
{
	size_t added = 0;

	for (uint32_t i = 0; i < s->n_exemplars; i++) {
		if (w->version == REMOTE_WRITE_2) {
			added += add_exemplar_2(w, &s->exemplars[i]);
		} else {
			add_exemplar_1(w, &s->exemplars[i]);
			added++;
		}
	}
	return added;
}

/* n samples of one series as one TimeSeries. Returns the exemplars that came with them. Fields stand
 * in the order of their numbers, which is not the same in the two versions. */
static size_t add_series(struct remote_write *w, const struct sample *samples, size_t n)
{
	const struct series *s = samples->series;
	struct buffer *b = &w->request->series;
	bool native = s->role == SERIES_NATIVE, v2 = w->version == REMOTE_WRITE_2;
	size_t start = begin_message(b, v2 ? BYTES(5) : BYTES(1)), exemplars = 0;

	if (v2)
		add_labels_2(w, s);
	else
		add_labels_1(w, s);
	if (!native)
		add_samples(w, samples, n);
	for (size_t i = 0; v2 && native && i < n; i++)
		add_histogram(w, &samples[i], BYTES(3));
	for (size_t i = 0; i < n; i++)
		exemplars += add_exemplars(w, &samples[i]);
	for (size_t i = 0; !v2 && native && i < n; i++)
		add_histogram(w, &samples[i], BYTES(4));
	if (v2)
		add_metadata_2(w, s->shape->family);
	end_message(b, start);
	if (!v2 && w->options.wants_metadata &&
	    w->options.wants_metadata(w->options.arg, s->shape->family))
		add_metadata_1(w, s->shape->family);
	return exemplars;
}

static size_t request_bytes(const struct remote_write_request *r)
{
	return r->symbols.len + r->series.len + r->metadata.len;
}

static bool try_series(struct remote_write *w, const struct sample *samples, size_t n)
{
	struct remote_write_request *r = w->request;
	size_t symbols = r->symbols.len, series = r->series.len;
	size_t exemplars = add_series(w, samples, n);

	/* The places of what is taken out again stay wrong: nothing may follow. Metadata stays. */
	if (r->series_count > 0 && request_bytes(r) > w->options.max_bytes) {
		r->symbols.len = symbols;
		r->series.len = series;
		w->full = true;
		return false;
	}
	if (samples->series->role == SERIES_NATIVE)
		r->histograms += n;
	else
		r->samples += n;
	r->exemplars += exemplars;
	r->series_count++;
	for (size_t i = 0; i < n; i++)
		if (r->newest_ms < samples[i].ms)
			r->newest_ms = samples[i].ms;
	return true;
}

/* How many from the front are of one series. */
static size_t run_length(const struct sample *samples, size_t n)
{
	size_t limit = samples->series->role == SERIES_NATIVE ? RUN_HISTOGRAMS : RUN_SAMPLES;
	size_t run = 1;

	while (run < n && run < limit && samples[run].series == samples->series)
		run++;
	return run;
}

size_t remote_write_add(struct remote_write *w, const struct sample *samples, size_t n)
{
	struct remote_write_request *r = w->request;
	size_t added = 0;

	while (added < n && !w->full && !w->failed) {
		size_t held = r->samples + r->histograms, room, run;

		if (held >= w->options.max_samples && held > 0) {
			w->full = true;
			break;
		}
		room = held < w->options.max_samples ? w->options.max_samples - held : 1;
		run = run_length(samples + added, n - added < room ? n - added : room);
		if (!try_series(w, samples + added, run))
			break;
		added += run;
	}
	return added;
}

void remote_write_init(struct remote_write *w, struct symbols *symbols,
                       const struct remote_write_options *options)
{
	*w = (struct remote_write){.symbols = symbols, .options = *options};
}

void remote_write_fini(struct remote_write *w)
{
	free(w->places);
	free(w->borrowed);
	w->places = NULL;
	w->borrowed = NULL;
	w->n_places = 0;
	w->max_borrowed = 0;
}

void remote_write_begin(struct remote_write *w, enum remote_write_version version,
                        struct remote_write_request *request)
{
	buffer_clear(&request->symbols);
	buffer_clear(&request->series);
	buffer_clear(&request->metadata);
	request->n_pieces = request->bytes = 0;
	request->samples = request->histograms = request->exemplars = request->series_count = 0;
	request->newest_ms = INT64_MIN;
	w->request = request;
	w->version = version;
	w->full = w->failed = false;
	if (++w->stamp == 0) { /* after four billion requests */
		if (w->places)
			memset(w->places, 0, w->n_places * sizeof *w->places);
		w->stamp = 1;
	}
	w->n_symbols = 1;
	if (version == REMOTE_WRITE_2) /* symbols[0] is the empty string */
		buffer_append(&request->symbols, (const uint8_t[]){BYTES(4), 0}, 2);
}

static void add_piece(struct remote_write_request *r, const struct buffer *b)
{
	if (b->len)
		r->pieces[r->n_pieces++] = buffer_slice(b);
	r->bytes += b->len;
}

int remote_write_end(struct remote_write *w)
{
	struct remote_write_request *r = w->request;

	for (size_t i = 0; i < w->n_borrowed; i++)
		symbols_unref(w->symbols, w->borrowed[i]);
	w->n_borrowed = 0;
	w->request = NULL;
	if (w->failed || r->symbols.failed || r->series.failed || r->metadata.failed)
		return -ENOMEM;
	/* Symbols first: a receiver may resolve references as it reads them. */
	add_piece(r, &r->symbols);
	add_piece(r, &r->series);
	add_piece(r, &r->metadata);
	return 0;
}

void remote_write_request_fini(struct remote_write_request *r)
{
	buffer_fini(&r->symbols);
	buffer_fini(&r->series);
	buffer_fini(&r->metadata);
}
