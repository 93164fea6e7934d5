#include "core/base/log.h"

#include "core/base/clock.h"
#include "core/base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* True when the line may be written; *ret_suppressed: lines of this site left out since the last
 * one. */
static bool admit(struct log_site *site, unsigned *ret_suppressed)
{
	uint64_t now = clock_monotonic_ns(), start = atomic_load(&site->window_start_ns);

	if (start == 0 || now - start > LOG_WINDOW_NS) {
		atomic_store(&site->window_start_ns, now);
		atomic_store(&site->in_window, 0);
	}
	if (atomic_fetch_add(&site->in_window, 1) >= LOG_BURST) {
		atomic_fetch_add(&site->suppressed, 1);
		return false;
	}
	*ret_suppressed = atomic_exchange(&site->suppressed, 0);
	return true;
}

/* Control characters, those beyond ASCII included, would let a name forge lines or move the cursor.
 * In JSON quotes are escaped too. What is no UTF-8 becomes U+FFFD. */
static void escape(char *out, size_t size, const char *in, bool json)
{
	size_t n = 0, left = strlen(in), len;

	for (; left && n + 7 < size; in += len, left -= len) {
		const uint8_t *c = (const uint8_t *)in;
		len = utf8_character(c, left);
		if (json && (*c == '"' || *c == '\\'))
			n += (size_t)snprintf(out + n, size - n, "\\%c", *c);
		else if (*c < 0x20 || *c == 0x7f)
			n += (size_t)snprintf(out + n, size - n, json ? "\\u%04x" : "\\x%02x", *c);
		else if (len == 2 && c[0] == 0xc2 && c[1] < 0xa0)
			n += (size_t)snprintf(out + n, size - n, "\\u%04x", c[1]);
		else
			n += (size_t)snprintf(out + n, size - n, "%.*s", (int)(len ? len : 3),
			                      len ? in : UTF8_REPLACEMENT);
		len = len ? len : 1;
	}
	out[n] = '\0';
}

void log_write(const struct logger *l, struct log_site *site, enum log_level level,
               const char *format, ...)
{
	char message[1024], safe[2048], subject[256], line[2560], when[40];
	uint64_t now = clock_realtime_ns();
	time_t seconds = (time_t)(now / NS_PER_S);
	unsigned suppressed = 0;
	struct tm tm;
	va_list args;
	bool json;
	int n;

	if (!l || !l->sink || level < l->sink->level || !admit(site, &suppressed))
		return;
	json = l->sink->encoding == LOG_JSON;
	va_start(args, format);
	n = vsnprintf(message, sizeof message, format, args);
	va_end(args);
	if (suppressed && n >= 0 && (size_t)n < sizeof message)
		snprintf(message + n, sizeof message - (size_t)n, " (and %u like it since)",
		         suppressed);
	escape(safe, sizeof safe, message, json);
	escape(subject, sizeof subject, l->subject ? l->subject : "", json);
	gmtime_r(&seconds, &tm);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when + strlen(when), sizeof when - strlen(when), ".%03uZ",
	         (unsigned)(now % NS_PER_S / NS_PER_MS));
	if (json)
		n = snprintf(
			line, sizeof line,
			"{\"ts\":\"%s\",\"level\":\"%s\",\"component\":\"%s\",\"msg\":\"%s\"}\n",
			when, level_names[level], subject, safe);
	else
		n = snprintf(line, sizeof line, "%s\t%s\t%s%s%s\n", when, level_names[level],
		             subject, *subject ? ": " : "", safe);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof line) {
		n = sizeof line - 1;
		line[n - 1] = '\n';
	}
	if (write(l->sink->fd, line, (size_t)n) < 0)
		return; /* nowhere left to say it */
}
