#include "core/base/json_string.h"

#include "core/base/utf8.h"

static void append_escaped(struct buffer *out, uint8_t c)
{
	static const char short_forms[] = "\"\"\\\\\bb\ff\nn\rr\tt";

	for (const char *s = short_forms; *s; s += 2)
		if ((uint8_t)s[0] == c) {
			buffer_append_byte(out, '\\');
			buffer_append_byte(out, (uint8_t)s[1]);
			return;
		}
	buffer_printf(out, "\\u%04x", c);
}

void json_string_append(struct buffer *out, struct slice text)
{
	const uint8_t *p = text.data;
	size_t plain = 0, at; /* plain: where the run not yet appended begins */

	buffer_append_byte(out, '"');
	for (at = 0; at < text.len; at++) {
		if (p[at] >= 0x20 && p[at] != '"' && p[at] != '\\')
			continue;
		utf8_append(out, slice_of(p + plain, at - plain));
		append_escaped(out, p[at]);
		plain = at + 1;
	}
	if (plain < text.len)
		utf8_append(out, slice_of(p + plain, text.len - plain));
	buffer_append_byte(out, '"');
}
