/* What both halves of the dns programs use: maps, packets, owners, the ring. Part of dns.bpf.c.
 * SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEIR_DNS_COMMON_BPF_H
#define WEIR_DNS_COMMON_BPF_H

enum { FAMILY_IPV4 = 2, FAMILY_IPV6 = 10 };
enum { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 };
enum {
	IPV6_HOP_BY_HOP = 0,
	IPV6_ROUTING = 43,
	IPV6_FRAGMENT = 44,
	IPV6_AUTH = 51,
	IPV6_OPTIONS = 60
};
enum { IPV6_HEADER = 40, IPV6_EXTENSIONS_MAX = 8 };

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
static __always_inline void lose(__u32 why)
{
	__u64 *counter = bpf_map_lookup_elem(&losses, &why);

	if (counter)
		__sync_fetch_and_add(counter, 1);
}

/* The compiler knows that a port has 16 bits; the verifier wants to see it. */
static __always_inline bool is_watched(__u32 port)
{
	barrier_var(port);
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

#endif
