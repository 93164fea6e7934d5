#include "core/prometheus/streams.h"

#include <stdlib.h>

enum { FIRST_SLOTS = 64 };

bool streams_init(struct streams *s)
{
	*s = (struct streams){.mask = FIRST_SLOTS - 1};
	s->slots = calloc(FIRST_SLOTS, sizeof *s->slots);
	return s->slots != NULL;
}

void streams_fini(struct streams *s)
{
	free(s->slots);
	*s = (struct streams){0};
}

struct stream_slot *streams_find(const struct streams *s, struct stream_id id)
{
	for (size_t at = id.low & s->mask; s->slots[at].target; at = (at + 1) & s->mask)
		if (s->slots[at].low == id.low && s->slots[at].high == id.high)
			return &s->slots[at];
	return NULL;
}

static struct stream_slot *place(struct stream_slot *slots, size_t mask, uint64_t low)
{
	size_t at = low & mask;

	while (slots[at].target)
		at = (at + 1) & mask;
	return &slots[at];
}

static bool grow(struct streams *s)
{
	size_t mask = s->mask * 2 + 1;
	struct stream_slot *slots = calloc(mask + 1, sizeof *slots);

	if (!slots)
		return false;
	for (size_t i = 0; i <= s->mask; i++)
		if (s->slots[i].target)
			*place(slots, mask, s->slots[i].low) = s->slots[i];
	free(s->slots);
	s->slots = slots;
	s->mask = mask;
	return true;
}

struct stream_slot *streams_add(struct streams *s, struct stream_id id, stream_target target)
{
	struct stream_slot *slot;

	/* three quarters: 32 to 64 bytes for a stream */
	if (s->count >= s->mask - s->mask / 4 && !grow(s))
		return NULL;
	slot = place(s->slots, s->mask, id.low);
	*slot = (struct stream_slot){.low = id.low, .high = id.high, .target = target};
	s->count++;
	return slot;
}

void streams_remove(struct streams *s, struct stream_slot *slot)
{
	size_t at = (size_t)(slot - s->slots), next;

	for (next = (at + 1) & s->mask; s->slots[next].target; next = (next + 1) & s->mask)
		if (((next - s->slots[next].low) & s->mask) >= ((next - at) & s->mask)) {
			s->slots[at] = s->slots[next];
			at = next;
		}
	s->slots[at] = (struct stream_slot){0};
	s->count--;
}
