/* dns: every DNS exchange of the host and its containers, seen at its sockets.
 *
 *   a packet of a socket     dns_sent, dns_received   cgroup_skb at the root of the cgroup v2 tree
 *   sendto(), unconnected    dns_asked4, dns_asked6   notes the address that the program gave
 *   bind()                   dns_bound4, dns_bound6   notes who serves a watched port
 *   taking the unanswered    dns_overdue              iter/bpf_map_elem over the open questions
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
 * The parts: dns_common.bpf.h, dns_udp.bpf.h, dns_tcp.bpf.h; here are the hooks.
 *
 * Functions that are not static are checked by the verifier once and by themselves: whatever they
 * did, what follows them is not checked again for each outcome. Their pointers may be NULL to it.
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
#include "bpf/progs/dns_common.bpf.h"
#include "bpf/progs/dns_udp.bpf.h"
#include "bpf/progs/dns_tcp.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

enum { PASS = 1 };

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
		if (p.protocol == PROTOCOL_TCP && is_watched(local))
			goto transport; /* to one that listens */
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
transport:
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

	if (!sk)
		return PASS;
	if (!is_watched(port) && !is_watched(sk->src_port)) {
		/* What a sendto() before has told does not hold for this one: it may have failed. */
		n = bpf_sk_storage_get(&sockets, sk, NULL, 0);
		if (n)
			n->to_task = 0;
		return PASS;
	}
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

/* Set before dns_overdue runs: what is overdue, and how many questions may be looked at. */
__u64 overdue_before_ns = 0;
__u32 overdue_looks = 0;

enum { SHOW_AGAIN = 1 }; /* and forget what was written for this one */

/* Takes each question that is overdue, and writes it. */
SEC("iter/bpf_map_elem")
int dns_overdue(struct bpf_iter__bpf_map_elem *ctx)
{
	struct question_key *at = ctx->key, key;
	struct dns_pending *p = ctx->value, *now;
	__u64 first_ns;

	if (!at || !p)
		return 0;
	if (!overdue_looks)
		return SHOW_AGAIN; /* ends the read: at the next */
	overdue_looks--;
	first_ns = p->first_ns;
	if (!first_ns || first_ns >= overdue_before_ns)
		return 0;
	key = *at;
	if (bpf_seq_write(ctx->meta->seq, p, sizeof *p) < 0)
		return 0; /* the piece is full: the kernel shows it again */
	/* It may have been answered meanwhile, and asked again under the same key. */
	now = bpf_map_lookup_elem(&questions, &key);
	if (!now || now->first_ns != first_ns || !question_take(&key))
		return SHOW_AGAIN;
	return 0;
}
