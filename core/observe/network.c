#include "core/observe/network.h"

#include "bpf/events/owner.h"
#include "core/data/semconv.h"

#define CONSTANT_ATTRIBUTE(name, text_key, text_value)                                             \
	static const Otlp__AnyValue name##_value = {                                               \
		PROTOBUF_C_MESSAGE_INIT(&otlp__any_value__descriptor),                             \
		OTLP__ANY_VALUE__VALUE_STRING_VALUE,                                               \
		{.string_value = {sizeof(text_value) - 1, (uint8_t *)(text_value)}}};              \
	static const Otlp__KeyValue name = {PROTOBUF_C_MESSAGE_INIT(&otlp__key_value__descriptor), \
	                                    {sizeof(text_key) - 1, (uint8_t *)(text_key)},         \
	                                    (Otlp__AnyValue *)&name##_value}

CONSTANT_ATTRIBUTE(transport_tcp, SEMCONV_NETWORK_TRANSPORT, SEMCONV_NETWORK_TRANSPORT_TCP);
CONSTANT_ATTRIBUTE(transport_udp, SEMCONV_NETWORK_TRANSPORT, SEMCONV_NETWORK_TRANSPORT_UDP);
CONSTANT_ATTRIBUTE(type_ipv4, SEMCONV_NETWORK_TYPE, SEMCONV_NETWORK_TYPE_IPV4);
CONSTANT_ATTRIBUTE(type_ipv6, SEMCONV_NETWORK_TYPE, SEMCONV_NETWORK_TYPE_IPV6);
CONSTANT_ATTRIBUTE(role_client, SEMCONV_WEIR_CONNECTION_ROLE, SEMCONV_WEIR_CONNECTION_ROLE_CLIENT);
CONSTANT_ATTRIBUTE(role_server, SEMCONV_WEIR_CONNECTION_ROLE, SEMCONV_WEIR_CONNECTION_ROLE_SERVER);

static bool add_constant(struct arena *a, struct build_list *l, const Otlp__KeyValue *attribute)
{
	return build_list_add(a, l, (void *)attribute);
}

bool network_build(struct arena *a, struct build_list *attributes, enum network_transport transport,
                   bool is_ipv6, uint8_t role)
{
	if (!add_constant(a, attributes,
	                  transport == NETWORK_UDP ? &transport_udp : &transport_tcp) ||
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

bool network_address_build(struct arena *a, struct build_list *attributes, const char *key,
                           const struct address *address)
{
	char text[INET6_ADDRSTRLEN];
	size_t len = address_text(address, text);

	return build_string(a, attributes, key, slice_of(text, len));
}
