/* What stands in the bodies of the records that weir reads. */
#include "core/l7/dns.h"
#include "core/l7/dns_internal.h"

#include <errno.h>

static bool is_internet(const struct dns_record *record)
{
	return record->section != DNS_QUESTION && (record->class & DNS_CLASS_MASK) == DNS_CLASS_IN;
}

int dns_read_address(const struct dns_record *record, struct slice *ret, struct dns_fault *fault)
{
	if (!is_internet(record) || (record->type != DNS_A && record->type != DNS_AAAA))
		return -EINVAL;
	if (record->body.len != (record->type == DNS_A ? 4 : 16))
		return dns_fault_set(fault, DNS_FAULT_BODY, record->body_at);
	*ret = record->body;
	return 0;
}

/* A name that begins so many bytes into the body. Sets the byte of the message after it. */
static int body_name(struct slice message, const struct dns_record *record, size_t offset,
                     bool compressed, size_t *ret_end, struct dns_fault *fault)
{
	return dns_name_check(message, record->body_at + offset, record->body_at + record->body.len,
	                      compressed, ret_end, fault);
}

/* A name that the body ends with. */
static int last_name(struct slice message, const struct dns_record *record, size_t offset,
                     size_t *ret, struct dns_fault *fault)
{
	size_t end;
	int r = body_name(message, record, offset, true, &end, fault);

	if (r < 0)
		return r;
	if (end != record->body_at + record->body.len)
		return dns_fault_set(fault, DNS_FAULT_BODY, end);
	*ret = record->body_at + offset;
	return 0;
}

int dns_read_target(struct slice message, const struct dns_record *record, size_t *ret,
                    struct dns_fault *fault)
{
	if (record->section == DNS_QUESTION ||
	    (record->type != DNS_CNAME && record->type != DNS_PTR && record->type != DNS_NS &&
	     record->type != DNS_DNAME))
		return -EINVAL;
	return last_name(message, record, 0, ret, fault);
}

int dns_read_srv(struct slice message, const struct dns_record *record, struct dns_srv *ret,
                 struct dns_fault *fault)
{
	size_t target = record->body_at + 6;
	int r;

	if (!is_internet(record) || record->type != DNS_SRV)
		return -EINVAL;
	if (record->body.len < 7)
		return dns_fault_set(fault, DNS_FAULT_BODY, record->body_at);
	if ((r = last_name(message, record, 6, &target, fault)) < 0)
		return r;
	*ret = (struct dns_srv){
		.priority = dns_be16(record->body.data),
		.weight = dns_be16(record->body.data + 2),
		.port = dns_be16(record->body.data + 4),
		.target = target,
	};
	return 0;
}

bool dns_alpn_next(struct slice *list, struct slice *ret)
{
	if (list->len == 0 || list->len - 1 < list->data[0])
		return false;
	*ret = slice_of(list->data + 1, list->data[0]);
	*list = slice_of(list->data + 1 + ret->len, list->len - 1 - ret->len);
	return true;
}

/* Section 7.1.1: names of at least one byte that fill the list. */
static bool alpn_is_sound(struct slice list)
{
	struct slice one;

	if (list.len == 0)
		return false;
	while (dns_alpn_next(&list, &one))
		if (one.len == 0)
			return false;
	return list.len == 0;
}

static bool is_addresses(struct slice value, size_t size)
{
	return value.len > 0 && value.len % size == 0;
}

static bool parameter_take(struct dns_svcb *svcb, uint16_t key, struct slice value)
{
	switch (key) {
	case DNS_SVCB_ALPN:
		svcb->alpn = value;
		return alpn_is_sound(value);
	case DNS_SVCB_PORT:
		svcb->has_port = value.len == 2;
		svcb->port = value.len == 2 ? dns_be16(value.data) : 0;
		return svcb->has_port;
	case DNS_SVCB_IPV4HINT:
		svcb->ipv4hint = value;
		return is_addresses(value, 4);
	case DNS_SVCB_IPV6HINT:
		svcb->ipv6hint = value;
		return is_addresses(value, 16);
	default:
		return true;
	}
}

int dns_read_svcb(struct slice message, const struct dns_record *record, struct dns_svcb *ret,
                  struct dns_fault *fault)
{
	struct dns_svcb svcb = {.target = record->body_at + 2};
	const uint8_t *body = record->body.data;
	size_t at;
	int r, last = -1;

	if (!is_internet(record) || (record->type != DNS_SVCB && record->type != DNS_HTTPS))
		return -EINVAL;
	if (record->body.len < 3)
		return dns_fault_set(fault, DNS_FAULT_BODY, record->body_at);
	if ((r = body_name(message, record, 2, false, &at, fault)) < 0)
		return r;
	svcb.priority = dns_be16(body);
	at -= record->body_at;
	while (at < record->body.len) {
		size_t length, begin = at;
		int key;

		if (record->body.len - at < 4)
			return dns_fault_set(fault, DNS_FAULT_PARAMETER, record->body_at + begin);
		key = dns_be16(body + at);
		length = dns_be16(body + at + 2);
		at += 4;
		/* Keys rise, so none comes twice (section 2.2). */
		if (key <= last || record->body.len - at < length ||
		    !parameter_take(&svcb, (uint16_t)key, slice_of(body + at, length)))
			return dns_fault_set(fault, DNS_FAULT_PARAMETER, record->body_at + begin);
		last = key;
		at += length;
	}
	*ret = svcb;
	return 0;
}
