#include "core/data/semconv.h"
#include "core/wire/otlp.h"
#include "receivers/sockets/sockets_batch.h"

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

/* An attribute of any number of points and log records. */
#define CONSTANT_ATTRIBUTE(name, text_key, text_value)                                             \
	static const Otlp__AnyValue name##_value = {                                               \
		PROTOBUF_C_MESSAGE_INIT(&otlp__any_value__descriptor),                             \
		OTLP__ANY_VALUE__VALUE_STRING_VALUE,                                               \
		{.string_value = {sizeof(text_value) - 1, (uint8_t *)(text_value)}}};              \
	static const Otlp__KeyValue name = {PROTOBUF_C_MESSAGE_INIT(&otlp__key_value__descriptor), \
	                                    {sizeof(text_key) - 1, (uint8_t *)(text_key)},         \
	                                    (Otlp__AnyValue *)&name##_value}

CONSTANT_ATTRIBUTE(transport_tcp, SEMCONV_NETWORK_TRANSPORT, SEMCONV_NETWORK_TRANSPORT_TCP);
CONSTANT_ATTRIBUTE(type_ipv4, SEMCONV_NETWORK_TYPE, SEMCONV_NETWORK_TYPE_IPV4);
CONSTANT_ATTRIBUTE(type_ipv6, SEMCONV_NETWORK_TYPE, SEMCONV_NETWORK_TYPE_IPV6);
CONSTANT_ATTRIBUTE(role_client, SEMCONV_WEIR_CONNECTION_ROLE, SEMCONV_WEIR_CONNECTION_ROLE_CLIENT);
CONSTANT_ATTRIBUTE(role_server, SEMCONV_WEIR_CONNECTION_ROLE, SEMCONV_WEIR_CONNECTION_ROLE_SERVER);

static bool add_constant(struct arena *a, struct build_list *l, const Otlp__KeyValue *attribute)
{
	return build_list_add(a, l, (void *)attribute);
}

bool sockets_common_build(struct arena *a, struct build_list *attributes, bool is_ipv6,
                          uint8_t role)
{
	if (!add_constant(a, attributes, &transport_tcp) ||
	    !add_constant(a, attributes, is_ipv6 ? &type_ipv6 : &type_ipv4))
		return false;
	switch (role) {
	case ROLE_CLIENT:
		return add_constant(a, attributes, &role_client);
	case ROLE_SERVER:
		return add_constant(a, attributes, &role_server);
	default:
		return true;
	}
}

/* What inet_ntop() makes, at a tenth of its cost for IPv4: two of three addresses of every log
 * record. */
size_t sockets_address_text(bool is_ipv6, const uint8_t *address, char text[INET6_ADDRSTRLEN])
{
	char *at = text;

	if (is_ipv6)
		return inet_ntop(AF_INET6, address, text, INET6_ADDRSTRLEN) ? strlen(text) : 0;
	for (size_t i = 0; i < 4; i++) {
		unsigned byte = address[i];

		if (byte >= 100)
			*at++ = (char)('0' + byte / 100);
		if (byte >= 10)
			*at++ = (char)('0' + byte / 10 % 10);
		*at++ = (char)('0' + byte % 10);
		*at++ = i < 3 ? '.' : '\0';
	}
	return (size_t)(at - text) - 1;
}

bool sockets_address_build(struct arena *a, struct build_list *attributes, const char *key,
                           bool is_ipv6, const uint8_t *address)
{
	char text[INET6_ADDRSTRLEN];
	size_t len = sockets_address_text(is_ipv6, address, text);

	return build_string(a, attributes, key, slice_of((uint8_t *)text, len));
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
