/* reverse_dns: writes names where there are addresses.
 *
 * Sources of names are asked in this order: names that were observed in answers of resolvers
 * (host->names), a hosts file, networks with labels, look-ups at a resolver. All answer from memory:
 * nothing is waited for. What a resolver has to be asked for passes without a name, and has one later.
 * Files are looked at again, on the work pool, at most once a second while batches come; a hosts file
 * that cannot be read any more keeps its last contents in force.
 *
 * A batch in which nothing has a name passes as the bytes that came.
 *
 * Fails: a hosts file or a resolv.conf that cannot be read (start, examine), a resolver that cannot be
 * set up (start); no memory for names (the batch is refused with RETRY). */
#include "processors/reverse_dns/reverse_dns_internal.h"
#include "processors/reverse_dns/reverse_dns_lookups.h"

#include "core/component.h"
#include "core/data/build.h"
#include "core/loop/loop.h"
#include "core/loop/work.h"
#include "core/names/names.h"
#include "core/self/metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define LOOK_NS UINT64_C(1000000000)

enum { WRITE_REPLACE, WRITE_BESIDE };

static const char *const writes[] = {"replace", "beside", NULL};

struct reverse_dns_config {
	struct string_list attributes;
	int write;
	const char *address_suffix, *name_suffix;
	bool observed;
	const char *hosts;
	struct string_map networks;
	struct lookups_config lookups;
};

static const struct option reverse_dns_options[] = {
	OPTION_STRING_LIST(struct reverse_dns_config, attributes,
                           .text = "server.address,client.address,source.address,"
                                   "destination.address",
                           .doc = "Attributes in which addresses are looked for, on resources, "
                                  "spans, span events, log records and points."),
	OPTION_ENUM(struct reverse_dns_config, write, writes, .text = "replace",
                    .doc = "replace: the name takes the place of the address, which is kept in a "
                           "second attribute; beside: the name is put into a second attribute."),
	OPTION_STRING(struct reverse_dns_config, address_suffix, .text = "_ip",
                      .doc = "What is put after an attribute's name for the address that is kept, "
                             "with replace; empty: the address is not kept."),
	OPTION_STRING(struct reverse_dns_config, name_suffix, .text = "_name",
                      .doc = "What is put after an attribute's name for the name, with beside."),
	OPTION_BOOL(struct reverse_dns_config, observed, .text = "true",
                    .doc = "Use the names under which addresses were asked for at resolvers, as "
                           "receivers of this weir saw it."),
	OPTION_STRING(struct reverse_dns_config, hosts,
                      .doc = "A file of addresses and names such as /etc/hosts, read again when it "
                             "changes."),
	OPTION_STRING_MAP(struct reverse_dns_config, networks,
                          .doc = "Labels of networks (10.1.0.0/16: office); the longest prefix "
                                 "wins."),
	OPTION_OPTIONAL(struct reverse_dns_config, lookups, lookups_options,
                        .flags = OPTION_NULL_ON,
                        .doc = "Ask resolvers for the names of addresses (PTR records); off "
                               "without this block."),
	OPTION_END,
};

enum source { SOURCE_OBSERVED, SOURCE_HOSTS, SOURCE_NETWORKS, SOURCE_LOOKUPS, SOURCES };

static const char *const source_names[SOURCES] = {"observed", "hosts", "networks", "lookups"};

/* A look at files, on the pool. While it runs only it is in use there. */
struct look {
	const char *hosts_path; /* NULL: none */
	struct file_version hosts_version;
	struct hosts *fresh;
	int result;
	struct error error;

	const char *resolv_path; /* NULL: none */
	struct file_version resolv_version;
	bool resolv_is_new;
};

/* What was done with addresses. */
struct counts {
	uint64_t named[SOURCES], unnamed;
	struct lookups_tried tried;
};

struct reverse_dns {
	struct component component;
	const struct reverse_dns_config *config;
	struct consumer next;
	struct metrics_collector *metrics;
	struct hosts *hosts;
	struct networks *networks;
	struct lookups *lookups;

	struct look look;
	bool looking, failing;
	uint64_t looked_ns;
	void (*closed)(void *arg); /* set while a look holds up the shutdown */
	void *closed_arg;

	struct counts counts;
};

static bool has_hosts(const struct reverse_dns_config *c)
{
	return c->hosts && *c->hosts;
}

static int reverse_dns_check(const void *config, struct error *error)
{
	const struct reverse_dns_config *c = config;
	struct networks *networks = NULL;
	int r;

	if (!c->attributes.count)
		return error_set(error, -EINVAL, "'attributes' names none");
	if (c->write == WRITE_BESIDE && (!c->name_suffix || !*c->name_suffix))
		return error_set(error, -EINVAL, "'name_suffix' must not be empty");
	if (!c->observed && !has_hosts(c) && !c->networks.count && !c->lookups.enabled)
		return error_set(error, -EINVAL,
		                 "no source of names: set at least one of 'observed', 'hosts', "
		                 "'networks' and 'lookups'");
	if (c->lookups.enabled && (r = lookups_check(&c->lookups, error)) < 0)
		return error_wrap(error, "lookups");
	if ((r = networks_new(&c->networks, &networks, error)) < 0)
		error_wrap(error, "networks");
	networks_free(networks);
	return r;
}

static void reverse_dns_collect(void *arg, struct metrics_sink *sink)
{
	const struct reverse_dns *r = arg;
	const char *id = r->component.id;

	for (size_t i = 0; i < SOURCES; i++)
		metrics_counter(sink, "weir_reverse_dns_named_addresses",
		                "Addresses for which a name was found.",
		                METRICS_LABELS({"processor", id}, {"source", source_names[i]}),
		                (double)r->counts.named[i]);
	metrics_counter(sink, "weir_reverse_dns_unnamed_addresses",
	                "Addresses for which no source had a name.",
	                METRICS_LABELS({"processor", id}), (double)r->counts.unnamed);
	metrics_gauge(sink, "weir_reverse_dns_hosts_addresses",
	              "Addresses that the hosts file names.", METRICS_LABELS({"processor", id}),
	              (double)hosts_count(r->hosts));
	metrics_gauge(sink, "weir_reverse_dns_hosts_unreadable",
	              "1 while the hosts file cannot be read and its last contents are in force.",
	              METRICS_LABELS({"processor", id}), r->failing);
	if (r->lookups)
		lookups_collect(r->lookups, &r->counts.tried, sink);
}

/* Files */

static int reverse_dns_examine(struct component *component, struct error *error)
{
	struct reverse_dns *r = (struct reverse_dns *)component;
	struct hosts *hosts;
	int read;

	if (r->look.resolv_path && access(r->look.resolv_path, R_OK) < 0)
		return error_set(error, -errno,
		                 "lookups: cannot read '%s': %s; name the resolvers with 'servers'",
		                 r->look.resolv_path, strerror(errno));
	if (!r->look.hosts_path)
		return 0;
	read = hosts_read(r->look.hosts_path, &r->look.hosts_version, &hosts, error);
	if (read > 0) {
		hosts_free(r->hosts);
		r->hosts = hosts;
	}
	return read < 0 ? read : 0;
}

static int reverse_dns_start(struct component *component, struct error *error)
{
	struct reverse_dns *r = (struct reverse_dns *)component;
	int e = reverse_dns_examine(component, error);

	r->looked_ns = loop_now_ns(component->host->loop);
	if (r->look.resolv_path)
		file_is_new(r->look.resolv_path, &r->look.resolv_version);
	if (e == 0 && r->lookups)
		e = lookups_start(r->lookups, error);
	return e;
}

static void look_run(void *arg)
{
	struct look *l = &((struct reverse_dns *)arg)->look;

	error_clear(&l->error);
	if (l->hosts_path)
		l->result = hosts_read(l->hosts_path, &l->hosts_version, &l->fresh, &l->error);
	if (l->resolv_path)
		l->resolv_is_new = file_is_new(l->resolv_path, &l->resolv_version);
}

static void look_done(void *arg)
{
	struct reverse_dns *r = arg;
	struct look *l = &r->look;

	r->looking = false;
	if (l->result > 0) {
		hosts_free(r->hosts);
		r->hosts = l->fresh;
		l->fresh = NULL;
		log_info(&r->component.log, "read '%s' again: it names %zu addresses",
		         l->hosts_path, hosts_count(r->hosts));
	}
	if (l->result < 0 && !r->failing)
		log_warn(&r->component.log, "%s; its last contents stay in force",
		         l->error.message);
	r->failing = l->result < 0;
	if (l->resolv_is_new)
		lookups_renew(r->lookups);
	if (r->closed)
		r->closed(r->closed_arg);
}

static void files_look(struct reverse_dns *r)
{
	uint64_t now = loop_now_ns(r->component.host->loop);

	if ((!r->look.hosts_path && !r->look.resolv_path) || r->looking ||
	    now - r->looked_ns < LOOK_NS)
		return;
	r->looked_ns = now;
	r->looking = work_submit(r->component.host->loop, look_run, look_done, r) == 0;
}

/* Names */

static struct slice source_ask(struct reverse_dns *r, enum source source, const struct address *a)
{
	const struct host *host = r->component.host;

	switch (source) {
	case SOURCE_OBSERVED:
		if (r->config->observed)
			return names_find(host->names, NAMES_ANY_NETWORK, a,
			                  loop_now_ns(host->loop));
		break;
	case SOURCE_HOSTS:
		return hosts_find(r->hosts, a);
	case SOURCE_NETWORKS:
		return slice_from_string(networks_find(r->networks, a));
	case SOURCE_LOOKUPS:
		return lookups_find(r->lookups, a, &r->counts.tried);
	case SOURCES:
		break;
	}
	return slice_of(NULL, 0);
}

/* Valid until the next call. */
static struct slice name_find(struct reverse_dns *r, const struct address *a)
{
	for (enum source source = 0; source < SOURCES; source++) {
		struct slice name = source_ask(r, source, a);

		if (name.len) {
			r->counts.named[source]++;
			return name;
		}
	}
	r->counts.unnamed++;
	return slice_of(NULL, 0);
}

static struct slice slice_of_text(ProtobufCBinaryData text)
{
	return slice_of(text.data, text.len);
}

/* The walks through a batch, which come by the same addresses in the same order: one to see whether
 * any has a name, one to write. Each address is asked for once, so that the figures are true. */
struct naming {
	struct reverse_dns *r;
	size_t met;         /* addresses in this walk, so far */
	size_t nameless;    /* so many at the beginning have no name; */
	struct slice first; /* the next one has this; nothing: not known yet */
};

static struct slice naming_ask(struct naming *n, const struct address *a)
{
	size_t at = n->met++;

	if (n->first.len && at <= n->nameless)
		return at < n->nameless ? slice_of(NULL, 0) : n->first;
	return name_find(n->r, a);
}

/* The first attribute of that key, as attribute_find() has it: a list in which one key stands often
 * does not cost the square of its length. NULL: none. */
static Otlp__KeyValue *const *attribute_place(struct attributes attributes, struct slice key)
{
	for (size_t i = 0; i < *attributes.count; i++)
		if (slice_equal(slice_of_text((*attributes.items)[i]->key), key))
			return *attributes.items + i;
	return NULL;
}

/* The name for that configured attribute, and where it stands; nothing: it is not there, or has none. */
static struct slice attribute_name(struct naming *n, struct attributes attributes, const char *key,
                                   size_t *ret_at)
{
	Otlp__KeyValue *const *place = attribute_place(attributes, slice_from_string(key));
	const Otlp__AnyValue *value = place ? (*place)->value : NULL;
	struct address address;

	if (!value || value->value_case != OTLP__ANY_VALUE__VALUE_STRING_VALUE ||
	    !address_parse(slice_of_text(value->string_value), &address))
		return slice_of(NULL, 0);
	*ret_at = (size_t)(place - *attributes.items);
	return naming_ask(n, &address);
}

static bool is_unnamed(void *arg, struct arena *arena, struct attributes attributes)
{
	struct naming *n = arg;
	const struct string_list *keys = &n->r->config->attributes;
	size_t at;

	for (size_t i = 0; i < keys->count; i++) {
		struct slice name = attribute_name(n, attributes, keys->items[i], &at);

		if (!name.len)
			continue;
		n->nameless = n->met - 1;
		n->first = name;
		return false;
	}
	return true;
}

/* The attribute with the name for its value; others may share the one that there was. */
static Otlp__KeyValue *attribute_renamed(struct arena *arena, const Otlp__KeyValue *attribute,
                                         struct slice name)
{
	Otlp__KeyValue *renamed = BUILD(arena, Otlp__KeyValue, otlp__key_value);
	Otlp__AnyValue *value = BUILD(arena, Otlp__AnyValue, otlp__any_value);

	if (!renamed || !value || !build_copy(arena, name, &value->string_value))
		return NULL;
	value->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	renamed->key = attribute->key;
	renamed->value = value;
	return renamed;
}

/* Writes the name of attribute i of list, which begins as a copy of the attributes; what is put
 * beside it is added. */
static bool name_write(const struct reverse_dns *r, struct arena *arena, struct build_list *list,
                       size_t i, struct slice name)
{
	bool replace = r->config->write == WRITE_REPLACE;
	const char *suffix = replace ? r->config->address_suffix : r->config->name_suffix;
	const Otlp__KeyValue *attribute = list->items[i];
	const char *key;

	if (suffix && *suffix) {
		key = arena_printf(arena, "%.*s%s", SLICE_PRINTF(slice_of_text(attribute->key)),
		                   suffix);
		if (!key)
			return false;
		/* What stands there already is somebody else's, or this processor's own. */
		if (attribute_find((Otlp__KeyValue **)list->items, list->count, key))
			return true;
		if (!build_string(arena, list, key,
		                  replace ? slice_of_text(attribute->value->string_value) : name))
			return false;
	}
	if (!replace)
		return true;
	list->items[i] = attribute_renamed(arena, attribute, name);
	return list->items[i] != NULL;
}

static bool names_write(void *arg, struct arena *arena, struct attributes attributes)
{
	struct naming *n = arg;
	const struct string_list *keys = &n->r->config->attributes;
	struct build_list list = {0};
	size_t count = *attributes.count, at;

	for (size_t i = 0; i < keys->count; i++) {
		struct slice name = attribute_name(n, attributes, keys->items[i], &at);

		if (!name.len)
			continue;
		for (size_t j = list.count; j < count; j++)
			if (!build_list_add(arena, &list, (*attributes.items)[j]))
				return false;
		if (!name_write(n->r, arena, &list, at, name))
			return false;
	}
	if (list.count) {
		*attributes.items = (Otlp__KeyValue **)list.items;
		*attributes.count = list.count;
	}
	return true;
}

/* Writes what has names. The batch may be replaced. */
static int batch_name(struct reverse_dns *r, struct batch **b, struct error *error)
{
	struct naming n = {.r = r};
	int e = batch_read(*b, error);

	if (e < 0 || attributes_each(*b, is_unnamed, &n))
		return e;
	if ((e = batch_open(b, DEPTH_FULL, error)) < 0)
		return e;
	n.met = 0;
	return attributes_each(*b, names_write, &n) ? 0 : error_no_memory(error);
}

static void reverse_dns_consume(struct component *component, struct batch *b, struct done done)
{
	struct reverse_dns *r = (struct reverse_dns *)component;
	struct error error = ERROR_INIT;

	files_look(r);
	if (r->config->observed)
		names_catch_up(component->host->names);
	if (batch_name(r, &b, &error) == 0) {
		consumer_consume(r->next, b, done);
		return;
	}
	batch_unref(b);
	done_error(done, &error);
}

static void reverse_dns_shutdown(struct component *component, uint64_t deadline_ns,
                                 void (*closed)(void *arg), void *arg)
{
	struct reverse_dns *r = (struct reverse_dns *)component;

	lookups_stop(r->lookups);
	if (!r->looking) {
		closed(arg);
		return;
	}
	r->closed = closed;
	r->closed_arg = arg;
}

static void reverse_dns_destroy(struct component *component)
{
	struct reverse_dns *r = (struct reverse_dns *)component;

	if (!r)
		return;
	metrics_unregister(component->host->metrics, r->metrics);
	lookups_free(r->lookups);
	networks_free(r->networks);
	hosts_free(r->hosts);
	free(r);
}

extern const struct component_type processor_reverse_dns_type;

static int reverse_dns_create(const struct create_args *args, struct component **ret,
                              struct error *error)
{
	struct reverse_dns *r = calloc(1, sizeof *r);
	int e = -ENOMEM;

	if (!r)
		return error_no_memory(error);
	component_init(&r->component, &processor_reverse_dns_type, args);
	r->config = args->config;
	r->next = args->next[args->signal];
	r->look.hosts_path = has_hosts(r->config) ? r->config->hosts : NULL;
	r->metrics = metrics_register(args->host->metrics, reverse_dns_collect, r);
	e = r->metrics ? networks_new(&r->config->networks, &r->networks, error)
	               : error_no_memory(error);
	if (e == 0 && r->config->lookups.enabled)
		e = lookups_new(&r->config->lookups, &r->component, &r->lookups, error);
	r->look.resolv_path = lookups_resolv_conf(r->lookups);
	if (e < 0) {
		reverse_dns_destroy(&r->component);
		return e;
	}
	*ret = &r->component;
	return 0;
}

const struct component_type processor_reverse_dns_type = {
	.name = "reverse_dns",
	.kind = PROCESSOR,
	.signals = SIGNAL_ALL,
	.caps = CAP_MUTATES,
	.summary = "Writes names where there are addresses.",
	.stability = "alpha",
	.config_size = sizeof(struct reverse_dns_config),
	.options = reverse_dns_options,
	.check = reverse_dns_check,
	.create = reverse_dns_create,
	.examine = reverse_dns_examine,
	.start = reverse_dns_start,
	.consume = reverse_dns_consume,
	.shutdown = reverse_dns_shutdown,
	.destroy = reverse_dns_destroy,
};
