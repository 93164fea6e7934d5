/* status: how a component is, as it says itself and as the graph says of its life. */
#ifndef WEIR_BASE_STATUS_H
#define WEIR_BASE_STATUS_H

enum component_status {
	STATUS_STARTING,
	STATUS_OK,
	STATUS_RECOVERABLE_ERROR, /* works again by itself when the cause goes */
	STATUS_PERMANENT_ERROR,   /* needs somebody to change something; the rest goes on */
	STATUS_FATAL_ERROR,       /* the process ends */
	STATUS_STOPPING,
	STATUS_STOPPED,
};

/* The Collector's: "StatusOK", "StatusRecoverableError", ... */
const char *status_name(enum component_status status);

#endif
