/* Payload over TCP is handed over piece by piece. Part of dns.bpf.c.
 * SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEIR_DNS_TCP_BPF_H
#define WEIR_DNS_TCP_BPF_H

enum { TCP_SYN_SENT = 2, TCP_LISTEN = 10 };
enum { TCP_FIN_BIT = 1, TCP_SYN_BIT = 2, TCP_RST_BIT = 4 };
/* Of one packet to a TCP connection, which may be large before it is cut into segments. */
enum { PIECES_MAX = 32 };
/* A segment that is further away from what was read is no part of the stream. */
enum { SEQUENCE_FAR = 1 << 30 };

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
		/* What comes with the handshake, or with its last packet, is of no connection yet. */
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
	/* Whoever can guess ports may send these: the kernel takes one at the very place. */
	if (!sent && h.flags & TCP_RST_BIT && sequence != tp->rcv_nxt)
		return 0;
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
	/* What is sent with the handshake comes before what can be acknowledged. */
	if (length && (progress.is_first || (sent && h.flags & TCP_SYN_BIT)))
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

#endif
