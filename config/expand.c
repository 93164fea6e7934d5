#include "config/expand.h"
#include "config/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct expansion {
	const struct expand_io *io;
	struct arena *arena;
	struct diagnostics *diagnostics;
	unsigned references; /* resolved so far */
	size_t nodes;        /* made so far */
	size_t written;      /* bytes of text, over all steps */
	bool told;           /* of a limit of the whole load: once is enough */
};

/* One value on its way: what its messages need. */
struct value {
	const struct path *path;
	struct position at;
	bool moved; /* its nodes stand where the reference stands, not in a file of their own */
	bool made;  /* the reference at hand stands in no file: expansion put it together */
	unsigned depth;
};

static const char *process_getenv(void *arg, const char *name)
{
	return getenv(name);
}

static int process_read_file(void *arg, const char *path, size_t limit, struct buffer *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), result = 0;
	size_t total = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		uint8_t *room = buffer_reserve(out, 16384);
		if (!room) {
			result = -ENOMEM;
			break;
		}
		n = read(fd, room, 16384);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			result = -errno;
			break;
		}
		out->len += (size_t)n;
		total += (size_t)n;
		if (total > limit) {
			result = -EFBIG;
			break;
		}
	} while (n);
	close(fd);
	return result;
}

const struct expand_io expand_process_io = {
	.getenv = process_getenv,
	.read_file = process_read_file,
};

#define REFUSE(x, v, ...)                                                                          \
	({                                                                                         \
		char path_[PATH_TEXT_MAX];                                                         \
		diagnostics_error((x)->diagnostics, (v)->at, path_text((v)->path, path_),          \
		                  __VA_ARGS__);                                                    \
		-EINVAL;                                                                           \
	})

static int no_memory(struct expansion *x, const struct value *v)
{
	(void)REFUSE(x, v, "out of memory while expanding the configuration");
	return -ENOMEM;
}

static struct node *make_node(struct expansion *x, struct node fields)
{
	struct node *n = arena_alloc(x->arena, sizeof *n);

	if (n)
		*n = fields;
	return n;
}

/* The last "${" of the text, or NULL. */
static const char *find_opening(const char *text, size_t len)
{
	const char *brace;

	while ((brace = memrchr(text, '{', len))) {
		if (brace > text && brace[-1] == '$')
			return brace - 1;
		len = (size_t)(brace - text);
	}
	return NULL;
}

/* The first reference that can be resolved: the innermost before the first "}" that is not escaped
 * by an odd number of dollar signs before its "$". False: none. */
static bool find_reference(const char *text, size_t len, size_t *ret_start, size_t *ret_end)
{
	const char *from = text, *end = text + len, *close, *open;

	for (; (close = memchr(from, '}', (size_t)(end - from))); from = close + 1) {
		size_t dollars = 0;

		open = find_opening(from, (size_t)(close - from));
		if (!open)
			continue;
		while (open - dollars > from && *(open - dollars - 1) == '$')
			dollars++;
		if (dollars % 2 == 0) {
			*ret_start = (size_t)(open - text);
			*ret_end = (size_t)(close + 1 - text);
			return true;
		}
	}
	return false;
}

static bool is_env_name(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!(name[i] == '_' || (name[i] >= 'a' && name[i] <= 'z') ||
		      (name[i] >= 'A' && name[i] <= 'Z') ||
		      (i && name[i] >= '0' && name[i] <= '9')))
			return false;
	return len > 0;
}

static const char redacted[] = "[REDACTED]";

/* Part of a reference as a message may show it: what was put together may be made of a secret. */
static const char *shown(const struct value *v, const char *text)
{
	return v->made ? redacted : text;
}

static int resolve_env(struct expansion *x, const struct value *v, const char *rest,
                       struct buffer *out)
{
	const char *fallback = strstr(rest, ":-"), *found;
	size_t len = fallback ? (size_t)(fallback - rest) : strlen(rest);
	char *name, path[PATH_TEXT_MAX];

	name = arena_printf(x->arena, "%.*s", (int)len, rest);
	if (!name)
		return no_memory(x, v);
	if (!is_env_name(rest, len))
		return REFUSE(x, v,
		              "environment variable \"%s\" has invalid name: must match regex "
		              "^[a-zA-Z_][a-zA-Z0-9_]*$",
		              shown(v, name));
	found = x->io->getenv(x->io->arg, name);
	if (!found && !fallback)
		diagnostics_warn(x->diagnostics, v->at, path_text(v->path, path),
		                 "Configuration references unset environment variable \"%s\"; set "
		                 "it, or give a default: ${env:%s:-value}",
		                 shown(v, name), v->made ? "NAME" : name);
	buffer_append_string(out, found ? found : fallback ? fallback + 2 : "");
	return 0;
}

static int resolve_file(struct expansion *x, const struct value *v, const char *path,
                        struct buffer *out)
{
	int r = x->io->read_file(x->io->arg, path, EXPAND_FILE_MAX, out);

	if (r == -EFBIG)
		return REFUSE(x, v, "unable to read the file %s: it is larger than %d bytes",
		              shown(v, path), EXPAND_FILE_MAX);
	if (r < 0)
		return REFUSE(x, v, "unable to read the file %s: %s", shown(v, path), strerror(-r));
	if (out->len && memchr(out->data, '\0', out->len))
		return REFUSE(x, v, "unable to read the file %s: it holds a NUL byte",
		              shown(v, path));
	return 0;
}

/* The text of "env:NAME", "file:/path", "NAME" (the part between the braces). */
static int resolve(struct expansion *x, const struct value *v, const char *uri, struct buffer *out)
{
	const char *colon = strchr(uri, ':');
	size_t scheme = colon ? (size_t)(colon - uri) : 0;

	if (strchr(uri, '$'))
		return REFUSE(x, v, "the uri \"%s\" contains unsupported characters ('$')",
		              shown(v, uri));
	if (!colon)
		return resolve_env(x, v, uri, out);
	if (scheme == 3 && memcmp(uri, "env", 3) == 0)
		return resolve_env(x, v, colon + 1, out);
	if (scheme == 4 && memcmp(uri, "file", 4) == 0)
		return resolve_file(x, v, colon + 1, out);
	if (scheme == 4 && memcmp(uri, "yaml", 4) == 0) {
		buffer_append_string(out, colon + 1);
		return 0;
	}
	return REFUSE(x, v, "scheme \"%.*s\" is not supported for uri \"%s\"%s",
	              v->made ? (int)strlen(redacted) : (int)scheme, shown(v, uri), shown(v, uri),
	              colon[1] == '-' ? "; a default is written ${env:NAME:-default}" : "");
}

/* Every occurrence of reference in text becomes value. */
static void replace_all(struct buffer *text, struct slice reference, struct slice value)
{
	struct buffer out = BUFFER_INIT;
	const uint8_t *at = text->data, *end = at + text->len, *found;

	while ((found = memmem(at, (size_t)(end - at), reference.data, reference.len))) {
		buffer_append(&out, at, (size_t)(found - at));
		buffer_append_slice(&out, value);
		at = found + reference.len;
		if (out.len > EXPAND_TEXT_MAX)
			break; /* the caller refuses it */
	}
	buffer_append(&out, at, (size_t)(end - at));
	buffer_fini(text);
	*text = out;
}

static const char *unescape(struct expansion *x, struct slice text)
{
	struct slice copy;
	char *out;

	if (!arena_copy(x->arena, text, &copy))
		return NULL;
	out = (char *)(uintptr_t)copy.data;
	for (size_t i = 0; i < text.len; i++) {
		*out++ = (char)text.data[i];
		if (text.data[i] == '$' && i + 1 < text.len && text.data[i + 1] == '$')
			i++;
	}
	*out = '\0';
	return (const char *)copy.data;
}

static int expand_node(struct expansion *x, const struct node *in, struct value v,
                       const struct node **ret);

/* What one reference gave for a whole value: YAML with a type of its own, or *ret NULL: a string,
 * whose text may hold further references. */
static int read_whole(struct expansion *x, const struct node *in, struct value v, const char *uri,
                      struct slice text, const struct node **ret)
{
	bool is_file = strncmp(uri, "file:", 5) == 0;
	const struct node *read, *expanded;
	struct node *typed;
	int r = yaml_read(text, is_file ? uri + 5 : in->at.file, x->arena, NULL, &read);

	*ret = NULL;
	if (r == -ENOMEM)
		return no_memory(x, &v);
	if (r < 0 || (read->kind == NODE_SCALAR && read->type == SCALAR_STRING))
		return 0;
	v.moved = !is_file || read->kind < NODE_LIST;
	r = expand_node(x, read, v, &expanded);
	if (r < 0)
		return r;
	typed = make_node(x, *expanded);
	if (!typed || !(typed->original = unescape(x, text)))
		return no_memory(x, &v);
	typed->reference = in->text;
	*ret = typed;
	return 0;
}

/* Resolves the reference at start..end of text. Gives either a typed node or changed text. */
static int expand_reference(struct expansion *x, const struct node *in, struct value v,
                            struct buffer *text, size_t start, size_t end, const struct node **ret)
{
	struct buffer found = BUFFER_INIT;
	struct slice reference = slice_of(text->data + start, end - start);
	const char *uri = arena_printf(x->arena, "%.*s", (int)(end - start - 3),
	                               (const char *)text->data + start + 2);
	int r = 0;

	*ret = NULL;
	if (!uri)
		return no_memory(x, &v);
	if (x->references++ == EXPAND_MAX) {
		x->told = true;
		return REFUSE(x, &v, "too many recursive expansions (more than %d)", EXPAND_MAX);
	}
	v.made = v.moved || !memmem(in->text, strlen(in->text), reference.data, reference.len);
	r = resolve(x, &v, uri, &found);
	if (r == 0 && found.failed)
		r = no_memory(x, &v);
	if (r == 0 && start == 0 && end == text->len)
		r = read_whole(x, in, v, uri, buffer_slice(&found), ret);
	if (r == 0 && !*ret) {
		replace_all(text, reference, buffer_slice(&found));
		if (text->failed)
			r = no_memory(x, &v);
		else if (text->len > EXPAND_TEXT_MAX)
			r = REFUSE(x, &v, "is longer than %d bytes after its expansion",
			           EXPAND_TEXT_MAX);
		else if ((x->written += text->len) > EXPAND_WORK_MAX)
			r = REFUSE(x, &v, "too many recursive expansions of long texts");
	}
	buffer_fini(&found);
	return r;
}

/* The value as a string once nothing is left to expand. */
static int finish_string(struct expansion *x, const struct node *in, const struct value *v,
                         struct slice text, bool changed, const struct node **ret)
{
	struct node n = *in;

	n.at = v->at;
	n.text = unescape(x, text);
	if (!n.text)
		return no_memory(x, v);
	if (changed) {
		n.type = SCALAR_STRING;
		n.reference = in->text;
	}
	*ret = make_node(x, n);
	return *ret ? 0 : no_memory(x, v);
}

static int expand_scalar(struct expansion *x, const struct node *in, struct value v,
                         const struct node **ret)
{
	struct buffer text = BUFFER_INIT;
	const struct node *typed = NULL;
	bool changed = false;
	size_t start, end;
	int r = 0;

	buffer_append_string(&text, in->text);
	if (text.failed)
		return no_memory(x, &v);
	while (r == 0 && !typed && !x->told && text.len &&
	       find_reference((const char *)text.data, text.len, &start, &end)) {
		r = expand_reference(x, in, v, &text, start, end, &typed);
		changed = true;
	}
	if (typed)
		*ret = typed;
	else if (r == 0 && !x->told)
		r = finish_string(x, in, &v, buffer_slice(&text), changed, ret);
	buffer_fini(&text);
	if (r == -EINVAL || (r == 0 && !typed && x->told)) {
		*ret = make_node(x, (struct node){
					    .kind = NODE_NULL,
					    .at = v.at,
					    .text = "",
					    .broken = true,
				    });
		r = *ret ? 0 : no_memory(x, &v);
	}
	return r;
}

static int expand_children(struct expansion *x, const struct node *in, struct value v,
                           const struct node **ret)
{
	struct node *n = make_node(x, *in);

	if (!n)
		return no_memory(x, &v);
	n->at = v.at;
	if (in->count)
		n->entries = arena_alloc_array(x->arena, in->count, sizeof *n->entries);
	if (in->count && !n->entries)
		return no_memory(x, &v);
	for (size_t i = 0; i < in->count; i++) {
		const struct node_entry *entry = &in->entries[i];
		struct path path = {v.path, entry->key, i};
		struct value child = v;
		int r;

		child.path = &path;
		child.depth++;
		n->entries[i] = *entry;
		if (v.moved)
			n->entries[i].key_at = v.at;
		r = expand_node(x, entry->value, child, &n->entries[i].value);
		if (r < 0)
			return r;
	}
	*ret = n;
	return 0;
}

static int expand_node(struct expansion *x, const struct node *in, struct value v,
                       const struct node **ret)
{
	if (!v.moved)
		v.at = in->at;
	if (v.depth > YAML_DEPTH_MAX || x->nodes++ > 2 * YAML_NODES_MAX) {
		if (!x->told)
			(void)REFUSE(x, &v, "too many recursive expansions: %s",
			             v.depth > YAML_DEPTH_MAX ? "nested too deep"
			                                      : "too many values");
		x->told = true;
		*ret = make_node(x, (struct node){.kind = NODE_NULL, .text = "", .broken = true});
		return *ret ? 0 : no_memory(x, &v);
	}
	if (in->kind == NODE_SCALAR)
		return expand_scalar(x, in, v, ret);
	return expand_children(x, in, v, ret);
}

int expand_tree(const struct node *tree, const struct expand_io *io, struct arena *arena,
                struct diagnostics *d, const struct node **ret)
{
	struct expansion x = {.io = io, .arena = arena, .diagnostics = d};

	return expand_node(&x, tree, (struct value){.at = tree->at}, ret);
}
