/* Two walks: the first gathers the aliases of the message, from which the names are found that the
 * question's leads to; the second tells the addresses of these names. Names are compared by the place
 * that compression gives them, and only when that differs by what they are. */
#include "receivers/dns/dns_exchange.h"

#include "core/base/map.h"

enum {
	/* Aliases that are read of one message; resolvers give up earlier (unbound after 11). The work
	 * for one that a hostile server has filled with aliases is bounded by the square of this. */
	ALIASES = 32,
	/* Bytes of owners' names that are compared byte by byte. Those of a message of
	 * DNS_MESSAGE_COPIED bytes without compression are fewer; with it, four bytes of a hostile one
	 * can stand for a name of 255. */
	SPELLED = 8192,
};

struct name {
	size_t place;  /* its first label, past pointers; NOWHERE when it is put together */
	size_t len;    /* of wire; 0: not spelled yet */
	uint64_t hash; /* of wire */
	uint8_t wire[DNS_NAME_WIRE]; /* lower case */
};

#define NOWHERE SIZE_MAX

struct alias {
	size_t owner, target;
	uint64_t hash; /* of the owner; 0: not known yet */
	uint32_t ttl;
	bool is_subtree; /* DNAME: of all that is below the owner */
	bool taken;
};

/* The names on the way from the question's to that of the addresses, and the least time to live up to
 * each. */
struct way {
	struct slice message;
	size_t n_aliases, n_names;
	struct alias aliases[ALIASES];
	struct name names[ALIASES + 1];
	uint32_t ttls[ALIASES + 1];
	/* The last owner that was looked for: records of one set follow each other. */
	size_t last_place, last_found;
	size_t spelled; /* bytes of owners, so far */
};

static size_t name_place(struct slice message, size_t at)
{
	while (message.data[at] >= 192)
		at = (size_t)(message.data[at] & 0x3f) << 8 | message.data[at + 1];
	return at;
}

static void name_set(struct name *n, struct slice message, size_t at)
{
	n->place = name_place(message, at);
	n->len = 0;
}

static void name_spell(struct slice message, struct name *n)
{
	if (n->len)
		return;
	n->len = dns_name_wire(message, n->place, n->wire);
	dns_name_lower((char *)n->wire, n->len);
	n->hash = hash_bytes(n->wire, n->len);
}

static bool name_equal(const struct name *a, const struct name *b)
{
	return a->hash == b->hash && a->len == b->len && memcmp(a->wire, b->wire, a->len) == 0;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void aliases_gather(struct way *w, struct dns_reader r)
{
	struct dns_record record;
	size_t target;

	while (w->n_aliases < ALIASES && dns_next(&r, &record) > 0 &&
	       record.section <= DNS_ANSWER) {
		if ((record.type != DNS_CNAME && record.type != DNS_DNAME) ||
		    (record.class & DNS_CLASS_MASK) != DNS_CLASS_IN ||
		    dns_read_target(w->message, &record, &target, NULL) < 0)
			continue;
		w->aliases[w->n_aliases++] = (struct alias){
			.owner = record.name,
			.target = target,
			.ttl = record.ttl,
			.is_subtree = record.type == DNS_DNAME,
		};
	}
}

/* False: enough is enough. */
static bool owner_spell(struct way *w, struct name *owner)
{
	if (w->spelled >= SPELLED)
		return false;
	name_spell(w->message, owner);
	w->spelled += owner->len;
	return true;
}

static bool alias_is_of(struct way *w, struct alias *a, struct name *name)
{
	struct name owner;

	if (a->is_subtree)
		return false;
	name_set(&owner, w->message, a->owner);
	if (owner.place == name->place)
		return true;
	name_spell(w->message, name);
	if (a->hash && a->hash != name->hash)
		return false;
	if (!owner_spell(w, &owner))
		return false;
	a->hash = owner.hash;
	return name_equal(&owner, name);
}

/* What a DNAME makes of a name below its owner (RFC 6672, section 2.2): the owner at the name's end is
 * replaced. */
static bool subtree_name(struct way *w, const struct alias *a, struct name *name, struct name *ret)
{
	struct name owner, target;
	size_t kept, at = 0;

	name_set(&owner, w->message, a->owner);
	name_set(&target, w->message, a->target);
	name_spell(w->message, name);
	if (!owner_spell(w, &owner) || owner.len >= name->len)
		return false;
	kept = name->len - owner.len;
	while (at < kept)
		at += 1u + name->wire[at];
	if (at != kept || memcmp(name->wire + kept, owner.wire, owner.len) != 0)
		return false;
	name_spell(w->message, &target);
	if (kept + target.len > DNS_NAME_WIRE)
		return false;
	ret->place = NOWHERE;
	ret->len = kept + target.len;
	memcpy(ret->wire, name->wire, kept);
	memcpy(ret->wire + kept, target.wire, target.len);
	ret->hash = hash_bytes(ret->wire, ret->len);
	return true;
}

/* One more name, from the last. A CNAME that a server has made from a DNAME comes before it. */
static bool way_step(struct way *w)
{
	struct name *last = &w->names[w->n_names - 1], *next = last + 1;
	struct alias *a = w->aliases, *end = w->aliases + w->n_aliases;

	while (a < end && (a->taken || !alias_is_of(w, a, last)))
		a++;
	if (a < end) {
		name_set(next, w->message, a->target);
	} else {
		a = w->aliases;
		while (a < end && (a->taken || !a->is_subtree || !subtree_name(w, a, last, next)))
			a++;
		if (a == end)
			return false;
	}
	a->taken = true;
	w->ttls[w->n_names] = least(w->ttls[w->n_names - 1], a->ttl);
	w->n_names++;
	return true;
}

/* Which name of the way stands at a place of the message; n_names: none. */
static size_t way_find(struct way *w, size_t at)
{
	struct name name;
	size_t i;

	name_set(&name, w->message, at);
	if (name.place == w->last_place)
		return w->last_found;
	w->last_place = name.place;
	for (i = 0; i < w->n_names; i++)
		if (w->names[i].place == name.place)
			return w->last_found = i;
	if (!owner_spell(w, &name))
		return w->last_found = w->n_names;
	for (i = 0; i < w->n_names; i++) {
		name_spell(w->message, &w->names[i]);
		if (name_equal(&w->names[i], &name))
			break;
	}
	return w->last_found = i;
}

struct telling {
	void (*on_address)(void *arg, const struct address *address, uint32_t ttl_s);
	void *arg;
};

static void addresses_tell(const struct telling *t, struct slice all, size_t size, uint32_t ttl_s)
{
	struct address address;

	for (size_t at = 0; at + size <= all.len; at += size)
		if (address_from_bytes(slice_of(all.data + at, size), &address))
			t->on_address(t->arg, &address, ttl_s);
}

static void record_tell(struct way *w, const struct dns_record *record, const struct telling *t)
{
	struct dns_svcb svcb;
	struct slice address;
	uint32_t ttl;
	size_t i;

	if (record->section != DNS_ANSWER ||
	    (record->type != DNS_A && record->type != DNS_AAAA && record->type != DNS_SVCB &&
	     record->type != DNS_HTTPS))
		return;
	i = way_find(w, record->name);
	if (i == w->n_names)
		return;
	ttl = least(w->ttls[i], record->ttl);
	if (dns_read_address(record, &address, NULL) == 0) {
		addresses_tell(t, address, address.len, ttl);
	} else if (dns_read_svcb(w->message, record, &svcb, NULL) == 0 && svcb.priority > 0) {
		/* Of an alias, priority 0, parameters mean nothing (RFC 9460, section 2.4.2). */
		addresses_tell(t, svcb.ipv4hint, 4, ttl);
		addresses_tell(t, svcb.ipv6hint, 16, ttl);
	}
}

void dns_answer_addresses(struct slice answer,
                          void (*on_address)(void *arg, const struct address *address,
                                             uint32_t ttl_s),
                          void *arg)
{
	const struct telling telling = {on_address, arg};
	struct dns_record record;
	struct dns_reader r;
	struct way w;

	if (dns_open(&r, answer) < 0 || !r.header.response || r.header.opcode != 0 ||
	    dns_next(&r, &record) <= 0 || record.section != DNS_QUESTION ||
	    (record.class & DNS_CLASS_MASK) != DNS_CLASS_IN)
		return;
	w.message = answer;
	w.n_aliases = 0;
	w.n_names = 1;
	w.ttls[0] = UINT32_MAX;
	w.last_place = NOWHERE;
	w.spelled = 0;
	name_set(&w.names[0], answer, record.name);
	aliases_gather(&w, r);
	while (way_step(&w))
		;
	while (dns_next(&r, &record) > 0 && record.section <= DNS_ANSWER)
		record_tell(&w, &record, &telling);
}
