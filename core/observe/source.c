#include "core/observe/source.h"

#include "core/base/clock.h"
#include "core/data/semconv.h"
#include "core/wire/otlp.h"

/* What OpenTelemetry's SDKs say where a service has no name. */
static const char unknown_service[] = "unknown_service";

static bool add_known(struct arena *a, struct build_list *l, const char *key, const char *value)
{
	return !value[0] || build_string(a, l, key, slice_from_string(value));
}

static bool process_build(struct arena *a, struct build_list *l, const struct resource *r)
{
	const struct resource_owner *o = &r->owner;

	return add_known(a, l, SEMCONV_SERVICE_NAME,
	                 o->executable[0] ? o->executable : unknown_service) &&
	       add_known(a, l, SEMCONV_SERVICE_INSTANCE_ID, r->instance_id) &&
	       add_known(a, l, SEMCONV_PROCESS_EXECUTABLE_NAME, o->executable) &&
	       add_known(a, l, SEMCONV_PROCESS_EXECUTABLE_PATH, o->path) &&
	       add_known(a, l, SEMCONV_CONTAINER_ID, o->container_id) &&
	       (!o->pid || build_int(a, l, SEMCONV_PROCESS_PID, o->pid));
}

static Otlp__Resource *resource_build(const struct source *s, struct arena *a,
                                      const struct resource *resource)
{
	Otlp__Resource *r = BUILD(a, Otlp__Resource, otlp__resource);
	struct build_list l = {0};

	if (!r || !build_string(a, &l, SEMCONV_HOST_NAME, slice_from_string(s->host_name)) ||
	    (resource && !process_build(a, &l, resource)))
		return NULL;
	r->n_attributes = l.count;
	r->attributes = (Otlp__KeyValue **)l.items;
	return r;
}

static Otlp__InstrumentationScope *scope_build(const struct source *s, struct arena *a)
{
	Otlp__InstrumentationScope *scope =
		BUILD(a, Otlp__InstrumentationScope, otlp__instrumentation_scope);

	if (!scope)
		return NULL;
	scope->name = build_text(s->scope);
	scope->version = build_text(s->version);
	return scope;
}

bool source_add_metrics(const struct source *s, struct arena *a, const struct resource *resource,
                        const struct build_list *metrics, struct build_list *groups)
{
	Otlp__ResourceMetrics *group;
	Otlp__ScopeMetrics **scopes;

	if (!metrics->count)
		return true;
	group = BUILD(a, Otlp__ResourceMetrics, otlp__resource_metrics);
	scopes = arena_alloc(a, sizeof *scopes);
	if (!group || !scopes)
		return false;
	group->resource = resource_build(s, a, resource);
	*scopes = BUILD(a, Otlp__ScopeMetrics, otlp__scope_metrics);
	if (!group->resource || !*scopes)
		return false;
	group->schema_url = build_text(SEMCONV_SCHEMA_URL);
	group->n_scope_metrics = 1;
	group->scope_metrics = scopes;
	(*scopes)->scope = scope_build(s, a);
	(*scopes)->schema_url = build_text(SEMCONV_SCHEMA_URL);
	(*scopes)->n_metrics = metrics->count;
	(*scopes)->metrics = (Otlp__Metric **)metrics->items;
	return (*scopes)->scope && build_list_add(a, groups, group);
}

struct batch *source_encode(const struct source *s, enum signal signal,
                            const struct build_list *groups)
{
	struct buffer bytes = BUFFER_INIT;
	struct error error = ERROR_INIT;
	struct rcbuf *pin = NULL;
	struct batch *b = NULL;

	for (size_t i = 0; i < groups->count; i++)
		otlp_encode_field(OTLP_REQUEST_GROUPS, groups->items[i], &bytes);
	if (!bytes.failed)
		pin = rcbuf_new(bytes.len, s->budget);
	if (pin) {
		memcpy(pin->data, bytes.data, bytes.len);
		if (batch_from_request(signal, pin, slice_of(pin->data, bytes.len), s->budget, &b,
		                       &error) == 0)
			b->origin.receiver = arena_printf(&b->arena, "%s", s->receiver);
	}
	rcbuf_unref(pin);
	buffer_fini(&bytes);
	return b;
}

/* ---- log records */

/* The log records of one resource while they are put together. */
struct log_group {
	struct log_group *next;
	struct resource *resource; /* NULL: the host alone */
	struct build_list records;
};

/* The group of a resource; resources point at theirs while a batch is built. */
static struct log_group *group_of(struct arena *a, struct log_group **first,
                                  struct resource *resource)
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

static bool add_logs(const struct source *s, struct arena *a, const struct log_group *g,
                     struct build_list *groups)
{
	Otlp__ResourceLogs *out = BUILD(a, Otlp__ResourceLogs, otlp__resource_logs);
	Otlp__ScopeLogs **scopes = arena_alloc(a, sizeof *scopes);

	if (!out || !scopes)
		return false;
	out->resource = resource_build(s, a, g->resource);
	*scopes = BUILD(a, Otlp__ScopeLogs, otlp__scope_logs);
	if (!out->resource || !*scopes)
		return false;
	out->schema_url = build_text(SEMCONV_SCHEMA_URL);
	out->n_scope_logs = 1;
	out->scope_logs = scopes;
	(*scopes)->scope = scope_build(s, a);
	(*scopes)->schema_url = build_text(SEMCONV_SCHEMA_URL);
	(*scopes)->n_log_records = g->records.count;
	(*scopes)->log_records = (Otlp__LogRecord **)g->records.items;
	return (*scopes)->scope && build_list_add(a, groups, out);
}

static bool groups_build(const struct source *s, struct arena *a, const struct list *observations,
                         size_t n, observation_build build, struct log_group **first,
                         struct build_list *groups)
{
	uint64_t now = clock_realtime_ns(), ahead = now - clock_monotonic_ns();
	const struct observation *o;

	LIST_FOR_EACH(o, observations, link) {
		struct log_group *g;
		Otlp__LogRecord *log;

		if (n-- == 0)
			break;
		g = group_of(a, first, o->resource);
		log = g ? build(a, o, now, ahead) : NULL;
		if (!log || !build_list_add(a, &g->records, log))
			return false;
	}
	for (struct log_group *g = *first; g; g = g->next)
		if (!add_logs(s, a, g, groups))
			return false;
	return true;
}

struct batch *source_logs(const struct source *s, const struct list *observations, size_t n,
                          observation_build build)
{
	struct build_list groups = {0};
	struct log_group *first = NULL;
	struct batch *b = NULL;
	struct arena arena;
	bool built;

	arena_init(&arena, s->budget);
	built = groups_build(s, &arena, observations, n, build, &first, &groups);
	for (struct log_group *g = first; g; g = g->next)
		if (g->resource)
			g->resource->scratch = NULL;
	if (built)
		b = source_encode(s, SIGNAL_LOGS, &groups);
	arena_fini(&arena);
	return b;
}
