/* c-ares says which sockets it waits for (on_socket_state) and until when (ares_timeout); it is called
 * when one of them is ready and when the time is over. It calls back from within these calls, and from
 * within ares_query() and ares_destroy(). Each server is asked once;
 * ares_query() knows no search domains. */
#include "processors/reverse_dns/reverse_dns_resolver.h"

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/l7/dns.h"
#include "core/loop/loop.h"
#include "core/loop/poll.h"
#include "core/loop/timer.h"
#include "processors/reverse_dns/reverse_dns_lookups.h"

#include <ares.h>
#include <errno.h>
#include <stdlib.h>

enum { DNS_PORT = 53 };

struct resolver {
	struct loop *loop;
	ares_channel channel; /* NULL: not made, or on its way out */
	bool library;
	struct timer *timer;
	struct list sockets;
};

/* One that c-ares waits for; it belongs to c-ares. */
struct watched {
	struct list link;
	struct resolver *resolver;
	ares_socket_t fd;
	struct poll *poll;
};

struct asked {
	resolver_answered answered;
	void *arg;
};

/* Servers as the configuration names them */

struct server {
	struct address address;
	uint16_t port;
};

static int server_parse(const char *text, struct server *ret, struct error *error)
{
	struct endpoint endpoint;

	ret->port = DNS_PORT;
	if (strchr(text, '%'))
		return error_set(error, -EINVAL, "servers: '%s': a zone cannot be named here",
		                 text);
	if (address_parse(slice_from_string(text), &ret->address))
		return 0;
	if (endpoint_parse(text, &endpoint, NULL) < 0 || endpoint.scheme != ENDPOINT_PLAIN ||
	    !address_parse(slice_from_string(endpoint.host), &ret->address))
		return error_set(error, -EINVAL,
		                 "servers: '%s' is not an address such as 192.0.2.1, "
		                 "192.0.2.1:5353 or [2001:db8::1]:53",
		                 text);
	if (endpoint.port)
		ret->port = endpoint.port;
	return 0;
}

int resolver_check(const struct lookups_config *config, struct error *error)
{
	struct server server;
	int r = 0;

	for (size_t i = 0; r == 0 && i < config->servers.count; i++)
		r = server_parse(config->servers.items[i], &server, error);
	if (r == 0 && !config->servers.count && (!config->resolv_conf || !*config->resolv_conf))
		r = error_set(error, -EINVAL,
		              "no resolver: set at least one of 'servers' and 'resolv_conf'");
	return r;
}

/* Sockets and times */

static void timer_set(struct resolver *s)
{
	struct timeval left, *until = s->channel ? ares_timeout(s->channel, NULL, &left) : NULL;

	if (until)
		timer_start(s->timer,
		            (uint64_t)left.tv_sec * NS_PER_S + (uint64_t)left.tv_usec * NS_PER_US,
		            0);
	else
		timer_stop(s->timer);
}

static void process(struct resolver *s, ares_socket_t readable, ares_socket_t writable)
{
	if (!s->channel)
		return;
	ares_process_fd(s->channel, readable, writable);
	timer_set(s);
}

static void on_time(void *arg)
{
	process(arg, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void on_ready(void *arg, int events)
{
	const struct watched *w = arg;

	process(w->resolver, events & POLL_READABLE ? w->fd : ARES_SOCKET_BAD,
	        events & POLL_WRITABLE ? w->fd : ARES_SOCKET_BAD);
}

static struct watched *watched_find(const struct resolver *s, ares_socket_t fd)
{
	struct watched *w;

	LIST_FOR_EACH(w, &s->sockets, link)
		if (w->fd == fd)
			return w;
	return NULL;
}

static void watched_free(struct watched *w)
{
	if (!w)
		return;
	list_remove(&w->link);
	poll_free(w->poll);
	free(w);
}

static struct watched *watched_new(struct resolver *s, ares_socket_t fd)
{
	struct watched *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->resolver = s;
	w->fd = fd;
	list_push(&s->sockets, &w->link);
	w->poll = poll_new(s->loop, fd, on_ready, w);
	if (w->poll)
		return w;
	watched_free(w);
	return NULL;
}

/* Without memory a socket is not watched: what was asked through it runs out of time. */
static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolver *s = arg;
	struct watched *w = watched_find(s, fd);

	if (!readable && !writable)
		watched_free(w);
	else if (w || (w = watched_new(s, fd)))
		poll_start(w->poll,
		           (readable ? POLL_READABLE : 0) | (writable ? POLL_WRITABLE : 0));
}

/* The channel */

static int channel_error(int status, struct error *error)
{
	if (status == ARES_ENOMEM)
		return error_no_memory(error);
	return error_set(error, -EIO, "%s", ares_strerror(status));
}

static int servers_set(ares_channel channel, const struct string_list *servers, struct error *error)
{
	struct ares_addr_port_node *nodes = calloc(servers->count + 1, sizeof *nodes);
	struct server server;
	int r = 0, status;

	if (!nodes)
		return error_no_memory(error);
	for (size_t i = 0; r == 0 && i < servers->count; i++) {
		bool ipv4;

		if ((r = server_parse(servers->items[i], &server, error)) < 0)
			break;
		ipv4 = address_is_ipv4(&server.address);
		nodes[i].family = ipv4 ? AF_INET : AF_INET6;
		memcpy(&nodes[i].addr, server.address.bytes + (ipv4 ? 12 : 0), ipv4 ? 4 : 16);
		nodes[i].udp_port = nodes[i].tcp_port = server.port;
		nodes[i].next = i + 1 < servers->count ? &nodes[i + 1] : NULL;
	}
	if (r == 0 && servers->count &&
	    (status = ares_set_servers_ports(channel, nodes)) != ARES_SUCCESS)
		r = channel_error(status, error);
	free(nodes);
	return r;
}

static int channel_new(struct resolver *s, const struct lookups_config *config, struct error *error)
{
	char *resolv_conf = config->resolv_conf ? strdup(config->resolv_conf) : NULL;
	struct ares_options options = {
		.timeout = (int)(config->timeout / NS_PER_MS),
		.tries = 1,
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = s,
		.resolvconf_path = resolv_conf,
	};
	ares_channel channel = NULL;
	int r, status;

	if (config->resolv_conf && !resolv_conf)
		return error_no_memory(error);
	status = ares_init_options(&channel, &options,
	                           ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB |
	                                   (resolv_conf ? ARES_OPT_RESOLVCONF : 0));
	free(resolv_conf);
	r = status == ARES_SUCCESS ? servers_set(channel, &config->servers, error)
	                           : channel_error(status, error);
	if (r == 0)
		s->channel = channel;
	else if (status == ARES_SUCCESS)
		ares_destroy(channel);
	return r;
}

static enum lookup_failure failure_of(int status)
{
	switch (status) {
	case ARES_ENOTFOUND:
		return FAILURE_NAME_ERROR;
	case ARES_ENODATA:
		return FAILURE_NO_DATA;
	case ARES_ETIMEOUT:
		return FAILURE_TIMEOUT;
	case ARES_ESERVFAIL:
	case ARES_EREFUSED:
	case ARES_ENOTIMP:
	case ARES_ECONNREFUSED:
		return FAILURE_SERVER;
	case ARES_ENOMEM:
		return FAILURE_NO_MEMORY;
	case ARES_ECANCELLED:
	case ARES_EDESTRUCTION:
		return FAILURE_CANCELED;
	default:
		return FAILURE_BAD_ANSWER;
	}
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
	struct asked asked = *(struct asked *)arg;

	free(arg);
	if (status == ARES_SUCCESS)
		asked.answered(asked.arg, FAILURE_NONE, slice_of(bytes, len > 0 ? (size_t)len : 0));
	else
		asked.answered(asked.arg, failure_of(status), slice_of(NULL, 0));
}

void resolver_ask(struct resolver *s, const char *name, resolver_answered answered, void *arg)
{
	struct asked *asked = malloc(sizeof *asked);

	if (!asked) {
		answered(arg, FAILURE_NO_MEMORY, slice_of(NULL, 0));
		return;
	}
	*asked = (struct asked){answered, arg};
	ares_query(s->channel, name, DNS_CLASS_IN, DNS_PTR, on_answer, asked);
	timer_set(s);
}

int resolver_new(struct loop *loop, const struct lookups_config *config, struct resolver **ret,
                 struct error *error)
{
	struct resolver *s = calloc(1, sizeof *s);
	int r, status;

	if (!s)
		return error_no_memory(error);
	s->loop = loop;
	list_init(&s->sockets);
	s->timer = timer_new(loop, on_time, s);
	status = s->timer ? ares_library_init(ARES_LIB_INIT_ALL) : ARES_ENOMEM;
	s->library = status == ARES_SUCCESS;
	r = s->library ? channel_new(s, config, error) : channel_error(status, error);
	if (r == 0)
		*ret = s;
	else
		resolver_free(s);
	return r;
}

void resolver_free(struct resolver *s)
{
	ares_channel channel;

	if (!s)
		return;
	channel = s->channel;
	s->channel = NULL;
	if (channel)
		ares_destroy(channel);
	if (s->library)
		ares_library_cleanup();
	timer_free(s->timer);
	free(s);
}
