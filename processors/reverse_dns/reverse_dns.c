/* reverse_dns: writes names where there are addresses.
 *
 * Sources of names are asked in this order: a hosts file, networks with labels. Both are tables in
 * memory: nothing is waited for. The hosts file is looked at again, on the work pool, at most once a
 * second while batches come; one that cannot be read any more keeps its last contents in force.
 *
 * A batch in which nothing has a name passes as the bytes that came.
 *
 * Fails: a hosts file that cannot be read (start, examine); no memory for names (the batch is refused
 * with RETRY). */
#include "processors/reverse_dns/reverse_dns_internal.h"

#include "core/component.h"
#include "core/data/build.h"
#include "core/loop/work.h"
#include "core/self/metrics.h"

#include <errno.h>
#include <stdlib.h>

#define LOOK_NS UINT64_C(1000000000)

enum { WRITE_REPLACE, WRITE_BESIDE };

static const char *const writes[] = {"replace", "beside", NULL};

struct reverse_dns_config {
	struct string_list attributes;
	int write;
	const char *address_suffix, *name_suffix;
	const char *hosts;
	struct string_map networks;
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
	OPTION_STRING(struct reverse_dns_config, hosts,
                      .doc = "A file of addresses and names such as /etc/hosts, read again when it "
                             "changes."),
	OPTION_STRING_MAP(struct reverse_dns_config, networks,
                          .doc = "Labels of networks (10.1.0.0/16: office); the longest prefix "
                                 "wins."),
	OPTION_END,
};

/* A look at the hosts file, on the pool. While it runs only it is in use there. */
struct look {
	const char *path;
	struct hosts_version version;
	struct hosts *fresh;
	int result;
	struct error error;
};

struct reverse_dns {
	struct component component;
	const struct reverse_dns_config *config;
	struct consumer next;
	struct metrics_collector *metrics;
	struct networks *networks;
	struct hosts *hosts;

	struct look look;
	bool looking, failing;
	uint64_t looked_ns;
	void (*closed)(void *arg); /* set while a look holds up the shutdown */
	void *closed_arg;

	uint64_t hosts_names, networks_names, unnamed; /* addresses */
};

static int reverse_dns_check(const void *config, struct error *error)
{
	const struct reverse_dns_config *c = config;
	struct networks *networks = NULL;
	int r;

	if (!c->attributes.count)
		return error_set(error, -EINVAL, "'attributes' names none");
	if (c->write == WRITE_BESIDE && (!c->name_suffix || !*c->name_suffix))
		return error_set(error, -EINVAL, "'name_suffix' must not be empty");
	if ((!c->hosts || !*c->hosts) && !c->networks.count)
		return error_set(error, -EINVAL,
		                 "no source of names: set at least one of 'hosts' and 'networks'");
	r = networks_new(&c->networks, &networks, error);
	networks_free(networks);
	return r;
}

static void reverse_dns_collect(void *arg, struct metrics_sink *sink)
{
	static const char *const help = "Addresses for which a name was found.";
	const struct reverse_dns *r = arg;
	const char *id = r->component.id;

	metrics_counter(sink, "weir_reverse_dns_named_addresses_total", help,
	                METRICS_LABELS({"processor", id}, {"source", "hosts"}),
	                (double)r->hosts_names);
	metrics_counter(sink, "weir_reverse_dns_named_addresses_total", help,
	                METRICS_LABELS({"processor", id}, {"source", "networks"}),
	                (double)r->networks_names);
	metrics_counter(sink, "weir_reverse_dns_unnamed_addresses_total",
	                "Addresses for which no source had a name.",
	                METRICS_LABELS({"processor", id}), (double)r->unnamed);
	metrics_gauge(sink, "weir_reverse_dns_hosts_addresses",
	              "Addresses that the hosts file names.", METRICS_LABELS({"processor", id}),
	              (double)hosts_count(r->hosts));
	metrics_gauge(sink, "weir_reverse_dns_hosts_unreadable",
	              "1 while the hosts file cannot be read and its last contents are in force.",
	              METRICS_LABELS({"processor", id}), r->failing);
}

static bool has_hosts(const struct reverse_dns *r)
{
	return r->config->hosts && *r->config->hosts;
}

static int reverse_dns_read(struct component *component, struct error *error)
{
	struct reverse_dns *r = (struct reverse_dns *)component;
	struct hosts *hosts;
	int read;

	if (!has_hosts(r))
		return 0;
	read = hosts_read(r->look.path, &r->look.version, &hosts, error);
	if (read > 0) {
		hosts_free(r->hosts);
		r->hosts = hosts;
	}
	r->looked_ns = loop_now_ns(component->host->loop);
	return read < 0 ? read : 0;
}

static void look_run(void *arg)
{
	struct look *l = &((struct reverse_dns *)arg)->look;

	error_clear(&l->error);
	l->result = hosts_read(l->path, &l->version, &l->fresh, &l->error);
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
		log_info(&r->component.log, "read '%s' again: it names %zu addresses", l->path,
		         hosts_count(r->hosts));
	}
	if (l->result < 0 && !r->failing)
		log_warn(&r->component.log, "%s; its last contents stay in force",
		         l->error.message);
	r->failing = l->result < 0;
	if (r->closed)
		r->closed(r->closed_arg);
}

static void hosts_look(struct reverse_dns *r)
{
	uint64_t now = loop_now_ns(r->component.host->loop);

	if (!has_hosts(r) || r->looking || now - r->looked_ns < LOOK_NS)
		return;
	r->looked_ns = now;
	r->looking = work_submit(r->component.host->loop, look_run, look_done, r) == 0;
}

static struct slice name_find(struct reverse_dns *r, const struct address *a)
{
	struct slice name = hosts_find(r->hosts, a);

	if (name.len) {
		r->hosts_names++;
		return name;
	}
	name = slice_from_string(networks_find(r->networks, a));
	if (name.len)
		r->networks_names++;
	else
		r->unnamed++;
	return name;
}

static struct slice slice_of_text(ProtobufCBinaryData text)
{
	return slice_of(text.data, text.len);
}

static bool is_asked(const struct reverse_dns *r, struct slice key)
{
	const struct string_list *l = &r->config->attributes;

	for (size_t i = 0; i < l->count; i++)
		if (slice_equal(key, slice_from_string(l->items[i])))
			return true;
	return false;
}

/* The name for the value of an attribute that is asked for; nothing: it has none. */
static struct slice attribute_name(struct reverse_dns *r, const Otlp__KeyValue *attribute)
{
	const Otlp__AnyValue *value = attribute->value;
	struct address address;

	if (!value || value->value_case != OTLP__ANY_VALUE__VALUE_STRING_VALUE ||
	    !is_asked(r, slice_of_text(attribute->key)) ||
	    !address_parse(slice_of_text(value->string_value), &address))
		return slice_of(NULL, 0);
	return name_find(r, &address);
}

static bool is_unnamed(void *arg, struct arena *arena, struct attributes attributes)
{
	for (size_t i = 0; i < *attributes.count; i++)
		if (attribute_name(arg, (*attributes.items)[i]).len)
			return false;
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
	struct reverse_dns *r = arg;
	struct build_list list = {0};
	size_t n = *attributes.count;

	for (size_t i = 0; i < n; i++) {
		struct slice name = attribute_name(r, (*attributes.items)[i]);

		if (!name.len)
			continue;
		for (size_t j = list.count; j < n; j++)
			if (!build_list_add(arena, &list, (*attributes.items)[j]))
				return false;
		if (!name_write(r, arena, &list, i, name))
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
	uint64_t hosts_names = r->hosts_names, networks_names = r->networks_names;
	uint64_t unnamed = r->unnamed;
	int e = batch_read(*b, error);

	if (e < 0 || attributes_each(*b, is_unnamed, r))
		return e;
	/* Counted again as they are written. */
	r->hosts_names = hosts_names;
	r->networks_names = networks_names;
	r->unnamed = unnamed;
	if ((e = batch_open(b, DEPTH_FULL, error)) < 0)
		return e;
	return attributes_each(*b, names_write, r) ? 0 : error_no_memory(error);
}

static void reverse_dns_consume(struct component *component, struct batch *b, struct done done)
{
	struct reverse_dns *r = (struct reverse_dns *)component;
	struct error error = ERROR_INIT;

	hosts_look(r);
	if (batch_name(r, &b, &error) == 0) {
		consumer_consume(r->next, b, done);
		return;
	}
	batch_unref(b);
	if (error.kind == ERROR_RETRYABLE)
		done_retry(done, 0, error.message);
	else
		done_permanent(done, error.message);
}

static void reverse_dns_shutdown(struct component *component, uint64_t deadline_ns,
                                 void (*closed)(void *arg), void *arg)
{
	struct reverse_dns *r = (struct reverse_dns *)component;

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
	r->look.path = r->config->hosts;
	r->metrics = metrics_register(args->host->metrics, reverse_dns_collect, r);
	e = r->metrics ? networks_new(&r->config->networks, &r->networks, error)
	               : error_no_memory(error);
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
	.examine = reverse_dns_read,
	.start = reverse_dns_read,
	.consume = reverse_dns_consume,
	.shutdown = reverse_dns_shutdown,
	.destroy = reverse_dns_destroy,
};
