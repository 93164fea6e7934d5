#include "core/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Puts the dots where a character begins, so that what is left stays UTF-8. */
static void mark_cut(char *message, size_t size, int wanted)
{
	size_t at = size - 4;

	if (wanted < (int)size)
		return;
	while (at > 0 && ((unsigned char)message[at] & 0xc0) == 0x80)
		at--;
	memcpy(message + at, "...", 4);
}

__attribute__((format(printf, 4, 0))) static int
set(struct error *e, int code, enum error_kind kind, const char *format, va_list args)
{
	if (!e)
		return code;
	if (e->code)
		return e->code;
	e->code = code;
	e->kind = kind;
	mark_cut(e->message, sizeof e->message,
	         vsnprintf(e->message, sizeof e->message, format, args));
	return code;
}

int error_set(struct error *e, int code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	code = set(e, code, ERROR_PERMANENT, format, args);
	va_end(args);
	return code;
}

int error_set_retryable(struct error *e, int code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	code = set(e, code, ERROR_RETRYABLE, format, args);
	va_end(args);
	return code;
}

int error_wrap(struct error *e, const char *format, ...)
{
	char subject[sizeof e->message];
	char inner[sizeof e->message];
	va_list args;

	if (!e || !e->code)
		return 0;
	va_start(args, format);
	vsnprintf(subject, sizeof subject, format, args);
	va_end(args);
	memcpy(inner, e->message, sizeof inner);
	mark_cut(e->message, sizeof e->message,
	         snprintf(e->message, sizeof e->message, "%s: %s", subject, inner));
	return e->code;
}

int error_no_memory(struct error *e)
{
	return error_set_retryable(e, -ENOMEM, "out of memory");
}

void error_clear(struct error *e)
{
	e->code = 0;
	e->kind = ERROR_PERMANENT;
	e->message[0] = '\0';
}
