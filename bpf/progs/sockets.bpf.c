/* sockets: every TCP connection of the host, at no cost per packet.
 *
 * The kernel already counts what a connection moves (struct tcp_sock). These programs only
 * remember, in a storage that lives and dies with the socket, who owns it and what was reported
 * last:
 *
 *   connect(), listen()      sockets_began     makes the storage and records the owner
 *   accept                   (no program)      BPF_F_CLONE copies the listener's storage to the child
 *   established              sockets_changed   notes the time
 *   every interval           sockets_walk      one record for each socket with news
 *   closed, or failed        sockets_changed   the last record, to the ring
 *   reset sent or received   sockets_reset_*   counts; runs for resets only
 *   at the start             sockets_holders   iter/task_file: who holds the sockets that exist
 *                            sockets_seed      iter/tcp: gives those sockets their storage
 *
 * The walk goes through the storages, of all network namespaces at once. iter/tcp would go through
 * every bucket of the kernel's hash table (17 ms for 262,144 empty ones) once for each namespace.
 * The kernel hands over some 150 records at a time and finds its place again by counting, so that
 * storages which come and go meanwhile make it repeat some sockets and leave out others. Each
 * storage therefore notes the walk that has visited it, and the receiver goes through them again
 * until nothing was split.
 *
 * Nothing is attached to tcp_retransmit_skb: tcp_sock.total_retrans counts the same segments, those
 * of a SYN and (copied to the child at accept) of a SYN-ACK included, without a program per packet.
 *
 * Walk and close may meet: the walk holds no lock of the socket. Each counter is therefore claimed
 * from the storage by compare-and-exchange; whoever claims a stretch reports it, and each byte is
 * in exactly one record. The walk reads the counters before the state that tells how to read them,
 * so what it takes for payload is at worst too little, which the next record makes good. (One hole
 * of a few nanoseconds is left: the peer's FIN is counted just before it is marked as seen.)
 *
 * sockets_began and sockets_changed are two programs on one tracepoint because the kernel leaves a
 * program out when it is already running on that CPU: a softirq that interrupts connect() in the
 * middle of the long path of the first must not lose a close in the second. What is left out all
 * the same is counted by the kernel (recursion_misses) and reported.
 *
 * Needs Linux 5.12: sk_storage in tracepoints is of 5.11, atomics and the cookie of 5.12.
 *
 * SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "bpf/vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#include "bpf/events/sockets.h"
#define OWNER_DIRECT
#include "bpf/progs/owner.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

enum { FAMILY_IPV4 = 2, FAMILY_IPV6 = 10, PROTOCOL_TCP = 6 };
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT,
	TCP_SYN_RECV,
	TCP_FIN_WAIT1,
	TCP_FIN_WAIT2,
	TCP_TIME_WAIT,
	TCP_CLOSE,
	TCP_CLOSE_WAIT,
	TCP_LAST_ACK,
	TCP_LISTEN,
	TCP_CLOSING,
};
/* Bit of skc_flags that tcp_fin() sets, and nobody else: the peer's FIN has been counted. */
enum { SOCK_DONE = 1 };

/* Zero is a storage that was just made. An accepted socket starts with its listener's. */
enum phase {
	PHASE_NEW,
	PHASE_LISTENING,
	PHASE_CONNECTING,
	PHASE_OPEN,
	PHASE_CLOSED,
	PHASE_LOST, /* closed, but the record found no room */
};

struct followed {
	struct process_owner owner;
	__u64 started_ns, established_ns;
	__u64 sent_bytes, received_bytes;   /* payload that is in records already */
	__u64 retransmitted_segments;       /* the same */
	__u32 resets_sent, resets_received; /* that are in no record yet */
	__u32 reported;                     /* 1: there has been a record */
	__u32 visited;                      /* number of the last walk with a record */
	__u8 phase, role;
	bool preexisting;
	bool reset_early; /* the record at close counted a reset that was still to be sent */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct followed);
} followed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20); /* the receiver sets its own size before loading */
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SOCKETS_LOSS_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} losses SEC(".maps");

/* Only while existing sockets are looked for: struct sock pointer -> who holds it. iter/task_file
 * sees the process but may not make a storage; iter/tcp may. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, struct process_owner);
} holders SEC(".maps");

struct endpoint {
	__u32 netns;
	__u32 port;
};

/* The ports that are listened on, and by whom: an existing socket on one of them was accepted, any
 * other was connected. The iterator visits listeners first. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct endpoint);
	__type(value, struct process_owner);
} listening SEC(".maps");

/* Above so many bytes in the ring the reader is woken; below, its own timer is enough. */
const volatile __u64 ring_watermark = 1 << 18;

/* Set before each walk: also the sockets without news. */
bool walk_everything = false;
/* Of the walk that goes on; no two have the same. */
__u32 walk_number = 0;

static __always_inline void lose(__u32 why, __u64 n)
{
	__u64 *counter = bpf_map_lookup_elem(&losses, &why);

	if (counter)
		__sync_fetch_and_add(counter, n);
}

static __always_inline __u32 netns_of(const struct tcp_sock *tp)
{
	struct net *net = tp->inet_conn.icsk_inet.sk.__sk_common.skc_net.net;

	return net ? net->ns.inum : 0;
}

struct totals {
	__u64 sent, received, retransmitted;
	__u8 state;
};

/* Whether somebody may be changing the socket now: a process, or a softirq. */
static __always_inline bool is_locked(struct sock *sk)
{
	if (sk->sk_lock.owned)
		return true;
	/* Real-time kernels have another kind of lock. */
	if (!bpf_core_field_exists(sk->sk_lock.slock.rlock.raw_lock.val.counter))
		return true;
	return sk->sk_lock.slock.rlock.raw_lock.val.counter != 0;
}

/* Payload only. bytes_acked also counts our SYN, on the connecting side, and our FIN once it is
 * acknowledged; bytes_received also counts the peer's FIN. What was sent and never acknowledged is
 * not counted: the peer may not have it.
 *
 * The kernel counts a FIN a moment before it changes what tells so. Who does not hold the lock of
 * the socket (racing) therefore reads the counters first; if the socket is locked after that, the
 * newest byte may be such a FIN and is left for the next record. */
static __always_inline void totals_read(struct totals *t, struct tcp_sock *tp, __u8 role,
                                        bool racing)
{
	struct sock *sk = &tp->inet_conn.icsk_inet.sk;
	__u64 held_back = 0;

	t->sent = tp->bytes_acked;
	t->received = tp->bytes_received;
	t->retransmitted = tp->total_retrans;
	barrier(); /* for the compiler; x86 keeps the order of loads */
	if (racing && is_locked(sk))
		held_back = 1;
	barrier();
	t->state = sk->__sk_common.skc_state;
	if (role == ROLE_CLIENT && t->sent)
		t->sent--;
	if (t->state == TCP_FIN_WAIT1 || t->state == TCP_FIN_WAIT2 || t->state == TCP_CLOSING ||
	    t->state == TCP_LAST_ACK) {
		if (t->sent)
			t->sent -= tp->snd_una == tp->write_seq ? 1 : held_back;
	}
	if (t->received)
		t->received -= sk->__sk_common.skc_flags & (1 << SOCK_DONE) ? 1 : held_back;
}

/* Takes what lies between the last claim and now. A second round is needed only if walk and close
 * claim at the same moment, and each does so once. */
static __always_inline __u64 claim(__u64 *reported, __u64 now)
{
	__u64 before;

#pragma unroll
	for (int round = 0; round < 3; round++) {
		before = *(volatile __u64 *)reported;
		if (now <= before)
			return 0;
		if (__sync_val_compare_and_swap(reported, before, now) == before)
			return now - before;
	}
	return 0;
}

static __always_inline __u8 cap8(__u32 n)
{
	return n > 255 ? 255 : n;
}

static __always_inline void addresses_fill(struct sockets_record *r, struct tcp_sock *tp)
{
	struct sock_common *c = &tp->inet_conn.icsk_inet.sk.__sk_common;
	__u32 *local = (__u32 *)r->local_address, *remote = (__u32 *)r->remote_address;
	__u16 family = c->skc_family;

	/* skc_num is 0 by the time of TCP_CLOSE: the port has been given back. */
	r->local_port = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
	r->remote_port = bpf_ntohs(c->skc_dport);
	if (family == FAMILY_IPV6 &&
	    (c->skc_v6_daddr.in6_u.u6_addr32[0] || c->skc_v6_daddr.in6_u.u6_addr32[1] ||
	     c->skc_v6_daddr.in6_u.u6_addr32[2] != bpf_htonl(0xffff))) {
		r->family = FAMILY_IPV6;
		local[0] = c->skc_v6_rcv_saddr.in6_u.u6_addr32[0];
		local[1] = c->skc_v6_rcv_saddr.in6_u.u6_addr32[1];
		local[2] = c->skc_v6_rcv_saddr.in6_u.u6_addr32[2];
		local[3] = c->skc_v6_rcv_saddr.in6_u.u6_addr32[3];
		remote[0] = c->skc_v6_daddr.in6_u.u6_addr32[0];
		remote[1] = c->skc_v6_daddr.in6_u.u6_addr32[1];
		remote[2] = c->skc_v6_daddr.in6_u.u6_addr32[2];
		remote[3] = c->skc_v6_daddr.in6_u.u6_addr32[3];
		return;
	}
	r->family = FAMILY_IPV4;
	local[0] = c->skc_rcv_saddr;
	local[1] = local[2] = local[3] = 0;
	remote[0] = c->skc_daddr;
	remote[1] = remote[2] = remote[3] = 0;
}

/* Who, where and when, and the totals. */
static __always_inline void record_describe(struct sockets_record *r, struct tcp_sock *tp,
                                            const struct followed *f, const struct totals *t)
{
	__u32 min_rtt = tp->rtt_min.s[0].v;

	__builtin_memcpy(&r->owner, &f->owner, sizeof r->owner);
	r->cookie = bpf_get_socket_cookie((void *)tp);
	r->at_ns = bpf_ktime_get_ns();
	r->started_ns = f->started_ns;
	r->established_ns = f->established_ns;
	r->total_sent_bytes = t->sent;
	r->total_received_bytes = t->received;
	r->total_retransmitted_segments = t->retransmitted;
	r->srtt_us = tp->srtt_us >> 3;
	r->min_rtt_us = min_rtt == ~0U ? 0 : min_rtt;
	r->netns = netns_of(tp);
	r->error = tp->inet_conn.icsk_inet.sk.sk_err;
	r->role = f->role;
	r->state = t->state;
	__builtin_memset(r->reserved, 0, sizeof r->reserved);
	addresses_fill(r, tp);
}

/* Claims all news of a socket for this record: it will be handed over. Both together write every
 * byte of a record; memory of the ring is not zeroed. */
static __always_inline void record_claim(struct sockets_record *r, struct followed *f,
                                         const struct totals *t, __u8 flags)
{
	__u32 sent = 0, received = 0;

	r->sent_bytes = claim(&f->sent_bytes, t->sent);
	r->received_bytes = claim(&f->received_bytes, t->received);
	r->retransmitted_segments = claim(&f->retransmitted_segments, t->retransmitted);
	if (f->resets_sent)
		sent = __sync_lock_test_and_set(&f->resets_sent, 0);
	if (f->resets_received)
		received = __sync_lock_test_and_set(&f->resets_received, 0);
	r->resets_sent = cap8(sent);
	r->resets_received = cap8(received);
	if (sent)
		flags |= SOCKETS_RESET_SENT;
	if (received)
		flags |= SOCKETS_RESET_RECEIVED;
	if (!f->reported && !__sync_lock_test_and_set(&f->reported, 1)) {
		if (!(flags & SOCKETS_FAILED))
			flags |= f->preexisting ? SOCKETS_PREEXISTING : SOCKETS_OPENED;
		if (!f->owner.pid)
			lose(SOCKETS_LOSS_NO_OWNER, 1);
	}
	r->flags = flags;
}

static __always_inline void ring_submit(struct sockets_record *r)
{
	bool full = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >= ring_watermark;

	bpf_ringbuf_submit(r, full ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

static __always_inline void ring_send_last(struct tcp_sock *tp, struct followed *f, __u8 flags)
{
	struct sockets_record *r;
	struct totals t;

	totals_read(&t, tp, f->role, false);
	r = bpf_ringbuf_reserve(&ring, sizeof *r, 0);
	if (!r) {
		f->phase = PHASE_LOST;
		lose(SOCKETS_LOSS_RING_FULL, 1);
		lose(SOCKETS_LOSS_RING_BYTES,
		     claim(&f->sent_bytes, t.sent) + claim(&f->received_bytes, t.received));
		return;
	}
	record_describe(r, tp, f, &t);
	record_claim(r, f, &t, flags);
	ring_submit(r);
}

/* A reset that is sent for a socket after its last record (not if that was lost: who reads this one
 * would take it for the first of an open connection). */
static __always_inline void ring_send_late_reset(struct tcp_sock *tp, struct followed *f)
{
	struct totals t = {f->sent_bytes, f->received_bytes, f->retransmitted_segments, TCP_CLOSE};
	struct sockets_record *r = bpf_ringbuf_reserve(&ring, sizeof *r, 0);

	if (!r) {
		lose(SOCKETS_LOSS_RING_RESETS, 1);
		return;
	}
	record_describe(r, tp, f, &t);
	record_claim(r, f, &t, 0);
	ring_submit(r);
}

/* Always in the context of the process that called connect() or listen(). */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(sockets_began, struct sock *sk, int old_state, int state)
{
	struct followed *f;

	if (state != TCP_SYN_SENT && state != TCP_LISTEN)
		return 0;
	if (!bpf_skc_to_tcp_sock(sk))
		return 0; /* DCCP, SCTP and the MPTCP socket above its subflows come here too */
	f = bpf_sk_storage_get(&followed, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!f) {
		lose(SOCKETS_LOSS_NO_STORAGE, 1);
		return 0;
	}
	__builtin_memset(f, 0, sizeof *f); /* a socket may be connected again after it failed */
	if (state == TCP_LISTEN) {
		f->phase = PHASE_LISTENING;
		f->role = ROLE_SERVER;
	} else {
		f->phase = PHASE_CONNECTING;
		f->role = ROLE_CLIENT;
		f->started_ns = bpf_ktime_get_ns();
	}
	owner_read(&f->owner, bpf_get_current_task_btf());
	return 0;
}

static __always_inline void on_established(struct sock *sk, int old_state)
{
	struct followed *f;
	__u64 now;

	if (!bpf_skc_to_tcp_sock(sk))
		return;
	/* Made here only if its beginning was missed: the listener existed before the programs. */
	f = bpf_sk_storage_get(&followed, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!f) {
		lose(SOCKETS_LOSS_NO_STORAGE, 1);
		return;
	}
	now = bpf_ktime_get_ns();
	if (f->phase == PHASE_NEW)
		f->role = old_state == TCP_SYN_SENT ? ROLE_CLIENT : ROLE_SERVER;
	if (f->role == ROLE_SERVER)
		f->started_ns = now;
	f->established_ns = now;
	f->phase = PHASE_OPEN;
}

static __always_inline void on_closed(struct sock *sk, int old_state)
{
	struct followed *f = bpf_sk_storage_get(&followed, sk, NULL, 0);
	struct tcp_sock *tp;

	if (!f || f->phase >= PHASE_CLOSED)
		return;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return;
	f->phase = PHASE_CLOSED;
	if (old_state == TCP_SYN_SENT || old_state == TCP_SYN_RECV) {
		/* What a server never finished accepting was no connection of it. */
		if (f->role == ROLE_CLIENT)
			ring_send_last(tp, f, SOCKETS_FAILED);
		return;
	}
	/* From these states, without an error, only an abort leads here (unread data, or SO_LINGER
	 * of 0), and it sends its reset right after this. */
	if ((old_state == TCP_ESTABLISHED || old_state == TCP_CLOSE_WAIT) && !sk->sk_err &&
	    !f->resets_sent) {
		__sync_fetch_and_add(&f->resets_sent, 1);
		f->reset_early = true;
	}
	ring_send_last(tp, f, SOCKETS_CLOSED);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(sockets_changed, struct sock *sk, int old_state, int state)
{
	if (state == TCP_ESTABLISHED)
		on_established(sk, old_state);
	else if (state == TCP_CLOSE && old_state != TCP_CLOSE && old_state != TCP_LISTEN)
		on_closed(sk, old_state);
	return 0;
}

/* sk is NULL for a reset that answers a segment of no connection. Kernels before 6.13 do not say so
 * in the type, so the verifier may drop the first check: the helper checks for itself, and nothing
 * is read through sk before it. */
SEC("tp_btf/tcp_send_reset")
int BPF_PROG(sockets_reset_sent, struct sock *sk)
{
	struct followed *f;
	struct tcp_sock *tp;

	if (!sk)
		return 0;
	f = bpf_sk_storage_get(&followed, sk, NULL, 0);
	if (!f || f->phase == PHASE_LISTENING)
		return 0;
	if (f->reset_early) {
		f->reset_early = false;
		return 0;
	}
	__sync_fetch_and_add(&f->resets_sent, 1);
	if (f->phase != PHASE_CLOSED)
		return 0;
	/* Data came for a socket that nobody reads any more. */
	tp = bpf_skc_to_tcp_sock(sk);
	if (tp)
		ring_send_late_reset(tp, f);
	return 0;
}

/* The kernel also comes here when it ends a connection itself because data arrived after both
 * directions were shut down: it treats that as a reset received, and so does this count. */
SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(sockets_reset_received, struct sock *sk)
{
	struct followed *f;

	if (!sk)
		return 0;
	f = bpf_sk_storage_get(&followed, sk, NULL, 0);
	if (f && f->phase != PHASE_LISTENING)
		__sync_fetch_and_add(&f->resets_received, 1);
	return 0;
}

SEC("iter/task_file")
int sockets_holders(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct process_owner owner = {};
	struct socket *socket;
	struct sock *sk;
	__u64 key;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || sk->sk_protocol != PROTOCOL_TCP)
		return 0;
	owner_read(&owner, task);
	key = (__u64)sk;
	/* Tasks come in the order of their pids: of several holders the eldest opened it. */
	bpf_map_update_elem(&holders, &key, &owner, BPF_NOEXIST);
	return 0;
}

/* A socket without a storage: it is older than the programs. */
static __always_inline struct followed *adopt(struct sock_common *skc, struct tcp_sock *tp,
                                              const struct endpoint *local, __u8 state)
{
	struct followed *f = bpf_sk_storage_get(&followed, skc, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	struct totals t;

	if (!f) {
		lose(SOCKETS_LOSS_NO_STORAGE, 1);
		return NULL;
	}
	if (state == TCP_LISTEN) {
		f->role = ROLE_SERVER;
		f->phase = PHASE_LISTENING;
		return f;
	}
	if (state == TCP_SYN_SENT) {
		f->role = ROLE_CLIENT;
		f->phase = PHASE_CONNECTING;
		return f;
	}
	f->preexisting = true;
	f->role = bpf_map_lookup_elem(&listening, local) ? ROLE_SERVER : ROLE_CLIENT;
	totals_read(&t, tp, f->role, false);
	f->sent_bytes = t.sent;
	f->received_bytes = t.received;
	f->retransmitted_segments = t.retransmitted;
	barrier();
	f->phase = PHASE_OPEN;
	return f;
}

static __always_inline bool is_connected(__u8 state)
{
	return state == TCP_ESTABLISHED || state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 ||
	       state == TCP_CLOSE_WAIT || state == TCP_CLOSING || state == TCP_LAST_ACK;
}

/* Since 5.15 with the socket's lock held, before with that of its hash bucket. */
SEC("iter/tcp")
int sockets_seed(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct endpoint local = {};
	struct process_owner *owner;
	struct followed *f;
	struct tcp_sock *tp;
	__u64 key;
	__u8 state;

	if (!skc)
		return 0;
	tp = bpf_skc_to_tcp_sock(skc); /* NULL for TIME_WAIT and half-open requests */
	if (!tp)
		return 0;
	state = tp->inet_conn.icsk_inet.sk.__sk_common.skc_state;
	if (!is_connected(state) && state != TCP_LISTEN && state != TCP_SYN_SENT)
		return 0;
	local.netns = netns_of(tp);
	local.port = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
	f = bpf_sk_storage_get(&followed, skc, NULL, 0);
	if (!f)
		f = adopt(skc, tp, &local, state);
	if (!f)
		return 0;
	if (!f->owner.pid && !f->reported) {
		/* Who holds it; if nobody does (it waits to be accepted, or its process closed it),
		 * who listens on its port. */
		key = (__u64)skc;
		owner = bpf_map_lookup_elem(&holders, &key);
		if (!owner && f->role == ROLE_SERVER)
			owner = bpf_map_lookup_elem(&listening, &local);
		if (owner)
			__builtin_memcpy(&f->owner, owner, sizeof *owner);
	}
	if (state == TCP_LISTEN)
		bpf_map_update_elem(&listening, &local, &f->owner, BPF_ANY);
	return 0;
}

static __always_inline bool is_news(const struct followed *f, const struct totals *t)
{
	return !f->reported || t->sent > f->sent_bytes || t->received > f->received_bytes ||
	       t->retransmitted > f->retransmitted_segments || f->resets_sent || f->resets_received;
}

SEC("iter/bpf_sk_storage_map")
int sockets_walk(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct followed *f = ctx->value;
	struct seq_file *seq = ctx->meta->seq;
	struct sock *sk = ctx->sk;
	struct sockets_record r = {};
	struct tcp_sock *tp;
	struct totals t;

	if (!sk || !f)
		return 0;
	if (f->visited == walk_number || f->phase == PHASE_NEW || f->phase >= PHASE_CLOSED)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	totals_read(&t, tp, f->role, true);
	if (!is_connected(t.state) || !(walk_everything || is_news(f, &t)))
		return 0;
	/* What is claimed must be written. Without room for it the write below fails, which makes
	 * the kernel hand over its buffer and visit this socket again. */
	record_describe(&r, tp, f, &t);
	/* Nothing holds the socket: its memory may be another socket's by now. It was closed before
	 * that, and this storage says so. */
	barrier();
	if (*(volatile __u8 *)&f->phase >= PHASE_CLOSED)
		return 0;
	if (seq->size - seq->count > sizeof r) {
		f->visited = walk_number;
		record_claim(&r, f, &t, 0);
	}
	bpf_seq_write(seq, &r, sizeof r);
	return 0;
}
