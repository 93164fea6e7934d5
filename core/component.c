#include "core/component.h"

#include <errno.h>
#include <stdio.h>

const char *component_kind_name(enum component_kind kind)
{
	static const char *const names[] = {"receiver", "processor", "exporter", "connector",
	                                    "extension"};
	return names[kind];
}

void component_init(struct component *c, const struct component_type *type,
                    const struct create_args *args)
{
	c->type = type;
	c->id = args->id;
	c->host = args->host;
	snprintf(c->subject, sizeof c->subject, "%s %s", component_kind_name(type->kind), args->id);
	c->log = (struct logger){.sink = args->host->log, .subject = c->subject};
}

struct component *authenticator_find(const struct host *host, const char *id, bool as_server,
                                     struct error *error)
{
	struct component *c = host->extension ? host->extension(host, id) : NULL;
	const struct authenticator *a = c ? c->type->authenticator : NULL;
	const char *side = as_server ? "server" : "client",
		   *other = as_server ? "clients" : "servers";

	if (!c)
		error_set(error, -ENOENT,
		          "authenticator not found; declare it under extensions and list it in "
		          "service::extensions");
	else if (!a)
		error_set(
			error, -EINVAL,
			"requested authenticator is not a %s authenticator: the extension %s does "
			"not authenticate anybody",
			side, c->type->name);
	else if (!a->serves(c, as_server))
		error_set(
			error, -EINVAL,
			"requested authenticator is not a %s authenticator: as it is configured it "
			"serves %s only",
			side, other);
	else
		return c;
	error_wrap(error, "failed to resolve authenticator \"%s\"", id);
	return NULL;
}
