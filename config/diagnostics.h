/* diagnostics: every mistake and every warning of one load, each with the place where it stands.
 *
 * Whoever reads configuration adds to the list and goes on, so that one run tells all mistakes. The
 * list owns copies of all texts and is bounded: beyond DIAGNOSTICS_MAX entries they are only
 * counted. Printed form, sorted by place:
 *
 *   agent.yaml:14:7: exporters::otlp: has invalid keys: tmeout; did you mean "timeout"?
 *   agent.yaml:3:3: warning: receivers::otlp: is not used by any pipeline */
#ifndef WEIR_CONFIG_DIAGNOSTICS_H
#define WEIR_CONFIG_DIAGNOSTICS_H

#include "core/base/arena.h"
#include "core/base/buffer.h"

enum { DIAGNOSTICS_MAX = 100 };

/* A place in a source. file NULL: no place at all; line 0: the source as a whole ("--set
 * a.b=c"). */
struct position {
	const char *file;
	unsigned line, column; /* from 1; the column counts characters */
};

enum severity { SEVERITY_ERROR, SEVERITY_WARNING };

struct diagnostic {
	enum severity severity;
	struct position at;
	const char *path;    /* "exporters::otlp"; "" for none */
	const char *message; /* one sentence, no full stop, no newline */
};

struct diagnostics {
	struct arena arena;
	struct diagnostic items[DIAGNOSTICS_MAX]; /* in the order in which they were found */
	size_t count;
	size_t errors, warnings; /* all of them, also those beyond the bound */
};

void diagnostics_init(struct diagnostics *d);
void diagnostics_fini(struct diagnostics *d);

/* Control characters in the message are replaced, so that a line stays a line. Without memory the
 * entry is counted and its text says so. A NULL list takes nothing. */
void diagnostics_error(struct diagnostics *d, struct position at, const char *path,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));
void diagnostics_warn(struct diagnostics *d, struct position at, const char *path,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Whether further entries are only counted: their texts are not worth any work. */
bool diagnostics_is_full(const struct diagnostics *d);

/* The entry as one line without newline. */
void diagnostic_print(const struct diagnostic *item, struct buffer *out);

/* Sorts the entries by place and appends them, one line each; then how many were left out. */
void diagnostics_print(struct diagnostics *d, struct buffer *out);

#endif
