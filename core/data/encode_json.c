#include "core/data/batch.h"
#include "core/wire/otlp_json.h"

int batch_encode_json(struct batch *b, struct buffer *out, struct error *error)
{
	int r = batch_read(b, error);

	if (r < 0)
		return r;
	buffer_printf(out, "{\"%s\":[", otlp_json_groups_key(b->signal));
	for (const struct group *g = b->first; g; g = g->next) {
		if (g != b->first)
			buffer_append_byte(out, ',');
		otlp_json_append(out, g->message);
	}
	buffer_append_string(out, "]}");
	return out->failed ? error_no_memory(error) : 0;
}
