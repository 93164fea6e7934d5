#include "receivers/sockets/sockets_series.h"

#include "core/data/semconv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Half a decade a step and a little finer: from the loopback device to a SYN that was repeated;
 * lives of connections from one request to a day. */
#define NETWORK_BOUNDS                                                                             \
	{                                                                                          \
		0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,  \
			1, 2.5, 5, 10                                                              \
	}

const struct distribution_bounds sockets_bounds[SERIES_HISTOGRAM_COUNT] = {
	[SERIES_CONNECT_DURATION] = {16, NETWORK_BOUNDS},
	[SERIES_RTT] = {16, NETWORK_BOUNDS},
	[SERIES_CONNECTION_DURATION] = {16,
                                        {0.0001, 0.001, 0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600,
                                         1800, 3600, 21600, 86400}},
};

/* A socket that was opened in the overflow series and has not closed yet. At most max_series are
 * remembered; see may_create(). */
struct stray {
	struct map_node node;
	uint64_t cookie;
};

enum series_counter sockets_failure(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return SERIES_FAILED_REFUSED;
	case ECONNRESET:
		return SERIES_FAILED_RESET;
	case ETIMEDOUT:
		return SERIES_FAILED_TIMED_OUT;
	case EHOSTUNREACH:
		return SERIES_FAILED_HOST_UNREACHABLE;
	case ENETUNREACH:
		return SERIES_FAILED_NETWORK_UNREACHABLE;
	default:
		return SERIES_FAILED_OTHER;
	}
}

const char *sockets_failure_name(enum series_counter c)
{
	switch (c) {
	case SERIES_FAILED_REFUSED:
		return SEMCONV_ERROR_TYPE_CONNECTION_REFUSED;
	case SERIES_FAILED_RESET:
		return SEMCONV_ERROR_TYPE_CONNECTION_RESET;
	case SERIES_FAILED_TIMED_OUT:
		return SEMCONV_ERROR_TYPE_TIMED_OUT;
	case SERIES_FAILED_HOST_UNREACHABLE:
		return SEMCONV_ERROR_TYPE_HOST_UNREACHABLE;
	case SERIES_FAILED_NETWORK_UNREACHABLE:
		return SEMCONV_ERROR_TYPE_NETWORK_UNREACHABLE;
	default:
		return SEMCONV_ERROR_TYPE_OTHER;
	}
}

static struct sockets_series *own(struct aggregate *s)
{
	return s ? CONTAINER_OF(s, struct sockets_series, base) : NULL;
}

static bool key_equal(const struct map_node *node, const void *key)
{
	return memcmp(&CONTAINER_OF(node, struct sockets_series, base.node)->key, key,
	              sizeof(struct series_key)) == 0;
}

static bool stray_equal(const struct map_node *node, const void *key)
{
	return CONTAINER_OF(node, struct stray, node)->cookie == *(const uint64_t *)key;
}

static bool is_first_record(const struct sockets_record *r)
{
	return r->flags & (SOCKETS_OPENED | SOCKETS_PREEXISTING);
}

static bool is_last_of_open(const struct sockets_record *r)
{
	return (r->flags & SOCKETS_CLOSED) && !(r->flags & SOCKETS_FAILED);
}

int sockets_opening(const struct sockets_record *record)
{
	return is_first_record(record) - is_last_of_open(record);
}

static void counts_clear(struct aggregate *base)
{
	struct sockets_series *s = own(base);

	memset(s->counters, 0, sizeof s->counters);
	for (size_t i = 0; i < SERIES_HISTOGRAM_COUNT; i++)
		if (s->histograms[i])
			memset(s->histograms[i], 0, sizeof *s->histograms[i]);
}

static void counts_free(struct aggregate *base)
{
	struct sockets_series *s = own(base);

	for (size_t i = 0; i < SERIES_HISTOGRAM_COUNT; i++)
		free(s->histograms[i]);
	free(s);
}

void sockets_table_init(struct sockets_table *t, const char *host_name, size_t max_series,
                        bool client_address, uint64_t start_unix_ns)
{
	static const struct aggregate_kind kind = {.equal = key_equal,
	                                           .clear = counts_clear,
	                                           .free = counts_free};

	*t = (struct sockets_table){.client_address = client_address};
	aggregates_init(&t->series, &kind, &t->overflow.base, host_name, max_series, start_unix_ns);
	map_init(&t->strays, stray_equal);
	for (size_t i = 0; i < SERIES_HISTOGRAM_COUNT; i++)
		t->overflow.histograms[i] = &t->overflow_histograms[i];
}

static bool free_stray(struct map_node *node, void *arg)
{
	struct sockets_table *t = arg;

	map_remove(&t->strays, node);
	free(CONTAINER_OF(node, struct stray, node));
	return true;
}

void sockets_table_fini(struct sockets_table *t)
{
	aggregates_fini(&t->series);
	map_each(&t->strays, free_stray, t);
	map_fini(&t->strays);
}

/* ---- which series a record belongs to */

static struct series_key key_of(const struct sockets_table *t, struct resource *resource,
                                const struct sockets_record *r)
{
	struct series_key key = {.resource = resource,
	                         .role = r->role,
	                         .is_ipv6 = r->family == AF_INET6};
	size_t size = key.is_ipv6 ? 16 : 4;

	switch (r->role) {
	case ROLE_CLIENT:
		memcpy(key.server_address, r->remote_address, size);
		key.server_port = r->remote_port;
		break;
	case ROLE_SERVER:
		if (t->client_address)
			memcpy(key.client_address, r->remote_address, size);
		key.server_port = r->local_port;
		break;
	default: /* which port is the ephemeral one is not known, so neither is shown */
		key.role = ROLE_UNKNOWN;
	}
	return key;
}

/* A socket that was opened in the overflow series stays there until it closes, or it would be
 * subtracted from a series to which it was never added. Once more of them are open than are
 * remembered, no new series is made: every socket outside the existing ones is then in overflow. */
static bool may_create(const struct sockets_table *t, const struct sockets_record *r)
{
	return !aggregates_is_full(&t->series) &&
	       t->overflow.base.open <= (int64_t)t->strays.count &&
	       (is_first_record(r) || (r->flags & SOCKETS_FAILED));
}

static struct sockets_series *create(struct sockets_table *t, const struct series_key *key,
                                     uint64_t hash)
{
	struct sockets_series *s = calloc(1, sizeof *s);

	if (!s || !aggregate_insert(&t->series, &s->base, hash, key->resource)) {
		free(s);
		return NULL;
	}
	s->key = *key;
	return s;
}

/* NULL: the overflow series. */
static struct sockets_series *find(struct sockets_table *t, struct resource *resource,
                                   const struct sockets_record *r, bool may_add)
{
	struct sockets_series *s;
	struct series_key key;
	uint64_t hash;

	if (!resource)
		return NULL;
	if (t->strays.count &&
	    map_find(&t->strays, hash_bytes(&r->cookie, sizeof r->cookie), &r->cookie))
		return NULL;
	key = key_of(t, resource, r);
	hash = hash_bytes(&key, sizeof key);
	s = own(aggregate_find(&t->series, hash, &key));
	return s || !may_add || !may_create(t, r) ? s : create(t, &key, hash);
}

static void stray_remember(struct sockets_table *t, uint64_t cookie)
{
	uint64_t hash = hash_bytes(&cookie, sizeof cookie);
	struct stray *s;

	if (t->strays.count >= t->series.limit || map_find(&t->strays, hash, &cookie))
		return;
	s = calloc(1, sizeof *s);
	if (!s)
		return;
	s->cookie = cookie;
	if (!map_insert(&t->strays, hash, &s->node))
		free(s);
}

static void stray_forget(struct sockets_table *t, uint64_t cookie)
{
	struct map_node *n = map_find(&t->strays, hash_bytes(&cookie, sizeof cookie), &cookie);

	if (!n)
		return;
	map_remove(&t->strays, n);
	free(CONTAINER_OF(n, struct stray, node));
}

/* ---- adding up */

static void observe(struct sockets_table *t, struct sockets_series *s, enum series_histogram which,
                    double seconds)
{
	if (!s->histograms[which])
		s->histograms[which] = calloc(1, sizeof *s->histograms[which]);
	if (!s->histograms[which])
		s = &t->overflow;
	distribution_add(s->histograms[which], &sockets_bounds[which], seconds);
	s->base.unsent = true;
}

static double seconds_between(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e9 : 0;
}

static void observe_times(struct sockets_table *t, struct sockets_series *s,
                          const struct sockets_record *r)
{
	if ((r->flags & SOCKETS_OPENED) && r->role == ROLE_CLIENT && r->started_ns &&
	    r->established_ns)
		observe(t, s, SERIES_CONNECT_DURATION,
		        seconds_between(r->started_ns, r->established_ns));
	if (is_last_of_open(r) && r->established_ns)
		observe(t, s, SERIES_CONNECTION_DURATION,
		        seconds_between(r->established_ns, r->at_ns));
	if (r->srtt_us && (r->sent_bytes || r->received_bytes))
		observe(t, s, SERIES_RTT, r->srtt_us / 1e6);
}

static void count(struct sockets_series *s, const struct sockets_record *r)
{
	uint64_t *c = s->counters;

	c[SERIES_OPENED] += !!(r->flags & SOCKETS_OPENED);
	c[SERIES_SENT_BYTES] += r->sent_bytes;
	c[SERIES_RECEIVED_BYTES] += r->received_bytes;
	c[SERIES_RETRANSMITTED_SEGMENTS] += r->retransmitted_segments;
	c[SERIES_RESETS_SENT] += r->resets_sent;
	c[SERIES_RESETS_RECEIVED] += r->resets_received;
	if (r->flags & SOCKETS_FAILED)
		c[sockets_failure(r->error)]++;
	s->base.open += sockets_opening(r);
	s->had_open |= is_first_record(r) || is_last_of_open(r);
	s->base.unsent = true;
}

void sockets_table_add(struct sockets_table *t, struct resource *resource,
                       const struct sockets_record *record, uint64_t now_ns)
{
	struct sockets_series *s = find(t, resource, record, true);

	if (s) {
		aggregate_touch(&t->series, &s->base, now_ns);
	} else {
		s = &t->overflow;
		t->overflowed++;
		if (is_last_of_open(record) || (record->flags & SOCKETS_FAILED))
			stray_forget(t, record->cookie);
		else if (is_first_record(record))
			stray_remember(t, record->cookie);
	}
	count(s, record);
	observe_times(t, s, record);
}

void sockets_table_recount(struct sockets_table *t)
{
	struct aggregate *s;

	LIST_FOR_EACH(s, &t->series.by_touch, by_touch)
		s->open = 0;
	t->overflow.base.open = 0;
	map_each(&t->strays, free_stray, t);
}

void sockets_table_recount_seen(struct sockets_table *t, struct resource *resource,
                                const struct sockets_record *record)
{
	struct sockets_series *s = find(t, resource, record, false);

	if (!s) {
		s = &t->overflow;
		stray_remember(t, record->cookie);
	}
	s->base.open++;
}
