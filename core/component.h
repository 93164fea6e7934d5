/* component: what a receiver, processor, exporter, connector or extension is to the rest of weir.
 *
 * Life: create -> [start] -> consume... -> shutdown -> closed exactly once -> destroy. shutdown is
 * called once for every created instance, also when start failed half-way or was never called:
 * teardown exists in one place. Everything happens on host->loop's thread. */
#ifndef WEIR_COMPONENT_H
#define WEIR_COMPONENT_H

#include "config/option.h"
#include "core/base/budget.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/signal.h"
#include "core/base/status.h"
#include "core/data/batch.h"
#include "core/data/outcome.h"

struct loop;
struct metrics;
struct health;
struct names;
struct component;

enum component_kind { RECEIVER, PROCESSOR, EXPORTER, CONNECTOR, EXTENSION };

/* "receiver", "processor", ... */
const char *component_kind_name(enum component_kind kind);

enum component_caps {
	CAP_MUTATES = 1, /* writes to batches: the fan-out gives it one of its own */
	CAP_SHARED = 2,  /* one instance for all signals of an id; otherwise one per (id, signal), a
	                    processor one per  (pipeline, id) */
	CAP_BPF = 4,     /* needs rights to load eBPF programs */
	CAP_SAME_SIGNAL = 8, /* a connector whose output is of the signal that came in */
};

/* What a component may ask of its surroundings. Outlives every component. */
struct host {
	struct loop *loop;
	struct budget *budget;   /* the process's memory account */
	struct metrics *metrics; /* core/self/metrics.h */
	struct health *health;   /* core/self/health.h: how the pipelines are */
	struct names *names;     /* core/names/names.h: names of addresses that were observed */
	const struct log_sink *log;
	const char *version; /* "0.1.0" */

	/* The extension of that id, for instance an authenticator, from create() to destroy() of
	 * every other component; NULL when service::extensions does not list it. */
	struct component *(*extension)(const struct host *host, const char *id);

	/* Tells a change of status; error may be NULL. FATAL_ERROR begins the shutdown of the
	 * process. */
	void (*report)(const struct host *host, const struct component *c,
	               enum component_status status, const struct error *error);
};

/* Where data goes next. fn NULL: nowhere (this signal is not wired). */
struct consumer {
	void (*fn)(void *self, struct batch *batch, struct done done);
	void *self;
};

static inline bool consumer_is_set(struct consumer c)
{
	return c.fn != NULL;
}

/* Takes the reference to batch, always; done is called exactly once, maybe before this returns. */
static inline void consumer_consume(struct consumer c, struct batch *batch, struct done done)
{
	c.fn(c.self, batch, done);
}

struct create_args {
	const char *id; /* "otlp/front"; outlives the component */
	const void
		*config; /* the type's config struct, filled and checked; outlives the component */
	const struct host *host;
	enum signal signal; /* of this instance; the first wired one with CAP_SHARED */
	struct consumer next[SIGNAL_COUNT]; /* receivers, processors, connectors */
};

/* A request's metadata as an authenticator sees it: HTTP headers, gRPC metadata. */
struct request_metadata {
	/* The first field of that name (lower case); false: none. */
	bool (*get)(const struct request_metadata *m, const char *name, struct slice *ret);
};

enum { AUTH_HEADERS_MAX = 4 };
struct auth_headers {
	struct {
		const char *name, *value; /* name in lower case; valid until the next call */
	} items[AUTH_HEADERS_MAX];
	size_t count;
};

/* What an extension that is an authenticator does for servers and for clients. */
struct authenticator {
	/* Whether a request may come in. On success *ret_identity is who it is (a user's name; never a
	 * secret), valid during the call, or NULL. On failure the sentence is for the client and for
	 * the log and tells no secret. Takes as long for a wrong secret as for a right one. NULL: not
	 * for servers; also when this instance is not set up for it. */
	int (*authenticate)(struct component *c, const struct request_metadata *m,
	                    const char **ret_identity, struct error *error);
	/* Headers for a request that goes out, as they are now. NULL: not for clients. */
	int (*client_headers)(struct component *c, struct auth_headers *ret, struct error *error);
	/* Whether this instance, as it is configured, can do the one or the other. */
	bool (*serves)(const struct component *c, bool as_server);
	/* The challenge of a 401: "Bearer", "Basic realm=..."; NULL: none. */
	const char *(*challenge)(const struct component *c);
};

struct component_type {
	const char *name;           /* "otlp" */
	const char *const *aliases; /* other names users write, NULL-terminated; or NULL */
	enum component_kind kind;
	unsigned signals; /* SIGNAL_BIT()s */
	unsigned caps;    /* enum component_caps */
	const char *summary;
	const char *stability; /* "development", "alpha", "beta", "stable" */
	size_t config_size;
	const struct option
		*options; /* one table parses, bounds, checks, documents; NULL: no keys */
	int (*check)(const void *config,
	             struct error *error); /* rules over several fields; pure; may be NULL */
	int (*create)(const struct create_args *args, struct component **ret,
	              struct error *error); /* memory only */
	/* Reads the files that its configuration names, as start() would, and does nothing else that
	 * anybody notices but what it logs; for `weir validate`, instead of start(). May be NULL: there
	 * are none. */
	int (*examine)(struct component *c, struct error *error);
	int (*start)(struct component *c,
	             struct error *error); /* listen, connect, attach; returns at
	                                                           once; may be NULL */
	void (*consume)(struct component *c, struct batch *batch,
	                struct done done); /* NULL for receivers, extensions */
	/* Stops taking in, finishes what is in flight until deadline_ns (monotonic), then gives up
	 * the rest and counts it. Calls closed(arg) exactly once, maybe before it returns. */
	void (*shutdown)(struct component *c, uint64_t deadline_ns, void (*closed)(void *arg),
	                 void *arg);
	void (*destroy)(struct component *c);      /* takes NULL */
	const struct authenticator *authenticator; /* of extensions; NULL: it is none */
};

/* The first member of every instance; create() fills it with component_init(). */
struct component {
	const struct component_type *type;
	const char *id;
	const struct host *host;
	struct logger log;
	char subject[96]; /* "exporter otlp/front" */
};

void component_init(struct component *c, const struct component_type *type,
                    const struct create_args *args);

/* The extension of that id, whose type->authenticator is set and which, as it is configured, serves
 * servers (as_server) or clients. For create(), of who has an `auth` block. NULL and an error that
 * names the id: there is none, or it is for something else. */
struct component *authenticator_find(const struct host *host, const char *id, bool as_server,
                                     struct error *error);

#endif
