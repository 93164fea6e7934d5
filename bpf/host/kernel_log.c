#include "bpf/host/kernel_log.h"

#include <bpf/libbpf.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libbpf's callback takes no argument, so the thread has to say for whom it is loading. */
static _Thread_local struct kernel_log *current;

static bool is_prefixed(const char *line, size_t len, const char *prefix)
{
	size_t n = strlen(prefix);

	return len >= n && memcmp(line, prefix, n) == 0;
}

/* Frames around the verifier's log, and figures after its verdict. */
static bool is_noise(const char *line, size_t len)
{
	return len < 4 || is_prefixed(line, len, "-- ") || is_prefixed(line, len, "processed ") ||
	       is_prefixed(line, len, "verification time") ||
	       is_prefixed(line, len, "stack depth") ||
	       is_prefixed(line, len, "libbpf: failed to load object") ||
	       is_prefixed(line, len, "libbpf: failed to load BPF skeleton") ||
	       (is_prefixed(line, len, "libbpf: prog '") &&
	        memmem(line, len, "failed to load", 14));
}

/* Of one message (the verifier's whole log is one) the last line that is not noise. A later message
 * replaces an earlier reason: libbpf warns again on its way out, which is_noise() leaves aside. */
static void reason_take(struct kernel_log *k, const char *message)
{
	const char *end = message + strlen(message), *start;

	while (end > message) {
		size_t len;

		for (start = end; start > message && start[-1] != '\n'; start--)
			;
		len = (size_t)(end - start);
		if (!is_noise(start, len)) {
			if (is_prefixed(start, len, "libbpf: ")) {
				start += 8;
				len -= 8;
			}
			snprintf(k->reason, sizeof k->reason, "%.*s", (int)len, start);
			return;
		}
		end = start > message ? start - 1 : message;
	}
}

static int on_print(enum libbpf_print_level level, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

static int on_print(enum libbpf_print_level level, const char *format, va_list args)
{
	struct kernel_log *k = current;
	char message[4096];
	va_list again;
	int n;

	if (!k)
		return 0;
	va_copy(again, args);
	n = vsnprintf(message, sizeof message, format, args);
	if (n < 0)
		message[0] = '\0';
	if (level == LIBBPF_WARN) {
		char *whole = NULL;

		/* Why a program was refused stands at the end of a log of any length. */
		if (n >= (int)sizeof message && vasprintf(&whole, format, again) >= 0) {
			reason_take(k, whole);
			free(whole);
		} else {
			reason_take(k, message);
		}
	}
	va_end(again);
	message[strcspn(message, "\n")] = '\0';
	log_debug(k->logger, "%s", message);
	return 0;
}

static void route(void)
{
	libbpf_set_print(on_print);
}

void kernel_log_begin(struct kernel_log *k, const struct logger *logger)
{
	static pthread_once_t routed = PTHREAD_ONCE_INIT;

	pthread_once(&routed, route);
	*k = (struct kernel_log){.logger = logger, .outer = current};
	current = k;
}

void kernel_log_end(struct kernel_log *k)
{
	current = k->outer;
}
