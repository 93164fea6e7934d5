/* A connection lives from its first segment, or the first that is seen of it, until it is over: reset,
 * ended by both ends, or by one when nothing is open; or until there are too many. (The end that
 * closes first does not see the other's FIN: its socket is gone by then.) Its questions wait in the
 * order in which they were asked; answers come in any order (RFC 7766, section 7) and are matched by
 * id and question, or by id alone when one of both has no question. */
#include "receivers/dns/dns_streams.h"

#include "core/l7/dns_stream.h"
#include "receivers/dns/dns_exchange_internal.h"

#include <stdlib.h>

enum {
	TRANSFERS = 4,  /* zone transfers of one connection that are known at once */
	OPCODE_DSO = 6, /* keeps sessions, asks nothing (RFC 8490) */
};

/* The ports tell connections of one socket apart, one after the other. */
struct connection_key {
	uint64_t cookie;
	uint32_t netns;
	uint16_t local_port, remote_port;
};

struct direction {
	struct dns_stream stream; /* its memory is there only while a message spans segments */
	bool begun, ended;
};

struct connection {
	struct map_node node;
	struct list by_use;
	struct list questions;
	struct connection_key key;
	struct dns_flow flow;
	struct process_owner owner;
	enum socket_role role;
	bool no_question_told;          /* in the segment at hand */
	struct direction directions[2]; /* [1]: sent by the local end */
	size_t open;
	/* Ids of zone transfers that have been answered: more messages of theirs may follow, which
	 * answer nothing new (RFC 5936, section 2.2). */
	uint16_t transfers[TRANSFERS];
	unsigned n_transfers, next_transfer;
};

struct question {
	struct list of_connection, by_age;
	struct connection *connection;
	uint64_t asked_ns;
	uint16_t id, type, class;
	bool malformed;
	uint8_t name_len; /* 0: there is no question in it, or none that can be read */
	uint8_t name[];   /* uncompressed */
};

static bool connection_equal(const struct map_node *node, const void *key)
{
	return memcmp(&CONTAINER_OF(node, struct connection, node)->key, key,
	              sizeof(struct connection_key)) == 0;
}

void dns_streams_init(struct dns_streams *t, const struct dns_exchanges_limits *limits,
                      void (*on_exchange)(void *arg, const struct dns_exchange *e), void *arg)
{
	*t = (struct dns_streams){.limits = *limits, .on_exchange = on_exchange, .arg = arg};
	map_init(&t->connections, connection_equal);
	list_init(&t->by_use);
	list_init(&t->by_age);
}

static void question_free(struct dns_streams *t, struct question *q)
{
	list_remove(&q->of_connection);
	list_remove(&q->by_age);
	q->connection->open--;
	t->stats.open--;
	free(q);
}

static void name_restore(const struct question *q, struct dns_exchange *e,
                         char text[static DNS_NAME_TEXT])
{
	if (q->name_len == 0)
		return;
	e->question = dns_name(slice_of(q->name, q->name_len), 0, text);
	e->type = q->type;
	e->class = q->class;
}

static void exchange_init(struct dns_exchange *e, const struct connection *c, uint64_t asked_ns)
{
	dns_exchange_init(e, DNS_TCP, &c->flow, c->role, &c->owner);
	e->first_ns = e->last_ns = asked_ns;
}

static void unanswered_tell(struct dns_streams *t, struct question *q)
{
	char text[DNS_NAME_TEXT];
	struct dns_exchange e;

	exchange_init(&e, q->connection, q->asked_ns);
	e.ending = q->malformed ? DNS_MALFORMED : DNS_TIMEOUT;
	e.id = q->id;
	name_restore(q, &e, text);
	question_free(t, q);
	t->on_exchange(t->arg, &e);
}

static void connection_free(struct dns_streams *t, struct connection *c)
{
	struct question *q, *next;

	LIST_FOR_EACH_SAFE(q, next, &c->questions, of_connection)
		question_free(t, q);
	for (size_t i = 0; i < 2; i++)
		free(c->directions[i].stream.memory);
	map_remove(&t->connections, &c->node);
	list_remove(&c->by_use);
	free(c);
}

static bool is_over(const struct connection *c)
{
	bool some = c->directions[0].ended || c->directions[1].ended;
	bool both = c->directions[0].ended && c->directions[1].ended;

	return both || (some && c->open == 0);
}

/* No more answers will come. */
static void connection_end(struct dns_streams *t, struct connection *c)
{
	struct question *q, *next;

	LIST_FOR_EACH_SAFE(q, next, &c->questions, of_connection)
		unanswered_tell(t, q);
	connection_free(t, c);
}

void dns_streams_fini(struct dns_streams *t)
{
	struct connection *c, *next;

	LIST_FOR_EACH_SAFE(c, next, &t->by_use, by_use)
		connection_free(t, c);
	map_fini(&t->connections);
}

/* Whether its questions were answered is not known: they are not told. */
static void connection_evict(struct dns_streams *t, struct connection *c)
{
	t->stats.streams_evicted++;
	t->stats.questions_dropped += c->open;
	connection_free(t, c);
}

static struct connection *connection_new(struct dns_streams *t, const struct dns_segment *segment,
                                         const struct connection_key *key, uint64_t hash)
{
	struct connection *c = calloc(1, sizeof *c);

	if (!c || !map_insert(&t->connections, hash, &c->node)) {
		free(c);
		return NULL;
	}
	c->key = *key;
	c->flow = segment->flow;
	c->owner = segment->owner;
	list_init(&c->questions);
	list_push(&t->by_use, &c->by_use);
	if (t->connections.count > t->limits.max_streams)
		connection_evict(t, CONTAINER_OF(t->by_use.next, struct connection, by_use));
	return c;
}

/* What is left of a connection that is not known, or is not known any more, begins nothing. */
static bool is_worth_following(const struct dns_segment *segment)
{
	return (segment->flags & DNS_SEGMENT_FIRST) ||
	       (segment->length > 0 && !(segment->flags & (DNS_SEGMENT_FIN | DNS_SEGMENT_RESET)));
}

static struct connection *connection_get(struct dns_streams *t, const struct dns_segment *segment)
{
	struct connection_key key = {
		.cookie = segment->flow.cookie,
		.netns = segment->flow.netns,
		.local_port = segment->flow.local_port,
		.remote_port = segment->flow.remote_port,
	};
	uint64_t hash = hash_bytes(&key, sizeof key);
	struct map_node *node = map_find(&t->connections, hash, &key);
	struct connection *c;

	if (!node)
		return t->limits.max_streams > 0 && is_worth_following(segment)
		               ? connection_new(t, segment, &key, hash)
		               : NULL;
	c = CONTAINER_OF(node, struct connection, node);
	list_remove(&c->by_use);
	list_push(&t->by_use, &c->by_use);
	if (segment->owner.pid)
		c->owner = segment->owner;
	return c;
}

static void transfer_forget(struct connection *c, uint16_t id)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < c->n_transfers; i++)
		if (c->transfers[i] != id)
			c->transfers[kept++] = c->transfers[i];
	c->n_transfers = kept;
}

static void transfer_remember(struct connection *c, uint16_t id)
{
	transfer_forget(c, id);
	if (c->n_transfers == TRANSFERS)
		transfer_forget(c, c->transfers[0]);
	c->transfers[c->n_transfers++] = id;
}

static bool is_transfer(const struct connection *c, uint16_t id)
{
	for (unsigned i = 0; i < c->n_transfers; i++)
		if (c->transfers[i] == id)
			return true;
	return false;
}

/* What came where a question belongs is none, and nobody will answer it. A stream of zeros is a message
 * in every second byte: one is told for each segment, so that a packet costs no more than with UDP. */
static void no_question_tell(struct dns_streams *t, struct connection *c, uint64_t at_ns,
                             struct slice message)
{
	struct dns_exchange e;

	if (c->no_question_told) {
		t->stats.questions_dropped++;
		return;
	}
	c->no_question_told = true;
	exchange_init(&e, c, at_ns);
	e.ending = DNS_MALFORMED;
	if (message.len >= 2)
		e.id = (uint16_t)(message.data[0] << 8 | message.data[1]);
	t->on_exchange(t->arg, &e);
}

static void question_take(struct dns_streams *t, struct connection *c, uint64_t at_ns,
                          struct dns_reader *r, bool whole)
{
	struct dns_record record = {.section = DNS_SECTIONS};
	uint8_t name[DNS_NAME_WIRE];
	struct question *q = NULL;
	size_t len = 0;
	int more;

	transfer_forget(c, r->header.id);
	more = dns_next(r, &record);
	if (record.section == DNS_QUESTION)
		len = dns_name_wire(r->message, record.name, name);
	if (c->open < t->limits.max_open && t->stats.open < t->limits.max_open_all)
		q = malloc(sizeof *q + len);
	if (!q) {
		t->stats.questions_dropped++;
		return;
	}
	*q = (struct question){
		.connection = c,
		.asked_ns = at_ns,
		.id = r->header.id,
		.type = len ? record.type : 0,
		.class = len ? record.class : 0,
		.malformed = more < 0 && whole,
		.name_len = (uint8_t)len,
	};
	memcpy(q->name, name, len);
	list_push(&c->questions, &q->of_connection);
	list_push(&t->by_age, &q->by_age);
	c->open++;
	t->stats.open++;
}

/* The question that an answer is for: the first with its id that is not another. */
static struct question *question_find(struct connection *c, const struct dns_exchange *e)
{
	uint8_t name[DNS_NAME_WIRE];
	size_t len = 0;
	struct question *q;

	LIST_FOR_EACH(q, &c->questions, of_connection) {
		if (q->id != e->id)
			continue;
		if (q->name_len == 0 || e->question.len == 0)
			return q;
		if (len == 0) /* the first question of a message stands there */
			len = dns_name_wire(e->answer, DNS_HEADER_SIZE, name);
		if (q->type == e->type && q->class == e->class &&
		    dns_name_equal(slice_of(q->name, q->name_len), slice_of(name, len)))
			return q;
	}
	return NULL;
}

static bool id_is_open(const struct connection *c, uint16_t id)
{
	const struct question *q;

	LIST_FOR_EACH(q, &c->questions, of_connection)
		if (q->id == id)
			return true;
	return false;
}

static void answer_take(struct dns_streams *t, struct connection *c, uint64_t at_ns,
                        const struct dns_stream_message *m)
{
	uint16_t id = (uint16_t)(m->bytes.data[0] << 8 | m->bytes.data[1]);
	struct question *q = NULL;
	char text[DNS_NAME_TEXT];
	struct dns_exchange e;

	/* Before the work of reading: transfers are made of many and large messages. */
	if (id_is_open(c, id)) {
		exchange_init(&e, c, 0);
		dns_exchange_read(&e, m->bytes, m->length, text);
		q = question_find(c, &e);
	}
	if (!q) {
		t->stats.answers_unmatched += !is_transfer(c, id);
		return;
	}
	if (q->type == DNS_AXFR || q->type == DNS_IXFR)
		transfer_remember(c, id);
	e.first_ns = e.last_ns = q->asked_ns;
	e.answered_ns = at_ns;
	if (e.question.len == 0)
		name_restore(q, &e, text);
	question_free(t, q);
	t->on_exchange(t->arg, &e);
}

static bool asks(const struct connection *c, bool sent)
{
	return c->role == (sent ? ROLE_CLIENT : ROLE_SERVER);
}

/* A message without a header: in part missing, or never one. */
static void short_take(struct dns_streams *t, struct connection *c, bool sent, uint64_t at_ns,
                       const struct dns_stream_message *m)
{
	bool whole = m->bytes.len == m->length;

	if (asks(c, sent)) {
		if (whole)
			no_question_tell(t, c, at_ns, m->bytes);
		else
			t->stats.questions_dropped++;
	} else if (whole && m->bytes.len >= 2) {
		answer_take(t, c, at_ns, m);
	} else {
		t->stats.answers_unmatched++;
	}
}

static void message_take(struct dns_streams *t, struct connection *c, bool sent, uint64_t at_ns,
                         const struct dns_stream_message *m)
{
	struct dns_reader r;

	if (dns_open(&r, m->bytes) < 0) {
		if (c->role != ROLE_UNKNOWN)
			short_take(t, c, sent, at_ns, m);
		return;
	}
	if (r.header.opcode == OPCODE_DSO)
		return;
	if (c->role == ROLE_UNKNOWN)
		c->role = r.header.response == sent ? ROLE_SERVER : ROLE_CLIENT;
	if (!asks(c, sent))
		answer_take(t, c, at_ns, m);
	else if (r.header.response)
		no_question_tell(t, c, at_ns, m->bytes);
	else
		question_take(t, c, at_ns, &r, m->bytes.len == m->length);
}

static void messages_take(struct dns_streams *t, struct connection *c, struct dns_stream *s,
                          const struct dns_segment *segment)
{
	struct dns_stream_message m;
	void *memory;

	for (;;) {
		if (dns_stream_wants(s) && (memory = malloc(DNS_MESSAGE_COPIED)))
			dns_stream_lend(s, memory, DNS_MESSAGE_COPIED);
		if (!dns_stream_next(s, &m))
			return;
		message_take(t, c, segment->flags & DNS_SEGMENT_SENT, segment->at_ns, &m);
	}
}

static void losses_take(struct dns_streams *t, struct dns_stream *s)
{
	t->stats.stream_gaps += s->gaps;
	t->stats.stream_missing_bytes += s->missing;
	t->stats.stream_ignored_bytes += s->ignored;
	s->gaps = s->missing = s->ignored = 0;
}

/* Bytes that were not copied are told at once: the message that they end may be the last. */
static void direction_take(struct dns_streams *t, struct connection *c, struct direction *d,
                           const struct dns_segment *segment, struct slice bytes)
{
	size_t missing = segment->length > bytes.len ? segment->length - bytes.len : 0;
	struct dns_stream *s = &d->stream;

	if (!d->begun)
		dns_stream_init(s, NULL, 0, segment->flags & DNS_SEGMENT_FIRST);
	d->begun = true;
	if (bytes.len) {
		dns_stream_push(s, segment->sequence, bytes);
		messages_take(t, c, s, segment);
	}
	if (missing) {
		dns_stream_pass(s, segment->sequence + (uint32_t)bytes.len, missing);
		messages_take(t, c, s, segment);
	}
	free(dns_stream_reclaim(s));
	losses_take(t, s);
}

void dns_streams_segment(struct dns_streams *t, const struct dns_segment *segment,
                         struct slice bytes)
{
	struct connection *c = connection_get(t, segment);
	struct direction *d;

	if (!c)
		return;
	if (c->role == ROLE_UNKNOWN)
		c->role = segment->flow.role;
	c->no_question_told = false;
	d = &c->directions[!!(segment->flags & DNS_SEGMENT_SENT)];
	if (segment->length > 0 || (segment->flags & DNS_SEGMENT_FIRST))
		direction_take(t, c, d, segment, bytes);
	if (segment->flags & DNS_SEGMENT_FIN)
		d->ended = true;
	if ((segment->flags & DNS_SEGMENT_RESET) || is_over(c))
		connection_end(t, c);
}

void dns_streams_sweep(struct dns_streams *t, uint64_t before_ns)
{
	struct connection *c;
	struct question *q;

	while ((q = LIST_FIRST(&t->by_age, struct question, by_age)) && q->asked_ns < before_ns) {
		c = q->connection;
		unanswered_tell(t, q);
		if (is_over(c))
			connection_free(t, c);
	}
}
