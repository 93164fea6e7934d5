#include "exporters/file/file_encode.h"

#include "core/wire/otlp_json.h"

static int encode_json(struct batch *b, struct buffer *out, struct error *error)
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

int file_encode(struct batch *b, enum file_format format, struct buffer *out, struct error *error)
{
	return format == FORMAT_JSON ? encode_json(b, out, error) : batch_encode(b, out, error);
}
