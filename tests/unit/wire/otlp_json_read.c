/* Reads requests for test_otlp_json_decode.py: records of a signal's number (1 byte), a length (4 bytes,
 * big-endian) and OTLP/JSON; writes for each a length and the request in protobuf, or 0xffffffff and the
 * error's sentence with a newline. */
#include "core/wire/otlp_json_decode.h"

#include <stdio.h>
#include <stdlib.h>

static bool write_length(uint32_t n)
{
	uint8_t head[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

	return fwrite(head, sizeof head, 1, stdout) == 1;
}

static bool answer(enum signal signal, struct slice text)
{
	struct buffer out = BUFFER_INIT;
	struct error error = ERROR_INIT;
	ProtobufCMessage *m;
	struct arena arena;
	bool ok;

	arena_init(&arena, NULL);
	if (otlp_json_decode(signal, text, &arena, &m, &error) == 0)
		ok = otlp_encode(m, &out) && write_length((uint32_t)out.len) &&
		     fwrite(out.data, 1, out.len, stdout) == out.len;
	else
		ok = write_length(UINT32_MAX) && puts(error.message) >= 0;
	arena_fini(&arena);
	buffer_fini(&out);
	return ok;
}

int main(void)
{
	uint8_t head[5];

	while (fread(head, sizeof head, 1, stdin) == 1) {
		size_t len = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 |
		             head[4];
		uint8_t *data = malloc(len);
		bool ok = head[0] < SIGNAL_COUNT && data && fread(data, 1, len, stdin) == len &&
		          answer(head[0], slice_of(data, len));

		free(data);
		if (!ok)
			return 1;
	}
	return 0;
}
