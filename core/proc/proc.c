#include "core/proc/proc.h"

#include "core/base/list.h"
#include "core/base/map.h"
#include "core/base/utf8.h"
#include "core/proc/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Three kinds of entries share the table, told apart by their keys: a process has all parts; what
 * is known of an executable within a cgroup has no pid; what is known of a cgroup has no executable
 * either. */
struct entry {
	struct map_node node;
	struct list by_use;
	struct proc_key key;
	struct proc_identity identity;
	uint64_t asked_ns;
	bool negative; /* a process that could not be read */
	char text[];   /* of the identity */
};

struct proc_cache {
	struct map entries;
	struct list by_use; /* longest unused first */
	size_t capacity;
	struct proc_identity bare; /* what is said without memory */
	char bare_name[3 * PROC_NAME_LEN + 1];
	struct buffer scratch;
	char root[];
};

/* What could be read of a process. */
struct found {
	char path[PATH_MAX];
	struct cgroup_names cgroup;
	bool alive;
};

static bool entry_equal(const struct map_node *node, const void *key)
{
	return memcmp(&CONTAINER_OF(node, struct entry, node)->key, key, sizeof(struct proc_key)) ==
	       0;
}

struct proc_cache *proc_cache_new(const char *proc_root, size_t capacity)
{
	struct proc_cache *c = calloc(1, sizeof *c + strlen(proc_root) + 1);

	if (!c)
		return NULL;
	strcpy(c->root, proc_root);
	c->capacity = capacity;
	map_init(&c->entries, entry_equal);
	list_init(&c->by_use);
	return c;
}

static void entry_drop(struct proc_cache *c, struct entry *e)
{
	map_remove(&c->entries, &e->node);
	list_remove(&e->by_use);
	free(e);
}

void proc_cache_free(struct proc_cache *c)
{
	struct entry *e, *next;

	if (!c)
		return;
	LIST_FOR_EACH_SAFE(e, next, &c->by_use, by_use)
		entry_drop(c, e);
	map_fini(&c->entries);
	buffer_fini(&c->scratch);
	free(c);
}

/* A key without padding or bytes behind the name's end that would make equal keys differ. */
static struct proc_key key_of(uint32_t pid, uint64_t start_time_ns, uint64_t cgroup_id,
                              const char *executable)
{
	struct proc_key k;

	memset(&k, 0, sizeof k);
	k.pid = pid;
	k.start_time_ns = start_time_ns;
	k.cgroup_id = cgroup_id;
	memcpy(k.executable, executable, strnlen(executable, PROC_NAME_LEN - 1));
	return k;
}

static struct entry *entry_find(struct proc_cache *c, const struct proc_key *key)
{
	struct map_node *n = map_find(&c->entries, hash_bytes(key, sizeof *key), key);
	struct entry *e = n ? CONTAINER_OF(n, struct entry, node) : NULL;

	if (e) {
		list_remove(&e->by_use);
		list_push(&c->by_use, &e->by_use);
	}
	return e;
}

static const char *put_string(char **at, const char *s)
{
	size_t size = strlen(s) + 1;
	const char *copy = memcpy(*at, s, size);

	*at += size;
	return copy;
}

/* Puts an entry in place of the one with the same key. NULL: no memory. */
static struct entry *entry_put(struct proc_cache *c, const struct proc_key *key,
                               const struct proc_identity *identity)
{
	size_t size = strlen(identity->executable) + strlen(identity->path) +
	              strlen(identity->container_id) + strlen(identity->pod_uid) + 4;
	struct entry *e = calloc(1, sizeof *e + size), *old = entry_find(c, key);
	char *at;

	if (!e)
		return NULL;
	at = e->text;
	e->key = *key;
	e->identity.executable = put_string(&at, identity->executable);
	e->identity.path = put_string(&at, identity->path);
	e->identity.container_id = put_string(&at, identity->container_id);
	e->identity.pod_uid = put_string(&at, identity->pod_uid);
	if (old)
		entry_drop(c, old);
	if (c->entries.count >= c->capacity && !list_is_empty(&c->by_use))
		entry_drop(c, LIST_FIRST(&c->by_use, struct entry, by_use));
	if (!map_insert(&c->entries, hash_bytes(key, sizeof *key), &e->node)) {
		free(e);
		return NULL;
	}
	list_push(&c->by_use, &e->by_use);
	return e;
}

/* ---- /proc */

/* Up to size - 1 bytes of a file below /proc/PID, NUL-terminated. -errno. */
static ssize_t read_file(const struct proc_cache *c, uint32_t pid, const char *name, char *data,
                         size_t size)
{
	char path[PATH_MAX];
	size_t len = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "%s/%u/%s", c->root, pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (len < size - 1 && (n = read(fd, data + len, size - 1 - len)) > 0)
		len += (size_t)n;
	data[len] = '\0';
	close(fd);
	return (ssize_t)len;
}

/* Field 22 of /proc/PID/stat in clock ticks since boot; 0 when it cannot be read. The command in
 * field 2 may hold anything, so fields are counted from its last ')'. */
static uint64_t start_ticks(const struct proc_cache *c, uint32_t pid)
{
	char text[2048], *at;

	if (read_file(c, pid, "stat", text, sizeof text) <= 0 || !(at = strrchr(text, ')')))
		return 0;
	for (int field = 2; field < 22 && at; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

/* Whether whoever has the pid now is the process that is meant. */
static bool is_same_process(const struct proc_cache *c, const struct proc_key *key)
{
	uint64_t tick_ns = UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK);
	uint64_t now = start_ticks(c, key->pid), then = key->start_time_ns / tick_ns;

	return now && (!key->start_time_ns || (now > then ? now - then : then - now) <= 1);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* The kernel appends " (deleted)" to the path of an executable that has no name any more; one may
 * also be called so. */
static void read_path(const struct proc_cache *c, uint32_t pid, const char *executable,
                      char ret[PATH_MAX])
{
	static const char deleted[] = " (deleted)";
	char link[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof link, "%s/%u/exe", c->root, pid);
	n = readlink(link, ret, PATH_MAX - 1);
	if (n < 0)
		n = 0;
	ret[n] = '\0';
	if ((size_t)n > strlen(deleted) && strcmp(ret + n - strlen(deleted), deleted) == 0 &&
	    strcmp(base_name(ret), executable) != 0)
		ret[n - (ssize_t)strlen(deleted)] = '\0';
}

static void read_process(const struct proc_cache *c, const struct proc_key *key, struct found *ret)
{
	char text[8192];
	ssize_t n;

	*ret = (struct found){0};
	if (!key->pid || !is_same_process(c, key))
		return;
	ret->alive = true;
	read_path(c, key->pid, key->executable, ret->path);
	n = read_file(c, key->pid, "cgroup", text, sizeof text);
	if (n > 0)
		cgroup_parse(slice_of(text, (size_t)n), &ret->cgroup);
}

/* ---- what is known from others of the cgroup */

/* Later processes of this cgroup may be gone before they are asked for. Two paths for one name:
 * neither is taken. */
static void learn(struct proc_cache *c, const struct proc_key *key,
                  const struct proc_identity *identity)
{
	struct proc_key known = key_of(0, 0, key->cgroup_id, "");
	struct proc_identity cgroup = {"", "", identity->container_id, identity->pod_uid};
	struct entry *e;

	if (!key->cgroup_id)
		return;
	if (!entry_find(c, &known))
		entry_put(c, &known, &cgroup);
	if (!key->executable[0] || !identity->path[0])
		return;
	known = key_of(0, 0, key->cgroup_id, key->executable);
	e = entry_find(c, &known);
	if (!e)
		entry_put(c, &known, identity);
	else if (strcmp(e->identity.path, identity->path) != 0)
		e->identity.path = "";
}

/* Pointers into entries: valid until the next one is put. */
static void recall(struct proc_cache *c, const struct proc_key *key, bool is_gone,
                   struct proc_identity *identity)
{
	struct proc_key known = key_of(0, 0, key->cgroup_id, "");
	struct entry *e;

	if (!key->cgroup_id)
		return;
	if (is_gone && (e = entry_find(c, &known))) {
		identity->container_id = e->identity.container_id;
		identity->pod_uid = e->identity.pod_uid;
	}
	known = key_of(0, 0, key->cgroup_id, key->executable);
	if (key->executable[0] && (e = entry_find(c, &known)) && e->identity.path[0]) {
		identity->path = e->identity.path;
		identity->executable = e->identity.executable;
	}
}

/* ---- putting it together */

/* The path belongs to the key's executable unless the process executes another by now. */
static bool is_path_of(const char *path, const char *executable)
{
	size_t n = strlen(executable);

	if (!path[0] || !executable[0])
		return path[0] != '\0';
	return n == PROC_NAME_LEN - 1 ? strncmp(base_name(path), executable, n) == 0
	                              : strcmp(base_name(path), executable) == 0;
}

/* Text as UTF-8 in c->scratch, where it begins at the offset that is returned. */
static size_t put_text(struct proc_cache *c, const char *text)
{
	size_t at = c->scratch.len;

	utf8_append(&c->scratch, slice_from_string(text));
	buffer_append_byte(&c->scratch, '\0');
	return at;
}

static const struct proc_identity *bare_identity(struct proc_cache *c, const struct proc_key *key)
{
	struct buffer name = BUFFER_INIT;

	utf8_append(&name, slice_from_string(key->executable));
	snprintf(c->bare_name, sizeof c->bare_name, "%.*s", name.failed ? 0 : (int)name.len,
	         name.failed ? "" : (const char *)name.data);
	buffer_fini(&name);
	c->bare = (struct proc_identity){c->bare_name, "", "", ""};
	return &c->bare;
}

static const struct proc_identity *ask(struct proc_cache *c, const struct proc_key *key,
                                       uint64_t now_ns)
{
	struct proc_identity identity = {"", "", "", ""};
	struct found found;
	struct entry *e;
	size_t name, path;
	const char *text;
	bool has_path;

	read_process(c, key, &found);
	has_path = is_path_of(found.path, key->executable);
	buffer_clear(&c->scratch);
	name = put_text(c, has_path ? base_name(found.path) : key->executable);
	path = put_text(c, has_path ? found.path : "");
	if (c->scratch.failed)
		return bare_identity(c, key);
	text = (const char *)c->scratch.data;
	identity.executable = text + name;
	identity.path = text + path;
	identity.container_id = found.cgroup.container_id;
	identity.pod_uid = found.cgroup.pod_uid;
	if (found.alive)
		learn(c, key, &identity);
	if (!has_path)
		recall(c, key, !found.alive, &identity);
	e = entry_put(c, key, &identity);
	if (!e)
		return bare_identity(c, key);
	e->asked_ns = now_ns;
	e->negative = !found.alive || !has_path;
	return &e->identity;
}

const struct proc_identity *proc_cache_find(struct proc_cache *c, const struct proc_key *key,
                                            uint64_t now_ns)
{
	struct proc_key k = key_of(key->pid, key->start_time_ns, key->cgroup_id, key->executable);
	struct entry *e = entry_find(c, &k);

	if (e && (!e->negative || now_ns - e->asked_ns < PROC_RETRY_NS))
		return &e->identity;
	return ask(c, &k, now_ns);
}
