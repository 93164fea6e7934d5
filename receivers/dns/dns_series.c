#include "receivers/dns/dns_series.h"

#include <stdlib.h>
#include <string.h>

/* Those that the semantic conventions give for durations of HTTP, and for this. */
const struct distribution_bounds dns_duration_bounds = {14,
                                                        {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25,
                                                         0.5, 0.75, 1, 2.5, 5, 7.5, 10}};

static struct dns_series *own(struct aggregate *a)
{
	return a ? CONTAINER_OF(a, struct dns_series, base) : NULL;
}

static bool key_equal(const struct map_node *node, const void *key)
{
	return memcmp(&CONTAINER_OF(node, struct dns_series, base.node)->key, key,
	              sizeof(struct dns_key)) == 0;
}

static void counts_clear(struct aggregate *base)
{
	struct dns_series *s = own(base);

	memset(&s->durations, 0, sizeof s->durations);
	s->retransmissions = s->misdirected = 0;
}

static void counts_free(struct aggregate *base)
{
	struct dns_series *s = own(base);

	list_remove(&s->of_name);
	dns_name_release(s->key.name);
	free(s);
}

/* NULL: no room, or no memory. The name is given back then. */
static struct dns_series *create(struct dns_table *t, const struct dns_key *key, uint64_t hash)
{
	struct dns_series *s = NULL;

	if (!aggregates_is_full(&t->series))
		s = calloc(1, sizeof *s);
	if (!s || !aggregate_insert(&t->series, &s->base, hash, key->resource)) {
		free(s);
		dns_name_release(key->name);
		return NULL;
	}
	s->key = *key;
	list_init(&s->of_name);
	if (key->name && key->name->set)
		list_push(&key->name->series, &s->of_name);
	return s;
}

static struct dns_series *find(struct dns_table *t, const struct dns_key *key)
{
	uint64_t hash = hash_bytes(key, sizeof *key);
	struct dns_series *s = own(aggregate_find(&t->series, hash, key));

	return s ? s : create(t, key, hash);
}

static bool may_go(void *arg, const struct dns_known_name *name)
{
	const struct dns_table *t = arg;
	const struct dns_series *s;

	LIST_FOR_EACH(s, &name->series, of_name)
		if (!aggregate_is_delivered(&t->series, &s->base))
			return false;
	return true;
}

/* The resource is held by whoever asks for a name. */
static void on_replaced(void *arg, struct dns_known_name *name)
{
	struct dns_table *t = arg;
	bool last;

	do { /* the name goes with its last series */
		struct dns_series *s = LIST_FIRST(&name->series, struct dns_series, of_name);

		last = s->of_name.next == &name->series;
		aggregate_remove(&t->series, &s->base);
	} while (!last);
}

void dns_table_init(struct dns_table *t, const char *host_name,
                    const struct dns_table_limits *limits, uint64_t start_unix_ns)
{
	static const struct aggregate_kind kind = {.equal = key_equal,
	                                           .clear = counts_clear,
	                                           .free = counts_free};

	*t = (struct dns_table){.timeout = (double)limits->timeout_ns / 1e9};
	aggregates_init(&t->series, &kind, &t->overflow.base, host_name, limits->max_series,
	                start_unix_ns);
	dns_names_init(&t->names, limits->max_names, limits->name_labels);
	t->names.may_go = may_go;
	t->names.on_replaced = on_replaced;
	t->names.arg = t;
}

void dns_table_fini(struct dns_table *t)
{
	aggregates_fini(&t->series);
	dns_names_fini(&t->names);
}

static struct dns_key key_of(struct dns_table *t, struct resource *resource,
                             const struct dns_exchange *e)
{
	struct dns_key key;

	memset(&key, 0, sizeof key); /* it is compared with its padding */
	key.resource = resource;
	t->names.delivered = t->series.delivered;
	key.name = dns_names_find(&t->names, resource, e->question);
	key.error = e->other_address ? NULL : dns_exchange_error(e);
	key.server = e->server;
	key.server_port = e->server_port;
	key.type = e->type;
	key.code = e->other_address || e->ending == DNS_TIMEOUT || e->ending == DNS_MALFORMED
	                   ? DNS_NO_CODE
	                   : (uint16_t)e->rcode;
	key.transport = (uint8_t)e->transport;
	key.role = (uint8_t)e->role;
	return key;
}

void dns_table_add(struct dns_table *t, struct resource *resource, const struct dns_exchange *e,
                   uint64_t now_ns)
{
	struct dns_series *s = NULL;
	struct dns_key key;

	if (resource) {
		key = key_of(t, resource, e);
		s = find(t, &key);
	}
	if (s) {
		aggregate_touch(&t->series, &s->base, now_ns);
	} else {
		s = &t->overflow;
		t->overflowed++;
	}
	s->base.unsent = true;
	if (e->other_address) {
		s->misdirected++; /* no look-up has ended: the question stays open */
		return;
	}
	distribution_add(&s->durations, &dns_duration_bounds,
	                 e->ending == DNS_TIMEOUT ? t->timeout
	                                          : (double)dns_exchange_duration_ns(e) / 1e9);
	s->retransmissions += e->transmissions > 1 ? e->transmissions - 1 : 0;
}
