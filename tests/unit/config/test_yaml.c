#include "config/yaml.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
	struct arena arena;
	struct diagnostics diagnostics;
};

static const struct node *read(struct fixture *f, const char *text)
{
	const struct node *root = NULL;

	arena_init(&f->arena, NULL);
	diagnostics_init(&f->diagnostics);
	yaml_read(slice_from_string(text), "t.yaml", &f->arena, &f->diagnostics, &root);
	return root;
}

static void done(struct fixture *f)
{
	diagnostics_fini(&f->diagnostics);
	arena_fini(&f->arena);
}

static void assert_type(const char *text, const char *type)
{
	struct fixture f;
	const struct node *n = read(&f, text);

	assert_non_null(n);
	assert_string_equal(node_type_name(n), type);
	done(&f);
}

static void tells_types_as_the_collector_does(void **state)
{
	static const char *const cases[][2] = {
		{"~", "null"},
		{"null", "null"},
		{"''", "string"},
		{"true", "bool"},
		{"False", "bool"},
		{"yes", "string"},
		{"on", "string"},
		{"'true'", "string"},
		{"12", "int"},
		{"-12", "int"},
		{"+1", "int"},
		{"0x1F", "int"},
		{"0o17", "int"},
		{"0123", "int"},
		{"0b11", "int"},
		{"1_000", "int"},
		{"\"5\"", "string"},
		{"089", "float"},
		{"1.5", "float"},
		{".5", "float"},
		{"1e3", "float"},
		{"1.", "float"},
		{".inf", "float"},
		{"-.inf", "float"},
		{".nan", "float"},
		{"1.2.3", "string"},
		{"5s", "string"},
		{"0x", "string"},
		{"_1", "string"},
		{"!!str 12", "string"},
		{"!!int 12", "int"},
		{"! 12", "string"},
		{"[]", "list"},
		{"{}", "map"},
		{"1e", "string"},
		{"0.0.0.0", "string"},
		{"127.0.0.1:1", "string"},
		{"inf", "string"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_type(cases[i][0], cases[i][1]);
}

static void assert_int(const char *text, bool negative, uint64_t magnitude)
{
	struct fixture f;
	const struct node *n = read(&f, text);
	uint64_t got = 0;
	bool sign = !negative;

	assert_int_equal(node_int(n, &sign, &got), 0);
	assert_int_equal(sign, negative);
	assert_true(got == magnitude);
	done(&f);
}

static void reads_integers_of_every_base(void **state)
{
	struct fixture f;
	uint64_t magnitude;
	bool negative;

	assert_int("0", false, 0);
	assert_int("-0", false, 0);
	assert_int("18446744073709551615", false, UINT64_MAX);
	assert_int("-0x10", true, 16);
	assert_int("0o17", false, 15);
	assert_int("0123", false, 83);
	assert_int("0b101", false, 5);
	assert_int("1_000", false, 1000);
	assert_int_equal(node_int(read(&f, "18446744073709551616"), &negative, &magnitude),
	                 -ERANGE);
	done(&f);
}

static void reads_floats(void **state)
{
	struct fixture f;

	assert_true(node_float(read(&f, "-1.5e2")) == -150);
	done(&f);
	assert_true(node_float(read(&f, "12")) == 12);
	done(&f);
	assert_true(node_float(read(&f, "-.Inf")) == -INFINITY);
	done(&f);
	assert_true(isnan(node_float(read(&f, ".NaN"))));
	done(&f);
}

static void keeps_the_place_of_keys_and_values(void **state)
{
	struct fixture f;
	const struct node *root = read(&f, "a:\n  \xc3\xa4\xc3\xb6: [1,\n   2]\n");
	const struct node *a = node_get(root, "a");
	const struct node *list = a->entries[0].value;

	assert_int_equal(a->entries[0].key_at.line, 2);
	assert_int_equal(a->entries[0].key_at.column, 3);
	assert_int_equal(list->at.column, 7); /* characters, not bytes */
	assert_int_equal(list->entries[1].value->at.line, 3);
	assert_int_equal(list->entries[1].value->at.column, 4);
	assert_string_equal(list->at.file, "t.yaml");
	done(&f);
}

static void shares_what_an_alias_names(void **state)
{
	struct fixture f;
	const struct node *root = read(&f, "a: &x {k: 1}\nb: *x\nc: &x 2\nd: *x\n");

	assert_ptr_equal(node_get(root, "a"), node_get(root, "b"));
	assert_string_equal(node_get(root, "d")->text, "2");
	done(&f);
}

static void merges_keys_and_lists_of_maps(void **state)
{
	struct fixture f;
	const struct node *c = node_get(read(&f, "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\n"
	                                         "c:\n  <<: [*a, *b]\n  x: 3\n"),
	                                "c");

	assert_int_equal(c->count, 3);
	assert_string_equal(node_get(c, "x")->text, "3");
	assert_string_equal(node_get(c, "y")->text, "1");
	assert_string_equal(node_get(c, "z")->text, "2");
	done(&f);
}

static void takes_a_byte_order_mark_and_windows_lines(void **state)
{
	struct fixture f;
	const struct node *root = read(&f, "\xef\xbb\xbf"
	                                   "a: 1\r\nb: 2\r\n");

	assert_non_null(root);
	assert_string_equal(node_get(root, "a")->text, "1");
	assert_string_equal(node_get(root, "b")->text, "2");
	done(&f);
}

static void refuses_a_source_beyond_its_bound(void **state)
{
	static char text[YAML_BYTES_MAX + 2];
	struct fixture f;

	memset(text, ' ', sizeof text - 1);
	assert_null(read(&f, text));
	assert_int_equal(f.diagnostics.errors, 1);
	done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_types_as_the_collector_does),
		cmocka_unit_test(reads_integers_of_every_base),
		cmocka_unit_test(reads_floats),
		cmocka_unit_test(keeps_the_place_of_keys_and_values),
		cmocka_unit_test(shares_what_an_alias_names),
		cmocka_unit_test(merges_keys_and_lists_of_maps),
		cmocka_unit_test(takes_a_byte_order_mark_and_windows_lines),
		cmocka_unit_test(refuses_a_source_beyond_its_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
