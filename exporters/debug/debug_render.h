/* debug_render: a batch as text. Pure: no I/O, no clock. The batch was opened with batch_read();
 * only the basic view does without. */
#ifndef WEIR_EXPORTERS_DEBUG_RENDER_H
#define WEIR_EXPORTERS_DEBUG_RENDER_H

#include "core/data/batch.h"

enum verbosity { VERBOSITY_BASIC, VERBOSITY_NORMAL, VERBOSITY_DETAILED };

struct render {
	struct buffer *out; /* .failed when there was no memory */
	enum verbosity verbosity;
	bool color;
	size_t width; /* columns of the terminal */
};

/* Spans, data points or log records of a batch that the normal view shows: more scroll past unread,
 * and the loop waits meanwhile (some 15 ms for so many points). */
enum { RENDER_ITEMS = 4096 };

/* One line about the whole batch, then what the verbosity asks for. */
void render_batch(const struct render *r, const struct batch *b, uint64_t now_unix_ns);

/* Parts of it. */
void render_metrics(const struct render *r, const struct batch *b);
void render_detailed(const struct render *r, const struct batch *b);
void render_resource(const struct render *r, const Otlp__Resource *resource);
/* The line that says so. n 0: none. */
void render_not_shown(const struct render *r, size_t n, enum signal signal);

enum style { STYLE_PLAIN, STYLE_STRONG, STYLE_FAINT, STYLE_WARNING, STYLE_ERROR };
void render_style(const struct render *r, enum style style);

/* What the dotted names of a batch's metrics begin with, the dot included; empty when they have
 * nothing in common or there is only one. */
struct slice render_common_prefix(const struct batch *b);

#endif
