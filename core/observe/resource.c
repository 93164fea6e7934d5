#include "core/observe/resource.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool resource_equal(const struct map_node *node, const void *key)
{
	const struct resource_owner *a = &CONTAINER_OF(node, struct resource, node)->owner,
				    *b = key;

	return a->pid == b->pid && a->start_time_ns == b->start_time_ns &&
	       strcmp(a->executable, b->executable) == 0 && strcmp(a->path, b->path) == 0 &&
	       strcmp(a->container_id, b->container_id) == 0;
}

void resources_init(struct resources *r, const char *host_name)
{
	r->host_name = host_name;
	map_init(&r->map, resource_equal);
	list_init(&r->all);
}

void resources_fini(struct resources *r)
{
	map_fini(&r->map);
}

static uint64_t owner_hash(const struct resource_owner *o)
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

/* The namespace that the semantic conventions give for UUIDs (version 5) of service instances that
 * have an inherent identity. */
static const uint8_t instance_namespace[16] = {0x4d, 0x63, 0x00, 0x9a, 0x8d, 0x0f, 0x11, 0xee,
                                               0xaa, 0xd7, 0x4c, 0x79, 0x6e, 0xd8, 0xe3, 0x20};

static bool digest_string(EVP_MD_CTX *c, const char *s)
{
	return EVP_DigestUpdate(c, s, strlen(s) + 1);
}

static bool instance_digest(EVP_MD_CTX *c, const char *host_name, const struct resource_owner *o,
                            uint8_t ret[EVP_MAX_MD_SIZE])
{
	uint64_t process[] = {o->pid, o->start_time_ns};

	return EVP_DigestInit_ex(c, EVP_sha1(), NULL) &&
	       EVP_DigestUpdate(c, instance_namespace, sizeof instance_namespace) &&
	       digest_string(c, host_name) && digest_string(c, o->container_id) &&
	       digest_string(c, o->path) && digest_string(c, o->executable) &&
	       (!o->pid || EVP_DigestUpdate(c, process, sizeof process)) &&
	       EVP_DigestFinal_ex(c, ret, NULL);
}

/* The same for the same owner on the same host, whenever weir runs. Stays "" where the system's
 * OpenSSL does not allow SHA-1. */
static void instance_id_write(char *text, const char *host_name, const struct resource_owner *owner)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	uint8_t u[EVP_MAX_MD_SIZE];

	if (c && instance_digest(c, host_name, owner, u)) {
		u[6] = (uint8_t)((u[6] & 0x0f) | 0x50); /* version 5, RFC 9562 */
		u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
		snprintf(text, RESOURCE_INSTANCE_TEXT,
		         "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		         u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11],
		         u[12], u[13], u[14], u[15]);
	}
	EVP_MD_CTX_free(c);
}

static const char *put_string(char **at, const char *s)
{
	size_t size = strlen(s) + 1;
	const char *copy = memcpy(*at, s, size);

	*at += size;
	return copy;
}

struct resource *resource_get(struct resources *home, const struct resource_owner *owner)
{
	uint64_t hash = owner_hash(owner);
	struct map_node *found = map_find(&home->map, hash, owner);
	struct resource *r;
	char *at;

	if (found)
		return resource_ref(CONTAINER_OF(found, struct resource, node));
	r = calloc(1, sizeof *r + strlen(owner->executable) + strlen(owner->path) +
	                      strlen(owner->container_id) + 3);
	if (!r || !map_insert(&home->map, hash, &r->node)) {
		free(r);
		return NULL;
	}
	at = (char *)(r + 1);
	r->owner = *owner;
	r->owner.executable = put_string(&at, owner->executable);
	r->owner.path = put_string(&at, owner->path);
	r->owner.container_id = put_string(&at, owner->container_id);
	if (owner->executable[0])
		instance_id_write(r->instance_id, home->host_name, &r->owner);
	r->home = home;
	r->refs = 1;
	list_init(&r->series);
	list_push(&home->all, &r->link);
	return r;
}

struct resource *resource_ref(struct resource *r)
{
	r->refs++;
	return r;
}

void resource_unref(struct resource *r)
{
	if (!r || --r->refs)
		return;
	map_remove(&r->home->map, &r->node);
	list_remove(&r->link);
	free(r);
}

struct proc_key resource_process_key(const struct process_owner *owner)
{
	struct proc_key key;

	_Static_assert(sizeof key.executable == sizeof owner->executable, "copied below");
	memset(&key, 0, sizeof key);
	key.pid = owner->pid;
	key.start_time_ns = owner->start_time_ns;
	key.cgroup_id = owner->cgroup_id;
	memcpy(key.executable, owner->executable,
	       strnlen(owner->executable, sizeof key.executable - 1));
	return key;
}

struct resource *resource_of_process(struct resources *r, struct proc_cache *processes,
                                     const struct proc_key *key, bool per_process, uint64_t now_ns)
{
	const struct proc_identity *identity = proc_cache_find(processes, key, now_ns);

	return resource_get(r, &(struct resource_owner){
				       .executable = identity->executable,
				       .path = identity->path,
				       .container_id = identity->container_id,
				       .pid = per_process ? key->pid : 0,
				       .start_time_ns = per_process ? key->start_time_ns : 0,
			       });
}
