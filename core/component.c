#include "core/component.h"

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
