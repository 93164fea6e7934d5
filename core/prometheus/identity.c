#include "core/prometheus/identity.h"

#include "core/base/map.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Everything is written with its length before it, so that no two lists give the same bytes. */
static void put(struct buffer *out, const void *data, size_t len)
{
	uint32_t length = (uint32_t)len;
	uint8_t *at = buffer_reserve(out, sizeof length + len);

	if (!at)
		return;
	memcpy(at, &length, sizeof length);
	if (len)
		memcpy(at + sizeof length, data, len);
	out->len += sizeof length + len;
}

static void put_number(struct buffer *out, uint64_t value)
{
	buffer_append(out, &value, sizeof value);
}

static void put_attributes(struct buffer *out, Otlp__KeyValue *const *attributes, size_t n);

static void put_value(struct buffer *out, const Otlp__AnyValue *v)
{
	uint64_t bits;

	buffer_append_byte(out, v ? (uint8_t)v->value_case : 0);
	if (!v)
		return;
	switch (v->value_case) {
	case OTLP__ANY_VALUE__VALUE_STRING_VALUE:
		put(out, v->string_value.data, v->string_value.len);
		break;
	case OTLP__ANY_VALUE__VALUE_BYTES_VALUE:
		put(out, v->bytes_value.data, v->bytes_value.len);
		break;
	case OTLP__ANY_VALUE__VALUE_BOOL_VALUE:
		buffer_append_byte(out, v->bool_value ? 1 : 0);
		break;
	case OTLP__ANY_VALUE__VALUE_INT_VALUE:
		put_number(out, (uint64_t)v->int_value);
		break;
	case OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE:
		memcpy(&bits, &v->double_value, sizeof bits);
		put_number(out, bits);
		break;
	case OTLP__ANY_VALUE__VALUE_ARRAY_VALUE:
		put_number(out, v->array_value->n_values);
		for (size_t i = 0; i < v->array_value->n_values; i++)
			put_value(out, v->array_value->values[i]);
		break;
	case OTLP__ANY_VALUE__VALUE_KVLIST_VALUE:
		put_attributes(out, v->kvlist_value->values, v->kvlist_value->n_values);
		break;
	default:
		break;
	}
}

static void put_attributes(struct buffer *out, Otlp__KeyValue *const *attributes, size_t n)
{
	put_number(out, n);
	for (size_t i = 0; i < n; i++) {
		put(out, attributes[i]->key.data, attributes[i]->key.len);
		put_value(out, attributes[i]->value);
	}
}

/* One word of hash_bytes() is as secret as its seed. */
static uint64_t seed(void)
{
	static const char domain[] = "weir prometheus identity";
	return hash_bytes(domain, sizeof domain);
}

static struct identity identity_of(const struct buffer *bytes)
{
	XXH128_hash_t hash = XXH3_128bits_withSeed(bytes->data, bytes->len, seed());
	return (struct identity){hash.low64, hash.high64};
}

struct identity identity_resource(struct buffer *scratch, const Otlp__Resource *r)
{
	buffer_clear(scratch);
	put_attributes(scratch, r ? r->attributes : NULL, r ? r->n_attributes : 0);
	return identity_of(scratch);
}

struct identity identity_scope(struct buffer *scratch, struct identity resource,
                               const Otlp__ScopeMetrics *sm)
{
	const Otlp__InstrumentationScope *scope = sm->scope;

	buffer_clear(scratch);
	buffer_append(scratch, &resource, sizeof resource);
	put(scratch, sm->schema_url.data, sm->schema_url.len);
	if (scope) {
		put(scratch, scope->name.data, scope->name.len);
		put(scratch, scope->version.data, scope->version.len);
		put_attributes(scratch, scope->attributes, scope->n_attributes);
	}
	return identity_of(scratch);
}

struct identity identity_metric(struct buffer *scratch, struct identity scope,
                                const Otlp__Metric *m)
{
	uint32_t kind = (uint32_t)m->data_case << 8;

	if (m->data_case == OTLP__METRIC__DATA_SUM)
		kind |= (uint32_t)m->sum->aggregation_temporality << 1 |
		        (m->sum->is_monotonic ? 1 : 0);
	else if (m->data_case == OTLP__METRIC__DATA_HISTOGRAM)
		kind |= (uint32_t)m->histogram->aggregation_temporality << 1;
	else if (m->data_case == OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM)
		kind |= (uint32_t)m->exponential_histogram->aggregation_temporality << 1;
	buffer_clear(scratch);
	buffer_append(scratch, &scope, sizeof scope);
	put_number(scratch, kind);
	put(scratch, m->name.data, m->name.len);
	put(scratch, m->unit.data, m->unit.len);
	put_attributes(scratch, m->metadata, m->n_metadata);
	return identity_of(scratch);
}

static struct stream_id cut(struct identity id)
{
	return (struct stream_id){id.low, (uint32_t)id.high};
}

struct stream_id identity_point(struct buffer *scratch, struct identity metric,
                                Otlp__KeyValue *const *attributes, size_t n)
{
	buffer_clear(scratch);
	buffer_append(scratch, &metric, sizeof metric);
	put_attributes(scratch, attributes, n);
	return cut(identity_of(scratch));
}

struct stream_id identity_wire(struct identity metric, struct slice attributes)
{
	XXH128_hash_t parts[2] = {{metric.low, metric.high}, {0, 0}}, hash;

	parts[1] = XXH3_128bits_withSeed(attributes.data, attributes.len, seed());
	hash = XXH3_128bits_withSeed(parts, sizeof parts, seed());
	return (struct stream_id){hash.low64, (uint32_t)hash.high64};
}

struct stream_id identity_target(struct identity resource)
{
	XXH128_hash_t hash = XXH3_128bits_withSeed(&resource, sizeof resource, ~seed());
	return (struct stream_id){hash.low64, (uint32_t)hash.high64};
}

uint64_t identity_layout(const double *values, size_t n, uint64_t kind)
{
	return hash_bytes(values, n * sizeof *values) + kind;
}
