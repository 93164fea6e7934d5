#include "core/observe/sentence.h"

#include <string.h>

void sentence_say(struct sentence *s, struct slice words)
{
	size_t room = sizeof s->text - s->len, n = words.len < room ? words.len : room;

	if (n)
		memcpy(s->text + s->len, words.data, n);
	s->len += n;
}

void sentence_say_string(struct sentence *s, const char *words)
{
	sentence_say(s, slice_from_string(words));
}

void sentence_say_number(struct sentence *s, unsigned n)
{
	char digits[11] = {0}, *at = digits + sizeof digits - 1;

	do
		*--at = (char)('0' + n % 10);
	while (n /= 10);
	sentence_say_string(s, at);
}

void sentence_say_endpoint(struct sentence *s, const struct address *address, unsigned port)
{
	bool v4 = address_is_ipv4(address);
	char text[INET6_ADDRSTRLEN];
	size_t len = address_text(address, text);

	sentence_say_string(s, v4 ? "" : "[");
	sentence_say(s, slice_of(text, len));
	sentence_say_string(s, v4 ? ":" : "]:");
	sentence_say_number(s, port);
}

Otlp__AnyValue *sentence_build(const struct sentence *s, struct arena *a)
{
	Otlp__AnyValue *v = BUILD(a, Otlp__AnyValue, otlp__any_value);

	if (!v || !build_copy(a, slice_of(s->text, s->len), &v->string_value))
		return NULL;
	v->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	return v;
}
