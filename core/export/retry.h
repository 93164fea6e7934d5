/* retry: how long to wait before the next attempt. Exponential with jitter; pure arithmetic. */
#ifndef WEIR_EXPORT_RETRY_H
#define WEIR_EXPORT_RETRY_H

#include "core/export/exporter.h"

struct retry {
	uint64_t started_ns;  /* the first attempt */
	uint64_t interval_ns; /* the next wait before jitter */
};

void retry_begin(struct retry *r, const struct retry_config *config, uint64_t now_ns);

/* The wait after a failed attempt: max(back-off with jitter, what the server asked for), at least 1
 * ms. False when max_elapsed_time would have passed by then. */
bool retry_next(struct retry *r, const struct retry_config *config, uint64_t now_ns,
                uint64_t server_delay_ns, uint64_t *ret_wait_ns);

#endif
