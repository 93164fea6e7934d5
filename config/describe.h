/* describe: what an option table says, for people and for editors.
 *
 * The texts come from the same rows that parse the configuration, so they cannot disagree with it.
 */
#ifndef WEIR_CONFIG_DESCRIBE_H
#define WEIR_CONFIG_DESCRIBE_H

#include "config/option.h"
#include "core/base/buffer.h"

/* For a terminal: what `weir describe exporter/otlp` prints below its heading. options may be NULL
 * (no keys). All functions here append to out, whose failure sticks. */
void describe_text(const struct option *options, struct buffer *out);

/* A Markdown table, what stands in a README between DESCRIBE_BEGIN and DESCRIBE_END. */
void describe_markdown(const struct option *options, struct buffer *out);

#define DESCRIBE_BEGIN "<!-- options -->\n"
#define DESCRIBE_END "<!-- /options -->"

/* A JSON Schema (draft 2020-12) of the component's block, as one object with a newline at its
 * end. */
void describe_schema(const char *title, const struct option *options, struct buffer *out);

/* "duration", "list of strings", "one of basic, normal, detailed", ... */
void describe_kind(const struct option *option, struct buffer *out);

#endif
