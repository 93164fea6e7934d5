/* What a client may send to the HTTP/1 side: bytes whole, in pieces of a size that the first byte chooses, and
 * byte by byte. How they are cut must not matter. */
#include "core/net/h1.h"

#include <stdlib.h>

enum { HEAD_LIMIT = 2048 };

/* All that was seen, as one number. */
struct seen {
	uint64_t hash;
	unsigned requests;
	int error_status;
};

static void mix(struct seen *seen, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		seen->hash = (seen->hash ^ s.data[i]) * UINT64_C(1099511628211);
	seen->hash++;
}

static void look_at_request(const struct h1 *h, struct seen *seen)
{
	const struct http_request *r = h1_request(h);

	if (r->method.len == 0 || r->path.len == 0 || r->path.len + r->query.len > HEAD_LIMIT ||
	    (!r->has_length && r->length > 0))
		abort();
	mix(seen, r->method);
	mix(seen, r->path);
	mix(seen, r->query);
	mix(seen, r->authority);
	for (size_t i = 0; i < r->n_headers; i++) {
		if (r->headers[i].name.len == 0)
			abort();
		mix(seen, r->headers[i].name);
		mix(seen, r->headers[i].value);
	}
	seen->hash += r->length + h1_keep_alive(h) + 2u * h1_expects_continue(h);
}

/* Parts of bodies come as they are cut: only their bytes count. */
static void look_at_part(struct slice bytes, struct slice part, struct seen *seen)
{
	if (part.len == 0 || part.data + part.len != bytes.data)
		abort();
	mix(seen, part);
	seen->hash--;
}

/* False after an error. */
static bool feed(struct h1 *h, struct slice bytes, struct seen *seen)
{
	struct slice part = {0};

	for (;;)
		switch (h1_next(h, &bytes, &part)) {
		case H1_MORE:
			if (bytes.len > 0)
				abort();
			return true;
		case H1_HEAD:
			look_at_request(h, seen);
			break;
		case H1_BODY:
			look_at_part(bytes, part, seen);
			break;
		case H1_END:
			if (!h1_is_between(h) || !h1_request(h))
				abort();
			seen->requests++;
			h1_forget(h);
			break;
		case H1_ERROR:
			seen->error_status = h1_error_status(h);
			if (!h1_reason(seen->error_status) || h1_request(h) ||
			    h1_next(h, &bytes, &part) != H1_ERROR)
				abort();
			return false;
		}
}

static struct seen read_all(const uint8_t *data, size_t size, size_t step)
{
	struct seen seen = {0};
	struct h1 *h = h1_new(HEAD_LIMIT);

	for (size_t at = 0; h && at < size; at += step) {
		size_t len = size - at < step ? size - at : step;
		uint8_t *copy = malloc(len); /* nothing may be kept of what was brought */
		bool ok;

		if (!copy)
			break;
		memcpy(copy, data + at, len);
		ok = feed(h, slice_of(copy, len), &seen);
		free(copy);
		if (!ok)
			break;
	}
	h1_free(h);
	return seen;
}

static bool is_same(struct seen a, struct seen b)
{
	return a.requests == b.requests && a.error_status == b.error_status && a.hash == b.hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole;

	if (size < 2)
		return 0;
	whole = read_all(data + 1, size - 1, size);
	if (!is_same(whole, read_all(data + 1, size - 1, data[0] ? data[0] : 1)) ||
	    !is_same(whole, read_all(data + 1, size - 1, 1)))
		abort();
	return 0;
}
