#include "core/export/headers.h"

#include "core/base/header_field.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

const struct option auth_client_options[] = {
	OPTION_COMPONENT(struct auth_config, authenticator,
                         .doc = "Id of an extension, for instance bearertokenauth or basicauth."),
	OPTION_END,
};

static bool is_reserved(const char *name, const char *const *reserved)
{
	for (; *reserved; reserved++) {
		size_t len = strlen(*reserved);

		if ((*reserved)[len - 1] == '-' ? strncasecmp(name, *reserved, len) == 0
		                                : strcasecmp(name, *reserved) == 0)
			return true;
	}
	return false;
}

int headers_check(const struct string_map *map, const struct auth_config *auth,
                  const char *const *reserved, struct error *error)
{
	if (map->count > HEADERS_MAX)
		return error_set(error, -EINVAL, "headers: at most %d are possible", HEADERS_MAX);
	for (size_t i = 0; i < map->count; i++) {
		const char *name = map->items[i].key, *value = map->items[i].value;

		if (!header_field_is_name(slice_from_string(name)))
			return error_set(error, -EINVAL, "headers: \"%s\" is not a header name",
			                 name);
		if (is_reserved(name, reserved))
			return error_set(error, -EINVAL,
			                 "headers: %s is written by weir itself and cannot be set",
			                 name);
		if (value && !header_field_is_value(slice_from_string(value)))
			return error_set(
				error, -EINVAL,
				"headers: the value of %s has a line break or another control "
				"character in it",
				name);
	}
	if (auth->enabled && (!auth->authenticator || !*auth->authenticator))
		return error_set(error, -EINVAL,
		                 "auth: authenticator is missing: name an extension, for instance "
		                 "bearertokenauth");
	return 0;
}

int headers_init(struct headers *h, const struct string_map *map, const struct auth_config *auth,
                 const struct host *host, struct error *error)
{
	*h = (struct headers){0};
	if (auth->enabled) {
		h->authenticator = authenticator_find(host, auth->authenticator, false, error);
		if (!h->authenticator)
			return error ? error->code : -EINVAL;
	}
	for (size_t i = 0; i < map->count; i++) {
		char *name = strdup(map->items[i].key);

		if (!name) {
			headers_fini(h);
			return error_no_memory(error);
		}
		for (char *at = name; *at; at++)
			*at = (char)tolower((unsigned char)*at);
		h->items[h->n_fixed++] =
			(struct headers_item){name, map->items[i].value ? map->items[i].value : ""};
	}
	return 0;
}

void headers_fini(struct headers *h)
{
	for (size_t i = 0; i < h->n_fixed; i++)
		free((char *)h->items[i].name);
	h->n_fixed = 0;
}

/* An authenticator's header takes the place of one that users wrote. */
static void replace(struct headers *h, const char *name)
{
	for (size_t i = 0; i < h->n_fixed; i++)
		if (strcmp(h->items[i].name, name) == 0) {
			free((char *)h->items[i].name);
			h->items[i] = h->items[--h->n_fixed];
			return;
		}
}

int headers_current(struct headers *h, size_t *ret_n, struct error *error)
{
	struct auth_headers own = {.count = 0};
	int r;

	if (!h->authenticator) {
		*ret_n = h->n_fixed;
		return 0;
	}
	r = h->authenticator->type->authenticator->client_headers(h->authenticator, &own, error);
	if (r < 0)
		return error_wrap(error, "extension %s", h->authenticator->id);
	for (size_t i = 0; i < own.count; i++)
		replace(h, own.items[i].name);
	*ret_n = h->n_fixed;
	for (size_t i = 0; i < own.count; i++)
		h->items[(*ret_n)++] = (struct headers_item){own.items[i].name, own.items[i].value};
	return 0;
}

void headers_user_agent(const char *version, char *ret, size_t size)
{
#if defined(__x86_64__)
	static const char machine[] = "amd64";
#elif defined(__aarch64__)
	static const char machine[] = "arm64";
#else
	static const char machine[] = "other";
#endif
	snprintf(ret, size, "weir/%s (linux/%s)", version, machine);
}
