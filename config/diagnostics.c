#include "config/diagnostics.h"

#include "core/base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 1024 };

void diagnostics_init(struct diagnostics *d)
{
	*d = (struct diagnostics){0};
	arena_init(&d->arena, NULL);
}

void diagnostics_fini(struct diagnostics *d)
{
	arena_fini(&d->arena);
	d->count = d->errors = d->warnings = 0;
}

/* A copy of at most TEXT_MAX bytes in which nothing can move the cursor or end the line: no control
 * characters, those beyond ASCII included, and no bytes that are not UTF-8. */
static const char *copy_text(struct diagnostics *d, const char *text)
{
	struct buffer clean = BUFFER_INIT;
	struct slice copy = {0};
	bool copied;

	utf8_append(&clean, slice_of(text, strnlen(text, TEXT_MAX)));
	for (size_t i = 0; i < clean.len; i++) {
		uint8_t *at = clean.data + i;
		if (*at < 0x20 || *at == 0x7F)
			*at = '?';
		else if (*at == 0xC2 && at[1] < 0xA0)
			at[0] = at[1] = '?';
	}
	copied = !clean.failed && arena_copy(&d->arena, buffer_slice(&clean), &copy);
	buffer_fini(&clean);
	return copied ? (const char *)copy.data : NULL;
}

__attribute__((format(printf, 5, 0))) static void add(struct diagnostics *d, enum severity severity,
                                                      struct position at, const char *path,
                                                      const char *format, va_list args)
{
	char message[TEXT_MAX];
	struct diagnostic item = {.severity = severity, .at = at};

	if (!d)
		return;
	if (severity == SEVERITY_ERROR)
		d->errors++;
	else
		d->warnings++;
	if (d->count == DIAGNOSTICS_MAX)
		return;
	vsnprintf(message, sizeof message, format, args);
	item.message = copy_text(d, message);
	item.path = copy_text(d, path ? path : "");
	item.at.file = at.file ? copy_text(d, at.file) : NULL;
	if (!item.message)
		item.message = "out of memory";
	if (!item.path)
		item.path = "";
	d->items[d->count++] = item;
}

void diagnostics_error(struct diagnostics *d, struct position at, const char *path,
                       const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(d, SEVERITY_ERROR, at, path, format, args);
	va_end(args);
}

void diagnostics_warn(struct diagnostics *d, struct position at, const char *path,
                      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(d, SEVERITY_WARNING, at, path, format, args);
	va_end(args);
}

bool diagnostics_is_full(const struct diagnostics *d)
{
	return !d || d->count == DIAGNOSTICS_MAX;
}

void diagnostic_print(const struct diagnostic *item, struct buffer *out)
{
	if (item->at.file) {
		buffer_append_string(out, item->at.file);
		if (item->at.line)
			buffer_printf(out, ":%u:%u", item->at.line, item->at.column);
		buffer_append_string(out, ": ");
	}
	if (item->severity == SEVERITY_WARNING)
		buffer_append_string(out, "warning: ");
	if (*item->path)
		buffer_printf(out, "%s: ", item->path);
	buffer_append_string(out, item->message);
}

static int compare(const void *left, const void *right)
{
	const struct diagnostic *a = left, *b = right;
	int r;

	if (!a->at.file || !b->at.file)
		r = !b->at.file - !a->at.file; /* what concerns the whole comes first */
	else
		r = strcmp(a->at.file, b->at.file);
	if (r)
		return r;
	if (a->at.line != b->at.line)
		return a->at.line < b->at.line ? -1 : 1;
	if (a->at.column != b->at.column)
		return a->at.column < b->at.column ? -1 : 1;
	r = strcmp(a->path, b->path);
	return r ? r : strcmp(a->message, b->message);
}

void diagnostics_print(struct diagnostics *d, struct buffer *out)
{
	size_t left_out = d->errors + d->warnings - d->count;

	qsort(d->items, d->count, sizeof *d->items, compare);
	for (size_t i = 0; i < d->count; i++) {
		diagnostic_print(&d->items[i], out);
		buffer_append_byte(out, '\n');
	}
	if (left_out)
		buffer_printf(out, "and %zu more\n", left_out);
}
