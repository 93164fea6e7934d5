#include "core/net/http_config.h"

const struct option http_limits_options[] = {
	OPTION_UINT(struct http_limits, connections, .text = "20000", .min = 1, .max = 1e7,
                    .doc = "Connections at once; a further one is closed unanswered. Never more "
                           "than the process may have open files, less 256 (or half of them when "
                           "that is less) for everything else."),
	OPTION_SIZE(struct http_limits, header_list, .text = "32KiB", .min = 1024,
                    .max = 16 * 1024 * 1024,
                    .doc = "Names and values of one request's headers; a longer list is answered "
                           "with 431."),
	OPTION_SIZE(struct http_limits, window, .text = "4MiB", .min = 65535, .max = 2147483647,
                    .doc = "HTTP/2: bytes of request bodies that one connection may have sent "
                           "without an answer."),
	OPTION_DURATION(struct http_limits, handshake, .name = "handshake_time", .text = "10s",
                        .min = 1e6, .doc = "TLS must be agreed upon within this."),
	OPTION_DURATION(struct http_limits, header_time, .text = "30s", .min = 1e6,
                        .doc = "The whole head of a request must have come within this after its "
                               "first byte, the first one after the connection was made."),
	OPTION_SIZE(struct http_limits, body_rate, .text = "256", .max = 1e9,
                    .doc = "Bytes per second that the body of a request must come with on average "
                           "once body_grace has passed; 0: no such limit."),
	OPTION_DURATION(struct http_limits, body_grace, .text = "15s",
                        .doc = "Time that a body may take before body_rate is asked for."),
	OPTION_DURATION(struct http_limits, write_time, .text = "30s", .min = 1e6,
                        .doc = "A response must have been taken by the client within this."),
	OPTION_UINT(struct http_limits, resets, .text = "1000", .min = 1, .max = 1e9,
                    .doc = "HTTP/2: streams that a connection may have reset beyond resets_rate "
                           "(CVE-2023-44487)."),
	OPTION_UINT(struct http_limits, resets_rate, .text = "33", .max = 1e9,
                    .doc = "HTTP/2: resets per second that are always allowed."),
	OPTION_UINT(struct http_limits, frames, .text = "10000", .min = 1, .max = 1e9,
                    .doc = "HTTP/2: frames without content (PRIORITY, WINDOW_UPDATE, empty DATA) "
                           "that a connection may send beyond frames_rate."),
	OPTION_UINT(struct http_limits, frames_rate, .text = "1000", .max = 1e9,
                    .doc = "HTTP/2: frames without content per second that are always allowed."),
	OPTION_END,
};
