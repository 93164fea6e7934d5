#include "core/data/semconv.h"
#include "core/observe/network.h"
#include "core/observe/sentence.h"
#include "receivers/sockets/sockets_batch.h"

static bool is_failure(const struct sockets_record *r)
{
	return r->flags & SOCKETS_FAILED;
}

/* From the first sign of the connection that was seen to its end; 0: it was there before weir. */
static double lifetime(const struct sockets_record *r)
{
	uint64_t from = r->started_ns ? r->started_ns : r->established_ns;

	return from && r->at_ns > from ? (double)(r->at_ns - from) / 1e9 : 0;
}

static const char *error_of(const struct sockets_record *r)
{
	return is_failure(r) || r->error ? sockets_failure_name(sockets_failure(r->error)) : NULL;
}

enum { ATTRIBUTES_MAX = 16 };

static bool address_attributes(struct arena *a, struct build_list *l,
                               const struct sockets_record *r, const struct address *remote)
{
	bool v6 = r->family == AF_INET6;
	struct address local = sockets_address(v6, r->local_address);

	return network_build(a, l, NETWORK_TCP, v6, r->role) &&
	       network_address_build(a, l, SEMCONV_NETWORK_LOCAL_ADDRESS, &local) &&
	       build_int(a, l, SEMCONV_NETWORK_LOCAL_PORT, r->local_port) &&
	       network_address_build(a, l, SEMCONV_NETWORK_PEER_ADDRESS, remote) &&
	       build_int(a, l, SEMCONV_NETWORK_PEER_PORT, r->remote_port);
}

static bool attributes_build(struct arena *a, struct build_list *l, const struct sockets_record *r,
                             const struct address *remote)
{
	const char *error = error_of(r);
	double seconds = lifetime(r);

	l->items = arena_alloc_array(a, ATTRIBUTES_MAX, sizeof *l->items);
	l->capacity = ATTRIBUTES_MAX;
	return l->items && address_attributes(a, l, r, remote) &&
	       (!r->owner.pid || build_int(a, l, SEMCONV_PROCESS_PID, r->owner.pid)) &&
	       (!error || build_string(a, l, SEMCONV_ERROR_TYPE, slice_from_string(error))) &&
	       build_int(a, l, SEMCONV_WEIR_TCP_BYTES_SENT, (int64_t)r->total_sent_bytes) &&
	       build_int(a, l, SEMCONV_WEIR_TCP_BYTES_RECEIVED, (int64_t)r->total_received_bytes) &&
	       (seconds == 0 || build_double(a, l, SEMCONV_WEIR_TCP_DURATION, seconds)) &&
	       (!r->srtt_us || build_double(a, l, SEMCONV_WEIR_TCP_RTT, r->srtt_us / 1e6)) &&
	       build_int(a, l, SEMCONV_WEIR_TCP_RETRANSMITS, r->total_retransmitted_segments);
}

/* "connection to 10.0.0.7:5432 failed: connection_refused" */
static Otlp__AnyValue *body_build(struct arena *a, const struct sockets_record *r,
                                  const struct address *remote)
{
	const char *error = error_of(r);
	struct sentence s;

	s.len = 0;
	sentence_say_string(&s, r->role == ROLE_SERVER ? "connection from " : "connection to ");
	sentence_say_endpoint(&s, remote, r->remote_port);
	sentence_say_string(&s, is_failure(r) ? " failed" : " closed");
	if (error) {
		sentence_say_string(&s, ": ");
		sentence_say_string(&s, error);
	}
	return sentence_build(&s, a);
}

Otlp__LogRecord *sockets_log_build(struct arena *a, const struct observation *o,
                                   uint64_t now_unix_ns, uint64_t ahead_ns)
{
	const struct sockets_record *r = &CONTAINER_OF(o, struct sockets_log, base)->record;
	struct address remote = sockets_address(r->family == AF_INET6, r->remote_address);
	Otlp__LogRecord *log = BUILD(a, Otlp__LogRecord, otlp__log_record);
	bool warn = error_of(r) != NULL;
	struct build_list l = {0};

	if (!log || !attributes_build(a, &l, r, &remote) ||
	    !(log->body = body_build(a, r, &remote)))
		return NULL;
	log->time_unix_nano = r->at_ns + ahead_ns;
	log->observed_time_unix_nano = now_unix_ns;
	log->severity_number = warn ? OTLP__SEVERITY_NUMBER__SEVERITY_NUMBER_WARN
	                            : OTLP__SEVERITY_NUMBER__SEVERITY_NUMBER_INFO;
	log->severity_text = build_text(warn ? "WARN" : "INFO");
	log->event_name = build_text(SEMCONV_WEIR_TCP_CONNECTION_EVENT);
	log->n_attributes = l.count;
	log->attributes = (Otlp__KeyValue **)l.items;
	return log;
}
