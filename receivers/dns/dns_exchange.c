#include "receivers/dns/dns_exchange.h"
#include "receivers/dns/dns_exchange_internal.h"
#include "receivers/dns/dns_streams.h"

#include "core/data/semconv.h"

#include <stdlib.h>
#include <sys/socket.h>

struct dns_exchanges {
	void (*on_exchange)(void *arg, const struct dns_exchange *e);
	void *arg;
	struct dns_streams streams;
};

uint64_t dns_exchange_duration_ns(const struct dns_exchange *e)
{
	return e->answered_ns > e->first_ns ? e->answered_ns - e->first_ns : 0;
}

static const char *code_error(unsigned rcode)
{
	switch (rcode) {
	case 0:
		return NULL;
	case 1:
		return SEMCONV_ERROR_TYPE_FORMAT_ERROR;
	case 2:
		return SEMCONV_ERROR_TYPE_SERVER_FAILURE;
	case 3:
		return SEMCONV_ERROR_TYPE_NAME_ERROR;
	case 4:
		return SEMCONV_ERROR_TYPE_NOT_IMPLEMENTED;
	case 5:
		return SEMCONV_ERROR_TYPE_REFUSED;
	case 9:
		return SEMCONV_ERROR_TYPE_NOT_AUTHORITATIVE;
	case 16:
		return SEMCONV_ERROR_TYPE_BAD_VERSION;
	case 23:
		return SEMCONV_ERROR_TYPE_BAD_COOKIE;
	default:
		return SEMCONV_ERROR_TYPE_OTHER;
	}
}

const char *dns_exchange_error(const struct dns_exchange *e)
{
	if (e->other_address)
		return SEMCONV_ERROR_TYPE_OTHER_ADDRESS;
	switch (e->ending) {
	case DNS_TIMEOUT:
		return SEMCONV_ERROR_TYPE_TIMEOUT;
	case DNS_TRUNCATED:
		return SEMCONV_ERROR_TYPE_TRUNCATED;
	case DNS_MALFORMED:
		return SEMCONV_ERROR_TYPE_MALFORMED;
	case DNS_ANSWERED:
		break;
	}
	return code_error(e->rcode);
}

static struct address flow_address(const struct dns_flow *flow, const uint8_t bytes[static 16])
{
	struct address a = {0};

	address_from_bytes(slice_of(bytes, flow->family == AF_INET ? 4 : 16), &a);
	return a;
}

void dns_exchange_init(struct dns_exchange *e, enum dns_transport transport,
                       const struct dns_flow *flow, enum socket_role role,
                       const struct process_owner *owner)
{
	struct address local = flow_address(flow, flow->local_address),
		       remote = flow_address(flow, flow->remote_address);
	bool is_server = role == ROLE_SERVER;

	*e = (struct dns_exchange){
		.owner = owner,
		.transport = transport,
		.role = role,
		.netns = flow->netns,
		.server = is_server ? local : remote,
		.client = is_server ? remote : local,
		.server_port = is_server ? flow->local_port : flow->remote_port,
		.client_port = is_server ? flow->remote_port : flow->local_port,
		.transmissions = 1,
		.ending = DNS_TIMEOUT,
	};
}

static void question_take(struct dns_exchange *e, struct slice message,
                          const struct dns_record *record, char text[static DNS_NAME_TEXT])
{
	e->question = dns_name(message, record->name, text);
	e->type = record->type;
	e->class = record->class;
}

/* Whether the walk failed only because the end of the message is not there. */
static bool is_cut(const struct dns_fault *fault)
{
	return fault->code == DNS_FAULT_RECORD_SHORT || fault->code == DNS_FAULT_BODY_SHORT ||
	       fault->code == DNS_FAULT_NAME_SHORT;
}

void dns_exchange_read(struct dns_exchange *e, struct slice message, size_t length,
                       char text[static DNS_NAME_TEXT])
{
	struct dns_record record;
	struct dns_reader r;
	int more = dns_open(&r, message);
	bool may_be_cut = message.len < length || r.header.truncated;

	e->answer = message;
	e->answer_length = length;
	if (message.len >= 2)
		e->id = (uint16_t)(message.data[0] << 8 | message.data[1]);
	while (more >= 0 && (more = dns_next(&r, &record)) > 0)
		if (record.section == DNS_QUESTION && e->question.len == 0)
			question_take(e, message, &record, text);
	if (!r.header.response || (more < 0 && !(may_be_cut && is_cut(&r.fault)))) {
		e->ending = DNS_MALFORMED;
		return;
	}
	e->ending = r.header.truncated ? DNS_TRUNCATED : DNS_ANSWERED;
	e->rcode = dns_rcode(&r);
}

/* A question alone, as the programs keep it: read as a message that has a header and nothing else. */
static void asked_read(struct dns_exchange *e, struct slice asked, char text[static DNS_NAME_TEXT])
{
	uint8_t bytes[DNS_HEADER_SIZE + DNS_QUESTION_COPIED] = {[5] = 1};
	struct slice message = slice_of(bytes, DNS_HEADER_SIZE + asked.len);
	struct dns_record record;
	struct dns_reader r;

	if (asked.len == 0 || asked.len > DNS_QUESTION_COPIED)
		return;
	memcpy(bytes + DNS_HEADER_SIZE, asked.data, asked.len);
	if (dns_open(&r, message) == 0 && dns_next(&r, &record) > 0)
		question_take(e, message, &record, text);
}

struct dns_exchanges *
dns_exchanges_new(const struct dns_exchanges_limits *limits,
                  void (*on_exchange)(void *arg, const struct dns_exchange *e), void *arg)
{
	struct dns_exchanges *x = calloc(1, sizeof *x);

	if (!x)
		return NULL;
	x->on_exchange = on_exchange;
	x->arg = arg;
	dns_streams_init(&x->streams, limits, on_exchange, arg);
	return x;
}

void dns_exchanges_free(struct dns_exchanges *x)
{
	if (!x)
		return;
	dns_streams_fini(&x->streams);
	free(x);
}

void dns_exchanges_answer(struct dns_exchanges *x, const struct dns_answer *answer,
                          struct slice message)
{
	struct slice asked = slice_of(NULL, 0);
	char text[DNS_NAME_TEXT];
	struct dns_exchange e;

	if (message.len > answer->copied) {
		asked = slice_of(message.data + answer->copied, message.len - answer->copied);
		message.len = answer->copied;
	}
	dns_exchange_init(&e, DNS_UDP, &answer->flow, answer->flow.role, &answer->owner);
	e.first_ns = answer->first_ns;
	e.last_ns = answer->last_ns;
	e.answered_ns = answer->answered_ns;
	e.transmissions = answer->transmissions;
	if (answer->flags & DNS_ANSWER_OTHER_ADDRESS) {
		e.other_address = true;
		e.other = flow_address(&answer->flow, answer->other_address);
		e.other_port = answer->other_port;
	}
	dns_exchange_read(&e, message, answer->length, text);
	if (e.question.len == 0 && (answer->flags & DNS_ANSWER_WITHOUT_QUESTION))
		asked_read(&e, asked, text);
	x->on_exchange(x->arg, &e);
}

void dns_exchanges_unanswered(struct dns_exchanges *x, const struct dns_pending *pending)
{
	char text[DNS_NAME_TEXT];
	struct dns_exchange e;

	dns_exchange_init(&e, DNS_UDP, &pending->flow, pending->flow.role, &pending->owner);
	e.first_ns = pending->first_ns;
	e.last_ns = pending->last_ns;
	e.transmissions = pending->transmissions;
	e.id = pending->id;
	asked_read(&e, slice_of(pending->question, pending->question_length), text);
	x->on_exchange(x->arg, &e);
}

void dns_exchanges_segment(struct dns_exchanges *x, const struct dns_segment *segment,
                           struct slice bytes)
{
	dns_streams_segment(&x->streams, segment, bytes);
}

void dns_exchanges_sweep(struct dns_exchanges *x, uint64_t before_ns)
{
	dns_streams_sweep(&x->streams, before_ns);
}

void dns_exchanges_stats(const struct dns_exchanges *x, struct dns_exchanges_stats *ret)
{
	*ret = x->streams.stats;
	ret->streams = x->streams.connections.count;
}
