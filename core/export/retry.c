#include "core/export/retry.h"

#include "core/base/clock.h"
#include "core/base/random.h"

/* A server may ask for any number of seconds: added to a point in time it must not wrap round to
 * one that has passed. */
#define LONGEST_WAIT_NS (UINT64_MAX / 4)

void retry_begin(struct retry *r, const struct retry_config *config, uint64_t now_ns)
{
	r->started_ns = now_ns;
	r->interval_ns = config->initial_interval;
}

bool retry_next(struct retry *r, const struct retry_config *config, uint64_t now_ns,
                uint64_t server_delay_ns, uint64_t *ret_wait_ns)
{
	uint64_t wait = random_jitter(r->interval_ns, config->randomization_factor);
	double grown = (double)r->interval_ns * config->multiplier;

	if (wait < server_delay_ns)
		wait = server_delay_ns;
	if (wait > LONGEST_WAIT_NS)
		wait = LONGEST_WAIT_NS;
	if (wait < NS_PER_MS) /* a loop that never waits would starve everything else */
		wait = NS_PER_MS;
	r->interval_ns =
		grown < (double)config->max_interval ? (uint64_t)grown : config->max_interval;
	if (config->max_elapsed_time && now_ns - r->started_ns + wait > config->max_elapsed_time)
		return false;
	*ret_wait_ns = wait;
	return true;
}
