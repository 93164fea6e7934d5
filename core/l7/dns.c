#include "core/l7/dns.h"
#include "core/l7/dns_internal.h"

#include <errno.h>

int dns_fault_set(struct dns_fault *fault, enum dns_fault_code code, size_t at)
{
	if (fault)
		*fault = (struct dns_fault){.code = code, .at = at};
	return -EBADMSG;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)dns_be16(p) << 16 | dns_be16(p + 2);
}

/* A pointer leads before the labels it ends (RFC 1035, section 4.1.4: to a prior occurrence), so no
 * place is come by twice. */
int dns_name_check(struct slice message, size_t at, size_t end, bool compressed, size_t *ret_end,
                   struct dns_fault *fault)
{
	size_t begin = at, after = 0, wire = 1, target;
	unsigned jumps = 0;

	for (;;) {
		uint8_t label;

		if (at >= end)
			return dns_fault_set(fault, DNS_FAULT_NAME_SHORT, at);
		label = message.data[at];
		if (label == 0)
			break;
		if (label < 64) {
			if (end - at <= label)
				return dns_fault_set(fault, DNS_FAULT_NAME_SHORT, at);
			wire += 1 + label;
			if (wire > DNS_NAME_WIRE)
				return dns_fault_set(fault, DNS_FAULT_NAME_LONG, at);
			at += 1 + label;
			continue;
		}
		if (label < 192)
			return dns_fault_set(fault, DNS_FAULT_LABEL, at);
		if (end - at < 2)
			return dns_fault_set(fault, DNS_FAULT_NAME_SHORT, at);
		if (!compressed)
			return dns_fault_set(fault, DNS_FAULT_COMPRESSED, at);
		if (++jumps > DNS_NAME_JUMPS)
			return dns_fault_set(fault, DNS_FAULT_JUMPS, at);
		if (!after)
			after = at + 2;
		target = dns_be16(message.data + at) & 0x3fff;
		if (target >= begin || target < DNS_HEADER_SIZE)
			return dns_fault_set(fault, DNS_FAULT_POINTER, at);
		begin = at = target;
		end = message.len;
	}
	*ret_end = after ? after : at + 1;
	return 0;
}

static char *label_text(const uint8_t *label, size_t len, char *to)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t c = label[i];

		if (c > 0x20 && c < 0x7f) {
			if (c == '.' || c == '\\')
				*to++ = '\\';
			*to++ = (char)c;
		} else {
			*to++ = '\\';
			*to++ = (char)('0' + c / 100);
			*to++ = (char)('0' + c / 10 % 10);
			*to++ = (char)('0' + c % 10);
		}
	}
	return to;
}

struct slice dns_name(struct slice message, size_t at, char text[static DNS_NAME_TEXT])
{
	const uint8_t *data = message.data;
	char *to = text;

	while (data[at]) {
		if (data[at] >= 192) {
			at = dns_be16(data + at) & 0x3fff;
			continue;
		}
		if (to != text)
			*to++ = '.';
		to = label_text(data + at + 1, data[at], to);
		at += 1 + data[at];
	}
	if (to == text)
		*to++ = '.';
	*to = '\0';
	return slice_of(text, (size_t)(to - text));
}

size_t dns_name_wire(struct slice message, size_t at, uint8_t wire[static DNS_NAME_WIRE])
{
	const uint8_t *data = message.data;
	size_t len = 0;

	while (data[at]) {
		size_t label = 1u + data[at];

		if (data[at] >= 192) {
			at = dns_be16(data + at) & 0x3fff;
			continue;
		}
		memcpy(wire + len, data + at, label);
		len += label;
		at += label;
	}
	wire[len++] = 0;
	return len;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

void dns_name_lower(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		text[i] = (char)lower((uint8_t)text[i]);
}

bool dns_name_equal(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower(a.data[i]) != lower(b.data[i]))
			return false;
	return true;
}

/* Whether the dot at a place stands between labels: an even number of backslashes before it. */
static bool dot_separates(struct slice name, size_t at)
{
	size_t backslashes = 0;

	while (backslashes < at && name.data[at - 1 - backslashes] == '\\')
		backslashes++;
	return backslashes % 2 == 0;
}

struct slice dns_name_last(struct slice name, unsigned labels)
{
	for (size_t at = name.len; at-- > 0;)
		if (name.data[at] == '.' && name.len > 1 && dot_separates(name, at) &&
		    labels-- <= 1)
			return slice_of(name.data + at + 1, name.len - at - 1);
	return name;
}

int dns_open(struct dns_reader *r, struct slice message)
{
	const uint8_t *p = message.data;

	*r = (struct dns_reader){.message = message, .at = DNS_HEADER_SIZE};
	if (message.len < DNS_HEADER_SIZE) {
		r->at = message.len;
		return dns_fault_set(&r->fault, DNS_FAULT_HEADER_SHORT, message.len);
	}
	r->header = (struct dns_header){
		.id = dns_be16(p),
		.response = p[2] & 0x80,
		.opcode = p[2] >> 3 & 15,
		.authoritative = p[2] & 0x04,
		.truncated = p[2] & 0x02,
		.recursion_desired = p[2] & 0x01,
		.recursion_available = p[3] & 0x80,
		.authentic_data = p[3] & 0x20,
		.checking_disabled = p[3] & 0x10,
		.rcode = p[3] & 15,
		.counts = {dns_be16(p + 4), dns_be16(p + 6), dns_be16(p + 8), dns_be16(p + 10)},
	};
	return 0;
}

static int edns_take(struct dns_reader *r, const struct dns_record *record)
{
	if (r->edns.present || r->message.data[record->name] != 0)
		return dns_fault_set(&r->fault, DNS_FAULT_OPT, record->name);
	r->edns = (struct dns_edns){
		.present = true,
		.extended_rcode = (uint8_t)(record->ttl >> 24),
		.version = (uint8_t)(record->ttl >> 16),
		.dnssec_ok = record->ttl & 0x8000,
		.payload_size = record->class,
		.options = record->body,
	};
	return 0;
}

/* What follows the name: class, type and, of all but questions, time to live, length and body. */
static int record_read(struct dns_reader *r, size_t at, struct dns_record *record)
{
	size_t fixed = record->section == DNS_QUESTION ? 4 : 10, length;
	const uint8_t *p = r->message.data + at;

	if (r->message.len - at < fixed)
		return dns_fault_set(&r->fault, DNS_FAULT_RECORD_SHORT, at);
	record->type = dns_be16(p);
	record->class = dns_be16(p + 2);
	at += fixed;
	if (record->section == DNS_QUESTION) {
		r->at = at;
		return 0;
	}
	record->ttl = be32(p + 4);
	length = dns_be16(p + 8);
	if (r->message.len - at < length)
		return dns_fault_set(&r->fault, DNS_FAULT_BODY_SHORT, at - 2);
	record->body_at = at;
	record->body = slice_of(r->message.data + at, length);
	r->at = at + length;
	if (record->section == DNS_ADDITIONAL && record->type == DNS_OPT)
		return edns_take(r, record);
	if (record->ttl > INT32_MAX)
		record->ttl = 0;
	return 0;
}

int dns_next(struct dns_reader *r, struct dns_record *ret)
{
	struct dns_record record = {.name = r->at};
	size_t at;
	int e;

	if (r->fault.code)
		return -EBADMSG;
	while (r->section < DNS_SECTIONS && r->done == r->header.counts[r->section]) {
		r->section++;
		r->done = 0;
	}
	if (r->section == DNS_SECTIONS)
		return 0;
	record.section = (enum dns_section)r->section;
	if ((e = dns_name_check(r->message, r->at, r->message.len, true, &at, &r->fault)) < 0 ||
	    (e = record_read(r, at, &record)) < 0)
		return e;
	r->done++;
	*ret = record;
	return 1;
}

unsigned dns_rcode(const struct dns_reader *r)
{
	return (unsigned)r->edns.extended_rcode << 4 | r->header.rcode;
}

const char *dns_fault_text(enum dns_fault_code code)
{
	static const char *const texts[] = {
		[DNS_FAULT_NONE] = "nothing is wrong",
		[DNS_FAULT_HEADER_SHORT] = "the header is cut short",
		[DNS_FAULT_RECORD_SHORT] = "a record is cut short",
		[DNS_FAULT_BODY_SHORT] = "a record's length reaches beyond the message",
		[DNS_FAULT_NAME_SHORT] = "a name is cut short",
		[DNS_FAULT_NAME_LONG] = "a name is longer than 255 bytes",
		[DNS_FAULT_LABEL] = "a label is of a kind that does not exist",
		[DNS_FAULT_POINTER] = "a pointer does not lead to an earlier name",
		[DNS_FAULT_JUMPS] = "a name is made of more than 128 pointers",
		[DNS_FAULT_COMPRESSED] = "a name is compressed where it must not be",
		[DNS_FAULT_OPT] = "an OPT record is the second or does not belong to the root",
		[DNS_FAULT_BODY] = "a record's body does not have the size of its type",
		[DNS_FAULT_PARAMETER] = "a service parameter is cut short, empty or out of order",
	};
	return texts[code];
}

int dns_fault_error(const struct dns_fault *fault, struct error *e)
{
	return error_set(e, -EBADMSG, "byte %zu of the DNS message: %s", fault->at,
	                 dns_fault_text(fault->code));
}
