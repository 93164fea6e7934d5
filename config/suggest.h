/* suggest: the known word nearest to a mistyped one, for "did you mean". */
#ifndef WEIR_CONFIG_SUGGEST_H
#define WEIR_CONFIG_SUGGEST_H

#include <stddef.h>

struct suggestion {
	const char *word;
	const char *best; /* NULL: nothing is near enough */
	size_t distance;  /* of best, in edits */
};

void suggestion_init(struct suggestion *s, const char *word);

/* Offers one candidate, which must outlive s. */
void suggestion_consider(struct suggestion *s, const char *candidate);

/* The NULL-terminated list of candidates, all at once. */
void suggestion_consider_all(struct suggestion *s, const char *const *candidates);

enum { SUGGESTION_TEXT_MAX = 128 };

/* `; did you mean "timeout"?`, or "" when nothing is near. Returns text. */
const char *suggestion_text(const struct suggestion *s, char text[SUGGESTION_TEXT_MAX]);

#endif
