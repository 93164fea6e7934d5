/* A question: lookups_find() -> resolver_ask() -> on_answer() with a name (kept as long as its TTL
 * says, within bounds), with the answer that there is none (negative_ttl), or with no answer
 * (failure_ttl). The resolver may call back at once.
 *
 * When the time of an answer is over, it is asked for again by who comes by next; until there is
 * another, for max_ttl at most, it holds. Otherwise each name would be an address again for a moment,
 * and that would be a series of its own.
 *
 * The cache is a table of names, with ANSWERS where the namespace would be. */
#include "processors/reverse_dns/reverse_dns_lookups.h"

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/map.h"
#include "core/loop/loop.h"
#include "core/names/names.h"
#include "core/self/metrics.h"
#include "processors/reverse_dns/reverse_dns_internal.h"
#include "processors/reverse_dns/reverse_dns_ptr.h"
#include "processors/reverse_dns/reverse_dns_resolver.h"

#include <errno.h>
#include <stdlib.h>

enum {
	ANSWERS = 1,           /* what stands for the namespace in the cache */
	UNANSWERED_TO_LOG = 10 /* so many in a row are more than somebody else's name server */
};

/* No name of a host: there is none. */
#define NO_NAME SLICE_LITERAL(".")

static const char *const failure_names[FAILURES] = {
	"",        "name_error",     "no_data",   "bad_answer",
	"timeout", "server_failure", "no_memory", "canceled",
};

struct lookups {
	const struct lookups_config *config;
	const struct component *component;
	struct networks *only;     /* NULL: all */
	struct resolver *resolver; /* NULL: not started, or stopped */
	struct map questions;      /* in flight */
	struct names *cache;
	uint64_t next_ns; /* when the next question keeps to the rate */
	uint64_t sent, answered, failed[FAILURES];
	unsigned unanswered; /* in a row */
};

struct question {
	struct map_node node;
	struct lookups *lookups;
	struct address address;
};

#define TTL_MIN 1e9
#define TTL_MAX (168 * 3600e9)

static const struct option cache_options[] = {
	OPTION_UINT(struct lookups_cache_config, max_entries, .text = "10000", .min = 1,
                    .max = 10000000,
                    .doc = "Addresses of which the answer is kept; the one asked for longest ago "
                           "makes room."),
	OPTION_DURATION(struct lookups_cache_config, min_ttl, .text = "1m", .min = TTL_MIN,
                        .max = TTL_MAX,
                        .doc = "A name is asked for again at the earliest after so long, whatever "
                               "its TTL says."),
	OPTION_DURATION(struct lookups_cache_config, max_ttl, .text = "1h", .min = TTL_MIN,
                        .max = TTL_MAX,
                        .doc = "A name is asked for again after so long at the latest, whatever "
                               "its TTL says; until the answer is there, the last one holds for "
                               "so long again."),
	OPTION_DURATION(struct lookups_cache_config, negative_ttl, .text = "5m", .min = TTL_MIN,
                        .max = TTL_MAX,
                        .doc = "How long an address is not asked for again when the answer was "
                               "that it has no name."),
	OPTION_DURATION(struct lookups_cache_config, failure_ttl, .text = "30s", .min = TTL_MIN,
                        .max = TTL_MAX,
                        .doc = "How long an address is not asked for again when no resolver gave "
                               "an answer."),
	OPTION_END,
};

const struct option lookups_options[] = {
	OPTION_STRING_LIST(struct lookups_config, servers,
                           .doc = "Addresses of the resolvers, with a port where it is not 53 "
                                  "(192.0.2.1, '[2001:db8::1]:5353'); none: those of "
                                  "resolv_conf."),
	OPTION_STRING(struct lookups_config, resolv_conf, .text = "/etc/resolv.conf",
                      .doc = "The file that names the resolvers, read again when it changes."),
	OPTION_STRING_LIST(struct lookups_config, only,
                           .doc = "Networks whose addresses are asked for (10.0.0.0/8, "
                                  "2001:db8::/32); none: all."),
	OPTION_UINT(struct lookups_config, max_in_flight, .text = "16", .min = 1, .max = 1024,
                    .doc = "Questions that may be without their answer at the same time."),
	OPTION_UINT(struct lookups_config, rate, .text = "50", .min = 1, .max = 100000,
                    .doc = "Questions per second on average; so many may go at once when there "
                           "were none before."),
	OPTION_DURATION(struct lookups_config, timeout, .text = "2s", .min = 1e6, .max = 60e9,
                        .doc = "How long each resolver in turn is given for its answer."),
	OPTION_GROUP(struct lookups_config, cache, cache_options,
                     .doc = "How many answers are kept, and for how long."),
	OPTION_END,
};

static int only_new(const struct string_list *prefixes, struct networks **ret, struct error *error)
{
	struct string_map map = {calloc(prefixes->count + 1, sizeof *map.items), prefixes->count};
	int r = 0;

	if (!map.items)
		return error_no_memory(error);
	for (size_t i = 0; i < map.count; i++)
		map.items[i] = (struct string_pair){prefixes->items[i], prefixes->items[i]};
	if (map.count && (r = networks_new(&map, ret, error)) == -EINVAL)
		error_wrap(error, "only");
	free(map.items);
	return r;
}

int lookups_check(const struct lookups_config *c, struct error *error)
{
	struct networks *only = NULL;
	int r = resolver_check(c, error);

	if (r == 0 && c->cache.min_ttl > c->cache.max_ttl)
		r = error_set(error, -EINVAL, "cache: 'min_ttl' must not be above 'max_ttl'");
	if (r == 0)
		r = only_new(&c->only, &only, error);
	networks_free(only);
	return r;
}

/* Questions */

static bool question_equal(const struct map_node *node, const void *key)
{
	return memcmp(&CONTAINER_OF(node, struct question, node)->address, key,
	              sizeof(struct address)) == 0;
}

static uint32_t seconds(uint64_t ns)
{
	return (uint32_t)((ns + NS_PER_S - 1) / NS_PER_S);
}

static uint64_t now(const struct lookups *l)
{
	return loop_now_ns(l->component->host->loop);
}

static void keep(struct lookups *l, const struct address *a, struct slice name, uint32_t ttl_s)
{
	names_add(l->cache, ANSWERS, a, name, ttl_s, now(l));
}

/* A resolver has said something, or not; about silence the operator is told once. */
static void silence_note(struct lookups *l, bool heard, enum lookup_failure why)
{
	if (heard && l->unanswered >= UNANSWERED_TO_LOG)
		log_info(&l->component->log, "look-ups: the resolver answers again");
	l->unanswered = heard ? 0 : l->unanswered + 1;
	if (l->unanswered == UNANSWERED_TO_LOG)
		log_warn(&l->component->log,
		         "look-ups: the last %d had no answer (%s); addresses stay without names "
		         "from there. Check lookups::servers or %s",
		         UNANSWERED_TO_LOG, failure_names[why],
		         l->config->resolv_conf ? l->config->resolv_conf : "resolv.conf");
}

static void keep_name(struct lookups *l, const struct address *a, const struct ptr_answer *answer)
{
	uint32_t min = seconds(l->config->cache.min_ttl), max = seconds(l->config->cache.max_ttl);
	uint32_t ttl = answer->ttl_s < min ? min : answer->ttl_s > max ? max : answer->ttl_s;

	l->answered++;
	silence_note(l, true, FAILURE_NONE);
	keep(l, a, slice_from_string(answer->name), ttl);
}

/* Nobody answered: what was known before stays so, if anything. */
static void keep_last(struct lookups *l, const struct address *a)
{
	struct slice name = names_find(l->cache, ANSWERS, a, now(l));
	char copy[PTR_NAME_SIZE] = ".";

	if (name.len && name.len <= sizeof copy)
		memcpy(copy, name.data, name.len);
	keep(l, a, slice_of(copy, name.len ? name.len : NO_NAME.len),
	     seconds(l->config->cache.failure_ttl));
}

static void keep_failure(struct lookups *l, const struct address *a, enum lookup_failure why)
{
	bool heard = why <= FAILURE_BAD_ANSWER;

	l->failed[why]++;
	if (why >= FAILURE_NO_MEMORY)
		return; /* nothing is known of it */
	silence_note(l, heard, why);
	if (heard)
		keep(l, a, NO_NAME, seconds(l->config->cache.negative_ttl));
	else
		keep_last(l, a);
}

static void on_answer(void *arg, enum lookup_failure failure, struct slice message)
{
	struct question *q = arg;
	struct lookups *l = q->lookups;
	struct address address = q->address;
	char text[PTR_QUESTION_SIZE];
	struct ptr_answer answer;
	enum ptr_result result;

	map_remove(&l->questions, &q->node);
	free(q);
	if (failure != FAILURE_NONE) {
		keep_failure(l, &address, failure);
		return;
	}
	ptr_question(&address, text);
	result = ptr_answer_read(message, text, &answer);
	if (result == PTR_NAME)
		keep_name(l, &address, &answer);
	else
		keep_failure(l, &address,
		             result == PTR_NONE ? FAILURE_NO_DATA : FAILURE_BAD_ANSWER);
}

/* At most one second's questions at once. */
static bool rate_admits(struct lookups *l, uint64_t now_ns)
{
	uint64_t at = (l->next_ns > now_ns ? l->next_ns : now_ns) + NS_PER_S / l->config->rate;

	if (at - now_ns > NS_PER_S)
		return false;
	l->next_ns = at;
	return true;
}

static void ask(struct lookups *l, const struct address *a, uint64_t hash)
{
	struct question *q = calloc(1, sizeof *q);
	char text[PTR_QUESTION_SIZE];

	l->sent++;
	if (q) {
		q->lookups = l;
		q->address = *a;
	}
	if (!q || !map_insert(&l->questions, hash, &q->node)) {
		free(q);
		l->failed[FAILURE_NO_MEMORY]++;
		return;
	}
	ptr_question(a, text);
	resolver_ask(l->resolver, text, on_answer, q);
}

static void maybe_ask(struct lookups *l, const struct address *a, struct lookups_tried *tried)
{
	uint64_t hash;

	if (!l->resolver || !ptr_may_be_asked(a) || (l->only && !networks_find(l->only, a)))
		return;
	hash = hash_bytes(a, sizeof *a);
	if (map_find(&l->questions, hash, a))
		return;
	if (l->questions.count >= l->config->max_in_flight)
		tried->over_in_flight++;
	else if (!rate_admits(l, now(l)))
		tried->over_rate++;
	else
		ask(l, a, hash);
}

struct slice lookups_find(struct lookups *l, const struct address *a, struct lookups_tried *tried)
{
	struct slice name;
	bool overdue;

	if (!l)
		return slice_of(NULL, 0);
	name = names_find_aged(l->cache, ANSWERS, a, now(l), &overdue);
	*(name.len ? &tried->hits : &tried->misses) += 1;
	if (!name.len || overdue) {
		maybe_ask(l, a, tried);
		/* The resolver may have called back, and the cache have another now. */
		name = names_find(l->cache, ANSWERS, a, now(l));
	}
	return slice_equal(name, NO_NAME) ? slice_of(NULL, 0) : name;
}

/* Life */

int lookups_new(const struct lookups_config *config, const struct component *component,
                struct lookups **ret, struct error *error)
{
	struct lookups *l = calloc(1, sizeof *l);
	int r = -ENOMEM;

	if (!l)
		return error_no_memory(error);
	l->config = config;
	l->component = component;
	map_init(&l->questions, question_equal);
	l->cache = names_new(component->host->budget);
	if (l->cache)
		r = only_new(&config->only, &l->only, error);
	else
		error_no_memory(error);
	if (r < 0) {
		lookups_free(l);
		return r;
	}
	names_limit(l->cache, config->cache.max_entries, config->cache.max_ttl);
	*ret = l;
	return 0;
}

int lookups_start(struct lookups *l, struct error *error)
{
	if (resolver_new(l->component->host->loop, l->config, &l->resolver, error) < 0)
		return error_wrap(error, "look-ups cannot be made");
	return 0;
}

const char *lookups_resolv_conf(const struct lookups *l)
{
	return l && !l->config->servers.count ? l->config->resolv_conf : NULL;
}

void lookups_renew(struct lookups *l)
{
	struct resolver *before = l->resolver, *fresh;
	struct error error = ERROR_INIT;

	if (!before)
		return;
	if (resolver_new(l->component->host->loop, l->config, &fresh, &error) < 0) {
		log_warn(&l->component->log,
		         "look-ups: '%s' has changed but cannot be used: %s; the resolvers that it "
		         "named before are asked",
		         l->config->resolv_conf, error.message);
		return;
	}
	l->resolver = fresh;
	resolver_free(before);
	log_info(&l->component->log, "look-ups: '%s' has changed and was read again",
	         l->config->resolv_conf);
}

void lookups_stop(struct lookups *l)
{
	struct resolver *resolver;

	if (!l)
		return;
	resolver = l->resolver;
	l->resolver = NULL;
	resolver_free(resolver);
}

void lookups_free(struct lookups *l)
{
	if (!l)
		return;
	lookups_stop(l);
	map_fini(&l->questions);
	names_free(l->cache);
	networks_free(l->only);
	free(l);
}

void lookups_collect(const struct lookups *l, const struct lookups_tried *tried,
                     struct metrics_sink *sink)
{
	const char *id = l->component->id;
	const struct metrics_label *labels = METRICS_LABELS({"processor", id});
	struct names_stats cache;

	names_stats(l->cache, &cache);
	metrics_gauge(sink, "weir_reverse_dns_cache_entries",
	              "Addresses of which the answer of a resolver is kept.", labels,
	              (double)cache.count);
	metrics_gauge(sink, "weir_reverse_dns_cache_limit", "At most so many addresses are kept.",
	              labels, (double)cache.capacity);
	metrics_gauge(sink, "weir_reverse_dns_cache_bytes", "Memory of the kept answers.", labels,
	              (double)cache.bytes);
	metrics_counter(sink, "weir_reverse_dns_cache_hits",
	                "Addresses of which the answer was kept, a name or that there is none.",
	                labels, (double)tried->hits);
	metrics_counter(sink, "weir_reverse_dns_cache_misses",
	                "Addresses of which no answer was kept.", labels, (double)tried->misses);
	metrics_counter(sink, "weir_reverse_dns_cache_evicted",
	                "Answers that made room for others before their time.", labels,
	                (double)cache.evicted);
	metrics_gauge(sink, "weir_reverse_dns_lookups_in_flight", "Questions without an answer.",
	              labels, (double)l->questions.count);
	metrics_counter(sink, "weir_reverse_dns_lookups_sent", "Questions to resolvers.", labels,
	                (double)l->sent);
	metrics_counter(sink, "weir_reverse_dns_lookups_answered",
	                "Questions that were answered with a name.", labels, (double)l->answered);
	for (size_t i = FAILURE_NONE + 1; i < FAILURES; i++)
		metrics_counter(sink, "weir_reverse_dns_lookups_failed",
		                "Questions that were not answered with a name.",
		                METRICS_LABELS({"processor", id}, {"reason", failure_names[i]}),
		                (double)l->failed[i]);
	metrics_counter(sink, "weir_reverse_dns_lookups_put_off",
	                "Addresses that were not asked for when they came by.",
	                METRICS_LABELS({"processor", id}, {"reason", "rate"}),
	                (double)tried->over_rate);
	metrics_counter(sink, "weir_reverse_dns_lookups_put_off",
	                "Addresses that were not asked for when they came by.",
	                METRICS_LABELS({"processor", id}, {"reason", "in_flight"}),
	                (double)tried->over_in_flight);
}
