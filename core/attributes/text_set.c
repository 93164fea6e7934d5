#include "core/attributes/text_set.h"

#include "core/attributes/pattern.h"

#include <stdlib.h>

struct text_set {
	size_t n;
	struct {
		struct slice text;
		struct pattern *pattern; /* NULL: compared */
	} items[];
};

void text_set_free(struct text_set *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		pattern_free(s->items[i].pattern);
	free(s);
}

int text_set_new(const char *const *texts, size_t n, bool regexp, struct text_set **ret,
                 struct error *error)
{
	struct text_set *s = calloc(1, sizeof *s + n * sizeof *s->items);
	int r = 0;

	if (!s)
		return error_no_memory(error);
	for (; s->n < n && r == 0; s->n++) {
		s->items[s->n].text = slice_from_string(texts[s->n]);
		if (regexp)
			r = pattern_new(texts[s->n], &s->items[s->n].pattern, error);
	}
	if (r < 0)
		text_set_free(s);
	else
		*ret = s;
	return r;
}

int text_set_has(struct text_set *s, struct slice text)
{
	for (size_t i = 0; i < s->n; i++) {
		int r = s->items[i].pattern ? pattern_match(s->items[i].pattern, text)
		                            : slice_equal(s->items[i].text, text);
		if (r != 0)
			return r;
	}
	return 0;
}

unsigned text_set_given_up(struct text_set *s)
{
	unsigned n = 0;

	for (size_t i = 0; s && i < s->n; i++)
		if (s->items[i].pattern)
			n += pattern_given_up(s->items[i].pattern);
	return n;
}
