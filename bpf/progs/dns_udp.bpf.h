/* Questions and answers over UDP are matched. Part of dns.bpf.c.
 * SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEIR_DNS_UDP_BPF_H
#define WEIR_DNS_UDP_BPF_H

enum { UDP_HEADER = 8, DNS_HEADER = 12, SOCKET_DATAGRAM = 2 };
enum { PORT_MDNS = 5353 };
enum { NAME_MAX = 255, LABELS_MAX = 128 };

struct question_key {
	__u64 cookie;
	__u64 hash;
	__u8 peer[16]; /* 0: asked by multicast, anyone may answer */
	__u16 port, id;
	__u32 role;
};

/* Allocated when it is made: a question is put in on one CPU and often taken out on another, for which
 * the kernel's allocator interrupts itself every few dozen times (a fifth of all cycles of a resolver
 * and its client that were asked all they could). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384); /* the receiver sets its own before loading */
	__type(key, struct question_key);
	__type(value, struct dns_pending);
} questions SEC(".maps");

/* Who asks a server of this host may be anyone, and under any address: so many questions at most may
 * wait for its answers. The rest is for those that processes of this host ask. */
const volatile __u64 served_max = 65536;
__u64 served = 0; /* that wait now */

/* A question is put into the map empty and filled there: it is too large for the stack. */
const volatile struct dns_pending blank = {0};

struct message {
	struct question_key key;
	__u32 at, length;  /* of the message in the packet */
	__u32 name_length; /* of its question; 0: it could not be read */
	__u32 wire;        /* hash of the peer in the packet */
	bool sent;
	__u8 questions; /* that it says to have */
	__u8 reserved[6];
};

static __always_inline __u64 mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 29;
}

static __always_inline __u32 peer_hash(const __u8 *address, __u16 port)
{
	const __u64 *words = (const void *)address;

	return mix(mix(port, words[0]), words[1]) >> 16;
}

struct name {
	__u64 words[33];
};

/* Length of the name that begins here, with its last label, which is empty; 0: it does not end within
 * room bytes, or is compressed: nothing comes before the first name that it could point to. */
__noinline __u32 name_length(const struct name *n, __u32 room)
{
	const __u8 *bytes = (const void *)n;
	__u32 at = 0;

	if (!n)
		return 0;
	for (int i = 0; i < LABELS_MAX; i++) {
		__u32 index = at;
		__u8 label;

		if (at >= NAME_MAX || at >= room)
			return 0;
		barrier_var(index);
		label = bytes[index & NAME_MAX];
		at++;
		if (!label)
			return at;
		if (label > 63)
			return 0;
		at += label;
	}
	return 0;
}

/* In which case a name is written does not count. */
__noinline __u64 name_hash(const struct name *n, __u32 length)
{
	__u64 hash = 1;

	if (!n)
		return 0;
	for (__u32 i = 0; i < 32; i++) {
		__u64 word = n->words[i];

		if (length <= i * 8)
			break;
		if (length < i * 8 + 8)
			word &= (1ULL << (length & 7) * 8) - 1;
		hash = mix(hash, word | 0x2020202020202020ULL);
	}
	return hash;
}

/* Reads the first question, as far as there is one. */
static __noinline int question_read(struct __sk_buff *skb, struct message *m)
{
	struct name name = {0};
	__u32 room = m->length - DNS_HEADER, at = m->at + DNS_HEADER, type_class = 0, length;

	if (room > NAME_MAX + 1)
		room = NAME_MAX + 1;
	if (packet_copy(skb, at, &name, room, NAME_MAX + 1) < 0)
		return 0;
	length = name_length(&name, room);
	if (!length || length + 4 > m->length - DNS_HEADER ||
	    bpf_skb_load_bytes(skb, at + length, &type_class, sizeof type_class) < 0)
		return 0;
	m->key.hash = mix(name_hash(&name, length), type_class);
	m->name_length = length;
	return 0;
}

/* What the socket knows of the peer, which address translation does not change. */
static __always_inline void peer_find(struct __sk_buff *skb, struct bpf_sock *sk, struct notes *n,
                                      struct message *m, __u16 wire_port)
{
	bool is_told = m->sent && n->to_task && n->to_task == bpf_get_current_task();

	if (is_told)
		n->to_task = 0;
	packet_address(skb, !m->sent, m->key.peer);
	m->key.port = wire_port;
	m->wire = peer_hash(m->key.peer, wire_port);
	if (sk->dst_port) {
		remote_address(skb, sk, m->key.peer);
		m->key.port = bpf_ntohs(sk->dst_port);
		/* A sendto() that failed, before connect(), told of another packet. */
		if (m->wire == peer_hash(m->key.peer, m->key.port))
			is_told = false;
	}
	if (is_told) {
		address_copy(m->key.peer, n->to_address);
		m->key.port = n->to_port;
	}
}

static __always_inline bool is_multicast(struct __sk_buff *skb, const __u8 *address)
{
	return is_ipv4(skb) ? address[0] >= 224 : address[0] == 255;
}

static __always_inline void question_remember(struct notes *n, const struct message *m)
{
	struct asked *a = &n->asked[__sync_fetch_and_add(&n->next, 1) % ASKED_MAX];

	a->hash = m->key.hash;
	address_copy(a->peer, m->key.peer);
	a->port = m->key.port;
	a->id = m->key.id;
	a->wire = m->wire;
}

static __noinline int question_open(struct __sk_buff *skb, struct notes *n, struct message *m)
{
	struct bpf_sock *sk = skb->sk;
	__u64 now = bpf_ktime_get_ns();
	__u64 remote[2];
	struct dns_pending *p;
	__u32 length;
	bool is_new;

	if (!sk)
		return 0;
	address_copy(remote, m->key.peer);
	if (m->sent && is_multicast(skb, (void *)remote)) {
		address_clear(m->key.peer);
		n->multicast = true;
	}
	is_new = (m->key.role != ROLE_SERVER || served < served_max) &&
	         bpf_map_update_elem(&questions, &m->key, (void *)&blank, BPF_NOEXIST) == 0;
	if (is_new && m->key.role == ROLE_SERVER)
		__sync_fetch_and_add(&served, 1);
	p = bpf_map_lookup_elem(&questions, &m->key);
	if (!p) {
		lose(DNS_LOSS_PENDING_FULL);
		return 0;
	}
	if (!is_new) {
		if (p->transmissions < 0xffff)
			p->transmissions++;
		p->last_ns = now;
		return 0;
	}
	question_remember(n, m);
	__builtin_memcpy(&p->owner, &n->owner, sizeof p->owner);
	p->flow.cookie = m->key.cookie;
	p->flow.netns = n->netns;
	p->flow.family = is_ipv4(skb) ? FAMILY_IPV4 : FAMILY_IPV6;
	p->flow.local_port = sk->src_port;
	p->flow.remote_port = m->key.port;
	p->flow.role = m->key.role;
	local_address(skb, sk, m->sent, p->flow.local_address);
	address_copy(p->flow.remote_address, remote);
	p->transmissions = 1;
	p->id = m->key.id;
	length = m->name_length;
	if (length) {
		length += 4;
		if (packet_copy(skb, m->at + DNS_HEADER, p->question, length,
		                DNS_QUESTION_COPIED) == 0)
			p->question_length = length;
	}
	p->last_ns = now;
	barrier(); /* dns_overdue takes no question that has no time yet */
	p->first_ns = now;
	return 0;
}

/* The question that this answer answers although it is not the one that its key names: gives the
 * key of that one. Returns enum dns_answer_flags, or a negative number: none. */
__noinline int question_search(struct notes *n, struct message *m)
{
	int found = -1;

	if (!n || !m)
		return -1;
	for (int i = 0; i < ASKED_MAX; i++) {
		struct asked *a = &n->asked[i];
		const __u64 *its = (const void *)a->peer, *mine = (const void *)m->key.peer;
		bool same_peer = its[0] == mine[0] && its[1] == mine[1] && a->port == m->key.port;

		if (a->id != m->key.id || !a->hash)
			continue;
		if (m->name_length && a->hash == m->key.hash && !m->sent && !same_peer)
			found = a->wire == m->wire ? 0 : DNS_ANSWER_OTHER_ADDRESS;
		else if (!m->questions && (same_peer || a->wire == m->wire))
			found = DNS_ANSWER_WITHOUT_QUESTION;
		else
			continue;
		m->key.hash = a->hash;
		address_copy(m->key.peer, a->peer);
		m->key.port = a->port;
		break;
	}
	return found;
}

/* dns_overdue takes questions away too: only one of both reports each. Before 6.4 the upper half of
 * what the kernel returns here is not filled. */
static __always_inline bool question_take(struct question_key *key)
{
	if ((int)bpf_map_delete_elem(&questions, key) != 0)
		return false;
	if (key->role == ROLE_SERVER)
		__sync_fetch_and_add(&served, -1);
	return true;
}

/* Reserves room for an answer, and copies its header and the question that was asked. */
static __always_inline struct dns_answer *ring_copy_asked(struct __sk_buff *skb, __u32 at,
                                                          const struct dns_pending *p)
{
	struct dns_answer *a =
		bpf_ringbuf_reserve(&ring, sizeof *a + DNS_HEADER + DNS_QUESTION_COPIED, 0);

	if (a) {
		bpf_skb_load_bytes(skb, at, a->message, DNS_HEADER);
		bpf_probe_read_kernel(a->message + DNS_HEADER, DNS_QUESTION_COPIED, p->question);
	}
	return a;
}

static __always_inline void answer_report(struct __sk_buff *skb, struct notes *n, struct message *m,
                                          struct dns_pending *p, int flags, const __u8 *from,
                                          __u16 from_port)
{
	__u32 copied = m->length < DNS_MESSAGE_COPIED ? m->length : DNS_MESSAGE_COPIED;
	bool stays = flags & DNS_ANSWER_OTHER_ADDRESS;
	struct dns_answer *a;

	if (flags & DNS_ANSWER_WITHOUT_QUESTION) {
		copied = DNS_HEADER;
		a = ring_copy_asked(skb, m->at, p);
	} else {
		a = ring_copy(skb, sizeof *a, m->at, copied);
	}
	if (!a) {
		if (stays || question_take(&m->key))
			lose(DNS_LOSS_RING_FULL);
		return;
	}
	a->kind = DNS_EVENT_ANSWER;
	a->flags = flags;
	a->transmissions = p->transmissions;
	a->length = m->length;
	a->copied = copied;
	a->question_length = flags & DNS_ANSWER_WITHOUT_QUESTION ? p->question_length : 0;
	if (stays) {
		a->other_port = from_port;
		address_copy(a->other_address, from);
	} else {
		a->other_port = 0;
		address_clear(a->other_address);
	}
	/* Who answers is known better than who was asked: that may have been before it ever sent. */
	if (m->sent)
		__builtin_memcpy(&a->owner, &n->owner, sizeof a->owner);
	else
		__builtin_memcpy(&a->owner, &p->owner, sizeof a->owner);
	__builtin_memcpy(&a->flow, &p->flow, sizeof a->flow);
	a->first_ns = p->first_ns;
	a->last_ns = p->last_ns;
	a->answered_ns = bpf_ktime_get_ns();
	/* Answered elsewhere meanwhile, and maybe asked again: what was copied may be of both. */
	if (p->first_ns != a->first_ns || (!stays && !question_take(&m->key))) {
		bpf_ringbuf_discard(a, BPF_RB_NO_WAKEUP);
		lose(DNS_LOSS_NO_QUESTION);
		return;
	}
	if (!a->owner.pid)
		lose(DNS_LOSS_NO_OWNER);
	ring_submit(a);
}

static __noinline int answer_match(struct __sk_buff *skb, struct notes *n, struct message *m)
{
	struct dns_pending *p = bpf_map_lookup_elem(&questions, &m->key);
	__u64 from[2];
	__u16 from_port = m->key.port;
	int flags = 0;

	address_copy(from, m->key.peer);
	if (!p && n->multicast) {
		address_clear(m->key.peer);
		p = bpf_map_lookup_elem(&questions, &m->key);
		if (!p)
			address_copy(m->key.peer, from);
	}
	if (!p) {
		flags = question_search(n, m);
		if (flags >= 0)
			p = bpf_map_lookup_elem(&questions, &m->key);
	}
	if (!p || !p->first_ns) { /* or it is being asked at this moment: this answers one before */
		lose(DNS_LOSS_NO_QUESTION);
		return 0;
	}
	answer_report(skb, n, m, p, flags, (void *)from, from_port);
	return 0;
}

struct udp_dns {
	__be16 source, destination, length, checksum;
	__be16 id;
	__u8 flags, code;
	__be16 questions, answers, authorities, additionals;
};

/* Whether this may be a message: an opcode that exists, and room for what it says to hold. */
static __always_inline bool is_plausible(const struct udp_dns *h, __u32 length)
{
	__u32 opcode = h->flags >> 3 & 15, questions = bpf_ntohs(h->questions);
	__u32 records =
		bpf_ntohs(h->answers) + bpf_ntohs(h->authorities) + bpf_ntohs(h->additionals);

	if (opcode > 6)
		return false;
	if (h->flags & 2) /* cut short: the counts may tell of the whole */
		records = 0;
	return DNS_HEADER + questions * 5 + records * 11 <= length;
}

__noinline int udp(struct __sk_buff *skb, bool sent, __u32 at)
{
	struct bpf_sock *sk = skb->sk;
	struct message m = {.sent = sent};
	struct udp_dns h = {0};
	struct notes *n;
	__u32 local, wire_port;
	bool is_answer;

	if (!sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	if (!sk || sk->type != SOCKET_DATAGRAM || sk->protocol != PROTOCOL_UDP)
		return 0;
	local = sk->src_port;
	if (bpf_skb_load_bytes(skb, at, &h, sizeof h) < 0)
		goto unreadable;
	m.at = at + UDP_HEADER;
	m.length = bpf_ntohs(h.length) - UDP_HEADER;
	/* Several datagrams in one packet, to be cut later, are no DNS. */
	if (m.length < DNS_HEADER || m.length > 0xffff || m.at + m.length > skb->len ||
	    skb->gso_segs > 1 || !is_plausible(&h, m.length))
		goto unreadable;
	n = notes_of(sk);
	if (!n) {
		lose(DNS_LOSS_PENDING_FULL);
		return 0;
	}
	wire_port = bpf_ntohs(sent ? h.destination : h.source);
	if (sent)
		owner_refresh(n);
	peer_find(skb, sk, n, &m, wire_port);
	if (local == PORT_MDNS && m.key.port == PORT_MDNS)
		return 0; /* has no questions and answers that belong together */
	is_answer = h.flags & 0x80;
	m.key.role = is_answer == sent ? ROLE_SERVER : ROLE_CLIENT;
	if (!is_watched(m.key.role == ROLE_SERVER ? local : m.key.port))
		goto unreadable;
	m.key.cookie = bpf_get_socket_cookie(skb);
	m.key.id = bpf_ntohs(h.id);
	m.questions = h.questions ? 1 : 0;
	if (m.questions)
		question_read(skb, &m);
	if (is_answer)
		answer_match(skb, n, &m);
	else
		question_open(skb, n, &m);
	return 0;

unreadable:
	lose(DNS_LOSS_UNREADABLE);
	return 0;
}

#endif
