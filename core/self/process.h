/* process: what this process uses, under the Collector's names. */
#ifndef WEIR_SELF_PROCESS_H
#define WEIR_SELF_PROCESS_H

#include "core/base/budget.h"
#include "core/self/metrics.h"

struct process_metrics;

/* Registers with m. budget (may be NULL) is the account of the batches' memory; version and
 * revision are constants. NULL: no memory. */
struct process_metrics *process_metrics_new(struct metrics *m, const struct budget *budget,
                                            const char *version, const char *revision);
void process_metrics_free(struct process_metrics *p); /* before its metrics; takes NULL */

#endif
