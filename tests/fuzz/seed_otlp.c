/* seed_otlp CORPUS: writes the seeds of fuzz_otlp, fuzz_validate and fuzz_json to CORPUS/otlp and so on,
 * which are committed. Run it again when otlp.proto has grown. */
#include "core/wire/otlp.h"
#include "core/wire/otlp_json.h"
#include "tests/unit/wire/otlp_random.h"

#include <stdio.h>

enum { SEEDS_PER_SIGNAL = 8, LARGEST = 1500 };

static bool write_seed(const char *corpus, const char *target, unsigned n, uint8_t first,
                       struct slice bytes)
{
	char path[512];
	FILE *file;
	bool ok;

	snprintf(path, sizeof path, "%s/%s/%02u", corpus, target, n);
	file = fopen(path, "wb");
	if (!file)
		return false;
	ok = fwrite(&first, 1, 1, file) == 1 && fwrite(bytes.data, 1, bytes.len, file) == bytes.len;
	return fclose(file) == 0 && ok;
}

static bool write_seeds(const char *corpus, unsigned n, enum signal signal,
                        const ProtobufCMessage *m, struct slice bytes)
{
	struct buffer text = BUFFER_INIT;
	uint8_t first = (uint8_t)(signal + 3 * (n * 7 % 80));
	bool ok;

	otlp_json_append(&text, m);
	ok = !text.failed && write_seed(corpus, "otlp", n, first, bytes) &&
	     write_seed(corpus, "validate", n, (uint8_t)signal, bytes) &&
	     write_seed(corpus, "json", n, first, buffer_slice(&text));
	buffer_fini(&text);
	return ok;
}

int main(int argc, char **argv)
{
	struct arena arena;
	struct otlp_random r = {.arena = &arena, .state = 1, .depth = 8};
	unsigned n = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: seed_otlp CORPUS\n");
		return 2;
	}
	arena_init(&arena, NULL);
	while (n < SEEDS_PER_SIGNAL * SIGNAL_COUNT) {
		enum signal s = n % SIGNAL_COUNT;
		const ProtobufCMessageDescriptor *type = otlp_request_descriptor(s);
		ProtobufCMessage *m;
		struct slice bytes;

		r.unknown = n % 2;
		m = otlp_random_message(&r, type);
		bytes = otlp_protobuf_c_pack(&arena, m);
		if (n % 4 == 3)
			bytes = otlp_random_scramble(&r, type, bytes);
		if (bytes.len < 40 || bytes.len > LARGEST)
			continue;
		if (!write_seeds(argv[1], n, s, m, bytes)) {
			perror(argv[1]);
			return 1;
		}
		n++;
	}
	arena_fini(&arena);
	return 0;
}
