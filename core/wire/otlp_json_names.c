#include "core/wire/otlp_json_names.h"

enum otlp_bytes_form otlp_bytes_form(const char *field)
{
	static const struct {
		const char *name;
		enum otlp_bytes_form form;
	} true_bytes[] = {
		{"trace_id", OTLP_FORM_HEX},
		{"span_id", OTLP_FORM_HEX},
		{"parent_span_id", OTLP_FORM_HEX},
		{"bytes_value", OTLP_FORM_BASE64},
	};

	for (size_t i = 0; i < sizeof true_bytes / sizeof *true_bytes; i++)
		if (field[0] == true_bytes[i].name[0] && strcmp(field, true_bytes[i].name) == 0)
			return true_bytes[i].form;
	return OTLP_FORM_STRING;
}

/* The next character of the key; *field moves on. */
static inline uint8_t next_character(const char **field)
{
	const char *at = *field;

	if (at[0] == '_' && at[1] >= 'a' && at[1] <= 'z') {
		*field += 2;
		return (uint8_t)(at[1] - 'a' + 'A');
	}
	++*field;
	return (uint8_t)at[0];
}

size_t otlp_json_key_write(const char *field, uint8_t *ret)
{
	size_t len = 0;

	while (*field)
		ret[len++] = next_character(&field);
	return len;
}

bool otlp_json_key_is(struct slice key, const char *field)
{
	size_t at = 0;

	while (*field)
		if (at == key.len || key.data[at++] != next_character(&field))
			return false;
	return at == key.len;
}
