#include "config/suggest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 64 }; /* longer words are no typing mistakes of ours */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Optimal string alignment: insertions, deletions, changes and swaps of neighbours, one edit each;
 * case does not count. */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][WORD_MAX + 1], *before = rows[0], *last = rows[1], *now = rows[2];

	for (size_t j = 0; j <= b_len; j++)
		last[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *spare = before;
		now[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			int x = tolower((unsigned char)a[i - 1]);
			int y = tolower((unsigned char)b[j - 1]);
			now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
			    y == tolower((unsigned char)a[i - 2]))
				now[j] = least(now[j], before[j - 2] + 1);
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[b_len];
}

void suggestion_init(struct suggestion *s, const char *word)
{
	*s = (struct suggestion){.word = word};
}

void suggestion_consider(struct suggestion *s, const char *candidate)
{
	size_t a = strlen(s->word), b = strlen(candidate), distance;
	size_t most = 1 + least(a, b) / 4; /* one edit, and one more for every four letters */

	if (!a || a > WORD_MAX || b > WORD_MAX || a > b + most || b > a + most)
		return;
	distance = edit_distance(s->word, a, candidate, b);
	if (distance > most)
		return;
	if (distance >= a || distance >= b)
		return; /* nothing in common */
	if (!s->best || distance < s->distance) {
		s->best = candidate;
		s->distance = distance;
	}
}

void suggestion_consider_all(struct suggestion *s, const char *const *candidates)
{
	for (; *candidates; candidates++)
		suggestion_consider(s, *candidates);
}

const char *suggestion_text(const struct suggestion *s, char text[SUGGESTION_TEXT_MAX])
{
	text[0] = '\0';
	if (s->best)
		snprintf(text, SUGGESTION_TEXT_MAX, "; did you mean \"%s\"?", s->best);
	return text;
}
