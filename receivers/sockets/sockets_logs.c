#include "core/base/clock.h"
#include "core/data/semconv.h"
#include "receivers/sockets/sockets_batch.h"

/* The log records of one resource while they are put together. */
struct log_group {
	struct log_group *next;
	struct series_resource *resource; /* NULL: the host alone */
	struct build_list records;
};

static bool is_failure(const struct sockets_record *r)
{
	return r->flags & SOCKETS_FAILED;
}

/* From the first sign of the connection that was seen to its end; 0: it was there before weir. */
static double lifetime(const struct sockets_record *r)
{
	uint64_t from = r->started_ns ? r->started_ns : r->established_ns;

	return from && r->at_ns > from ? (double)(r->at_ns - from) / 1e9 : 0;
}

static const char *error_of(const struct sockets_record *r)
{
	return is_failure(r) || r->error ? series_failure_name(series_failure(r->error)) : NULL;
}

enum { ATTRIBUTES_MAX = 16 };

static bool address_attributes(struct arena *a, struct build_list *l,
                               const struct sockets_record *r, struct slice remote)
{
	bool v6 = r->family == AF_INET6;

	return sockets_common_build(a, l, v6, r->role) &&
	       sockets_address_build(a, l, SEMCONV_NETWORK_LOCAL_ADDRESS, v6, r->local_address) &&
	       build_int(a, l, SEMCONV_NETWORK_LOCAL_PORT, r->local_port) &&
	       build_string(a, l, SEMCONV_NETWORK_PEER_ADDRESS, remote) &&
	       build_int(a, l, SEMCONV_NETWORK_PEER_PORT, r->remote_port);
}

static bool attributes_build(struct arena *a, struct build_list *l, const struct sockets_record *r,
                             struct slice remote)
{
	const char *error = error_of(r);
	double seconds = lifetime(r);

	l->items = arena_alloc_array(a, ATTRIBUTES_MAX, sizeof *l->items);
	l->capacity = ATTRIBUTES_MAX;
	return l->items && address_attributes(a, l, r, remote) &&
	       (!r->owner.pid || build_int(a, l, SEMCONV_PROCESS_PID, r->owner.pid)) &&
	       (!error || build_string(a, l, SEMCONV_ERROR_TYPE, slice_from_string(error))) &&
	       build_int(a, l, SEMCONV_WEIR_TCP_BYTES_SENT, (int64_t)r->total_sent_bytes) &&
	       build_int(a, l, SEMCONV_WEIR_TCP_BYTES_RECEIVED, (int64_t)r->total_received_bytes) &&
	       (seconds == 0 || build_double(a, l, SEMCONV_WEIR_TCP_DURATION, seconds)) &&
	       (!r->srtt_us || build_double(a, l, SEMCONV_WEIR_TCP_RTT, r->srtt_us / 1e6)) &&
	       build_int(a, l, SEMCONV_WEIR_TCP_RETRANSMITS, r->total_retransmitted_segments);
}

/* A sentence put together without printf(), which was a third of what a log record cost. */
struct sentence {
	char text[160]; /* the longest has 117 characters */
	size_t len;
};

static void say(struct sentence *s, const char *words)
{
	while (*words && s->len < sizeof s->text)
		s->text[s->len++] = *words++;
}

static void say_number(struct sentence *s, unsigned n)
{
	char digits[11] = {0}, *at = digits + sizeof digits - 1;

	do
		*--at = (char)('0' + n % 10);
	while (n /= 10);
	say(s, at);
}

/* "connection to 10.0.0.7:5432 failed: connection_refused" */
static Otlp__AnyValue *body_build(struct arena *a, const struct sockets_record *r,
                                  const char *remote)
{
	Otlp__AnyValue *v = BUILD(a, Otlp__AnyValue, otlp__any_value);
	const char *error = error_of(r);
	struct sentence s = {.len = 0};

	say(&s, r->role == ROLE_SERVER ? "connection from " : "connection to ");
	say(&s, r->family == AF_INET6 ? "[" : "");
	say(&s, remote);
	say(&s, r->family == AF_INET6 ? "]:" : ":");
	say_number(&s, r->remote_port);
	say(&s, is_failure(r) ? " failed" : " closed");
	if (error) {
		say(&s, ": ");
		say(&s, error);
	}
	if (!v || !build_copy(a, slice_of((uint8_t *)s.text, s.len), &v->string_value))
		return NULL;
	v->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	return v;
}

/* from_monotonic: what the wall clock is ahead of the kernel's. */
static Otlp__LogRecord *log_build(struct arena *a, const struct sockets_record *r,
                                  uint64_t now_unix_ns, uint64_t from_monotonic)
{
	Otlp__LogRecord *log = BUILD(a, Otlp__LogRecord, otlp__log_record);
	bool warn = error_of(r) != NULL;
	char remote[INET6_ADDRSTRLEN] = "";
	size_t len = sockets_address_text(r->family == AF_INET6, r->remote_address, remote);
	struct build_list l = {0};

	if (!log || !attributes_build(a, &l, r, slice_of((uint8_t *)remote, len)) ||
	    !(log->body = body_build(a, r, remote)))
		return NULL;
	log->time_unix_nano = r->at_ns + from_monotonic;
	log->observed_time_unix_nano = now_unix_ns;
	log->severity_number = warn ? OTLP__SEVERITY_NUMBER__SEVERITY_NUMBER_WARN
	                            : OTLP__SEVERITY_NUMBER__SEVERITY_NUMBER_INFO;
	log->severity_text = build_text(warn ? "WARN" : "INFO");
	log->event_name = build_text(SEMCONV_WEIR_TCP_CONNECTION_EVENT);
	log->n_attributes = l.count;
	log->attributes = (Otlp__KeyValue **)l.items;
	return log;
}

/* The group of a resource; resources point at theirs while a batch is built. */
static struct log_group *group_of(struct arena *a, struct log_group **first,
                                  struct series_resource *resource)
{
	struct log_group *g = resource ? resource->scratch : *first;

	if (!resource)
		while (g && g->resource)
			g = g->next;
	if (g)
		return g;
	g = arena_alloc(a, sizeof *g);
	if (!g)
		return NULL;
	*g = (struct log_group){.next = *first, .resource = resource};
	*first = g;
	if (resource)
		resource->scratch = g;
	return g;
}

static bool group_append(struct arena *a, const struct sockets_batch_source *source,
                         const struct log_group *g, struct build_list *groups)
{
	Otlp__ResourceLogs *out = BUILD(a, Otlp__ResourceLogs, otlp__resource_logs);
	Otlp__ScopeLogs **scopes = arena_alloc(a, sizeof *scopes);

	if (!out || !scopes)
		return false;
	out->resource = sockets_resource_build(a, source, g->resource ? &g->resource->owner : NULL);
	*scopes = BUILD(a, Otlp__ScopeLogs, otlp__scope_logs);
	if (!out->resource || !*scopes)
		return false;
	out->schema_url = build_text(SEMCONV_SCHEMA_URL);
	out->n_scope_logs = 1;
	out->scope_logs = scopes;
	(*scopes)->scope = sockets_scope_build(a, source);
	(*scopes)->schema_url = build_text(SEMCONV_SCHEMA_URL);
	(*scopes)->n_log_records = g->records.count;
	(*scopes)->log_records = (Otlp__LogRecord **)g->records.items;
	return (*scopes)->scope && build_list_add(a, groups, out);
}

static bool groups_build(struct arena *a, const struct sockets_batch_source *source,
                         const struct sockets_log *logs, size_t n, struct log_group **first,
                         struct build_list *groups)
{
	uint64_t now = clock_realtime_ns(), ahead = now - clock_monotonic_ns();

	for (size_t i = 0; i < n; i++) {
		struct log_group *g = group_of(a, first, logs[i].resource);
		Otlp__LogRecord *log = g ? log_build(a, &logs[i].record, now, ahead) : NULL;

		if (!log || !build_list_add(a, &g->records, log))
			return false;
	}
	for (struct log_group *g = *first; g; g = g->next)
		if (!group_append(a, source, g, groups))
			return false;
	return true;
}

struct batch *sockets_logs_build(const struct sockets_batch_source *source,
                                 const struct sockets_log *logs, size_t n)
{
	struct build_list groups = {0};
	struct log_group *first = NULL;
	struct batch *b = NULL;
	struct arena arena;
	bool built;

	arena_init(&arena, source->budget);
	built = groups_build(&arena, source, logs, n, &first, &groups);
	for (struct log_group *g = first; g; g = g->next)
		if (g->resource)
			g->resource->scratch = NULL;
	if (built)
		b = sockets_batch_encode(source, SIGNAL_LOGS, &groups);
	arena_fini(&arena);
	return b;
}
