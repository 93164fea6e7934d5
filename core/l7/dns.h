/* dns: reads DNS messages as they pass by (RFC 1035; EDNS: RFC 6891; SVCB and HTTPS: RFC 9460).
 * Sans-I/O, allocates nothing: a reader walks a message that the caller holds and hands out one
 * question or record at a time; what is wanted of a record's body is asked for.
 *
 * The walk checks lengths, and the names of questions and of owners with everything they point to;
 * bodies are passed over by their length, whatever their type, and are only checked by the function
 * that reads them. A name is handed out as its place in the message; dns_name() writes it as text.
 * Nothing here trusts the counts of the header: a walk takes at most one step for each five bytes,
 * a name at most DNS_NAME_JUMPS + 128. */
#ifndef WEIR_L7_DNS_H
#define WEIR_L7_DNS_H

#include "core/base/error.h"
#include "core/base/slice.h"

enum {
	DNS_HEADER_SIZE = 12,
	DNS_NAME_WIRE = 255,  /* longest name in a message (RFC 1035, section 2.3.4) */
	DNS_NAME_TEXT = 1024, /* holds any name as text, and a NUL: 250 bytes as \DDD and dots */
	DNS_NAME_JUMPS = 128, /* pointers followed in one name: a message full of pointers to
				 pointers would otherwise cost the square of its size */
	DNS_CODE_TEXT = 16,   /* holds "TYPE65535", "RCODE4095" */
	DNS_CLASS_IN = 1,
	DNS_CLASS_MASK =
		0x7fff, /* the highest bit has another meaning in multicast DNS (RFC 6762) */
};

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_PTR = 12,
	DNS_AAAA = 28,
	DNS_SRV = 33,
	DNS_DNAME = 39,
	DNS_OPT = 41,
	DNS_SVCB = 64,
	DNS_HTTPS = 65,
	DNS_IXFR = 251,
	DNS_AXFR = 252,
};

enum dns_section { DNS_QUESTION, DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL, DNS_SECTIONS };

enum dns_fault_code {
	DNS_FAULT_NONE,
	DNS_FAULT_HEADER_SHORT, /* fewer than twelve bytes */
	DNS_FAULT_RECORD_SHORT, /* the message ends within a question or record */
	DNS_FAULT_BODY_SHORT,   /* a record's length reaches beyond the message */
	DNS_FAULT_NAME_SHORT,   /* the message, or the body, ends within a name */
	DNS_FAULT_NAME_LONG,    /* more than DNS_NAME_WIRE bytes */
	DNS_FAULT_LABEL,        /* a label of a kind that does not exist */
	DNS_FAULT_POINTER,      /* a pointer into the header, forward or to itself */
	DNS_FAULT_JUMPS,        /* more than DNS_NAME_JUMPS pointers */
	DNS_FAULT_COMPRESSED,   /* a pointer where RFC 9460 allows none */
	DNS_FAULT_OPT,          /* a second OPT record, or one whose owner is not the root */
	DNS_FAULT_BODY,         /* a body of another size than its type has */
	DNS_FAULT_PARAMETER,    /* parameters of SVCB cut short or out of order */
};

struct dns_fault {
	enum dns_fault_code code;
	size_t at; /* byte of the message */
};

struct dns_header {
	uint16_t id;
	uint8_t opcode;
	uint8_t rcode; /* the four low bits: dns_rcode() knows the rest */
	bool response, authoritative, truncated, recursion_desired, recursion_available;
	bool authentic_data, checking_disabled;
	uint16_t counts[DNS_SECTIONS]; /* as claimed */
};

struct dns_edns {
	bool present;
	uint8_t version, extended_rcode;
	uint16_t payload_size; /* bytes the sender takes over UDP */
	bool dnssec_ok;
	struct slice options; /* RFC 6891, section 6.1.2; unchecked */
};

struct dns_reader {
	struct slice message;
	struct dns_header header;
	struct dns_edns edns;   /* filled when dns_next() comes by it */
	struct dns_fault fault; /* why dns_open() or dns_next() failed */
	size_t at; /* after the last record: what follows does not belong to the message */
	unsigned section, done; /* where the walk is: records of this section handed out */
};

struct dns_record {
	enum dns_section section;
	uint16_t type, class; /* class as it came: see DNS_CLASS_MASK */
	uint32_t ttl;         /* seconds; 0 of a question, and above 2^31 (RFC 2181, section 8) */
	size_t name;          /* for dns_name() */
	size_t body_at;
	struct slice body; /* nothing of a question */
};

/* Begins a walk. The message must stay while reader and records are in use. Returns 0, or -EBADMSG
 * with r->fault set; then r->header is zero. */
int dns_open(struct dns_reader *r, struct slice message);

/* The next question or record, sections in their order. Returns 1, 0 at the end, or -EBADMSG with
 * r->fault set, which sticks. */
int dns_next(struct dns_reader *r, struct dns_record *ret);

/* With the bits of the OPT record, thus complete when the walk has come to its end. */
unsigned dns_rcode(const struct dns_reader *r);

/* Sets "byte 17 of the DNS message: ..." and returns -EBADMSG. */
int dns_fault_error(const struct dns_fault *fault, struct error *e);
/* "the name is longer than 255 bytes" */
const char *dns_fault_text(enum dns_fault_code code);

/* Writes the name at a place that a reader has handed out, and a NUL: labels as they came, with
 * dots between them and none at the end, "." for the root; dot and backslash within a label as \.
 * and \\, every byte that is not a visible ASCII character as \DDD. Returns the text. */
struct slice dns_name(struct slice message, size_t at, char text[static DNS_NAME_TEXT]);

/* Copies the name at such a place without compression and returns its length; the copy is a message
 * in which the name stands at 0. */
size_t dns_name_wire(struct slice message, size_t at, uint8_t wire[static DNS_NAME_WIRE]);

/* Names as text, or both uncompressed, without regard to the case of ASCII letters (RFC 4343). */
bool dns_name_equal(struct slice a, struct slice b);
void dns_name_lower(char *text, size_t len);

/* The last labels of a name's text: all of it when it has no more. */
struct slice dns_name_last(struct slice name, unsigned labels);

/* The bodies. Each returns 0, -EINVAL for a record of another type or class or for a question, or
 * -EBADMSG with *fault set (which may be NULL). */

/* Of A and AAAA: 4 or 16 bytes, within the message. */
int dns_read_address(const struct dns_record *record, struct slice *ret, struct dns_fault *fault);

/* Of CNAME, PTR, NS and DNAME: for dns_name(). */
int dns_read_target(struct slice message, const struct dns_record *record, size_t *ret,
                    struct dns_fault *fault);

struct dns_srv {
	uint16_t priority, weight, port;
	size_t target;
};

int dns_read_srv(struct slice message, const struct dns_record *record, struct dns_srv *ret,
                 struct dns_fault *fault);

enum dns_svcb_key {
	DNS_SVCB_MANDATORY,
	DNS_SVCB_ALPN,
	DNS_SVCB_NO_DEFAULT_ALPN,
	DNS_SVCB_PORT,
	DNS_SVCB_IPV4HINT,
	DNS_SVCB_ECH,
	DNS_SVCB_IPV6HINT,
};

struct dns_svcb {
	uint16_t priority; /* 0: an alias */
	size_t target;
	/* Nothing when absent; the whole list is checked. */
	struct slice alpn;     /* for dns_alpn_next() */
	struct slice ipv4hint; /* a multiple of 4 bytes */
	struct slice ipv6hint; /* a multiple of 16 bytes */
	bool has_port;
	uint16_t port;
};

int dns_read_svcb(struct slice message, const struct dns_record *record, struct dns_svcb *ret,
                  struct dns_fault *fault);

/* Takes the first protocol off a list that dns_read_svcb() has checked. False when it is empty. */
bool dns_alpn_next(struct slice *list, struct slice *ret);

/* "AAAA", "NXDOMAIN"; unknown ones as "TYPE65280" (RFC 3597) and "RCODE3841", written to spare. */
const char *dns_type_name(uint16_t type, char spare[static DNS_CODE_TEXT]);
const char *dns_rcode_name(unsigned rcode, char spare[static DNS_CODE_TEXT]);

#endif
