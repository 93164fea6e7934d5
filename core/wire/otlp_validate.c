/* otlp_validate: the decoder's walk without its allocations.
 *
 * A gateway does this to every byte it forwards and usually nothing else, so the usual attribute is
 * recognised by its shape; every other shape goes the general way. What is counted depends on where
 * the walk is: spans and log records where a scope holds them, data points where a metric's data
 * holds them. */
#include "core/wire/otlp_fields.h"

#include <errno.h>

struct validator {
	struct otlp_fault fault;
	size_t items;
};

static bool validate_message(struct validator *v, const ProtobufCMessageDescriptor *type,
                             const uint8_t *at, const uint8_t *end, unsigned depth);

static bool is_item(const ProtobufCMessageDescriptor *type)
{
	return type == &otlp__span__descriptor || type == &otlp__log_record__descriptor ||
	       type == &otlp__number_data_point__descriptor ||
	       type == &otlp__histogram_data_point__descriptor ||
	       type == &otlp__exponential_histogram_data_point__descriptor ||
	       type == &otlp__summary_data_point__descriptor;
}

/* How far a run of usual attributes goes, each a field of this tag; at stands before the first
 * tag. */
static inline const uint8_t *skip_attributes(const uint8_t *at, const uint8_t *end, uint8_t tag)
{
	struct otlp_attribute attribute;

	while (end - at > 2 && at[0] == tag && at[1] < 0x80 && end - at - 2 >= at[1] &&
	       otlp_attribute_read(at + 2, at[1], &attribute))
		at += 2 + at[1];
	return at;
}

static bool is_packed_list(const ProtobufCFieldDescriptor *field, const uint8_t *at,
                           const uint8_t *end)
{
	uint64_t value;

	switch (otlp_wire_types[field->type]) {
	case WIRE_FIXED64:
		return (end - at) % 8 == 0;
	case WIRE_FIXED32:
		return (end - at) % 4 == 0;
	default:
		while (at && at < end)
			at = cursor_varint(at, end, &value);
		return at;
	}
}

static bool validate_inner(struct validator *v, const ProtobufCFieldDescriptor *field,
                           const uint8_t *at, const uint8_t *end, unsigned depth)
{
	v->items += field->label == PROTOBUF_C_LABEL_REPEATED && is_item(field->descriptor);
	if (at == end && depth < OTLP_DEPTH_LIMIT)
		return true;
	return validate_message(v, field->descriptor, at, end, depth + 1);
}

/* Data points count for the member of the oneof that stands in the end: what came before is
 * replaced, unless it was the same member, which is merged. */
struct chosen {
	uint32_t member;
	size_t items_before;
};

static void chosen_set(struct chosen *chosen, struct validator *v,
                       const ProtobufCFieldDescriptor *field)
{
	if (chosen->member && chosen->member != field->id)
		v->items = chosen->items_before;
	chosen->member = field->id;
}

static bool validate_message(struct validator *v, const ProtobufCMessageDescriptor *type,
                             const uint8_t *at, const uint8_t *end, unsigned depth)
{
	struct chosen chosen = {.items_before = v->items};
	const ProtobufCFieldDescriptor *field = NULL;
	uint32_t number = 0; /* that field is of */

	if (depth > OTLP_DEPTH_LIMIT) {
		otlp_fault_set(&v->fault, OTLP_FAULT_DEPTH, type, 0, at);
		v->fault.code = -E2BIG;
		return false;
	}
	while (at < end) {
		const uint8_t *value, *body;
		uint32_t tag;
		size_t length;

		value = cursor_tag(at, end, &tag);
		if (!value)
			return otlp_fault_set(&v->fault, OTLP_FAULT_TAG, type, 0, at);
		if (tag >> 3 != number) {
			number = tag >> 3;
			field = otlp_field(type, number);
		}
		if ((tag & 7) != WIRE_LENGTH) {
			if (field && (tag & 7) != otlp_wire_types[field->type])
				return otlp_fault_set(&v->fault, OTLP_FAULT_TYPE, type, number,
				                      value);
			at = cursor_skip(value, end, tag);
			if (!at)
				return otlp_fault_set(&v->fault, OTLP_FAULT_VALUE, type, number,
				                      value);
			continue;
		}
		if (field && field->descriptor == &otlp__key_value__descriptor &&
		    depth + 2 <= OTLP_DEPTH_LIMIT && value - at == 1) {
			const uint8_t *after = skip_attributes(at, end, (uint8_t)tag);
			if (after != at) {
				at = after;
				continue;
			}
		}
		if (field && otlp_is_packable(field) && field->label != PROTOBUF_C_LABEL_REPEATED)
			return otlp_fault_set(&v->fault, OTLP_FAULT_TYPE, type, number, value);
		body = cursor_length(value, end, &length);
		if (!body)
			return otlp_fault_set(&v->fault, OTLP_FAULT_VALUE, type, number, value);
		at = body + length;
		if (!field || field->type == PROTOBUF_C_TYPE_BYTES)
			continue;
		if (type == &otlp__metric__descriptor && field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
			chosen_set(&chosen, v, field);
		if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
			if (!validate_inner(v, field, body, at, depth))
				return false;
		} else if (!is_packed_list(field, body, at)) {
			return otlp_fault_set(&v->fault, OTLP_FAULT_PACKED, type, number, value);
		}
	}
	return true;
}

int otlp_validate(enum signal signal, struct slice request, otlp_on_group on_group, void *arg,
                  struct error *error)
{
	const ProtobufCMessageDescriptor *type = otlp_request_descriptor(signal);
	struct cursor c = cursor_of(request);
	struct cursor_field f;
	struct validator v = {0};

	while (cursor_next(&c, &f)) {
		if (f.number != OTLP_REQUEST_GROUPS)
			continue;
		if (f.type != WIRE_LENGTH) {
			c.at = f.raw.data;
			c.error = true;
			break;
		}
		v.items = 0;
		if (!validate_message(&v, otlp_group_descriptor(signal), f.body.data,
		                      f.body.data + f.body.len, 2))
			return otlp_fault_report(&v.fault, request.data, error);
		if (!on_group(arg, f.body, v.items))
			return error_no_memory(error);
	}
	/* What is wrong with the request's own field at c.at, said by the general way. */
	if (c.error && !validate_message(&v, type, c.at, c.end, 1))
		return otlp_fault_report(&v.fault, request.data, error);
	return 0;
}

size_t otlp_metric_points(const Otlp__Metric *metric)
{
	switch (metric->data_case) {
	case OTLP__METRIC__DATA_GAUGE:
		return metric->gauge ? metric->gauge->n_data_points : 0;
	case OTLP__METRIC__DATA_SUM:
		return metric->sum ? metric->sum->n_data_points : 0;
	case OTLP__METRIC__DATA_HISTOGRAM:
		return metric->histogram ? metric->histogram->n_data_points : 0;
	case OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM:
		return metric->exponential_histogram ? metric->exponential_histogram->n_data_points
		                                     : 0;
	case OTLP__METRIC__DATA_SUMMARY:
		return metric->summary ? metric->summary->n_data_points : 0;
	default:
		return 0;
	}
}

size_t otlp_count(enum signal signal, const ProtobufCMessage *group)
{
	const Otlp__ResourceSpans *spans = (const Otlp__ResourceSpans *)group;
	const Otlp__ResourceMetrics *metrics = (const Otlp__ResourceMetrics *)group;
	const Otlp__ResourceLogs *logs = (const Otlp__ResourceLogs *)group;
	size_t n = 0;

	switch (signal) {
	case SIGNAL_TRACES:
		for (size_t i = 0; i < spans->n_scope_spans; i++)
			n += spans->scope_spans[i]->n_spans;
		break;
	case SIGNAL_METRICS:
		for (size_t i = 0; i < metrics->n_scope_metrics; i++) {
			const Otlp__ScopeMetrics *scope = metrics->scope_metrics[i];
			for (size_t j = 0; j < scope->n_metrics; j++)
				n += otlp_metric_points(scope->metrics[j]);
		}
		break;
	case SIGNAL_LOGS:
		for (size_t i = 0; i < logs->n_scope_logs; i++)
			n += logs->scope_logs[i]->n_log_records;
		break;
	}
	return n;
}
