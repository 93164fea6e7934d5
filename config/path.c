#include "config/path.h"

#include <stdio.h>

static size_t append(const struct path *p, char *text)
{
	size_t at = p->parent ? append(p->parent, text) : 0;
	const char *joint = at ? "::" : "";
	int n;

	if (p->key)
		n = snprintf(text + at, PATH_TEXT_MAX - at, "%s%s", joint, p->key);
	else
		n = snprintf(text + at, PATH_TEXT_MAX - at, "%s%zu", joint, p->index);
	at += n > 0 ? (size_t)n : 0;
	return at < PATH_TEXT_MAX ? at : PATH_TEXT_MAX - 1;
}

const char *path_text(const struct path *path, char text[PATH_TEXT_MAX])
{
	text[0] = '\0';
	if (path)
		append(path, text);
	return text;
}
