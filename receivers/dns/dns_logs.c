#include "core/data/semconv.h"
#include "core/observe/network.h"
#include "core/observe/sentence.h"
#include "receivers/dns/dns.h"

#include <stdlib.h>
#include <string.h>

/* Bounds of dns.answers: an answer over TCP may hold thousands of records. */
enum { ANSWERS_MAX = 16, ANSWERS_BYTES = 4096 };

/* A look-up that waits to become a log record. */
struct dns_log {
	struct observation base;
	struct dns_exchange exchange; /* without owner, question and answer */
	const char *error;            /* error.type, or NULL */
	uint32_t pid;
	uint16_t n_answers;
	size_t name_len;
	char text[]; /* the name as it was asked for, then the answers, each with a NUL */
};

/* ---- what was answered */

struct answers {
	char text[ANSWERS_BYTES];
	size_t len;
	uint16_t n;
};

static void answers_put(struct answers *l, struct slice text)
{
	if (l->n == ANSWERS_MAX || text.len + 1 > sizeof l->text - l->len)
		return;
	memcpy(l->text + l->len, text.data, text.len);
	l->text[l->len + text.len] = '\0';
	l->len += text.len + 1;
	l->n++;
}

static void answers_put_name(struct answers *l, struct slice message, size_t at)
{
	char text[DNS_NAME_TEXT];

	answers_put(l, dns_name(message, at, text));
}

static void answers_put_address(struct answers *l, const struct dns_record *record)
{
	struct address address;
	struct slice bytes;
	char text[INET6_ADDRSTRLEN];

	if (dns_read_address(record, &bytes, NULL) == 0 && address_from_bytes(bytes, &address))
		answers_put(l, slice_of(text, address_text(&address, text)));
}

static void answers_put_record(struct answers *l, struct slice message,
                               const struct dns_record *record)
{
	struct dns_svcb svcb;
	struct dns_srv srv;
	size_t target;

	switch (record->type) {
	case DNS_A:
	case DNS_AAAA:
		answers_put_address(l, record);
		break;
	case DNS_CNAME:
	case DNS_DNAME:
	case DNS_NS:
	case DNS_PTR:
		if (dns_read_target(message, record, &target, NULL) == 0)
			answers_put_name(l, message, target);
		break;
	case DNS_SRV:
		if (dns_read_srv(message, record, &srv, NULL) == 0)
			answers_put_name(l, message, srv.target);
		break;
	case DNS_SVCB:
	case DNS_HTTPS:
		if (dns_read_svcb(message, record, &svcb, NULL) == 0)
			answers_put_name(l, message, svcb.target);
		break;
	default:
		break;
	}
}

static void answers_read(struct answers *l, struct slice message)
{
	struct dns_record record;
	struct dns_reader reader;

	l->len = 0;
	l->n = 0;
	if (!message.len || dns_open(&reader, message) < 0)
		return;
	while (l->n < ANSWERS_MAX && dns_next(&reader, &record) > 0 && record.section <= DNS_ANSWER)
		if (record.section == DNS_ANSWER)
			answers_put_record(l, message, &record);
}

/* ---- records */

void dns_log_wait(struct dns *d, struct resource *resource, const struct dns_exchange *e)
{
	struct answers answers;
	struct dns_log *log;
	size_t size;

	answers_read(&answers, e->answer);
	size = sizeof *log + e->question.len + 1 + answers.len;
	if (!delivery_may_observe(&d->delivery, size))
		return;
	log = malloc(size);
	if (!log) {
		d->delivery.logs_dropped++;
		return;
	}
	*log = (struct dns_log){.base.resource = resource ? resource_ref(resource) : NULL,
	                        .exchange = *e,
	                        .error = dns_exchange_error(e),
	                        .pid = e->owner ? e->owner->pid : 0,
	                        .n_answers = answers.n,
	                        .name_len = e->question.len};
	log->exchange.owner = NULL;
	log->exchange.question = log->exchange.answer = (struct slice){0};
	if (e->question.len)
		memcpy(log->text, e->question.data, e->question.len);
	log->text[e->question.len] = '\0';
	memcpy(log->text + e->question.len + 1, answers.text, answers.len);
	delivery_observe(&d->delivery, &log->base, size);
}

static bool answers_build(struct arena *a, struct build_list *l, const struct dns_log *log)
{
	Otlp__KeyValue *pair = BUILD(a, Otlp__KeyValue, otlp__key_value);
	Otlp__AnyValue *value = BUILD(a, Otlp__AnyValue, otlp__any_value);
	Otlp__ArrayValue *array = BUILD(a, Otlp__ArrayValue, otlp__array_value);
	const char *at = log->text + log->name_len + 1;
	struct build_list items = {0};

	if (!pair || !value || !array)
		return false;
	for (size_t i = 0; i < log->n_answers; i++, at += strlen(at) + 1) {
		Otlp__AnyValue *item = BUILD(a, Otlp__AnyValue, otlp__any_value);

		if (!item || !build_list_add(a, &items, item) ||
		    !build_copy(a, slice_from_string(at), &item->string_value))
			return false;
		item->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	}
	array->n_values = items.count;
	array->values = (Otlp__AnyValue **)items.items;
	value->value_case = OTLP__ANY_VALUE__VALUE_ARRAY_VALUE;
	value->array_value = array;
	pair->key = build_text(SEMCONV_DNS_ANSWERS);
	pair->value = value;
	return build_list_add(a, l, pair);
}

static bool has_answer(const struct dns_exchange *e)
{
	return e->answered_ns != 0;
}

static bool has_code(const struct dns_exchange *e)
{
	return e->ending == DNS_ANSWERED || e->ending == DNS_TRUNCATED;
}

static bool question_build(struct arena *a, struct build_list *l, const struct dns_log *log)
{
	char spare[DNS_CODE_TEXT];

	if (!log->name_len)
		return true;
	return build_string(a, l, SEMCONV_DNS_QUESTION_NAME, slice_of(log->text, log->name_len)) &&
	       build_string(a, l, SEMCONV_WEIR_DNS_QUESTION_TYPE,
	                    slice_from_string(dns_type_name(log->exchange.type, spare)));
}

static bool ending_build(struct arena *a, struct build_list *l, const struct dns_log *log)
{
	const struct dns_exchange *e = &log->exchange;
	char spare[DNS_CODE_TEXT];

	if (has_code(e) && !build_string(a, l, SEMCONV_WEIR_DNS_RESPONSE_CODE,
	                                 slice_from_string(dns_rcode_name(e->rcode, spare))))
		return false;
	if (log->error && !build_string(a, l, SEMCONV_ERROR_TYPE, slice_from_string(log->error)))
		return false;
	if (log->n_answers && !answers_build(a, l, log))
		return false;
	return (!has_answer(e) || build_double(a, l, SEMCONV_WEIR_DNS_DURATION,
	                                       (double)dns_exchange_duration_ns(e) / 1e9)) &&
	       build_int(a, l, SEMCONV_WEIR_DNS_TRANSMISSIONS, e->transmissions);
}

static bool ends_build(struct arena *a, struct build_list *l, const struct dns_exchange *e)
{
	return network_build(a, l, e->transport == DNS_UDP ? NETWORK_UDP : NETWORK_TCP,
	                     !address_is_ipv4(&e->server), (uint8_t)e->role) &&
	       network_address_build(a, l, SEMCONV_SERVER_ADDRESS, &e->server) &&
	       build_int(a, l, SEMCONV_SERVER_PORT, e->server_port) &&
	       network_address_build(a, l, SEMCONV_CLIENT_ADDRESS, &e->client) &&
	       build_int(a, l, SEMCONV_CLIENT_PORT, e->client_port);
}

/* "A example.org at 10.0.0.53:53: NOERROR", "... failed: timeout" */
static Otlp__AnyValue *body_build(struct arena *a, const struct dns_log *log)
{
	const struct dns_exchange *e = &log->exchange;
	char spare[DNS_CODE_TEXT];
	struct sentence s;

	s.len = 0;
	if (log->name_len) {
		sentence_say_string(&s, dns_type_name(e->type, spare));
		sentence_say_string(&s, " ");
		sentence_say(&s, slice_of(log->text, log->name_len));
	} else {
		sentence_say_string(&s, "a look-up");
	}
	sentence_say_string(&s, " at ");
	sentence_say_endpoint(&s, &e->server, e->server_port);
	sentence_say_string(&s, log->error ? " failed: " : ": ");
	sentence_say_string(&s, log->error ? log->error : dns_rcode_name(e->rcode, spare));
	return sentence_build(&s, a);
}

enum { ATTRIBUTES_MAX = 16 };

static bool attributes_build(struct arena *a, struct build_list *l, const struct dns_log *log)
{
	l->items = arena_alloc_array(a, ATTRIBUTES_MAX, sizeof *l->items);
	l->capacity = ATTRIBUTES_MAX;
	return l->items && question_build(a, l, log) && ending_build(a, l, log) &&
	       ends_build(a, l, &log->exchange) &&
	       (!log->pid || build_int(a, l, SEMCONV_PROCESS_PID, log->pid));
}

Otlp__LogRecord *dns_log_build(struct arena *a, const struct observation *o, uint64_t now_unix_ns,
                               uint64_t ahead_ns)
{
	const struct dns_log *log = CONTAINER_OF(o, struct dns_log, base);
	const struct dns_exchange *e = &log->exchange;
	Otlp__LogRecord *out = BUILD(a, Otlp__LogRecord, otlp__log_record);
	struct build_list l = {0};

	if (!out || !attributes_build(a, &l, log) || !(out->body = body_build(a, log)))
		return NULL;
	out->time_unix_nano = (has_answer(e) ? e->answered_ns : e->first_ns) + ahead_ns;
	out->observed_time_unix_nano = now_unix_ns;
	out->severity_number = log->error ? OTLP__SEVERITY_NUMBER__SEVERITY_NUMBER_WARN
	                                  : OTLP__SEVERITY_NUMBER__SEVERITY_NUMBER_INFO;
	out->severity_text = build_text(log->error ? "WARN" : "INFO");
	out->event_name = build_text(SEMCONV_WEIR_DNS_LOOKUP_EVENT);
	out->n_attributes = l.count;
	out->attributes = (Otlp__KeyValue **)l.items;
	return out;
}
