#include "core/base/utf8.h"

/* Unicode 15, table 3-7: how the first byte bounds the second. *ret_read: the bytes that fit, of
 * which there may be too few. */
static size_t read_character(const uint8_t *p, size_t len, size_t *ret_read)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t size;

	*ret_read = len > 0;
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
	for (; *ret_read < size; ++*ret_read) {
		if (*ret_read == len || p[*ret_read] < low || p[*ret_read] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return size;
}

size_t utf8_character(const uint8_t *p, size_t len)
{
	size_t read;

	return read_character(p, len, &read);
}

void utf8_append(struct buffer *out, struct slice text)
{
	size_t plain = 0, at = 0, read; /* plain: where the run not yet appended begins */

	while (at < text.len) {
		if (!read_character(text.data + at, text.len - at, &read)) {
			buffer_append(out, text.data + plain, at - plain);
			buffer_append_string(out, UTF8_REPLACEMENT);
			plain = at + read;
		}
		at += read;
	}
	if (plain < text.len)
		buffer_append(out, text.data + plain, text.len - plain);
}
