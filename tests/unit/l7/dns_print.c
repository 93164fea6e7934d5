/* Prints DNS messages for test_dns.py: reads records of a length (2 bytes, big-endian) and a message;
 * writes a line for the header, one for each question and record, and "." or
 * "fault: ..." at the end. */
#include "core/l7/dns.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

static void name_print(struct slice message, size_t at)
{
	char text[DNS_NAME_TEXT];
	struct slice name = dns_name(message, at, text);

	printf(" %.*s", SLICE_PRINTF(name));
}

static void addresses_print(const char *label, struct slice all, size_t size)
{
	char text[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < all.len; i += size) {
		inet_ntop(size == 4 ? AF_INET : AF_INET6, all.data + i, text, sizeof text);
		printf("%s%s", i ? "," : label, text);
	}
}

static void svcb_print(struct slice message, const struct dns_svcb *svcb)
{
	struct slice list = svcb->alpn, one;
	const char *before = " alpn=";

	printf(" %u", svcb->priority);
	name_print(message, svcb->target);
	while (dns_alpn_next(&list, &one)) {
		printf("%s", before);
		for (size_t i = 0; i < one.len; i++)
			printf("%02x", one.data[i]);
		before = ",";
	}
	if (svcb->has_port)
		printf(" port=%u", svcb->port);
	addresses_print(" ipv4hint=", svcb->ipv4hint, 4);
	addresses_print(" ipv6hint=", svcb->ipv6hint, 16);
}

static void body_print(struct slice message, const struct dns_record *record)
{
	struct dns_fault fault = {0};
	struct slice address;
	struct dns_srv srv;
	struct dns_svcb svcb;
	size_t target;

	if (dns_read_address(record, &address, &fault) == 0) {
		addresses_print(" ", address, address.len);
	} else if (dns_read_target(message, record, &target, &fault) == 0) {
		name_print(message, target);
	} else if (dns_read_srv(message, record, &srv, &fault) == 0) {
		printf(" %u %u %u", srv.priority, srv.weight, srv.port);
		name_print(message, srv.target);
	} else if (dns_read_svcb(message, record, &svcb, &fault) == 0) {
		svcb_print(message, &svcb);
	} else if (fault.code) {
		printf(" fault: %s", dns_fault_text(fault.code));
	}
}

static void message_print(struct slice message)
{
	char type[DNS_CODE_TEXT];
	struct dns_record record;
	struct dns_reader r;
	int more = dns_open(&r, message);

	if (more == 0)
		printf("%u %u%s%s%s%s%s%s%s\n", r.header.id, r.header.opcode,
		       r.header.response ? " qr" : "", r.header.authoritative ? " aa" : "",
		       r.header.truncated ? " tc" : "", r.header.recursion_desired ? " rd" : "",
		       r.header.recursion_available ? " ra" : "",
		       r.header.authentic_data ? " ad" : "",
		       r.header.checking_disabled ? " cd" : "");
	while (more >= 0 && (more = dns_next(&r, &record)) > 0) {
		if (record.section == DNS_ADDITIONAL && record.type == DNS_OPT)
			continue;
		printf("%d", record.section);
		name_print(message, record.name);
		printf(" %u %s %u", record.class, dns_type_name(record.type, type), record.ttl);
		body_print(message, &record);
		printf("\n");
	}
	if (more < 0) {
		printf("fault: byte %zu: %s\n", r.fault.at, dns_fault_text(r.fault.code));
		return;
	}
	printf(". %s", dns_rcode_name(dns_rcode(&r), type));
	if (r.edns.present)
		printf(" edns %u %u %d", r.edns.version, r.edns.payload_size, r.edns.dnssec_ok);
	printf("\n");
}

int main(void)
{
	uint8_t head[2];

	while (fread(head, sizeof head, 1, stdin) == 1) {
		size_t len = (size_t)head[0] << 8 | head[1];
		/* Of its own size, so that a byte too many is seen. */
		uint8_t *data = malloc(len ? len : 1);

		if (!data || fread(data, 1, len, stdin) != len)
			return 1;
		message_print(slice_of(data, len));
		free(data);
	}
	return 0;
}
