#include "core/pipeline/plan.h"

#include <string.h>

static bool has_name(const struct component_type *type, const char *name)
{
	if (strcmp(type->name, name) == 0)
		return true;
	for (const char *const *alias = type->aliases; alias && *alias; alias++)
		if (strcmp(*alias, name) == 0)
			return true;
	return false;
}

const struct component_type *component_type_find(const struct component_type *const *types,
                                                 enum component_kind kind, const char *name)
{
	for (; *types; types++)
		if ((*types)->kind == kind && has_name(*types, name))
			return *types;
	return NULL;
}
