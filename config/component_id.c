/* Ids of components and pipelines: "type" or "type/name", by the Collector's rules and in its
 * words. */
#include "config/document.h"

#include <ctype.h>
#include <errno.h>

enum { TYPE_MAX = 63, NAME_MAX_CHARACTERS = 1024 };

static struct slice trim(struct slice s)
{
	while (s.len && isspace(s.data[0])) {
		s.data++;
		s.len--;
	}
	while (s.len && isspace(s.data[s.len - 1]))
		s.len--;
	return s;
}

/* ^[a-zA-Z][0-9a-zA-Z_]{0,62}$ */
static bool is_type(struct slice s)
{
	if (s.len > TYPE_MAX || !isalpha(s.data[0]) || s.data[0] > 0x7F)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] > 0x7F || !(isalnum(s.data[i]) || s.data[i] == '_'))
			return false;
	return true;
}

/* One character of valid UTF-8; advances. */
static uint32_t next_character(struct slice *s)
{
	uint32_t c = s->data[0];
	size_t n = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;

	if (n > s->len)
		n = s->len;
	if (n > 1)
		c &= 0xFFu >> (n + 1);
	for (size_t i = 1; i < n; i++)
		c = c << 6 | (s->data[i] & 0x3F);
	s->data += n;
	s->len -= n;
	return c;
}

/* Not a separator, control or symbol: exact for ASCII; beyond it, what cannot be seen is
 * refused. */
static bool is_name_character(uint32_t c)
{
	if (c < 0x80)
		return isgraph((int)c) && !strchr("$+<=>^`|~", (int)c);
	return !(c <= 0xA0 || c == 0xAD || c == 0x1680 || (c >= 0x2000 && c <= 0x200F) ||
	         (c >= 0x2028 && c <= 0x202F) || (c >= 0x205F && c <= 0x206F) || c == 0x3000 ||
	         (c >= 0xD800 && c <= 0xF8FF) || c == 0xFEFF);
}

static int check_name(struct slice name, struct error *error)
{
	struct slice rest = name;
	size_t characters = 0;
	bool valid = true;

	while (rest.len) {
		valid &= is_name_character(next_character(&rest));
		characters++;
	}
	if (characters > NAME_MAX_CHARACTERS)
		return error_set(error, -EINVAL,
		                 "name \"%.40s...\" is longer than %d characters (%zu characters)",
		                 name.data, NAME_MAX_CHARACTERS, characters);
	if (!valid)
		return error_set(error, -EINVAL, "invalid character(s) in name \"%.*s\"",
		                 SLICE_PRINTF(name));
	return 0;
}

int component_id_parse(const char *text, struct arena *arena, struct document_component *ret,
                       struct error *error)
{
	const char *slash = strchr(text, '/');
	struct slice type = trim(slice_of(text, slash ? (size_t)(slash - text) : strlen(text)));
	struct slice name = {0}, type_copy, name_copy;
	char *id;

	if (!type.len && !slash)
		return error_set(error, -EINVAL, "id must not be empty");
	if (!type.len)
		return error_set(error, -EINVAL,
		                 "in \"%s\" id: the part before / should not be empty", text);
	if (slash) {
		name = trim(slice_from_string(slash + 1));
		if (!name.len)
			return error_set(error, -EINVAL,
			                 "in \"%s\" id: the part after / should not be empty",
			                 text);
		if (check_name(name, error) < 0)
			return -EINVAL;
	}
	if (!is_type(type))
		return error_set(error, -EINVAL,
		                 "in \"%s\" id: invalid character(s) in type \"%.*s\"", text,
		                 SLICE_PRINTF(type));
	id = arena_printf(arena, "%.*s%s%.*s", SLICE_PRINTF(type), slash ? "/" : "",
	                  SLICE_PRINTF(name));
	if (!id || !arena_copy(arena, type, &type_copy) || !arena_copy(arena, name, &name_copy))
		return error_no_memory(error);
	*ret = (struct document_component){
		.id = id,
		.type = (const char *)type_copy.data,
		.name = (const char *)name_copy.data,
	};
	return 0;
}
