#include "core/wire/grpc.h"

#include "core/base/utf8.h"
#include "core/wire/cursor.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const names[GRPC_STATUS_COUNT] = {
	"OK",
	"CANCELLED",
	"UNKNOWN",
	"INVALID_ARGUMENT",
	"DEADLINE_EXCEEDED",
	"NOT_FOUND",
	"ALREADY_EXISTS",
	"PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED",
	"FAILED_PRECONDITION",
	"ABORTED",
	"OUT_OF_RANGE",
	"UNIMPLEMENTED",
	"INTERNAL",
	"UNAVAILABLE",
	"DATA_LOSS",
	"UNAUTHENTICATED",
};

const char *grpc_status_name(enum grpc_status s)
{
	return (unsigned)s < GRPC_STATUS_COUNT ? names[s] : names[GRPC_UNKNOWN];
}

enum grpc_status grpc_status_parse(struct slice text)
{
	unsigned value = 0;

	if (text.len == 0 || text.len > 2)
		return GRPC_UNKNOWN;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return GRPC_UNKNOWN;
		value = value * 10 + (text.data[i] - '0');
	}
	return value < GRPC_STATUS_COUNT ? (enum grpc_status)value : GRPC_UNKNOWN;
}

enum grpc_status grpc_status_from_http(unsigned http_status)
{
	switch (http_status) {
	case 400:
		return GRPC_INTERNAL;
	case 401:
		return GRPC_UNAUTHENTICATED;
	case 403:
		return GRPC_PERMISSION_DENIED;
	case 404:
		return GRPC_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return GRPC_UNAVAILABLE;
	default:
		return GRPC_UNKNOWN;
	}
}

bool grpc_status_is_retryable(enum grpc_status s, bool has_retry_info)
{
	switch (s) {
	case GRPC_CANCELLED:
	case GRPC_DEADLINE_EXCEEDED:
	case GRPC_ABORTED:
	case GRPC_OUT_OF_RANGE:
	case GRPC_UNAVAILABLE:
	case GRPC_DATA_LOSS:
		return true;
	case GRPC_RESOURCE_EXHAUSTED:
		return has_retry_info;
	default:
		return false;
	}
}

void grpc_prefix_write(uint8_t out[GRPC_PREFIX_BYTES], bool compressed, uint32_t length)
{
	out[0] = compressed;
	out[1] = (uint8_t)(length >> 24);
	out[2] = (uint8_t)(length >> 16);
	out[3] = (uint8_t)(length >> 8);
	out[4] = (uint8_t)length;
}

void grpc_reader_init(struct grpc_reader *r, size_t limit)
{
	*r = (struct grpc_reader){.limit = limit};
}

static enum grpc_event begin_message(struct grpc_reader *r)
{
	const uint8_t *p = r->prefix;

	r->compressed = p[0] == 1;
	r->length = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
	if (p[0] > 1) {
		r->broken = true;
		return GRPC_MALFORMED;
	}
	if (r->limit && r->length > r->limit) {
		r->broken = true;
		return GRPC_TOO_LARGE;
	}
	r->left = r->length;
	r->inside = true;
	return GRPC_BEGIN;
}

enum grpc_event grpc_reader_next(struct grpc_reader *r, struct slice *bytes, struct slice *part)
{
	if (r->broken)
		return r->prefix[0] > 1 ? GRPC_MALFORMED : GRPC_TOO_LARGE;
	if (r->inside && r->left == 0) {
		r->inside = false;
		r->have = 0;
		return GRPC_END;
	}
	if (bytes->len == 0)
		return GRPC_MORE;
	if (r->inside) {
		*part = slice_of(bytes->data, r->left < bytes->len ? r->left : bytes->len);
		bytes->data += part->len;
		bytes->len -= part->len;
		r->left -= (uint32_t)part->len;
		return GRPC_PART;
	}
	while (r->have < GRPC_PREFIX_BYTES && bytes->len > 0) {
		r->prefix[r->have++] = *bytes->data++;
		bytes->len--;
	}
	return r->have == GRPC_PREFIX_BYTES ? begin_message(r) : GRPC_MORE;
}

bool grpc_reader_is_between(const struct grpc_reader *r)
{
	return !r->inside && r->have == 0;
}

static const struct {
	uint64_t ns;
	char letter;
} units[] = {{1, 'n'},
             {1000, 'u'},
             {1000000, 'm'},
             {1000000000, 'S'},
             {UINT64_C(60000000000), 'M'},
             {UINT64_C(3600000000000), 'H'}};

void grpc_timeout_format(uint64_t ns, char ret[GRPC_TIMEOUT_TEXT])
{
	enum { MOST = 99999999 };
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < sizeof units / sizeof *units; i++) {
		value = ns / units[i].ns + (ns % units[i].ns != 0);
		if (value <= MOST)
			break;
	}
	/* The largest uint64_t is 5.2 million hours, so some unit fits. */
	snprintf(ret, GRPC_TIMEOUT_TEXT, "%u%c", (unsigned)(value ? value : 1), units[i].letter);
}

bool grpc_timeout_parse(struct slice value, uint64_t *ret_ns)
{
	enum { DIGITS = 8 };
	uint64_t amount = 0;

	if (value.len < 2 || value.len > DIGITS + 1)
		return false;
	for (size_t i = 0; i + 1 < value.len; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			return false;
		amount = amount * 10 + (value.data[i] - '0');
	}
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (value.data[value.len - 1] == (uint8_t)units[i].letter) {
			/* Eight digits of hours, the most there can be, are 3.6e20 ns. */
			*ret_ns =
				amount > INT64_MAX / units[i].ns ? INT64_MAX : amount * units[i].ns;
			return true;
		}
	return false;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

void grpc_message_decode(struct slice value, char *ret, size_t size)
{
	size_t at = 0, len = 0;

	while (at < value.len && len + 1 < size) {
		uint8_t c = value.data[at++];
		if (c == '%' && value.len - at >= 2 && hex_digit(value.data[at]) >= 0 &&
		    hex_digit(value.data[at + 1]) >= 0) {
			c = (uint8_t)(hex_digit(value.data[at]) << 4 |
			              hex_digit(value.data[at + 1]));
			at += 2;
		}
		ret[len++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	ret[len] = '\0';
}

size_t grpc_message_encode(struct slice text, char *ret, size_t size)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t len = 0;

	for (size_t at = 0; at < text.len;) {
		const uint8_t *p = text.data + at;
		size_t n = utf8_character(p, text.len - at);
		bool plain = n == 1 && *p >= 0x20 && *p <= 0x7e && *p != '%';

		at += n ? n : 1;
		if (n == 0) {
			p = (const uint8_t *)UTF8_REPLACEMENT;
			n = sizeof UTF8_REPLACEMENT - 1;
		}
		if (size - len <= (plain ? 1 : 3 * n))
			break;
		if (plain)
			ret[len++] = (char)*p;
		for (size_t i = 0; i < n && !plain; i++) {
			ret[len++] = '%';
			ret[len++] = hex[p[i] >> 4];
			ret[len++] = hex[p[i] & 15];
		}
	}
	ret[len] = '\0';
	return len;
}

/* The varint body of a field as a number that is not negative; 0 for what is. */
static uint64_t natural(const struct cursor_field *f)
{
	uint64_t value;

	if (f->type != WIRE_VARINT ||
	    !cursor_varint(f->body.data, f->body.data + f->body.len, &value) || value > INT64_MAX)
		return 0;
	return value;
}

/* google.protobuf.Duration: seconds = 1, nanos = 2. What is longer than centuries is cut to INT64_MAX,
 * so that a time can be added to it. */
static uint64_t duration_decode(struct slice bytes)
{
	static const uint64_t second = 1000000000;
	struct cursor c = cursor_of(bytes);
	struct cursor_field f;
	uint64_t seconds = 0, nanos = 0;

	while (cursor_next(&c, &f)) {
		if (f.number == 1)
			seconds = natural(&f);
		else if (f.number == 2)
			nanos = natural(&f);
	}
	if (nanos >= second)
		nanos = 0;
	return seconds > INT64_MAX / second - 1 ? INT64_MAX : seconds * second + nanos;
}

/* google.rpc.RetryInfo: retry_delay = 1. */
static uint64_t retry_delay_decode(struct slice bytes)
{
	struct cursor c = cursor_of(bytes);
	struct cursor_field f;
	uint64_t delay = 0;

	while (cursor_next(&c, &f))
		if (f.number == 1 && f.type == WIRE_LENGTH)
			delay = duration_decode(f.body);
	return delay;
}

/* The type URL is "type.googleapis.com/google.rpc.RetryInfo"; the host is of no matter. */
static bool is_retry_info(struct slice url)
{
	static const char name[] = "/google.rpc.RetryInfo";

	return url.len >= sizeof name - 1 &&
	       memcmp(url.data + url.len - (sizeof name - 1), name, sizeof name - 1) == 0;
}

struct grpc_retry_info grpc_retry_info_decode(struct slice status)
{
	enum { STATUS_DETAILS = 3, ANY_TYPE_URL = 1, ANY_VALUE = 2 };
	struct grpc_retry_info info = {0};
	struct cursor c = cursor_of(status);
	struct cursor_field detail, f;

	while (cursor_next(&c, &detail)) {
		struct slice url = {0}, value = {0};
		struct cursor any;

		if (detail.number != STATUS_DETAILS || detail.type != WIRE_LENGTH)
			continue;
		any = cursor_of(detail.body);
		while (cursor_next(&any, &f)) {
			if (f.number == ANY_TYPE_URL && f.type == WIRE_LENGTH)
				url = f.body;
			else if (f.number == ANY_VALUE && f.type == WIRE_LENGTH)
				value = f.body;
		}
		if (is_retry_info(url) && !any.error)
			info = (struct grpc_retry_info){true, retry_delay_decode(value)};
	}
	return info;
}
