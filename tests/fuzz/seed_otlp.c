/* seed_otlp DIRECTORY: writes the seeds of fuzz_otlp, which are committed. Run it again when
 * otlp.proto has grown. */
#include "core/wire/otlp.h"
#include "tests/unit/wire/otlp_random.h"

#include <stdio.h>

enum { SEEDS_PER_SIGNAL = 8, LARGEST = 1500 };

static bool write_seed(const char *directory, unsigned n, uint8_t first, struct slice bytes)
{
	char path[512];
	FILE *file;
	bool ok;

	snprintf(path, sizeof path, "%s/%02u", directory, n);
	file = fopen(path, "wb");
	if (!file)
		return false;
	ok = fwrite(&first, 1, 1, file) == 1 && fwrite(bytes.data, 1, bytes.len, file) == bytes.len;
	return fclose(file) == 0 && ok;
}

int main(int argc, char **argv)
{
	struct arena arena;
	struct otlp_random r = {.arena = &arena, .state = 1, .depth = 8};
	unsigned n = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: seed_otlp DIRECTORY\n");
		return 2;
	}
	arena_init(&arena, NULL);
	while (n < SEEDS_PER_SIGNAL * SIGNAL_COUNT) {
		enum signal s = n % SIGNAL_COUNT;
		const ProtobufCMessageDescriptor *type = otlp_request_descriptor(s);
		struct slice bytes;

		r.unknown = n % 2;
		bytes = otlp_protobuf_c_pack(&arena, otlp_random_message(&r, type));
		if (n % 4 == 3)
			bytes = otlp_random_scramble(&r, type, bytes);
		if (bytes.len < 40 || bytes.len > LARGEST)
			continue;
		if (!write_seed(argv[1], n, (uint8_t)(s + 3 * (n * 7 % 80)), bytes)) {
			perror(argv[1]);
			return 1;
		}
		n++;
	}
	arena_fini(&arena);
	return 0;
}
