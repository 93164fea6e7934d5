/* dns: every DNS exchange of the host and its containers, seen at its sockets.
 *
 *   a packet of a socket     dns_sent, dns_received   cgroup_skb at the root of the cgroup v2 tree
 *   sendto(), unconnected    dns_asked4, dns_asked6   notes the address that the program gave
 *   bind()                   dns_bound4, dns_bound6   notes who serves a watched port
 *   looking for unanswered   dns_overdue              iter/bpf_map_elem over the open questions
 *
 * Nearly all packets are of no interest: those of a connected socket leave after one look at its
 * ports, those of other UDP sockets after one look at the packet's. What is on a watched port (a
 * bitmap, set before loading) goes on: UDP is matched here, so that latency does not depend on when
 * user space looks; TCP is handed over piece by piece.
 *
 * A question is known by its socket, the peer, the id and a hash of name, type and class. Peers are
 * as the socket knows them, not as packets carry them: behind address translation (a service
 * address of Kubernetes, Docker's resolver) a question leaves to another address than the one from
 * which its answer seems to come.
 *
 * The owner of a socket stands in its storage. Packets come in by softirq, where the current process
 * is anyone: it is asked only where a process sends.
 *
 * The programs may interrupt and preempt each other, also on one CPU, so nothing is kept between
 * helpers in per-CPU memory.
 *
 * SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "bpf/vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#include "bpf/events/dns.h"
#include "bpf/progs/owner.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

enum { PASS = 1 };
enum { FAMILY_IPV4 = 2, FAMILY_IPV6 = 10, SOCKET_DATAGRAM = 2 };
enum { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 };
enum {
	IPV6_HOP_BY_HOP = 0,
	IPV6_ROUTING = 43,
	IPV6_FRAGMENT = 44,
	IPV6_AUTH = 51,
	IPV6_OPTIONS = 60
};
enum { IPV6_HEADER = 40, IPV6_EXTENSIONS_MAX = 8 };
enum { UDP_HEADER = 8, DNS_HEADER = 12, TCP_HEADER = 20 };
enum { TCP_SYN_SENT = 2, TCP_LISTEN = 10 };
enum { TCP_FIN_BIT = 1, TCP_SYN_BIT = 2, TCP_RST_BIT = 4 };
enum { PORT_MDNS = 5353 };
enum { NAME_MAX = 255, LABELS_MAX = 128 };
/* Of one packet to a TCP connection, which may be large before it is cut into segments. */
enum { PIECES_MAX = 32 };
/* A segment that is further away from what was read is no part of the stream. */
enum { SEQUENCE_FAR = 1 << 30 };

/* Of the questions that a socket has asked or was asked last, what it takes to find them when the
 * answer does not name them as it should. Two at once may spoil an entry: it is then not found. */
enum { ASKED_MAX = 8 };

struct asked {
	__u64 hash;
	__u8 peer[16];
	__u16 port, id;
	__u32 wire; /* hash of the peer as it stood in the packet */
};

struct notes {
	struct process_owner owner;
	__u32 netns;
	__u8 role; /* of TCP: enum socket_role */
	bool multicast;
	/* Of sendto(), until its packet leaves: where the program sends, and which thread. */
	__u16 to_port;
	__u8 to_address[16];
	__u64 to_task;
	__u32 next;
	__u32 reserved;
	struct asked asked[ASKED_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct notes);
} sockets SEC(".maps");

struct question_key {
	__u64 cookie;
	__u64 hash;
	__u8 peer[16]; /* 0: asked by multicast, anyone may answer */
	__u16 port, id;
	__u32 role;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536); /* the receiver sets its own before loading */
	__type(key, struct question_key);
	__type(value, struct dns_pending);
} questions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20); /* the same */
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DNS_LOSS_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} losses SEC(".maps");

/* One bit for each port. */
const volatile __u64 watched[65536 / 64] = {0};
/* Above so many bytes in the ring the reader is woken; below, its own timer is enough. */
const volatile __u64 ring_watermark = 1 << 18;
/* A question is put into the map empty and filled there: it is too large for the stack. */
const volatile struct dns_pending blank = {0};

/* Set before dns_overdue runs. */
__u64 overdue_before_ns = 0;

static __always_inline void lose(__u32 why)
{
	__u64 *counter = bpf_map_lookup_elem(&losses, &why);

	if (counter)
		__sync_fetch_and_add(counter, 1);
}

static __always_inline bool is_watched(__u32 port)
{
	barrier_var(
		port); /* the compiler knows that it has 16 bits; the verifier wants to see it */
	port &= 0xffff;
	return watched[port >> 6] >> (port & 63) & 1;
}

/* A pointer as a number, for reading through it with the helper: the verifier allows no arithmetic
 * on the pointers that it knows to be sockets. */
static __always_inline void *address_of(void *pointer)
{
	void *slot = pointer, *number = NULL;

	bpf_probe_read_kernel(&number, sizeof number, &slot);
	return number;
}

/* Addresses of 16 bytes stand aligned wherever they stand. */
static __always_inline void address_copy(void *to, const void *from)
{
	((__u64 *)to)[0] = ((const __u64 *)from)[0];
	((__u64 *)to)[1] = ((const __u64 *)from)[1];
}

static __always_inline void address_clear(void *to)
{
	((__u64 *)to)[0] = ((__u64 *)to)[1] = 0;
}

/* Functions that are not static are checked by the verifier once and by themselves: whatever they did,
 * what follows them is not checked again for each outcome. Their pointers may be NULL to it. */

/* ---- packets ---- */

struct place {
	__u32 at; /* of the transport header; 0: there is none that can be read */
	__u32 protocol;
};

/* data begins with the IP header. Fragments have been put together before they come here, and are
 * made after they have left. */
static __always_inline struct place transport_find(struct __sk_buff *skb)
{
	struct place none = {0, 0}, p = {0, 0};
	__u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u32 next, at = IPV6_HEADER;

	if (data + 20 > end)
		return none;
	if (data[0] >> 4 == 4) {
		if (data[6] & 0x1f || data[7])
			return none; /* a fragment that a program made itself, and not the first */
		p.at = (data[0] & 15) * 4;
		p.protocol = data[9];
		return p;
	}
	if (data[0] >> 4 != 6 || data + IPV6_HEADER > end)
		return none;
	next = data[6];
	for (int i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		__u8 *header = data + at;

		if (next != IPV6_HOP_BY_HOP && next != IPV6_ROUTING && next != IPV6_FRAGMENT &&
		    next != IPV6_AUTH && next != IPV6_OPTIONS)
			break;
		if (header + 4 > end)
			return none;
		if (next == IPV6_FRAGMENT) {
			if (header[2] || header[3] & 0xf8)
				return none;
			at += 8;
		} else {
			at += next == IPV6_AUTH ? (header[1] + 2) * 4 : (header[1] + 1) * 8;
		}
		next = header[0];
	}
	p.at = at;
	p.protocol = next;
	return p;
}

/* Of UDP, 0 of anything else. */
static __always_inline __u32 packet_port(struct __sk_buff *skb, const struct place *p, bool sent)
{
	__u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__be16 *ports = (void *)(data + p->at);

	if (p->protocol != PROTOCOL_UDP || !p->at || (void *)(ports + 2) > (void *)end)
		return 0;
	return bpf_ntohs(ports[sent ? 1 : 0]);
}

static __always_inline bool is_ipv4(struct __sk_buff *skb)
{
	return skb->protocol == bpf_htons(0x0800);
}

/* Copies 1 to room bytes. Returns 0 or a negative number. */
static __always_inline long packet_copy(struct __sk_buff *skb, __u32 at, void *to, __u32 length,
                                        __u32 room)
{
	__u32 last = length - 1;

	/* Written so that the compiler cannot compare one register and pass another, and that
	 * verifiers before 6.8 see that length is not 0. */
	barrier_var(last);
	if (last >= room)
		return -1;
	return bpf_skb_load_bytes(skb, at, to, last + 1);
}

/* The address at one end of the packet, 16 bytes, IPv4 in the first 4. */
static __always_inline void packet_address(struct __sk_buff *skb, bool source, __u8 *ret)
{
	address_clear(ret);
	if (is_ipv4(skb))
		bpf_skb_load_bytes(skb, source ? 12 : 16, ret, 4);
	else
		bpf_skb_load_bytes(skb, source ? 8 : 24, ret, 16);
}

static __always_inline void local_address(struct __sk_buff *skb, struct bpf_sock *sk, bool sent,
                                          __u8 *ret)
{
	__u32 *words = (void *)ret;

	if (is_ipv4(skb)) {
		words[0] = sk->src_ip4;
		words[1] = words[2] = words[3] = 0;
	} else {
		words[0] = sk->src_ip6[0];
		words[1] = sk->src_ip6[1];
		words[2] = sk->src_ip6[2];
		words[3] = sk->src_ip6[3];
	}
	if (!(words[0] | words[1] | words[2] | words[3]))
		packet_address(skb, sent, ret); /* bound to any */
}

/* Of a connected socket. */
static __always_inline void remote_address(struct __sk_buff *skb, struct bpf_sock *sk, __u8 *ret)
{
	__u32 *words = (void *)ret;

	if (is_ipv4(skb)) {
		words[0] = sk->dst_ip4;
		words[1] = words[2] = words[3] = 0;
	} else {
		words[0] = sk->dst_ip6[0];
		words[1] = sk->dst_ip6[1];
		words[2] = sk->dst_ip6[2];
		words[3] = sk->dst_ip6[3];
	}
}

/* ---- owners ---- */

static __always_inline void owner_refresh(struct notes *n)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (n->owner.pid != (__u32)BPF_CORE_READ(task, tgid))
		owner_read(&n->owner, task);
}

static __always_inline struct notes *notes_of(struct bpf_sock *sk)
{
	struct notes *n = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

	if (n && !n->netns) {
		struct sock *s = address_of(sk);

		n->netns = BPF_CORE_READ(s, __sk_common.skc_net.net, ns.inum);
	}
	return n;
}

/* ---- the ring ---- */

static __always_inline void ring_submit(void *record)
{
	bool full = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >= ring_watermark;

	bpf_ringbuf_submit(record, full ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

/* Reserves room for a head and length bytes of the packet, and copies these. The kernel wants sizes
 * that are known when it loads the program: there are a few. NULL: the ring is full. */
static __always_inline void *ring_copy(struct __sk_buff *skb, __u32 head, __u32 at, __u32 length)
{
	void *r;

#define COPY(room)                                                                                 \
	do {                                                                                       \
		r = bpf_ringbuf_reserve(&ring, head + (room), 0);                                  \
		if (r)                                                                             \
			packet_copy(skb, at, r + head, length, room);                              \
	} while (0)
	if (length <= 128)
		COPY(128);
	else if (length <= 512)
		COPY(512);
	else if (length <= 1536)
		COPY(1536);
	else
		COPY(DNS_MESSAGE_COPIED);
#undef COPY
	return r;
}

/* ---- questions and answers over UDP ---- */

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
	packet_address(skb, !m->sent, m->key.peer);
	m->key.port = wire_port;
	m->wire = peer_hash(m->key.peer, wire_port);
	if (m->sent && n->to_task && n->to_task == bpf_get_current_task()) {
		address_copy(m->key.peer, n->to_address);
		m->key.port = n->to_port;
		n->to_task = 0;
	} else if (sk->dst_port) {
		remote_address(skb, sk, m->key.peer);
		m->key.port = bpf_ntohs(sk->dst_port);
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
	is_new = bpf_map_update_elem(&questions, &m->key, (void *)&blank, BPF_NOEXIST) == 0;
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

/* The receiver takes questions away too: only one of both reports each. Before 6.4 the upper half of
 * what the kernel returns here is not filled. */
static __always_inline bool question_take(struct question_key *key)
{
	return (int)bpf_map_delete_elem(&questions, key) == 0;
}

static __always_inline void answer_report(struct __sk_buff *skb, struct notes *n, struct message *m,
                                          struct dns_pending *p, int flags, const __u8 *from,
                                          __u16 from_port)
{
	__u32 copied = m->length < DNS_MESSAGE_COPIED ? m->length : DNS_MESSAGE_COPIED;
	struct dns_answer *a = ring_copy(skb, sizeof *a, m->at, copied);
	bool stays = flags & DNS_ANSWER_OTHER_ADDRESS;

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
	a->reserved = 0;
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
	if (!stays && !question_take(&m->key)) {
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
	if (!p) {
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

/* ---- payload over TCP ---- */

struct tcp_header {
	__be16 source, destination;
	__be32 sequence, acknowledged;
	__u8 offset, flags;
	__be16 window;
};

struct piece {
	__u64 at;
	struct dns_segment head;
};

__noinline int piece_send(struct __sk_buff *skb, struct piece *p)
{
	struct dns_segment *s;
	__u32 copied;

	if (!p)
		return 0;
	copied = p->head.length < DNS_MESSAGE_COPIED ? p->head.length : DNS_MESSAGE_COPIED;
	s = ring_copy(skb, sizeof *s, p->at, copied);
	if (!s) {
		lose(DNS_LOSS_SEGMENT_FULL);
		return 0;
	}
	p->head.copied = copied;
	__builtin_memcpy(s, &p->head, sizeof *s);
	ring_submit(s);
	return 0;
}

/* Whether a process holds the socket: it is then the one that sends. */
static __always_inline bool is_sent_by_process(struct bpf_sock *sk)
{
	struct sock *s = address_of(sk);

	return BPF_CORE_READ(s, sk_lock.owned) != 0;
}

static __always_inline __u8 tcp_role(struct bpf_sock *sk, const struct notes *n)
{
	bool local = is_watched(sk->src_port), remote = is_watched(bpf_ntohs(sk->dst_port));

	if (local && remote)
		return n->role;
	return local ? ROLE_SERVER : ROLE_CLIENT;
}

/* How far a direction has come. The verifier allows no address that is chosen and then read from,
 * so both directions are read and one is taken. */
struct progress {
	__u32 next;    /* sequence that has not been sent, or come, yet */
	bool is_first; /* nothing of the payload has been acknowledged, or come */
};

static __always_inline struct progress progress_of(struct bpf_tcp_sock *tp, bool sent,
                                                   __u32 sequence, __u8 role)
{
	__u32 to_send = tp->snd_nxt, to_come = tp->rcv_nxt, unacknowledged = tp->snd_una;
	__u64 acknowledged = tp->bytes_acked, came = tp->bytes_received;
	struct progress p;

	barrier_var(to_send);
	barrier_var(to_come);
	barrier_var(unacknowledged);
	barrier_var(acknowledged);
	barrier_var(came);
	p.next = sent ? to_send : to_come;
	/* The connecting end counts its SYN as acknowledged. */
	p.is_first = sent ? sequence == unacknowledged && acknowledged <= (role == ROLE_CLIENT)
	                  : sequence == to_come && !came;
	return p;
}

__noinline int tcp(struct __sk_buff *skb, bool sent, __u32 at)
{
	struct bpf_sock *sk = skb->sk;
	struct bpf_tcp_sock *tp;
	struct piece p = {0};
	struct dns_segment *s = &p.head;
	struct tcp_header h = {0};
	struct notes *n;
	struct progress progress;
	__u32 length, sequence, state;
	__s32 ahead;
	__u8 ends = 0;

	if (!sk)
		return 0;
	state = sk->state;
	tp = bpf_tcp_sock(sk);
	sk = bpf_sk_fullsock(sk);
	if (!tp || !sk)
		return 0;
	if (bpf_skb_load_bytes(skb, at, &h, sizeof h - 2) < 0)
		goto unreadable;
	p.at = at + (h.offset >> 4) * 4;
	if (p.at > skb->len)
		goto unreadable;
	length = skb->len - p.at;
	if (!length && !(h.flags & (TCP_FIN_BIT | TCP_RST_BIT | TCP_SYN_BIT)))
		return 0;
	if (state == TCP_LISTEN) {
		/* What comes with the handshake is not the connection's own yet. */
		if (length)
			goto unreadable;
		return 0;
	}
	n = notes_of(sk);
	if (!n) {
		lose(DNS_LOSS_SEGMENT_FULL);
		return 0;
	}
	if (sent && is_sent_by_process(sk))
		owner_refresh(n);
	if (sent && h.flags & TCP_SYN_BIT && state == TCP_SYN_SENT)
		n->role = ROLE_CLIENT;

	if (h.flags & TCP_FIN_BIT)
		ends |= DNS_SEGMENT_FIN;
	if (h.flags & TCP_RST_BIT) {
		ends |= DNS_SEGMENT_RESET;
		length = 0;
	}
	if (!length && (!ends || !(tp->data_segs_in | tp->data_segs_out)))
		return 0;
	sequence = bpf_ntohl(h.sequence) + (h.flags & TCP_SYN_BIT ? 1 : 0);
	s->flow.role = tcp_role(sk, n);
	progress = progress_of(tp, sent, sequence, s->flow.role);
	ahead = sequence + length - progress.next;
	if (length && ahead <= 0 && !(h.flags & TCP_SYN_BIT))
		length = 0; /* sent again, or come again */
	if (!length && !ends)
		return 0;
	if (!sent && (ahead > SEQUENCE_FAR || ahead < -SEQUENCE_FAR))
		goto unreadable;

	s->kind = DNS_EVENT_SEGMENT;
	s->flags = sent ? DNS_SEGMENT_SENT : 0;
	if (length && progress.is_first)
		s->flags |= DNS_SEGMENT_FIRST;
	s->sequence = sequence;
	__builtin_memcpy(&s->owner, &n->owner, sizeof s->owner);
	s->flow.cookie = bpf_get_socket_cookie(skb);
	s->flow.netns = n->netns;
	s->flow.family = is_ipv4(skb) ? FAMILY_IPV4 : FAMILY_IPV6;
	s->flow.local_port = sk->src_port;
	s->flow.remote_port = bpf_ntohs(sk->dst_port);
	local_address(skb, sk, sent, s->flow.local_address);
	remote_address(skb, sk, s->flow.remote_address);
	s->at_ns = bpf_ktime_get_ns();
	if (sent && length && !s->owner.pid)
		lose(DNS_LOSS_NO_OWNER);
	for (int i = 1; i < PIECES_MAX && length > DNS_MESSAGE_COPIED; i++) {
		s->length = DNS_MESSAGE_COPIED;
		piece_send(skb, &p);
		s->flags &= ~DNS_SEGMENT_FIRST;
		s->sequence += DNS_MESSAGE_COPIED;
		p.at += DNS_MESSAGE_COPIED;
		length -= DNS_MESSAGE_COPIED;
	}
	s->flags |= ends;
	s->length = length;
	piece_send(skb, &p);
	return 0;

unreadable:
	lose(DNS_LOSS_UNREADABLE);
	return 0;
}

/* ---- hooks ---- */

static __always_inline int packet(struct __sk_buff *skb, bool sent)
{
	struct bpf_sock *sk = skb->sk;
	struct place p = {0, 0};
	__u32 local, remote;

	if (!sk)
		return PASS;
	local = sk->src_port;
	remote = bpf_ntohs(sk->dst_port);
	if (remote) {
		if (!is_watched(local) && !is_watched(remote))
			return PASS;
		p = transport_find(skb);
	} else {
		p = transport_find(skb);
		if (p.protocol != PROTOCOL_UDP)
			return PASS;
		remote = packet_port(skb, &p, sent);
		if (!is_watched(local) && !is_watched(remote)) {
			struct notes *n;

			/* Sent to a watched port, and led elsewhere? */
			if (!sent)
				return PASS;
			n = bpf_sk_storage_get(&sockets, sk, NULL, 0);
			if (!n || !n->to_task || n->to_task != bpf_get_current_task())
				return PASS;
		}
	}
	if (p.at && p.protocol == PROTOCOL_UDP)
		udp(skb, sent, p.at);
	else if (p.at && p.protocol == PROTOCOL_TCP)
		tcp(skb, sent, p.at);
	return PASS;
}

SEC("cgroup_skb/egress")
int dns_sent(struct __sk_buff *skb)
{
	return packet(skb, true);
}

SEC("cgroup_skb/ingress")
int dns_received(struct __sk_buff *skb)
{
	return packet(skb, false);
}

/* The address of sendto() before it is translated. The packet follows in the same call. */
static __always_inline int asked(struct bpf_sock_addr *ctx, bool ipv4)
{
	__u32 port = bpf_ntohs(ctx->user_port);
	struct bpf_sock *sk = ctx->sk;
	struct notes *n;
	__u32 *to;

	if (!sk || (!is_watched(port) && !is_watched(sk->src_port)))
		return PASS;
	n = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!n)
		return PASS;
	to = (void *)n->to_address;
	if (ipv4) {
		to[0] = ctx->user_ip4;
		to[1] = to[2] = to[3] = 0;
	} else {
		to[0] = ctx->user_ip6[0];
		to[1] = ctx->user_ip6[1];
		to[2] = ctx->user_ip6[2];
		to[3] = ctx->user_ip6[3];
	}
	n->to_port = port;
	n->to_task = bpf_get_current_task();
	return PASS;
}

SEC("cgroup/sendmsg4")
int dns_asked4(struct bpf_sock_addr *ctx)
{
	return asked(ctx, true);
}

SEC("cgroup/sendmsg6")
int dns_asked6(struct bpf_sock_addr *ctx)
{
	return asked(ctx, false);
}

/* Accepted sockets inherit this. Without it, the owner of a server that has not answered yet would
 * not be known. */
static __always_inline int bound(struct bpf_sock *sk)
{
	struct notes *n;

	if (!is_watched(sk->src_port))
		return PASS;
	n = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (n) {
		n->role = ROLE_SERVER;
		owner_refresh(n);
	}
	return PASS;
}

SEC("cgroup/post_bind4")
int dns_bound4(struct bpf_sock *sk)
{
	return bound(sk);
}

SEC("cgroup/post_bind6")
int dns_bound6(struct bpf_sock *sk)
{
	return bound(sk);
}

struct overdue {
	struct question_key key;
	struct dns_pending question;
};

SEC("iter/bpf_map_elem")
int dns_overdue(struct bpf_iter__bpf_map_elem *ctx)
{
	struct question_key *key = ctx->key;
	struct dns_pending *p = ctx->value;
	struct seq_file *seq = ctx->meta->seq;

	if (!key || !p || !p->first_ns || p->first_ns >= overdue_before_ns)
		return 0;
	bpf_seq_write(seq, key, sizeof *key);
	bpf_seq_write(seq, p, sizeof *p);
	return 0;
}
