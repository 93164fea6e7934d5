/* print: configuration as YAML, with secrets masked as [REDACTED] unless they are asked for. */
#ifndef WEIR_CONFIG_PRINT_H
#define WEIR_CONFIG_PRINT_H

#include "config/option.h"
#include "config/yaml.h"

enum print_flag {
	PRINT_SECRETS = 1,  /* show them */
	PRINT_DEFAULTS = 2, /* everything in effect, not only what was written */
};

/* In double quotes as both YAML and JSON read it: JSON's escapes, and DEL escaped, which YAML does
 * not allow. */
void print_quoted(const char *text, struct buffer *out);

/* A scalar as YAML reads it back as the same string, a dollar sign doubled. */
void print_string(const char *text, struct buffer *out);

/* The value that follows "key:" at that indent (in steps of two spaces): " text\n", or "\n" and an
 * indented block. options says what is secret; NULL: nothing is. */
void print_node(const struct node *node, const struct option *options, unsigned indent,
                unsigned flags, struct buffer *out);

/* A filled config struct, every key with the value in effect, as an indented block. */
void print_config(const struct option *options, const void *config, unsigned indent, unsigned flags,
                  struct buffer *out);

#endif
