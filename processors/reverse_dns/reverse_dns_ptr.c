#include "processors/reverse_dns/reverse_dns_ptr.h"

#include "core/l7/dns.h"

#include <ctype.h>
#include <stdio.h>

enum {
	HOST_NAME_MAX_BYTES = 253,
	LABEL_MAX_BYTES = 63,
	/* Questions and records that are read of an answer. Whoever holds a reverse zone can have 65 KB
	 * of them sent, thousands of long names that take 20 ms to compare. */
	RECORDS_MAX = 100,
};

bool ptr_may_be_asked(const struct address *a)
{
	static const struct address nowhere, self = {.bytes = {[15] = 1}};
	const uint8_t *b = a->bytes;

	if (address_is_ipv4(a))
		return b[12] != 0 && b[12] != 127 && b[12] < 224 && !(b[12] == 169 && b[13] == 254);
	return b[0] != 0xff && !(b[0] == 0xfe && (b[1] & 0xc0) == 0x80) &&
	       memcmp(a, &nowhere, sizeof *a) && memcmp(a, &self, sizeof *a);
}

void ptr_question(const struct address *a, char text[static PTR_QUESTION_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = a->bytes;

	if (address_is_ipv4(a)) {
		snprintf(text, PTR_QUESTION_SIZE, "%u.%u.%u.%u.in-addr.arpa", b[15], b[14], b[13],
		         b[12]);
		return;
	}
	for (size_t i = sizeof a->bytes; i-- > 0;) {
		*text++ = digits[b[i] & 15];
		*text++ = '.';
		*text++ = digits[b[i] >> 4];
		*text++ = '.';
	}
	memcpy(text, "ip6.arpa", sizeof "ip6.arpa");
}

/* Letters, digits, hyphens and underscores in labels, and no address: whoever holds the reverse zone
 * writes what he likes there. */
static bool is_host_name(struct slice name)
{
	struct address address;
	size_t label = 0;

	if (name.len > HOST_NAME_MAX_BYTES || address_parse(name, &address))
		return false;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.data[i];

		if (c == '.' && label == 0)
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > LABEL_MAX_BYTES ||
		    (label && !(c < 0x80 && isalnum(c)) && c != '-' && c != '_'))
			return false;
	}
	return label > 0;
}

/* The name that the record points to, when it is one and comes before the best so far. */
static void name_take(struct slice message, const struct dns_record *record,
                      struct ptr_answer *best)
{
	char text[DNS_NAME_TEXT];
	struct slice name;
	size_t target;

	if (dns_read_target(message, record, &target, NULL) < 0)
		return;
	name = dns_name(message, target, text);
	if (!is_host_name(name))
		return;
	dns_name_lower(text, name.len);
	if (best->name[0] && strcmp(best->name, text) <= 0)
		return;
	memcpy(best->name, text, name.len + 1);
}

enum ptr_result ptr_answer_read(struct slice message, const char *question, struct ptr_answer *ret)
{
	char wanted[DNS_NAME_TEXT], owner[DNS_NAME_TEXT];
	bool pointers = false;
	struct dns_reader reader;
	struct dns_record record;
	size_t target;
	int r = 0;

	*ret = (struct ptr_answer){.ttl_s = UINT32_MAX};
	snprintf(wanted, sizeof wanted, "%s", question);
	if (dns_open(&reader, message) < 0)
		return PTR_BAD;
	for (int i = 0; i < RECORDS_MAX; i++) {
		if ((r = dns_next(&reader, &record)) <= 0 || record.section > DNS_ANSWER)
			break;
		if (record.section != DNS_ANSWER || record.class != DNS_CLASS_IN ||
		    (record.type != DNS_PTR && record.type != DNS_CNAME) ||
		    !dns_name_equal(dns_name(message, record.name, owner),
		                    slice_from_string(wanted)))
			continue;
		if (record.ttl < ret->ttl_s)
			ret->ttl_s = record.ttl;
		if (record.type == DNS_PTR) {
			pointers = true;
			name_take(message, &record, ret);
		} else if (dns_read_target(message, &record, &target, NULL) == 0) {
			dns_name(message, target, wanted);
		}
	}
	if (r < 0) {
		ret->name[0] = '\0';
		return PTR_BAD;
	}
	return ret->name[0] ? PTR_NAME : pointers ? PTR_BAD : PTR_NONE;
}
