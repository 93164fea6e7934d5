#include "core/base/signal.h"

#include <string.h>

static const char *const names[SIGNAL_COUNT] = {"traces", "metrics", "logs"};
static const char *const item_names[SIGNAL_COUNT] = {"spans", "metric_points", "log_records"};

const char *signal_name(enum signal s)
{
	return names[s];
}

const char *signal_item_name(enum signal s)
{
	return item_names[s];
}

bool signal_from_name(const char *name, enum signal *ret)
{
	for (unsigned s = 0; s < SIGNAL_COUNT; s++)
		if (strcmp(names[s], name) == 0) {
			*ret = (enum signal)s;
			return true;
		}
	return false;
}
