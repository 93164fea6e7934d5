/* What every registered component type must tell of itself, and that it is still true where it is
 * told: option tables, READMEs, the configurations in deploy/.
 *
 * After a table was changed, run this program with WEIR_UPDATE_READMES=1: it writes the new tables
 * between the markers. */
#include "config/describe.h"
#include "config/expand.h"
#include "config/load.h"
#include "config/walk.h"
#include "core/pipeline/plan.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static unsigned mistakes;

__attribute__((format(printf, 2, 3))) static void mistake(const struct component_type *type,
                                                          const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	print_error("%s/%s: %s\n", component_kind_name(type->kind), type->name, text);
	mistakes++;
}

static void each_type(void (*check)(const struct component_type *type))
{
	mistakes = 0;
	for (const struct component_type *const *t = component_types; *t; t++)
		check(*t);
	assert_int_equal(mistakes, 0);
}

static bool is_sentence(const char *text)
{
	size_t len = text ? strlen(text) : 0;

	return len > 3 && text[len - 1] == '.' && !strchr(text, '\n');
}

static void check_options(const struct component_type *type, const struct option *options,
                          bool optional)
{
	for (const struct option *o = options; o && o->name; o++) {
		if (!is_sentence(o->doc))
			mistake(type, "the doc of %s is not a sentence: \"%s\"", o->name,
			        o->doc ? o->doc : "");
		if (optional && strcmp(o->name, "enabled") == 0)
			mistake(type, "\"enabled\" belongs to the walker, not to a row");
		for (const struct option *other = options; other != o; other++)
			if (strcmp(other->name, o->name) == 0)
				mistake(type, "has %s twice", o->name);
		if (o->kind == KIND_ENUM && !(o->flags & OPTION_IGNORED) && !o->values)
			mistake(type, "%s has no values", o->name);
		check_options(type, o->options, o->kind == KIND_OPTIONAL);
	}
}

static void check_type(const struct component_type *type)
{
	if (!is_sentence(type->summary))
		mistake(type, "its summary is not a sentence: \"%s\"",
		        type->summary ? type->summary : "");
	if (!type->stability)
		mistake(type, "has no stability");
	if (!type->create || !type->shutdown || !type->destroy)
		mistake(type, "lacks create, shutdown or destroy");
	if (!type->signals && type->kind != EXTENSION)
		mistake(type, "carries no signal");
	if (!type->consume != (type->kind == RECEIVER || type->kind == EXTENSION))
		mistake(type, "consume is for processors, exporters and connectors only");
	for (const struct component_type *const *t = component_types; *t != type; t++)
		if ((*t)->kind == type->kind && strcmp((*t)->name, type->name) == 0)
			mistake(type, "is registered twice");
	check_options(type, type->options, false);
}

static void every_type_and_option_is_described(void **state)
{
	each_type(check_type);
}

static void check_defaults(const struct component_type *type)
{
	struct arena arena;
	struct diagnostics d;
	void *config;

	arena_init(&arena, NULL);
	diagnostics_init(&d);
	config = arena_alloc(&arena, type->config_size + 1);
	walk_defaults(&(struct walk){.arena = &arena, .diagnostics = &d}, type->options, config);
	for (size_t i = 0; i < d.count; i++)
		mistake(type, "a default is refused: %s", d.items[i].message);
	diagnostics_fini(&d);
	arena_fini(&arena);
}

static void every_default_is_accepted_by_its_own_row(void **state)
{
	each_type(check_defaults);
}

static void write_file(const char *path, struct slice text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text.data, 1, text.len, f), text.len);
	assert_int_equal(fclose(f), 0);
}

/* The README's table is what is generated, or is made so when that is asked for. */
static void compare_table(const struct component_type *type, const char *path,
                          struct buffer *readme)
{
	const char *text = buffer_string(readme);
	const char *begin = strstr(text, DESCRIBE_BEGIN), *end = strstr(text, DESCRIBE_END);
	struct buffer table = BUFFER_INIT, updated = BUFFER_INIT;
	struct slice there;

	if (!begin || !end || end < begin) {
		mistake(type, "%s lacks the lines <!-- options --> and <!-- /options -->", path);
		return;
	}
	begin += strlen(DESCRIBE_BEGIN);
	there = slice_of(begin, (size_t)(end - begin));
	describe_markdown(type->options, &table);
	if (!slice_equal(there, buffer_slice(&table))) {
		if (getenv("WEIR_UPDATE_READMES")) {
			buffer_append(&updated, text, (size_t)(begin - text));
			buffer_append_slice(&updated, buffer_slice(&table));
			buffer_append_string(&updated, end);
			write_file(path, buffer_slice(&updated));
		} else {
			mistake(type,
			        "the option table in %s is not current; run this program with "
			        "WEIR_UPDATE_READMES=1",
			        path);
		}
	}
	buffer_fini(&table);
	buffer_fini(&updated);
}

static void check_readme(const struct component_type *type)
{
	struct buffer readme = BUFFER_INIT;
	char path[256];

	snprintf(path, sizeof path, "%ss/%s/README.md", component_kind_name(type->kind),
	         type->name);
	if (expand_process_io.read_file(NULL, path, 1 << 20, &readme) < 0)
		mistake(type, "has no %s", path);
	else
		compare_table(type, path, &readme);
	buffer_fini(&readme);
}

static void every_readme_has_the_current_table(void **state)
{
	each_type(check_readme);
}

static bool loads(const char *path)
{
	const struct config_sources sources = {.configs = &path, .n_configs = 1};
	struct diagnostics d;
	struct document *document = NULL;
	struct plan *plan = NULL;

	diagnostics_init(&d);
	if (config_load(&sources, &d, &document) == 0)
		plan_make(document, component_types, &d, &plan);
	for (size_t i = 0; i < d.count; i++) {
		struct buffer line = BUFFER_INIT;
		diagnostic_print(&d.items[i], &line);
		print_error("%s\n", buffer_string(&line));
		buffer_fini(&line);
	}
	plan_free(plan);
	document_free(document);
	diagnostics_fini(&d);
	return plan && !d.warnings;
}

static void every_configuration_in_deploy_is_valid(void **state)
{
	DIR *folder = opendir("deploy");
	const struct dirent *entry;
	unsigned checked = 0;

	assert_non_null(folder);
	while ((entry = readdir(folder))) {
		const char *ending = strrchr(entry->d_name, '.');
		char path[300];
		if (!ending || strcmp(ending, ".yaml") != 0)
			continue;
		snprintf(path, sizeof path, "deploy/%s", entry->d_name);
		assert_true(loads(path));
		checked++;
	}
	closedir(folder);
	assert_true(checked > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_and_option_is_described),
		cmocka_unit_test(every_default_is_accepted_by_its_own_row),
		cmocka_unit_test(every_readme_has_the_current_table),
		cmocka_unit_test(every_configuration_in_deploy_is_valid),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
