/* signal: the kinds of telemetry (OpenTelemetry's word; Unix signals are
 * core/loop/unix_signal.h). */
#ifndef WEIR_BASE_SIGNAL_H
#define WEIR_BASE_SIGNAL_H

#include <stdbool.h>

enum signal { SIGNAL_TRACES, SIGNAL_METRICS, SIGNAL_LOGS };
enum { SIGNAL_COUNT = 3 };

#define SIGNAL_BIT(signal) (1u << (signal))
#define SIGNAL_ALL                                                                                 \
	(SIGNAL_BIT(SIGNAL_TRACES) | SIGNAL_BIT(SIGNAL_METRICS) | SIGNAL_BIT(SIGNAL_LOGS))

/* "traces", "metrics", "logs". */
const char *signal_name(enum signal s);

/* What one item is called in the Collector's metric names: "spans", "metric_points",
 * "log_records". */
const char *signal_item_name(enum signal s);

/* The signal of that name; false when there is none. */
bool signal_from_name(const char *name, enum signal *ret);

#endif
