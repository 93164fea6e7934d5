/* keys: what tells series apart, by 64 bits.
 *
 * A set of attributes is the sum of the hashes of its members, as they stand encoded, so that their
 * order does not matter; resource, scope, metric and that sum are hashed together. The seed is
 * secret, so nobody can make series that meet: of a million live ones a new one is taken for another
 * with a chance of 1 in 2^44. Encodings that protobuf allows but no encoder writes may make two
 * series of one; no total is lost by that. */
#include "core/base/map.h"
#include "core/wire/cursor.h"
#include "core/wire/otlp.h"
#include "processors/cardinality_limit/cardinality_limit_internal.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t key_bytes(const struct cardinality *p, struct slice bytes)
{
	return XXH3_64bits_withSeed(bytes.data, bytes.len, p->seed);
}

uint64_t key_pair(const struct cardinality *p, uint64_t a, uint64_t b)
{
	uint64_t both[2] = {a, b}, hash = XXH3_64bits_withSeed(both, sizeof both, p->seed);
	return hash ? hash : 1;
}

uint64_t key_scope(const struct cardinality *p, uint64_t resource, struct slice name,
                   struct slice version, uint64_t attributes)
{
	uint64_t parts[4] = {resource, key_bytes(p, name), key_bytes(p, version), attributes};
	return XXH3_64bits_withSeed(parts, sizeof parts, p->seed);
}

uint64_t key_overflow(const struct cardinality *p)
{
	return key_bytes(p, SLICE_LITERAL("\x0a\x14otel.metric.overflow\x12\x02\x10\x01"));
}

static bool list_has(const struct string_list *l, struct slice key)
{
	for (size_t i = 0; i < l->count; i++) {
		const char *item = l->items[i];

		if (*item == (key.len ? (char)*key.data : 0) &&
		    slice_equal(slice_from_string(item), key))
			return true;
	}
	return false;
}

bool rule_keeps(const struct rule *rule, struct slice key)
{
	if (rule->keep.count)
		return list_has(&rule->keep, key);
	return !list_has(&rule->drop, key);
}

bool rule_has_labels(const struct rule *rule)
{
	return rule && (rule->keep.count || rule->drop.count);
}

/* The hash of the attribute as otlp_encode() writes it. Short texts, which is most of all, are
 * written here. */
uint64_t key_attribute(struct cardinality *p, const Otlp__KeyValue *a)
{
	const Otlp__AnyValue *v = a->value;
	uint8_t bytes[256], *at = bytes;

	if (v && !a->base.n_unknown_fields && !v->base.n_unknown_fields &&
	    v->value_case == OTLP__ANY_VALUE__VALUE_STRING_VALUE && a->key.len &&
	    a->key.len < 120 && v->string_value.len < 120) {
		*at++ = 1 << 3 | WIRE_LENGTH;
		*at++ = (uint8_t)a->key.len;
		memcpy(at, a->key.data, a->key.len);
		at += a->key.len;
		*at++ = 2 << 3 | WIRE_LENGTH;
		*at++ = (uint8_t)(v->string_value.len + 2);
		*at++ = 1 << 3 | WIRE_LENGTH;
		*at++ = (uint8_t)v->string_value.len;
		if (v->string_value.len)
			memcpy(at, v->string_value.data, v->string_value.len);
		at += v->string_value.len;
		return key_bytes(p, slice_of(bytes, (size_t)(at - bytes)));
	}
	p->scratch.len = 0;
	otlp_encode(&a->base, &p->scratch);
	return key_bytes(p, buffer_slice(&p->scratch));
}

uint64_t key_attributes(struct cardinality *p, Otlp__KeyValue *const *attributes, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += key_attribute(p, attributes[i]);
	return sum;
}

uint64_t key_attributes_ruled(struct cardinality *p, Otlp__KeyValue *const *attributes, size_t n,
                              const struct rule *rule, uint64_t *ret_kept)
{
	uint64_t sum = 0, kept = 0;

	for (size_t i = 0; i < n; i++) {
		const ProtobufCBinaryData *key = &attributes[i]->key;
		uint64_t hash = key_attribute(p, attributes[i]);

		sum += hash;
		if (rule_keeps(rule, slice_of(key->data, key->len)))
			kept += hash;
	}
	*ret_kept = kept;
	return sum;
}

uint64_t key_wire(const struct cardinality *p, struct slice message, uint32_t field)
{
	const uint8_t *at = message.data, *end = at + message.len, *value;
	uint64_t sum = 0;
	uint32_t tag;
	size_t length;

	while (at && at < end && (value = cursor_tag(at, end, &tag))) {
		at = cursor_skip(value, end, tag);
		if (at && tag == (field << 3 | WIRE_LENGTH)) {
			value = cursor_length(value, end, &length);
			sum += key_bytes(p, slice_of(value, length));
		}
	}
	return sum;
}
