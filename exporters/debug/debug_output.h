/* debug_output: where the text goes: standard output, standard error or a file. A reader that does
 * not read (a stopped terminal, a full pipe) holds up the loop for OUTPUT_PATIENCE_NS at most,
 * once, and not at all until it reads again. */
#ifndef WEIR_EXPORTERS_DEBUG_OUTPUT_H
#define WEIR_EXPORTERS_DEBUG_OUTPUT_H

#include "core/base/error.h"
#include "core/base/slice.h"

#include <stdint.h>

#define OUTPUT_PATIENCE_NS UINT64_C(500000000)

struct output {
	const char *path; /* not owned */
	int fd;           /* -1: not open */
	bool owned, stuck;
};

/* "stdout", "stderr", or the path of a file that is appended to. */
int output_open(struct output *o, const char *path, struct error *error);
void output_close(struct output *o);

/* All of text. -EAGAIN: nobody reads, the rest was dropped; -EPIPE: nobody ever will; other
 * -errno. */
int output_write(struct output *o, struct slice text, struct error *error);

bool output_is_terminal(const struct output *o);
size_t output_width(const struct output *o); /* columns; 120 for what is no terminal */

#endif
