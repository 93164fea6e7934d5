#include "core/l7/dns_stream.h"
#include "core/l7/dns_internal.h"

void dns_stream_init(struct dns_stream *s, void *memory, size_t capacity, bool from_start)
{
	*s = (struct dns_stream){.memory = memory, .capacity = capacity, .in_step = from_start};
}

static size_t message_length(const struct dns_stream *s)
{
	return dns_be16(s->length);
}

static struct slice slice_after(struct slice s, size_t n)
{
	return n ? slice_of(s.data + n, s.len - n) : s;
}

/* Whether the segment is made of whole messages, each with room for a header. */
static bool is_messages(struct slice segment)
{
	while (segment.len >= 2 + DNS_HEADER_SIZE) {
		size_t length = dns_be16(segment.data);

		if (length < DNS_HEADER_SIZE || segment.len - 2 < length)
			return false;
		segment = slice_after(segment, 2 + length);
		if (segment.len == 0)
			return true;
	}
	return false;
}

/* The bytes of a gap pass by. As long as the message at hand reaches to its end or beyond, the place
 * of the next one is known. */
static void gap_pass(struct dns_stream *s, size_t missing)
{
	size_t rest;

	s->gaps++;
	s->missing += missing;
	if (!s->in_step)
		return;
	if (s->have < 2) {
		s->in_step = false;
		s->have = 0;
		return;
	}
	s->broken = true;
	rest = 2 + message_length(s) - s->have;
	s->in_step = missing <= rest;
	s->have += missing < rest ? missing : rest;
}

void dns_stream_push(struct dns_stream *s, uint32_t sequence, struct slice bytes)
{
	int32_t ahead = s->begun ? (int32_t)(sequence - s->expected) : 0;
	size_t old = ahead < 0 ? 0 - (size_t)ahead : 0;

	s->segment = slice_of(NULL, 0);
	if (bytes.len == 0 || old >= bytes.len) {
		s->repeated += bytes.len;
		return;
	}
	s->begun = true;
	s->expected = sequence + (uint32_t)bytes.len;
	s->repeated += old;
	if (ahead > 0)
		gap_pass(s, (size_t)ahead);
	bytes = slice_after(bytes, old);
	if (s->in_step || is_messages(bytes)) {
		s->in_step = true;
		s->segment = bytes;
	} else {
		s->ignored += bytes.len;
	}
}

static bool message_ends(struct dns_stream *s, struct dns_stream_message *ret)
{
	if (s->have < 2 || s->have < 2 + message_length(s))
		return false;
	*ret = (struct dns_stream_message){.bytes = slice_of(s->memory, s->kept),
	                                   .length = (uint16_t)message_length(s)};
	s->have = s->kept = 0;
	s->broken = false;
	return true;
}

/* Bytes of the message at hand, as far as there is room and nothing is missing before them. */
static void part_take(struct dns_stream *s)
{
	size_t take = 2 + message_length(s) - s->have, keep;

	take = take < s->segment.len ? take : s->segment.len;
	keep = s->capacity - s->kept;
	keep = s->broken ? 0 : keep < take ? keep : take;
	if (keep)
		memcpy(s->memory + s->kept, s->segment.data, keep);
	s->kept += keep;
	s->have += take;
	s->segment = slice_after(s->segment, take);
}

bool dns_stream_next(struct dns_stream *s, struct dns_stream_message *ret)
{
	/* One whose end was missing. */
	if (message_ends(s, ret))
		return true;
	while (s->have < 2 && s->segment.len) {
		s->length[s->have++] = s->segment.data[0];
		s->segment = slice_after(s->segment, 1);
	}
	if (s->have < 2)
		return false;
	if (s->have == 2 && !s->broken && s->segment.len >= message_length(s)) {
		*ret = (struct dns_stream_message){.bytes = slice_of(s->segment.data,
		                                                     message_length(s)),
		                                   .length = (uint16_t)message_length(s)};
		s->segment = slice_after(s->segment, ret->length);
		s->have = 0;
		return true;
	}
	part_take(s);
	return message_ends(s, ret);
}

void dns_stream_pass(struct dns_stream *s, uint32_t sequence, size_t length)
{
	int32_t ahead;

	if (!s->begun)
		s->expected = sequence;
	s->begun = true;
	ahead = (int32_t)(sequence + (uint32_t)length - s->expected);
	if (ahead <= 0)
		return;
	s->expected += (uint32_t)ahead;
	gap_pass(s, (size_t)ahead);
}

bool dns_stream_wants(const struct dns_stream *s)
{
	uint8_t length[2] = {s->length[0], s->length[1]};
	size_t at = 0;

	if (s->memory || s->broken || s->have > 2)
		return false;
	for (size_t have = s->have; have < 2 && at < s->segment.len; at++)
		length[have++] = s->segment.data[at];
	return at < s->segment.len && s->segment.len - at < dns_be16(length);
}

void dns_stream_lend(struct dns_stream *s, void *memory, size_t capacity)
{
	s->memory = memory;
	s->capacity = capacity;
}

void *dns_stream_reclaim(struct dns_stream *s)
{
	void *memory = s->memory;

	if (s->have > 2)
		return NULL;
	s->memory = NULL;
	s->capacity = 0;
	return memory;
}
