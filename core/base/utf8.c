#include "core/base/utf8.h"

/* Unicode 15, table 3-7: how the first byte bounds the second. */
size_t utf8_character(const uint8_t *p, size_t len)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t size;

	if (!len)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	size = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (len < size || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < size; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return size;
}

void utf8_append(struct buffer *out, struct slice text)
{
	for (size_t at = 0; at < text.len;) {
		size_t size = utf8_character(text.data + at, text.len - at);

		if (size)
			buffer_append(out, text.data + at, size);
		else
			buffer_append_string(out, "\xef\xbf\xbd");
		at += size ? size : 1;
	}
}
