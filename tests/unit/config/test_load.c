/* Sources, merging, --set and expansion: from texts to the tree, printed back as YAML. */
#include "config/expand.h"
#include "config/load.h"
#include "config/print.h"
#include "tests/support/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const struct {
	const char *name, *value;
} variables[] = {
	{"NUMBER", "12"},
	{"OCTAL", "0123"},
	{"FLAG", "true"},
	{"EMPTY", ""},
	{"LIST", "[a, '${env:NUMBER}']"},
	{"TEXT", "some text"},
	{"QUOTED", "\"12\""},
	{"NAME", "NUMBER"},
	{"BROKEN", "[not yaml"},
	{"COLON", "a: b: c"},
	{"DOLLARS", "pa$$word"},
	{"WHOLE", "receivers: {otlp: }"},
	{NULL, NULL},
};

static const char *fixed_environment(void *arg, const char *name)
{
	for (size_t i = 0; variables[i].name; i++)
		if (strcmp(variables[i].name, name) == 0)
			return variables[i].value;
	return NULL;
}

static int fixed_files(void *arg, const char *path, size_t limit, struct buffer *out)
{
	static const struct {
		const char *path, *text;
	} files[] = {
		{"one.yaml",
	         "exporters: {otlp: {endpoint: a, list: [1, 2], keep: yes}, debug: {}}"},
		{"two.yaml",
	         "exporters: {otlp: {endpoint: b, list: [3]}, file: }\nservice: {x: 1}"},
		{"wiped.yaml", "exporters:\n"},
		{"token", "s3cret\n"},
		{"part.yaml", "a: 1\nb:\n  c: ${env:NUMBER}\n"},
		{NULL, NULL},
	};

	for (size_t i = 0; files[i].path; i++)
		if (strcmp(files[i].path, path) == 0) {
			buffer_append_string(out, files[i].text);
			return 0;
		}
	return -ENOENT;
}

static const struct expand_io io = {.getenv = fixed_environment, .read_file = fixed_files};

enum { SOURCES_MAX = 4 };

struct loaded {
	struct diagnostics diagnostics;
	struct document *document;
	struct buffer text;
};

static void load(struct loaded *l, const char *const configs[SOURCES_MAX],
                 const char *const sets[SOURCES_MAX])
{
	struct config_sources sources = {.configs = configs, .sets = sets, .io = &io};

	while (sources.n_configs < SOURCES_MAX && configs[sources.n_configs])
		sources.n_configs++;
	while (sets && sources.n_sets < SOURCES_MAX && sets[sources.n_sets])
		sources.n_sets++;
	*l = (struct loaded){.text = BUFFER_INIT};
	diagnostics_init(&l->diagnostics);
	if (config_load(&sources, &l->diagnostics, &l->document) == 0)
		print_node(l->document->root, NULL, 0, 0, &l->text);
}

static void unload(struct loaded *l)
{
	document_free(l->document);
	diagnostics_fini(&l->diagnostics);
	buffer_fini(&l->text);
}

/* The value of exporters::x after expansion, as YAML. */
static void assert_expands(const char *value, const char *expected)
{
	char config[512], whole[512];
	struct loaded l;

	snprintf(config, sizeof config, "yaml:exporters: {x: %s}", value);
	snprintf(whole, sizeof whole, "\nexporters:\n  x:%s\n", expected);
	load(&l, (const char *const[SOURCES_MAX]){config}, NULL);
	assert_non_null(l.document);
	assert_string_equal(buffer_string(&l.text), whole);
	unload(&l);
}

static void joins_maps_and_replaces_the_rest(void **state)
{
	struct loaded l;

	load(&l, (const char *const[SOURCES_MAX]){"one.yaml", "file:two.yaml"}, NULL);
	assert_string_equal(buffer_string(&l.text), "\nexporters:\n"
	                                            "  otlp:\n"
	                                            "    endpoint: b\n"
	                                            "    list:\n"
	                                            "      - 3\n"
	                                            "    keep: \"yes\"\n"
	                                            "  debug: {}\n"
	                                            "  file:\n"
	                                            "service:\n"
	                                            "  x: 1\n");
	unload(&l);
}

static void wipes_a_section_that_is_null_later(void **state)
{
	struct loaded l;

	load(&l, (const char *const[SOURCES_MAX]){"one.yaml", "wiped.yaml"}, NULL);
	assert_string_equal(buffer_string(&l.text), "\nexporters:\n");
	unload(&l);
}

static void applies_sets_last(void **state)
{
	struct loaded l;

	load(&l, (const char *const[SOURCES_MAX]){"wiped.yaml", "one.yaml"},
	     (const char *const[SOURCES_MAX]){"exporters.otlp.list=[9, '8']",
	                                      "exporters.otlp.keep=a=b: c: d"});
	assert_string_equal(buffer_string(&l.text), "\nexporters:\n"
	                                            "  otlp:\n"
	                                            "    endpoint: a\n"
	                                            "    list:\n"
	                                            "      - 9\n"
	                                            "      - \"8\"\n"
	                                            "    keep: \"a=b: c: d\"\n"
	                                            "  debug: {}\n");
	unload(&l);
}

static void assert_set_is_refused(const char *set, const char *expected)
{
	struct loaded l;
	struct buffer out = BUFFER_INIT;

	load(&l, (const char *const[SOURCES_MAX]){"one.yaml"},
	     (const char *const[SOURCES_MAX]){set});
	diagnostics_print(&l.diagnostics, &out);
	assert_string_equal(buffer_string(&out), expected);
	buffer_fini(&out);
	unload(&l);
}

static void names_the_set_that_is_wrong(void **state)
{
	assert_set_is_refused("exporters.otlp",
	                      "--set: missing equal sign in \"exporters.otlp\"\n");
	assert_set_is_refused("exporters..a=1", "--set exporters..a: a key must not be empty\n");
	assert_set_is_refused("=1", "--set : a key must not be empty\n");
	assert_set_is_refused("exporters=[1]", "--set exporters: exporters: expected a map, got "
	                                       "\"list\"\n");
}

static void reads_other_sources(void **state)
{
	struct loaded l;

	load(&l, (const char *const[SOURCES_MAX]){"env:WHOLE", "yaml:{exporters: {debug: }}"},
	     NULL);
	assert_string_equal(buffer_string(&l.text),
	                    "\nreceivers:\n  otlp:\nexporters:\n  debug:\n");
	unload(&l);
}

static void assert_source_is_refused(const char *config, const char *expected)
{
	struct loaded l;
	struct buffer out = BUFFER_INIT;

	load(&l, (const char *const[SOURCES_MAX]){config}, NULL);
	assert_null(l.document);
	diagnostics_print(&l.diagnostics, &out);
	assert_string_equal(buffer_string(&out), expected);
	buffer_fini(&out);
	unload(&l);
}

static void says_why_a_source_cannot_be_read(void **state)
{
	assert_source_is_refused("none.yaml",
	                         "unable to read the file none.yaml: No such file or directory\n");
	assert_source_is_refused("https://example/x", "--config: scheme \"https\" is not supported "
	                                              "for uri \"https://example/x\"\n");
	assert_source_is_refused("env:UNSET",
	                         "env:UNSET: the environment variable \"UNSET\" is not set\n");
}

static void keeps_the_type_of_a_whole_value(void **state)
{
	assert_expands("'${env:NUMBER}'", " 12");
	assert_expands("'${NUMBER}'", " 12");
	assert_expands("'${env:FLAG}'", " true");
	assert_expands("'${env:LIST}'", "\n    - a\n    - 12");
	assert_expands("'${env:EMPTY}'", " null");
	assert_expands("'${yaml:1.5}'", " 1.5");
}

static void takes_text_that_is_a_string_verbatim(void **state)
{
	assert_expands("'${env:TEXT}'", " \"some text\"");
	assert_expands("'${env:QUOTED}'", " \"\\\"12\\\"\"");
	assert_expands("'${env:BROKEN}'", " \"[not yaml\"");
	assert_expands("'${env:COLON}'", " \"a: b: c\"");
}

static void inserts_text_into_a_longer_value(void **state)
{
	assert_expands("'x-${env:NUMBER}-${env:NUMBER}'", " x-12-12");
	assert_expands("'0.0.0.0:${env:PORT:-4317}'", " \"0.0.0.0:4317\"");
	assert_expands("'${env:NUMBER}${env:NUMBER}'", " \"1212\"");
	assert_expands("'a${env:UNSET}b'", " ab");
}

static void takes_defaults(void **state)
{
	assert_expands("'${env:UNSET:-7}'", " 7");
	assert_expands("'${env:UNSET:-}'", " null");
	assert_expands("'${env:UNSET:-http://a:-b}'", " \"http://a:-b\"");
	assert_expands("'${env:EMPTY:-7}'", " null");
}

static void resolves_from_the_inside_out(void **state)
{
	assert_expands("'${env:${env:NAME}}'", " 12");
	assert_expands("'${env:${env:UNSET:-NAME}:-x}'", " NUMBER");
}

static void leaves_escaped_dollars_alone(void **state)
{
	assert_expands("'$${env:NUMBER}'", " \"$${env:NUMBER}\"");
	assert_expands("'$$$${env:NUMBER}'", " \"$$$${env:NUMBER}\"");
	assert_expands("'$$$${NUMBER} $$1'", " \"$$$${NUMBER} $$1\"");
	assert_expands("'$$${env:NUMBER}'", " \"$$12\"");
	assert_expands("'${env:DOLLARS}'", " \"pa$$word\"");
	assert_expands("'${unclosed $'", " \"$${unclosed $$\"");
}

static void reads_files_verbatim_and_keeps_their_places(void **state)
{
	struct loaded l;
	const struct node *b;

	assert_expands("'${file:token}'", " \"s3cret\\n\"");
	assert_expands("'Bearer ${file:token}'", " \"Bearer s3cret\\n\"");
	load(&l, (const char *const[SOURCES_MAX]){"yaml:exporters: {x: '${file:part.yaml}'}"},
	     NULL);
	assert_string_equal(buffer_string(&l.text),
	                    "\nexporters:\n  x:\n    a: 1\n    b:\n      c: 12\n");
	b = node_get(node_get(node_get(l.document->root, "exporters"), "x"), "b");
	assert_string_equal(b->at.file, "part.yaml");
	assert_int_equal(b->at.line, 3);
	assert_string_equal(node_get(b, "c")->at.file, "part.yaml");
	unload(&l);
}

static void keeps_the_original_for_targets_of_type_string(void **state)
{
	struct loaded l;
	const struct node *x;

	load(&l, (const char *const[SOURCES_MAX]){"yaml:exporters: {x: '${env:OCTAL}'}"}, NULL);
	x = node_get(node_get(l.document->root, "exporters"), "x");
	assert_int_equal(x->type, SCALAR_INT);
	assert_string_equal(x->original, "0123");
	assert_string_equal(x->reference, "${env:OCTAL}");
	unload(&l);
}

static void reads_the_process_environment_and_real_files(void **state)
{
	const char *path = folder_at("value");
	char config[128];
	const char *configs[] = {config};
	const struct config_sources sources = {.configs = configs, .n_configs = 1};
	int fd = creat(path, 0600);
	struct diagnostics d;
	struct document *document;
	const struct node *x;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "17", 2), 2);
	close(fd);
	setenv("WEIR_TEST_FILE", path, 1);
	snprintf(config, sizeof config, "yaml:exporters: {x: '${file:${env:WEIR_TEST_FILE}}'}");
	diagnostics_init(&d);
	assert_int_equal(config_load(&sources, &d, &document), 0);
	x = node_get(node_get(document->root, "exporters"), "x");
	assert_string_equal(x->text, "17");
	assert_int_equal(x->type, SCALAR_INT);
	document_free(document);
	diagnostics_fini(&d);
	unsetenv("WEIR_TEST_FILE");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joins_maps_and_replaces_the_rest),
		cmocka_unit_test(wipes_a_section_that_is_null_later),
		cmocka_unit_test(applies_sets_last),
		cmocka_unit_test(names_the_set_that_is_wrong),
		cmocka_unit_test(reads_other_sources),
		cmocka_unit_test(says_why_a_source_cannot_be_read),
		cmocka_unit_test(keeps_the_type_of_a_whole_value),
		cmocka_unit_test(takes_text_that_is_a_string_verbatim),
		cmocka_unit_test(inserts_text_into_a_longer_value),
		cmocka_unit_test(takes_defaults),
		cmocka_unit_test(resolves_from_the_inside_out),
		cmocka_unit_test(leaves_escaped_dollars_alone),
		cmocka_unit_test(reads_files_verbatim_and_keeps_their_places),
		cmocka_unit_test(keeps_the_original_for_targets_of_type_string),
		cmocka_unit_test(reads_the_process_environment_and_real_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
