#include "core/base/clock.h"
#include "core/net/http_server.h"

/* Time limits are generous for slow networks and short for attacks: a request that is cut off costs
 * its sender a retry. Connections live long, since clients of telemetry send every few seconds to
 * minutes and a peer that has died is noticed by TCP's own keep-alive. */
const struct http_limits http_default_limits = {
	.connections = 20000,
	.header_list = 32 * 1024,
	.streams = 250,
	.window = 4 * 1024 * 1024,
	.handshake = 10 * NS_PER_S,
	.header_time = 30 * NS_PER_S,
	.body_rate = 256,
	.body_grace = 15 * NS_PER_S,
	.read_time = 0,
	.write_time = 30 * NS_PER_S,
	.idle = 600 * NS_PER_S,
	.age = 0,
	.age_grace = 0,
	.keepalive_time = 7200 * NS_PER_S,
	.keepalive_timeout = 20 * NS_PER_S,
	.ping_min_time = 300 * NS_PER_S,
	.ping_without_stream = false,
	.resets = 1000,
	.resets_rate = 33,
	.frames = 10000,
	.frames_rate = 1000,
};

const char *http_limit_name(enum http_limit l)
{
	static const char *const names[HTTP_LIMIT_COUNT] = {
		[HTTP_LIMIT_CONNECTIONS] = "connections",
		[HTTP_LIMIT_DESCRIPTORS] = "descriptors",
		[HTTP_LIMIT_HANDSHAKE] = "handshake",
		[HTTP_LIMIT_HEADER_LIST] = "header_list",
		[HTTP_LIMIT_HEADER_TIME] = "header_time",
		[HTTP_LIMIT_BODY_RATE] = "body_rate",
		[HTTP_LIMIT_READ_TIME] = "read_time",
		[HTTP_LIMIT_WRITE_TIME] = "write_time",
		[HTTP_LIMIT_IDLE] = "idle",
		[HTTP_LIMIT_KEEPALIVE] = "keepalive",
		[HTTP_LIMIT_AGE] = "age",
		[HTTP_LIMIT_STREAMS] = "streams",
		[HTTP_LIMIT_RESETS] = "resets",
		[HTTP_LIMIT_CONTINUATIONS] = "continuations",
		[HTTP_LIMIT_SETTINGS] = "settings",
		[HTTP_LIMIT_PINGS] = "pings",
		[HTTP_LIMIT_FRAMES] = "frames",
		[HTTP_LIMIT_PROTOCOL] = "protocol",
	};

	return names[l];
}
