/* dns_stream: the messages in one direction of a DNS connection over TCP, each after two bytes that
 * tell its length (RFC 1035, section 4.2.2; RFC 7766). Sans-I/O, for one who looks on: segments come
 * with their sequence numbers, some again, some never.
 *
 * Allocates nothing: the caller gives the memory in which a message that spans segments is put
 * together, for good or while it is wanted; of a longer message the first part is handed out. A
 * message within one segment is not copied. Segments out of order are not sorted: one that comes late
 * counts as repeated, and what was missing before it as a gap. */
#ifndef WEIR_L7_DNS_STREAM_H
#define WEIR_L7_DNS_STREAM_H

#include "core/base/slice.h"

struct dns_stream {
	uint8_t *memory;
	size_t capacity;
	struct slice segment; /* what dns_stream_next() has not taken yet */
	uint32_t expected;    /* sequence number of the next byte */
	bool begun;           /* expected is known */
	bool in_step;         /* it is known where the next message begins */
	bool broken;          /* a gap in the message at hand: what is kept of it ends there */
	size_t have;          /* bytes of the message at hand that have passed, with its length */
	size_t kept;          /* of these, how many of the message stand in memory */
	uint8_t length[2];
	/* Counted since dns_stream_init(). */
	uint64_t gaps, missing; /* and how many bytes were missing in them */
	uint64_t repeated;      /* bytes that had come before */
	uint64_t ignored;       /* bytes of which it was not known where a message begins */
};

struct dns_stream_message {
	struct slice bytes; /* its beginning, without the length; stands until the next call */
	uint16_t length; /* as claimed: what is more than bytes.len was missing or found no room */
};

/* from_start: the first segment is the first of the connection. Otherwise, and after a gap of which
 * no message's length tells the end, a segment that is exactly one message or several is taken for a
 * beginning, and all before it is ignored. */
void dns_stream_init(struct dns_stream *s, void *memory, size_t capacity, bool from_start);

/* Gives the next segment, once dns_stream_next() has returned false: the sequence number of its first
 * byte and its bytes, which must stay until dns_stream_next() returns false again. Bytes that were
 * not copied are a gap before the next segment. */
void dns_stream_push(struct dns_stream *s, uint32_t sequence, struct slice bytes);

/* The next message. False: give the next segment. */
bool dns_stream_next(struct dns_stream *s, struct dns_stream_message *ret);

/* So many bytes from this sequence number on have passed and will not be given: a gap, which may end
 * the message at hand. To be told once dns_stream_next() has returned false; it then goes on. */
void dns_stream_pass(struct dns_stream *s, uint32_t sequence, size_t length);

/* For streams that hold memory only when they need it: dns_stream_init() is given none (capacity 0).
 * Whether dns_stream_next() is about to begin with a message that goes on in another segment and has
 * no memory for it. If it is not lent some now, all that is handed out of the message is its length. */
bool dns_stream_wants(const struct dns_stream *s);
void dns_stream_lend(struct dns_stream *s, void *memory, size_t capacity);
/* Gives the memory back when no message stands in it, once dns_stream_next() has returned false. NULL:
 * there is none, or one does. */
void *dns_stream_reclaim(struct dns_stream *s);

#endif
