#include "core/attributes/actions.h"

#include "core/attributes/context.h"
#include "core/attributes/hash.h"
#include "core/attributes/pattern.h"
#include "core/attributes/value.h"
#include "core/wire/otlp.h"

#include <errno.h>
#include <stdlib.h>

enum action_kind { INSERT, UPDATE, UPSERT, DELETE, HASH, EXTRACT, CONVERT };

static const char *const action_names[] = {"insert", "update",  "upsert",  "delete",
                                           "hash",   "extract", "convert", NULL};

static const char *const target_names[] = {
	[VALUE_TO_STRING] = "string",
	[VALUE_TO_INT] = "int",
	[VALUE_TO_DOUBLE] = "double",
	[VALUE_TO_BOOL] = "bool",
};

const struct option attribute_action_options[] = {
	OPTION_STRING(struct attribute_action, key, .doc = "The attribute to act on."),
	OPTION_ENUM(struct attribute_action, action, action_names, .flags = OPTION_REQUIRED,
                    .doc = "What to do; actions are done in the order in which they stand."),
	OPTION_SCALAR(struct attribute_action, value,
                      .doc = "insert, update, upsert: the value, of the type in which it is "
                             "written."),
	OPTION_STRING(struct attribute_action, from_attribute,
                      .doc = "insert, update, upsert: the value is that of this attribute; without "
                             "it nothing is done."),
	OPTION_STRING(
		struct attribute_action, from_context,
		.doc = "insert, update, upsert: the value is metadata.<name> of the request (where "
		       "the receiver has include_metadata), auth.username or auth.subject (who "
		       "the client is), or client.address."),
	OPTION_SCALAR(struct attribute_action, default_value,
                      .doc = "insert, update, upsert: the value where from_attribute or "
                             "from_context finds none."),
	OPTION_STRING(struct attribute_action, pattern,
                      .doc = "delete, hash: a regular expression for keys, besides or instead of "
                             "key. extract: for the value of key; what its named groups match "
                             "becomes attributes of their names."),
	OPTION_STRING(struct attribute_action, converted_type,
                      .doc = "convert: string, int, double or bool."),
	OPTION_END};

struct action {
	const struct attribute_action *config;
	enum action_kind kind;
	enum value_target target;
	struct slice key; /* the configuration's */
	Otlp__AnyValue value, fallback;
	struct pattern *pattern;

	/* Copies for the items of one arena; .data NULL: not made yet. */
	ProtobufCBinaryData own_key;
	ProtobufCBinaryData *own_names; /* EXTRACT: of the groups, from 1 */
	Otlp__AnyValue own_value;       /* of value, fallback or context */
	bool has_own_value;
};

struct actions {
	struct action *items;
	size_t n;
	size_t additions; /* attributes that one application can add at most */
	struct hash *hash;
	const struct batch_origin *origin;
	struct arena *arena; /* of the copies */
	struct buffer text;  /* room to work in */
};

void actions_free(struct actions *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n; i++) {
		pattern_free(a->items[i].pattern);
		free(a->items[i].own_names);
	}
	hash_free(a->hash);
	buffer_fini(&a->text);
	free(a->items);
	free(a);
}

/* ---- reading the configuration */

#define REFUSE(error, ...) error_set(error, -EINVAL, "error creating AttrProc" __VA_ARGS__)

static bool is_given(const char *text)
{
	return text && *text;
}

static unsigned count_sources(const struct attribute_action *c)
{
	return (c->value.kind != SCALAR_IS_ABSENT) + is_given(c->from_attribute) +
	       is_given(c->from_context);
}

static int refuse_field(const struct attribute_action *c, size_t i, const char *field,
                        struct error *error)
{
	return REFUSE(
		error,
		". Action \"%s\" does not use the \"%s\" field. This must not be specified for "
		"%zu-th action",
		action_names[c->action], field, i);
}

static int check_setting(const struct attribute_action *c, size_t i, struct error *error)
{
	if (!is_given(c->key))
		return REFUSE(error, " due to missing required field \"key\" at the %zu-th actions",
		              i);
	if (count_sources(c) == 0)
		return REFUSE(error,
		              ". Either field \"value\", \"from_attribute\" or \"from_context\" "
		              "setting must be specified for %zu-th action",
		              i);
	if (count_sources(c) > 1)
		return REFUSE(error,
		              " due to multiple value sources being set at the %zu-th actions", i);
	if (is_given(c->pattern))
		return refuse_field(c, i, "pattern", error);
	return is_given(c->converted_type) ? refuse_field(c, i, "converted_type", error) : 0;
}

static int check_others(const struct attribute_action *c, size_t i, struct error *error)
{
	const char *name = action_names[c->action];
	bool by_pattern = c->action == DELETE || c->action == HASH;

	if (!is_given(c->key) && by_pattern && !is_given(c->pattern))
		return REFUSE(error,
		              " due to missing required field (at least one of \"key\" and "
		              "\"pattern\" have to be used) at the %zu-th actions",
		              i);
	if (!is_given(c->key) && !by_pattern)
		return REFUSE(error, " due to missing required field \"key\" at the %zu-th actions",
		              i);
	if (count_sources(c) > 0)
		return REFUSE(error,
		              ". Action \"%s\" does not use a value source field. These must not "
		              "be specified for %zu-th action",
		              name, i);
	if (c->default_value.kind != SCALAR_IS_ABSENT)
		return refuse_field(c, i, "default_value", error);
	if (c->action == EXTRACT && !is_given(c->pattern))
		return REFUSE(error,
		              " due to missing required field \"pattern\" for action \"%s\" at the "
		              "%zu-th action",
		              name, i);
	if (c->action == CONVERT && is_given(c->pattern))
		return refuse_field(c, i, "pattern", error);
	if (c->action == CONVERT && !is_given(c->converted_type))
		return REFUSE(error,
		              " due to missing required field \"converted_type\" for action \"%s\" "
		              "at the %zu-th action",
		              name, i);
	if (c->action != CONVERT && is_given(c->converted_type))
		return refuse_field(c, i, "converted_type", error);
	return 0;
}

static int read_target(struct action *a, size_t i, struct error *error)
{
	for (size_t t = 0; t < sizeof target_names / sizeof *target_names; t++)
		if (strcmp(target_names[t], a->config->converted_type) == 0) {
			a->target = (enum value_target)t;
			return 0;
		}
	return REFUSE(error,
	              " due to invalid value \"%.100s\" in field \"converted_type\" for action "
	              "\"convert\" at the %zu-th action: it is string, int, double or bool",
	              a->config->converted_type, i);
}

static int read_groups(struct action *a, size_t i, struct error *error)
{
	unsigned groups = pattern_groups(a->pattern);

	if (groups == 0)
		return REFUSE(error,
		              ". Field \"pattern\" contains no named matcher groups at the %zu-th "
		              "actions",
		              i);
	for (unsigned g = 1; g <= groups; g++)
		if (!pattern_group_name(a->pattern, g))
			return REFUSE(error,
			              ". Field \"pattern\" contains at least one unnamed matcher "
			              "group at the %zu-th actions",
			              i);
	a->own_names = calloc(groups + 1, sizeof *a->own_names);
	return a->own_names ? 0 : error_no_memory(error);
}

static int read_pattern(struct action *a, size_t i, struct error *error)
{
	int r = pattern_new(a->config->pattern, &a->pattern, error);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return error_wrap(error,
		                  "error creating AttrProc. Field \"pattern\" at the %zu-th "
		                  "actions",
		                  i);
	return a->kind == EXTRACT ? read_groups(a, i, error) : 0;
}

static int read_action(struct actions *all, size_t i, struct error *error)
{
	struct action *a = &all->items[i];
	const struct attribute_action *c = a->config;
	bool sets;
	int r;

	a->kind = (enum action_kind)c->action;
	sets = a->kind <= UPSERT;
	r = sets ? check_setting(c, i, error) : check_others(c, i, error);
	if (r < 0)
		return r;
	a->key = slice_from_string(c->key);
	a->value = value_from_scalar(&c->value);
	a->fallback = value_from_scalar(&c->default_value);
	if (a->kind == CONVERT && (r = read_target(a, i, error)) < 0)
		return r;
	if (is_given(c->pattern) && (r = read_pattern(a, i, error)) < 0)
		return r;
	if (a->kind == HASH && !all->hash && (r = hash_new(&all->hash, error)) < 0)
		return r;
	all->additions += a->kind == EXTRACT ? pattern_groups(a->pattern) : sets;
	return 0;
}

int actions_new(const struct group_list *list, struct actions **ret, struct error *error)
{
	const struct attribute_action *configs = list->items;
	struct actions *a = calloc(1, sizeof *a);
	int r = 0;

	if (a)
		a->items = calloc(list->count + 1, sizeof *a->items);
	if (!a || !a->items) {
		actions_free(a);
		return error_no_memory(error);
	}
	for (; a->n < list->count && r == 0; a->n++) {
		a->items[a->n].config = &configs[a->n];
		r = read_action(a, a->n, error);
	}
	if (r < 0)
		actions_free(a);
	else
		*ret = a;
	return r;
}

/* ---- applying */

/* A list that is being changed. */
struct edit {
	struct actions *all;
	struct arena *arena;
	Otlp__KeyValue **items;
	size_t n;
	bool own; /* items is ours and has room for all additions */
};

static bool edit_own(struct edit *e)
{
	Otlp__KeyValue **items;

	if (e->own)
		return true;
	items = arena_alloc_array(e->arena, e->n + e->all->additions + 1, sizeof *items);
	if (!items)
		return false;
	if (e->n)
		memcpy(items, e->items, e->n * sizeof *items);
	e->items = items;
	return e->own = true;
}

/* The attribute at i, or a new one at the end. The value's bytes must live as long as the arena. */
static int edit_put(struct edit *e, size_t i, ProtobufCBinaryData key, const Otlp__AnyValue *value)
{
	struct {
		Otlp__KeyValue pair;
		Otlp__AnyValue value;
	} * both;

	if (i < e->n && value_equal(e->items[i]->value, value))
		return 0;
	if (!edit_own(e) || !(both = arena_alloc(e->arena, sizeof *both)))
		return -ENOMEM;
	otlp__key_value__init(&both->pair);
	both->pair.key = key;
	both->pair.value = &both->value;
	both->value = *value;
	both->value.base.n_unknown_fields = 0;
	both->value.base.unknown_fields = NULL;
	e->items[i] = &both->pair;
	e->n += i == e->n;
	return 0;
}

static int copy_once(struct arena *arena, struct slice from, ProtobufCBinaryData *ret)
{
	struct slice copy;

	if (ret->data)
		return 0;
	if (!arena_copy(arena, from, &copy))
		return -ENOMEM;
	*ret = bytes_of_slice(copy);
	return 0;
}

/* A value from the configuration or the context, copied once for the arena. 1; 0: there is none. */
static int own_constant(struct actions *all, struct action *a, const Otlp__AnyValue **ret)
{
	const Otlp__AnyValue *from = &a->value;
	Otlp__AnyValue context;
	int r;

	otlp__any_value__init(&context);
	*ret = &a->own_value;
	if (a->has_own_value)
		return a->own_value.value_case != OTLP__ANY_VALUE__VALUE__NOT_SET;
	buffer_clear(&all->text);
	if (is_given(a->config->from_attribute)) {
		from = &a->fallback;
	} else if (is_given(a->config->from_context)) {
		from = &a->fallback;
		if (context_append(all->origin, a->config->from_context, &all->text)) {
			context.value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
			context.string_value = bytes_of_slice(buffer_slice(&all->text));
			from = &context;
		}
		if (all->text.failed)
			return -ENOMEM;
	}
	a->own_value = *from;
	if (from->value_case == OTLP__ANY_VALUE__VALUE_STRING_VALUE) {
		a->own_value.string_value.data = NULL;
		r = copy_once(all->arena, slice_of_bytes(from->string_value),
		              &a->own_value.string_value);
		if (r < 0)
			return r;
	}
	a->has_own_value = true;
	return from->value_case != OTLP__ANY_VALUE__VALUE__NOT_SET;
}

/* 1; 0: there is none. Lists and maps are copied whole: two attributes must not share one. */
static int find_source(struct edit *e, struct action *a, Otlp__AnyValue *ret)
{
	const Otlp__AnyValue *found = NULL;
	size_t i = e->n;
	int r;

	if (is_given(a->config->from_attribute))
		i = value_find(e->items, e->n, slice_from_string(a->config->from_attribute));
	if (i == e->n) {
		r = own_constant(e->all, a, &found);
		if (r > 0)
			*ret = *found;
		return r;
	}
	otlp__any_value__init(ret);
	found = e->items[i]->value;
	if (found && (found->value_case == OTLP__ANY_VALUE__VALUE_ARRAY_VALUE ||
	              found->value_case == OTLP__ANY_VALUE__VALUE_KVLIST_VALUE)) {
		found = otlp_copy(&found->base, slice_of(NULL, 0), e->arena);
		if (!found)
			return -ENOMEM;
	}
	if (found)
		*ret = *found;
	return 1;
}

static int apply_setting(struct edit *e, struct action *a)
{
	size_t i = value_find(e->items, e->n, a->key);
	Otlp__AnyValue value;
	int r;

	if ((a->kind == INSERT && i < e->n) || (a->kind == UPDATE && i == e->n))
		return 0;
	r = find_source(e, a, &value);
	if (r <= 0)
		return r;
	r = copy_once(e->arena, a->key, &a->own_key);
	return r < 0 ? r : edit_put(e, i, a->own_key, &value);
}

/* 1, 0, -ENOMEM. */
static int is_meant(const struct action *a, const Otlp__KeyValue *attribute)
{
	struct slice key = slice_of_bytes(attribute->key);

	if (a->key.len && slice_equal(a->key, key))
		return 1;
	return a->pattern ? pattern_match(a->pattern, key) : 0;
}

/* Every attribute of that key: what is to go must not stay because it came twice. */
static int apply_delete(struct edit *e, struct action *a)
{
	size_t kept = 0;

	for (size_t i = 0; i < e->n; i++) {
		int r = is_meant(a, e->items[i]);
		if (r < 0 || (r > 0 && !edit_own(e)))
			return -ENOMEM;
		if (r == 0) {
			if (kept < i)
				e->items[kept] = e->items[i];
			kept++;
		}
	}
	e->n = kept;
	return 0;
}

static int apply_hash(struct edit *e, struct action *a)
{
	for (size_t i = 0; i < e->n; i++) {
		Otlp__AnyValue value;
		int r = is_meant(a, e->items[i]);
		if (r > 0)
			r = hash_value(e->all->hash, e->items[i]->value, e->arena, &value);
		if (r > 0)
			r = edit_put(e, i, e->items[i]->key, &value);
		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_extract(struct edit *e, struct action *a)
{
	size_t at = value_find(e->items, e->n, a->key);
	const Otlp__AnyValue *source = at < e->n ? e->items[at]->value : NULL;
	Otlp__AnyValue value;
	struct slice text;
	int r;

	if (!source || source->value_case != OTLP__ANY_VALUE__VALUE_STRING_VALUE)
		return 0;
	text = slice_of_bytes(source->string_value);
	r = pattern_match(a->pattern, text);
	otlp__any_value__init(&value);
	value.value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	for (unsigned g = 1; r > 0 && g <= pattern_groups(a->pattern); g++) {
		struct slice name = slice_from_string(pattern_group_name(a->pattern, g));
		r = copy_once(e->arena, name, &a->own_names[g]);
		/* what a group matched lies in the value it came from, and lives as long */
		value.string_value = bytes_of_slice(pattern_group(a->pattern, text, g));
		if (r == 0)
			r = edit_put(e, value_find(e->items, e->n, name), a->own_names[g], &value);
		if (r == 0)
			r = 1;
	}
	return r < 0 ? r : 0;
}

static int apply_convert(struct edit *e, struct action *a)
{
	size_t i = value_find(e->items, e->n, a->key);
	Otlp__AnyValue value;
	int r;

	if (i == e->n || !e->items[i]->value)
		return 0;
	r = value_convert(e->items[i]->value, a->target, e->arena, &e->all->text, &value);
	return r > 0 ? edit_put(e, i, e->items[i]->key, &value) : r;
}

static int (*const applications[])(struct edit *e, struct action *a) = {
	[INSERT] = apply_setting,  [UPDATE] = apply_setting, [UPSERT] = apply_setting,
	[DELETE] = apply_delete,   [HASH] = apply_hash,      [EXTRACT] = apply_extract,
	[CONVERT] = apply_convert,
};

/* Forgets the copies for another arena. */
static void forget_copies(struct actions *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct action *one = &a->items[i];
		one->own_key = (ProtobufCBinaryData){0};
		one->has_own_value = false;
		if (one->own_names)
			memset(one->own_names, 0,
			       (pattern_groups(one->pattern) + 1) * sizeof *one->own_names);
	}
}

void actions_begin(struct actions *a, const struct batch_origin *origin)
{
	a->origin = origin;
	a->arena = NULL;
}

int actions_apply(struct actions *a, struct arena *arena, size_t *n, Otlp__KeyValue ***items)
{
	struct edit e = {.all = a, .arena = arena, .items = *items, .n = *n};
	int r = 0;

	if (a->arena != arena) {
		forget_copies(a);
		a->arena = arena;
	}
	for (size_t i = 0; i < a->n && r == 0; i++)
		r = applications[a->items[i].kind](&e, &a->items[i]);
	if (r < 0 || !e.own)
		return r;
	*items = e.items;
	*n = e.n;
	return 0;
}

unsigned actions_given_up(struct actions *a)
{
	unsigned n = 0;

	for (size_t i = 0; i < a->n; i++)
		if (a->items[i].pattern)
			n += pattern_given_up(a->items[i].pattern);
	return n;
}
