#include "core/base/status.h"

const char *status_name(enum component_status status)
{
	static const char *const names[] = {
		[STATUS_STARTING] = "StatusStarting",
		[STATUS_OK] = "StatusOK",
		[STATUS_RECOVERABLE_ERROR] = "StatusRecoverableError",
		[STATUS_PERMANENT_ERROR] = "StatusPermanentError",
		[STATUS_FATAL_ERROR] = "StatusFatalError",
		[STATUS_STOPPING] = "StatusStopping",
		[STATUS_STOPPED] = "StatusStopped",
	};
	return names[status];
}
