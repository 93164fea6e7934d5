/* Bytes as a configuration file: YAML, expansion, shape, option tables, plan, and back to YAML. The
 * types are fakes with every kind of option; environment and files answer from memory. */
#include "config/describe.h"
#include "config/expand.h"
#include "config/load.h"
#include "config/print.h"
#include "core/pipeline/plan.h"
#include "tests/unit/config/fake_types.h"

#include <stdlib.h>

struct input {
	const uint8_t *data;
	size_t size;
};

/* References to references, to themselves and to maps; unset ones too. */
static const char *fuzz_getenv(void *arg, const char *name)
{
	static const char *const values[] = {"", "12", "text", "${env:a}", "{a: '${env:b}'}", NULL};

	return values[strlen(name) % 6];
}

static int fuzz_read_file(void *arg, const char *path, size_t limit, struct buffer *out)
{
	const struct input *in = arg;

	buffer_append(out, in->data, in->size < limit ? in->size : limit);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	const struct expand_io io = {&input, fuzz_getenv, fuzz_read_file};
	const char *configs[] = {"agent.yaml"};
	const struct config_sources sources = {.configs = configs, .n_configs = 1, .io = &io};
	struct buffer out = BUFFER_INIT;
	struct diagnostics d;
	struct document *document = NULL;
	struct plan *plan = NULL;

	diagnostics_init(&d);
	if (config_load(&sources, &d, &document) == 0 &&
	    plan_make(document, fake_types, &d, &plan) == 0) {
		plan_print(plan, document, 0, &out);
		plan_print(plan, document, PRINT_DEFAULTS | PRINT_SECRETS, &out);
	}
	if (!plan && !d.errors)
		abort(); /* refused without a word */
	diagnostics_print(&d, &out);
	plan_free(plan);
	document_free(document);
	diagnostics_fini(&d);
	buffer_fini(&out);
	return 0;
}
