/* pattern: a regular expression as users of the Collector write it, compiled once and matched often.
 *
 * Users write Go's syntax (RE2); PCRE2 reads all of it that matters here, (?P<name>...) included, and more.
 * Go's matcher takes time in proportion to its input; a backtracking one does not, so every match has a limit of steps,
 * depth and memory. What reaches it counts as no match and is counted. Text is UTF-8; bytes that are none match nothing.
 * A pattern is for one loop: a match is kept in it until the next. */
#ifndef WEIR_ATTRIBUTES_PATTERN_H
#define WEIR_ATTRIBUTES_PATTERN_H

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/slice.h"

struct pattern;

/* -EINVAL, with a sentence that names the pattern and the place in it; -ENOMEM. */
int pattern_new(const char *text, struct pattern **ret, struct error *error);
void pattern_free(struct pattern *p); /* takes NULL */

/* Whether it matches anywhere in the text: 1 or 0; -ENOMEM. */
int pattern_match(struct pattern *p, struct slice text);

/* Groups in parentheses that capture, numbered from 1; the name of one, NULL when it has none. */
unsigned pattern_groups(const struct pattern *p);
const char *pattern_group_name(const struct pattern *p, unsigned i);

/* What group i held in the last match, which must have been one; empty when it took no part. Points into its text. */
struct slice pattern_group(const struct pattern *p, struct slice text, unsigned i);

/* Matches that were given up at a limit, since the last call. */
unsigned pattern_given_up(struct pattern *p);

/* Says it in the log, and what to do; nothing of 0. */
void pattern_log_given_up(const struct logger *log, unsigned given_up);

#endif
