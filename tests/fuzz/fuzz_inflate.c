/* The first byte chooses the coding, the rest is what a peer calls compressed. */
#include "core/wire/compress.h"

#include <stdlib.h>

enum { LIMIT = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer out = BUFFER_INIT;

	if (size == 0)
		return 0;
	if (compress_inflate((enum coding)(data[0] % 4), slice_of(data + 1, size - 1), LIMIT, &out,
	                     NULL) == 0) {
		if (out.len > LIMIT)
			abort();
	} else if (out.len > 0) {
		abort();
	}
	buffer_fini(&out);
	return 0;
}
