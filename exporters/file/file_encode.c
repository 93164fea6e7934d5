#include "exporters/file/file_encode.h"

int file_encode(struct batch *b, enum file_format format, struct buffer *out, struct error *error)
{
	return format == FORMAT_JSON ? batch_encode_json(b, out, error)
	                             : batch_encode(b, out, error);
}
