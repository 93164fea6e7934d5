/* error: what went wrong, in one sentence a person can act on.
 *
 * A struct error lives on the caller's stack or inside a larger struct; it owns no memory. The
 * first error wins: setting one that is already set changes nothing. Each level on the way up adds
 * its subject with error_wrap(). Every function takes a NULL error and then only returns the code.
 */
#ifndef WEIR_BASE_ERROR_H
#define WEIR_BASE_ERROR_H

#include <stdbool.h>

enum error_kind {
	ERROR_PERMANENT, /* the same call with the same input fails again */
	ERROR_RETRYABLE, /* it may succeed later, without anybody changing anything */
};

struct error {
	int code; /* 0: no error; otherwise a negative errno */
	enum error_kind kind;
	char message[512]; /* UTF-8, no trailing full stop, no newline; cut with "..." when
			      longer */
};

#define ERROR_INIT                                                                                 \
	{                                                                                          \
		0                                                                                  \
	}

/* Sets a permanent error unless one is set already. Returns the code that e now holds (or code when
 * e is NULL). */
int error_set(struct error *e, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same, retryable. */
int error_set_retryable(struct error *e, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "subject: " before the message of an error that is set. Returns e->code. */
int error_wrap(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* -ENOMEM, retryable: what every failed allocation becomes. */
int error_no_memory(struct error *e);

static inline bool error_is_set(const struct error *e)
{
	return e->code != 0;
}

void error_clear(struct error *e);

#endif
