#include "core/data/semconv.h"
#include "core/wire/otlp.h"
#include "receivers/sockets/sockets_batch.h"

#include <arpa/inet.h>

/* What OpenTelemetry's SDKs say where a service has no name. */
static const char unknown_service[] = "unknown_service";

static bool owner_build(struct arena *a, struct build_list *l, const struct series_owner *o)
{
	bool named = o->executable[0] != '\0';

	if (!build_string(a, l, SEMCONV_SERVICE_NAME,
	                  slice_from_string(named ? o->executable : unknown_service)))
		return false;
	if (named &&
	    !build_string(a, l, SEMCONV_PROCESS_EXECUTABLE_NAME, slice_from_string(o->executable)))
		return false;
	if (o->path[0] &&
	    !build_string(a, l, SEMCONV_PROCESS_EXECUTABLE_PATH, slice_from_string(o->path)))
		return false;
	if (o->container_id[0] &&
	    !build_string(a, l, SEMCONV_CONTAINER_ID, slice_from_string(o->container_id)))
		return false;
	return !o->pid || build_int(a, l, SEMCONV_PROCESS_PID, o->pid);
}

Otlp__Resource *sockets_resource_build(struct arena *a, const struct sockets_batch_source *source,
                                       const struct series_owner *owner)
{
	Otlp__Resource *r = BUILD(a, Otlp__Resource, otlp__resource);
	struct build_list l = {0};

	if (!r || !build_string(a, &l, SEMCONV_HOST_NAME, slice_from_string(source->host_name)) ||
	    (owner && !owner_build(a, &l, owner)))
		return NULL;
	r->n_attributes = l.count;
	r->attributes = (Otlp__KeyValue **)l.items;
	return r;
}

Otlp__InstrumentationScope *sockets_scope_build(struct arena *a,
                                                const struct sockets_batch_source *source)
{
	Otlp__InstrumentationScope *s =
		BUILD(a, Otlp__InstrumentationScope, otlp__instrumentation_scope);

	if (!s || !build_copy(a, slice_from_string(source->version), &s->version))
		return NULL;
	s->name = build_text("weir/receivers/sockets");
	return s;
}

bool sockets_address_build(struct arena *a, struct build_list *attributes, const char *key,
                           bool is_ipv6, const uint8_t *address)
{
	char text[INET6_ADDRSTRLEN];

	if (!inet_ntop(is_ipv6 ? AF_INET6 : AF_INET, address, text, sizeof text))
		return false;
	return build_string(a, attributes, key, slice_from_string(text));
}

struct batch *sockets_batch_encode(const struct sockets_batch_source *source, enum signal signal,
                                   const struct build_list *groups)
{
	struct buffer bytes = BUFFER_INIT;
	struct error error = ERROR_INIT;
	struct rcbuf *pin = NULL;
	struct batch *b = NULL;

	for (size_t i = 0; i < groups->count; i++)
		otlp_encode_field(OTLP_REQUEST_GROUPS, groups->items[i], &bytes);
	if (!bytes.failed)
		pin = rcbuf_new(bytes.len, source->budget);
	if (pin) {
		memcpy(pin->data, bytes.data, bytes.len);
		if (batch_from_request(signal, pin, slice_of(pin->data, bytes.len), source->budget,
		                       &b, &error) == 0)
			b->origin.receiver = arena_printf(&b->arena, "%s", source->receiver);
	}
	rcbuf_unref(pin);
	buffer_fini(&bytes);
	return b;
}
