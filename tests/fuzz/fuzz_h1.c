/* What a client may send to weir's own pages: bytes in pieces of a size that the first byte chooses, and again whole. How
 * they are cut must not matter. */
#include "core/net/h1.h"

#include <stdlib.h>

struct seen {
	unsigned requests;
	size_t bytes; /* of methods, paths and queries */
	int error_status;
};

static void look_at(const struct h1 *h, struct seen *seen)
{
	struct h1_request r = h1_request(h);

	if (r.method.len == 0 || r.path.len + r.query.len > H1_HEAD_LIMIT)
		abort();
	seen->requests++;
	seen->bytes += r.method.len + r.path.len + r.query.len;
}

/* False after an error. */
static bool feed(struct h1 *h, struct slice bytes, struct seen *seen)
{
	while (bytes.len > 0) {
		size_t before = bytes.len;

		switch (h1_feed(h, &bytes)) {
		case H1_MORE:
			if (bytes.len > 0)
				abort();
			break;
		case H1_REQUEST:
			if (bytes.len >= before)
				abort();
			look_at(h, seen);
			break;
		case H1_ERROR:
			seen->error_status = h1_error_status(h);
			if (!h1_reason(seen->error_status) || h1_feed(h, &bytes) != H1_ERROR)
				abort();
			return false;
		}
	}
	return true;
}

static struct seen read_all(const uint8_t *data, size_t size, size_t step)
{
	struct seen seen = {0};
	struct h1 *h = h1_new();

	for (size_t at = 0; h && at < size; at += step) {
		size_t len = size - at < step ? size - at : step;

		if (!feed(h, slice_of(data + at, len), &seen))
			break;
	}
	h1_free(h);
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole, cut;

	if (size < 2)
		return 0;
	whole = read_all(data + 1, size - 1, size);
	cut = read_all(data + 1, size - 1, data[0] ? data[0] : 1);
	if (whole.requests != cut.requests || whole.bytes != cut.bytes ||
	    whole.error_status != cut.error_status)
		abort();
	return 0;
}
