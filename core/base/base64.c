#include "core/base/base64.h"

size_t base64_encode(struct slice bytes, bool padded, char *ret)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t at = 0, len = 0;

	while (at < bytes.len) {
		const uint8_t *p = bytes.data + at;
		size_t n = bytes.len - at < 3 ? bytes.len - at : 3;
		uint32_t bits = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) |
		                (n > 2 ? p[2] : 0);

		for (size_t i = 0; i < 4; i++) {
			if (i <= n)
				ret[len++] = digits[bits >> (18 - 6 * i) & 63];
			else if (padded)
				ret[len++] = '=';
		}
		at += n;
	}
	return len;
}

static int digit_of(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

bool base64_decode(struct slice text, uint8_t *ret, size_t size, size_t *ret_len)
{
	uint32_t bits = 0;
	unsigned n_bits = 0;
	size_t len = 0;

	for (unsigned padding = 0; padding < 2 && text.len && text.data[text.len - 1] == '=';
	     padding++)
		text.len--;
	if (text.len % 4 == 1)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		int digit = digit_of(text.data[i]);
		if (digit < 0)
			return false;
		bits = (bits << 6 | (uint32_t)digit) & 0xffff;
		n_bits += 6;
		if (n_bits < 8)
			continue;
		n_bits -= 8;
		if (len == size)
			return false;
		ret[len++] = (uint8_t)(bits >> n_bits);
	}
	*ret_len = len;
	return true;
}
