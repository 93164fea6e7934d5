/* The first byte 0: the rest is a message; everything that can be read of it is. Otherwise the rest is
 * a stream, given in pieces whose sizes, repetitions and gaps follow from that byte. */
#include "core/l7/dns.h"
#include "core/l7/dns_stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

enum { MEMORY = 300 }; /* of a stream */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void name(struct slice message, size_t at)
{
	char text[DNS_NAME_TEXT], lower[DNS_NAME_TEXT];
	struct slice whole = dns_name(message, at, text), last = dns_name_last(whole, 2);
	uint8_t wire[DNS_NAME_WIRE];
	char again[DNS_NAME_TEXT];
	size_t len = dns_name_wire(message, at, wire);

	CHECK(whole.len > 0 && whole.len < 1004 && text[whole.len] == '\0');
	CHECK(strlen(text) == whole.len);
	CHECK(last.len > 0 && last.len <= whole.len);
	memcpy(lower, text, whole.len);
	dns_name_lower(lower, whole.len);
	CHECK(dns_name_equal(whole, slice_of(lower, whole.len)));
	CHECK(len > 0 && len <= sizeof wire && wire[len - 1] == 0);
	CHECK(slice_equal(whole, dns_name(slice_of(wire, len), 0, again)));
}

static void body(struct slice message, const struct dns_record *record)
{
	struct dns_fault fault = {0};
	struct slice address, protocol;
	struct dns_svcb svcb;
	struct dns_srv srv;
	size_t target, alpn = 0;
	int read = 0, broken = 0, r;

	r = dns_read_address(record, &address, &fault);
	read += r == 0;
	broken += r == -EBADMSG;
	if ((r = dns_read_target(message, record, &target, &fault)) == 0)
		name(message, target);
	read += r == 0;
	broken += r == -EBADMSG;
	if ((r = dns_read_srv(message, record, &srv, &fault)) == 0)
		name(message, srv.target);
	read += r == 0;
	broken += r == -EBADMSG;
	if ((r = dns_read_svcb(message, record, &svcb, &fault)) == 0) {
		name(message, svcb.target);
		while (dns_alpn_next(&svcb.alpn, &protocol))
			alpn += protocol.len;
		CHECK(svcb.alpn.len == 0 && alpn <= record->body.len);
		CHECK(svcb.ipv4hint.len % 4 == 0 && svcb.ipv6hint.len % 16 == 0);
	}
	read += r == 0;
	broken += r == -EBADMSG;
	CHECK(read + broken <= 1 && (broken == 1) == (fault.code != DNS_FAULT_NONE));
	CHECK(!broken || fault.at <= message.len);
}

static void message_read(struct slice message)
{
	char spare[DNS_CODE_TEXT];
	struct dns_record record;
	struct dns_reader r;
	size_t records = 0;
	int more = dns_open(&r, message);

	while (more >= 0 && (more = dns_next(&r, &record)) > 0) {
		CHECK(++records <= message.len / 5);
		name(message, record.name);
		body(message, &record);
		CHECK(dns_type_name(record.type, spare)[0]);
	}
	CHECK(r.at <= message.len && r.fault.at <= message.len);
	CHECK((more < 0) == (r.fault.code != DNS_FAULT_NONE));
	CHECK(dns_rcode_name(dns_rcode(&r), spare)[0]);
	CHECK(more < 0 || dns_next(&r, &record) == 0);
}

/* Takes what there is, and compares it with the stream as it stands at *at, if there is one. */
static size_t take(struct dns_stream *s, uint8_t *memory, struct slice whole, size_t *at)
{
	struct dns_stream_message m;
	size_t count = 0;

	for (;;) {
		if (dns_stream_wants(s))
			dns_stream_lend(s, memory, MEMORY);
		if (!dns_stream_next(s, &m))
			break;
		count++;
		CHECK(m.bytes.len <= m.length);
		if (m.bytes.len)
			message_read(m.bytes);
		if (at) {
			CHECK(m.length == (whole.data[*at] << 8 | whole.data[*at + 1]));
			CHECK(m.bytes.len == m.length || m.bytes.len >= MEMORY);
			CHECK(!m.bytes.len ||
			      memcmp(m.bytes.data, whole.data + *at + 2, m.bytes.len) == 0);
			*at += 2 + (size_t)m.length;
			CHECK(*at <= whole.len);
		}
	}
	return count;
}

static void stream_read(struct slice whole, uint32_t seed)
{
	uint8_t memory[MEMORY];
	bool good = seed & 8; /* memory for good, not only while it is wanted */
	uint32_t first = seed * UINT32_C(0x9e3779b9);
	bool gaps = seed % 2 == 0;
	struct dns_stream s;
	size_t at = 0, taken = 0;

	dns_stream_init(&s, good ? memory : NULL, good ? MEMORY : 0, !gaps || seed % 4 == 0);
	while (at < whole.len) {
		size_t step, back;

		seed = seed * 1103515245 + 12345;
		step = (seed >> 8) % (seed & 64 ? 600 : 6);
		step = step < whole.len - at ? step : whole.len - at;
		back = (seed >> 20) % 8 ? 0 : (seed >> 24) % (at + 1);
		if (!gaps || (seed >> 16) % 4) {
			dns_stream_push(&s, first + (uint32_t)(at - back),
			                slice_of(whole.data + at - back, step + back));
			take(&s, memory, whole, gaps ? NULL : &taken);
		} else if ((seed >> 18) % 2) {
			dns_stream_pass(&s, first + (uint32_t)at, step);
			take(&s, memory, whole, NULL);
		}
		if (!good)
			CHECK(!dns_stream_reclaim(&s) || s.have <= 2);
		at += step;
		if (step == 0)
			at += whole.len - at < 1 ? 0 : (size_t)gaps;
	}
	CHECK(gaps || (s.gaps == 0 && s.ignored == 0));
	if (!gaps)
		CHECK(whole.len - taken < 2 ||
		      whole.len - taken <
		              2u + (size_t)(whole.data[taken] << 8 | whole.data[taken + 1]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0])
		stream_read(slice_of(data + 1, size - 1), data[0]);
	else
		message_read(slice_of(data + 1, size - 1));
	return 0;
}
