#include "core/base/header_field.h"

static bool is_token_byte(uint8_t c)
{
	uint8_t lower = c | 0x20;

	return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

bool header_field_is_name(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_token_byte(text.data[i]))
			return false;
	return text.len > 0;
}

bool header_field_is_value(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((text.data[i] < 0x20 && text.data[i] != '\t') || text.data[i] == 0x7f)
			return false;
	return true;
}
