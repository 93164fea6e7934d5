#include "core/base/endpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *prefix;
	enum endpoint_scheme scheme;
	uint16_t port; /* when none is written */
} schemes[] = {
	{"http://", ENDPOINT_HTTP, 80}, {"https://", ENDPOINT_HTTPS, 443},
	{"dns:///", ENDPOINT_PLAIN, 0}, {"unix://", ENDPOINT_UNIX, 0},
	{"unix:", ENDPOINT_UNIX, 0},
};

static int parse_port(const char *text, const char *whole, uint16_t *ret, struct error *error)
{
	char *end;
	unsigned long v;

	if (*text < '0' || *text > '9')
		return error_set(error, -EINVAL, "endpoint \"%s\": port \"%s\" is not a number",
		                 whole, text);
	v = strtoul(text, &end, 10);
	if (*end || v > 65535)
		return error_set(error, -EINVAL,
		                 "endpoint \"%s\": port \"%s\" is not a number up to 65535", whole,
		                 text);
	*ret = (uint16_t)v;
	return 0;
}

int endpoint_parse(const char *text, struct endpoint *ret, struct error *error)
{
	struct endpoint e = {.scheme = ENDPOINT_PLAIN};
	const char *at = text, *host_end, *port = NULL;
	size_t len = strlen(text);

	if (len >= sizeof e.text)
		return error_set(error, -EINVAL, "endpoint is longer than %zu characters",
		                 sizeof e.text - 1);
	memcpy(e.text, text, len + 1);
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
		if (strncmp(text, schemes[i].prefix, strlen(schemes[i].prefix)) == 0) {
			at += strlen(schemes[i].prefix);
			e.scheme = schemes[i].scheme;
			e.port = schemes[i].port;
			break;
		}
	if (e.scheme == ENDPOINT_UNIX) {
		if (!*at || strlen(at) >= 108)
			return error_set(
				error, -EINVAL,
				"endpoint \"%s\": a socket path of 1 to 107 characters is needed",
				text);
		strcpy(e.host, at);
		*ret = e;
		return 0;
	}
	if (at == text && strstr(text, "://"))
		return error_set(error, -EINVAL,
		                 "endpoint \"%s\": unknown scheme, use http, https, dns or unix",
		                 text);
	len = strlen(at);
	if (len && at[len - 1] == '/' && at != text)
		len--;
	if (memchr(at, '/', len))
		return error_set(error, -EINVAL, "endpoint \"%s\": a path is not allowed here",
		                 text);
	if (*at == '[') {
		host_end = memchr(++at, ']', len - 1);
		if (!host_end)
			return error_set(error, -EINVAL, "endpoint \"%s\": \"]\" is missing", text);
		len -= 1 + (size_t)(host_end + 1 - at);
		if (len && host_end[1] != ':')
			return error_set(error, -EINVAL,
			                 "endpoint \"%s\": expected \":port\" after \"]\"", text);
		port = len ? host_end + 2 : NULL;
		len = len ? len - 1 : 0;
	} else {
		const char *colon = memchr(at, ':', len);
		if (colon && memchr(colon + 1, ':', len - (size_t)(colon + 1 - at)))
			return error_set(error, -EINVAL,
			                 "endpoint \"%s\": too many colons, write an IPv6 address "
			                 "in brackets",
			                 text);
		host_end = colon ? colon : at + len;
		port = colon ? colon + 1 : NULL;
		len = colon ? len - (size_t)(colon + 1 - at) : 0;
	}
	if ((size_t)(host_end - at) >= sizeof e.host)
		return error_set(error, -EINVAL,
		                 "endpoint \"%s\": the host is longer than %zu characters", text,
		                 sizeof e.host - 1);
	memcpy(e.host, at, (size_t)(host_end - at));
	if (port) {
		char digits[16];
		int r;
		if (len >= sizeof digits)
			return error_set(error, -EINVAL, "endpoint \"%s\": the port is too long",
			                 text);
		memcpy(digits, port, len);
		digits[len] = '\0';
		if ((r = parse_port(digits, text, &e.port, error)) < 0)
			return r;
	} else if (e.scheme == ENDPOINT_PLAIN) {
		return error_set(error, -EINVAL, "endpoint \"%s\": missing port in address", text);
	}
	*ret = e;
	return 0;
}
