/* log: lines for the operator, on standard error.
 *
 * A log_sink is where lines go (level, encoding, file descriptor); one per process, owned by main.
 * A logger is a sink and the id of the component that speaks. Each call site is limited to
 * LOG_BURST lines in LOG_WINDOW; what was left out is counted and said with the next line of that
 * site. Never log per record; never log payloads or secrets. */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_encoding { LOG_CONSOLE, LOG_JSON };

enum { LOG_BURST = 10 };
#define LOG_WINDOW_NS (10 * UINT64_C(1000000000))

struct log_sink {
	enum log_level level; /* lines below it are not written */
	enum log_encoding encoding;
	int fd;
};

struct logger {
	const struct log_sink *sink; /* NULL: nothing is written */
	const char *subject;         /* "exporter otlp/front"; not owned */
};

/* State of one call site, safe on any thread. */
struct log_site {
	_Atomic uint64_t window_start_ns;
	_Atomic unsigned in_window, suppressed;
};

void log_write(const struct logger *l, struct log_site *site, enum log_level level,
               const char *format, ...) __attribute__((format(printf, 4, 5)));

#define LOG_AT(logger, level, ...)                                                                 \
	do {                                                                                       \
		static struct log_site log_site_;                                                  \
		log_write(logger, &log_site_, level, __VA_ARGS__);                                 \
	} while (0)

#define log_debug(logger, ...) LOG_AT(logger, LOG_DEBUG, __VA_ARGS__)
#define log_info(logger, ...) LOG_AT(logger, LOG_INFO, __VA_ARGS__)
#define log_warn(logger, ...) LOG_AT(logger, LOG_WARN, __VA_ARGS__)
#define log_error(logger, ...) LOG_AT(logger, LOG_ERROR, __VA_ARGS__)

#endif
