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

const double series_bounds[SERIES_HISTOGRAM_COUNT][SERIES_BOUNDS] = {
	[SERIES_CONNECT_DURATION] = NETWORK_BOUNDS,
	[SERIES_RTT] = NETWORK_BOUNDS,
	[SERIES_CONNECTION_DURATION] = {0.0001, 0.001, 0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600,
                                        1800, 3600, 21600, 86400},
};

/* A socket that was opened in the overflow series and has not closed yet. At most max_series are
 * remembered; see may_create(). */
struct stray {
	struct map_node node;
	uint64_t cookie;
};

enum series_counter series_failure(int error)
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

const char *series_failure_name(enum series_counter c)
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

static bool series_equal(const struct map_node *node, const void *key)
{
	return memcmp(&CONTAINER_OF(node, struct series, node)->key, key,
	              sizeof(struct series_key)) == 0;
}

static bool resource_equal(const struct map_node *node, const void *key)
{
	const struct series_owner *a = &CONTAINER_OF(node, struct series_resource, node)->owner,
				  *b = key;

	return a->pid == b->pid && a->start_time_ns == b->start_time_ns &&
	       strcmp(a->executable, b->executable) == 0 && strcmp(a->path, b->path) == 0 &&
	       strcmp(a->container_id, b->container_id) == 0;
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

int series_opening(const struct sockets_record *record)
{
	return is_first_record(record) - is_last_of_open(record);
}

void sockets_table_init(struct sockets_table *t, size_t max_series, bool client_address,
                        uint64_t start_unix_ns)
{
	*t = (struct sockets_table){
		.max_series = max_series,
		.client_address = client_address,
	};
	sockets_table_begin(t, start_unix_ns);
	map_init(&t->series, series_equal);
	map_init(&t->resources, resource_equal);
	map_init(&t->strays, stray_equal);
	list_init(&t->by_resource);
	list_init(&t->by_touch);
	list_init(&t->overflow.of_resource);
	list_init(&t->overflow.by_touch);
	for (size_t i = 0; i < SERIES_HISTOGRAM_COUNT; i++)
		t->overflow.histograms[i] = &t->overflow_histograms[i];
}

void sockets_table_begin(struct sockets_table *t, uint64_t start_unix_ns)
{
	t->since_unix_ns = t->part_unix_ns = start_unix_ns;
	t->overflow.start_unix_ns = t->overflow.sent_unix_ns = start_unix_ns;
}

static void series_free(struct sockets_table *t, struct series *s)
{
	map_remove(&t->series, &s->node);
	list_remove(&s->of_resource);
	list_remove(&s->by_touch);
	series_resource_unref(s->key.resource);
	for (size_t i = 0; i < SERIES_HISTOGRAM_COUNT; i++)
		free(s->histograms[i]);
	free(s);
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
	struct series *s, *next;

	LIST_FOR_EACH_SAFE(s, next, &t->by_touch, by_touch)
		series_free(t, s);
	map_each(&t->strays, free_stray, t);
	map_fini(&t->series);
	map_fini(&t->resources);
	map_fini(&t->strays);
}

/* ---- resources */

static uint64_t owner_hash(const struct series_owner *o)
{
	uint64_t parts[] = {
		hash_bytes(o->executable, strlen(o->executable)),
		hash_bytes(o->path, strlen(o->path)),
		hash_bytes(o->container_id, strlen(o->container_id)),
		o->pid,
		o->start_time_ns,
	};
	return hash_bytes(parts, sizeof parts);
}

static const char *put_string(char **at, const char *s)
{
	size_t size = strlen(s) + 1;
	const char *copy = memcpy(*at, s, size);

	*at += size;
	return copy;
}

struct series_resource *series_resource_get(struct sockets_table *t,
                                            const struct series_owner *owner)
{
	uint64_t hash = owner_hash(owner);
	struct map_node *found = map_find(&t->resources, hash, owner);
	struct series_resource *r;
	char *at;

	if (found)
		return series_resource_ref(CONTAINER_OF(found, struct series_resource, node));
	r = calloc(1, sizeof *r + strlen(owner->executable) + strlen(owner->path) +
	                      strlen(owner->container_id) + 3);
	if (!r || !map_insert(&t->resources, hash, &r->node)) {
		free(r);
		return NULL;
	}
	at = (char *)(r + 1);
	r->owner = *owner;
	r->owner.executable = put_string(&at, owner->executable);
	r->owner.path = put_string(&at, owner->path);
	r->owner.container_id = put_string(&at, owner->container_id);
	r->table = t;
	r->refs = 1;
	list_init(&r->series);
	list_push(&t->by_resource, &r->link);
	return r;
}

struct series_resource *series_resource_ref(struct series_resource *r)
{
	r->refs++;
	return r;
}

void series_resource_unref(struct series_resource *r)
{
	if (!r || --r->refs)
		return;
	map_remove(&r->table->resources, &r->node);
	list_remove(&r->link);
	free(r);
}

/* ---- which series a record belongs to */

static struct series_key key_of(const struct sockets_table *t, struct series_resource *resource,
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
	if (t->series.count >= t->max_series || t->overflow.open > (int64_t)t->strays.count)
		return false;
	return is_first_record(r) || (r->flags & SOCKETS_FAILED);
}

static struct series *series_create(struct sockets_table *t, const struct series_key *key,
                                    uint64_t hash)
{
	struct series *s = calloc(1, sizeof *s);

	if (!s || !map_insert(&t->series, hash, &s->node)) {
		free(s);
		return NULL;
	}
	s->key = *key;
	s->start_unix_ns = s->sent_unix_ns = t->since_unix_ns;
	series_resource_ref(key->resource);
	list_push(&key->resource->series, &s->of_resource);
	list_push(&t->by_touch, &s->by_touch);
	return s;
}

/* NULL: the overflow series. */
static struct series *series_find(struct sockets_table *t, struct series_resource *resource,
                                  const struct sockets_record *r, bool create)
{
	struct series_key key;
	struct map_node *found;
	uint64_t hash;

	if (!resource)
		return NULL;
	if (t->strays.count &&
	    map_find(&t->strays, hash_bytes(&r->cookie, sizeof r->cookie), &r->cookie))
		return NULL;
	key = key_of(t, resource, r);
	hash = hash_bytes(&key, sizeof key);
	found = map_find(&t->series, hash, &key);
	if (found)
		return CONTAINER_OF(found, struct series, node);
	return create && may_create(t, r) ? series_create(t, &key, hash) : NULL;
}

static void stray_remember(struct sockets_table *t, uint64_t cookie)
{
	uint64_t hash = hash_bytes(&cookie, sizeof cookie);
	struct stray *s;

	if (t->strays.count >= t->max_series || map_find(&t->strays, hash, &cookie))
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

static void distribution_add(struct distribution *h, const double *bounds, double value)
{
	size_t low = 0, high = SERIES_BOUNDS;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (value <= bounds[middle])
			high = middle;
		else
			low = middle + 1;
	}
	h->buckets[low]++;
	h->min = h->count && h->min < value ? h->min : value;
	h->max = h->count && h->max > value ? h->max : value;
	h->sum += value;
	h->count++;
}

static void observe(struct sockets_table *t, struct series *s, enum series_histogram which,
                    double seconds)
{
	if (!s->histograms[which])
		s->histograms[which] = calloc(1, sizeof *s->histograms[which]);
	if (!s->histograms[which])
		s = &t->overflow;
	distribution_add(s->histograms[which], series_bounds[which], seconds);
	s->unsent = true;
}

static double seconds_between(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e9 : 0;
}

static void observe_times(struct sockets_table *t, struct series *s, const struct sockets_record *r)
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

static void count(struct series *s, const struct sockets_record *r)
{
	uint64_t *c = s->counters;

	c[SERIES_OPENED] += !!(r->flags & SOCKETS_OPENED);
	c[SERIES_SENT_BYTES] += r->sent_bytes;
	c[SERIES_RECEIVED_BYTES] += r->received_bytes;
	c[SERIES_RETRANSMITTED_SEGMENTS] += r->retransmitted_segments;
	c[SERIES_RESETS_SENT] += r->resets_sent;
	c[SERIES_RESETS_RECEIVED] += r->resets_received;
	if (r->flags & SOCKETS_FAILED)
		c[series_failure(r->error)]++;
	s->open += series_opening(r);
	s->had_open |= is_first_record(r) || is_last_of_open(r);
	s->unsent = true;
}

void sockets_table_add(struct sockets_table *t, struct series_resource *resource,
                       const struct sockets_record *record, uint64_t now_ns)
{
	struct series *s = series_find(t, resource, record, true);

	if (s) {
		s->touched_ns = now_ns;
		list_remove(&s->by_touch);
		list_push(&t->by_touch, &s->by_touch);
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

void sockets_table_expire(struct sockets_table *t, uint64_t now_ns, uint64_t ttl_ns)
{
	struct series *s, *next;

	LIST_FOR_EACH_SAFE(s, next, &t->by_touch, by_touch) {
		if (now_ns < s->touched_ns || now_ns - s->touched_ns < ttl_ns)
			break;
		if (s->open == 0 && !s->unsent)
			series_free(t, s);
	}
}

/* ---- collections
 *
 * What a collection is through with moves to the end of its list, so the rest begins at the front:
 * there is no place to remember that could go away. What is made meanwhile stands behind it. */

/* Passing over a silent series is cheap, but not so cheap that a million could be passed at once. */
enum { PASSED_FOR_EACH = 16 };

bool series_is_silent(const struct series *s, bool delta)
{
	return delta && !s->unsent && !s->open;
}

void sockets_table_collect(struct sockets_table *t)
{
	t->collection++;
	t->since_unix_ns = t->part_unix_ns;
}

struct series_part sockets_table_next(struct sockets_table *t, bool delta, size_t limit)
{
	struct series_part part = {0};
	struct series_resource *r;
	struct series *s;
	size_t telling = 0;

	LIST_FOR_EACH(r, &t->by_resource, link) {
		if (r->collection == t->collection)
			break;
		LIST_FOR_EACH(s, &r->series, of_resource) {
			if (s->collection == t->collection)
				break;
			telling += !series_is_silent(s, delta);
			if (telling > limit || part.series / PASSED_FOR_EACH >= limit)
				return part;
			part.series++;
		}
	}
	part.overflow = t->overflow.collection != t->collection;
	return part;
}

bool series_part_each(struct sockets_table *t, struct series_part part,
                      bool (*on_resource)(void *arg, struct series_resource *r, size_t n),
                      void *arg)
{
	struct series_resource *r;
	struct series *s;

	LIST_FOR_EACH(r, &t->by_resource, link) {
		size_t n = 0;

		if (!part.series)
			break;
		LIST_FOR_EACH(s, &r->series, of_resource) {
			if (n == part.series || s->collection == t->collection)
				break;
			n++;
		}
		part.series -= n;
		if (n && !on_resource(arg, r, n))
			return false;
	}
	return true;
}

static void sent(struct sockets_table *t, struct series *s, bool delta, uint64_t now_unix_ns)
{
	s->collection = t->collection;
	s->sent_unix_ns = now_unix_ns;
	s->unsent = false;
	if (!delta)
		return;
	memset(s->counters, 0, sizeof s->counters);
	for (size_t i = 0; i < SERIES_HISTOGRAM_COUNT; i++)
		if (s->histograms[i])
			memset(s->histograms[i], 0, sizeof *s->histograms[i]);
}

static void move_to_end(struct list *head, struct list *member)
{
	list_remove(member);
	list_push(head, member);
}

/* False: the resource has more than n series that are still to be sent. */
static bool resource_sent(struct sockets_table *t, struct series_resource *r, size_t *n, bool delta,
                          uint64_t now_unix_ns)
{
	struct series *s;

	while ((s = LIST_FIRST(&r->series, struct series, of_resource)) &&
	       s->collection != t->collection) {
		if (!*n)
			return false;
		--*n;
		sent(t, s, delta, now_unix_ns);
		move_to_end(&r->series, &s->of_resource);
	}
	return true;
}

void sockets_table_sent(struct sockets_table *t, struct series_part part, bool delta,
                        uint64_t now_unix_ns)
{
	struct series_resource *r;

	while ((r = LIST_FIRST(&t->by_resource, struct series_resource, link)) &&
	       r->collection != t->collection &&
	       resource_sent(t, r, &part.series, delta, now_unix_ns)) {
		r->collection = t->collection;
		move_to_end(&t->by_resource, &r->link);
	}
	t->part_unix_ns = now_unix_ns;
	if (!part.overflow)
		return;
	sent(t, &t->overflow, delta, now_unix_ns);
	t->since_unix_ns = now_unix_ns;
}

void sockets_table_recount(struct sockets_table *t)
{
	struct series *s;

	LIST_FOR_EACH(s, &t->by_touch, by_touch)
		s->open = 0;
	t->overflow.open = 0;
	map_each(&t->strays, free_stray, t);
}

void sockets_table_recount_seen(struct sockets_table *t, struct series_resource *resource,
                                const struct sockets_record *record)
{
	struct series *s = series_find(t, resource, record, false);

	if (!s) {
		s = &t->overflow;
		stray_remember(t, record->cookie);
	}
	s->open++;
}
