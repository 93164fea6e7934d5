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

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Not zero when a byte of the word is below 0x20, a quote, a backslash or above 0x7f: what stands in JSON
 * as it is has none of them. A byte is below n when taking n from it sets its highest bit, which it did
 * not have; a byte that is c becomes 0, which is below 1, when c is taken out of it. */
static uint64_t special(uint64_t word)
{
	uint64_t quote = word ^ EACH('"'), backslash = word ^ EACH('\\');

	return ((word - EACH(0x20)) | (quote - EACH(1)) | (backslash - EACH(1)) | word) &
	       EACH(0x80);
}

/* Nearly all text is printable ASCII, and eight bytes can be looked at at once. */
static bool is_plain(struct slice text)
{
	uint64_t word, found = 0;
	size_t at = 0;

	for (; at + sizeof word <= text.len; at += sizeof word) {
		memcpy(&word, text.data + at, sizeof word);
		found |= special(word);
	}
	word = EACH(' ');
	if (at < text.len)
		memcpy(&word, text.data + at, text.len - at);
	return (found | special(word)) == 0;
}

static void append_plain(struct buffer *out, struct slice text)
{
	uint8_t *to = text.len < SIZE_MAX - 2 ? buffer_reserve(out, text.len + 2) : NULL;

	if (!to)
		return;
	to[0] = '"';
	if (text.len)
		memcpy(to + 1, text.data, text.len);
	to[text.len + 1] = '"';
	out->len += text.len + 2;
}

void json_string_append(struct buffer *out, struct slice text)
{
	const uint8_t *p = text.data;
	size_t plain = 0, at; /* plain: where the run not yet appended begins */

	if (is_plain(text)) {
		append_plain(out, text);
		return;
	}
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
