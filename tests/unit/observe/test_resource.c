#include "core/observe/resource.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct resource_owner curl = {.executable = "curl",
                                           .path = "/usr/bin/curl",
                                           .container_id = ""};

static void the_same_owner_is_the_same_resource(void **state)
{
	struct resource_owner same = curl, other = curl;
	struct resources r;
	struct resource *a, *b, *c;

	resources_init(&r, "host");
	other.container_id = "c1";
	a = resource_get(&r, &curl);
	b = resource_get(&r, &same);
	c = resource_get(&r, &other);
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, c);
	assert_int_equal(r.map.count, 2);
	resource_unref(a);
	resource_unref(c);
	assert_int_equal(r.map.count, 1);
	resource_unref(b);
	assert_int_equal(r.map.count, 0);
	resource_unref(NULL);
	resources_fini(&r);
	(void)state;
}

static void instance_id_of(const char *host, const struct resource_owner *owner,
                           char text[RESOURCE_INSTANCE_TEXT])
{
	struct resources r;
	struct resource *resource;

	resources_init(&r, host);
	resource = resource_get(&r, owner);
	assert_non_null(resource);
	memcpy(text, resource->instance_id, RESOURCE_INSTANCE_TEXT);
	resource_unref(resource);
	resources_fini(&r);
}

static void an_instance_id_is_a_uuid_that_stays(void **state)
{
	static const struct resource_owner owners[] = {
		{"curl", "/usr/bin/curl", "", 0, 0},
		{"curl", "/usr/local/bin/curl", "", 0, 0},
		{"curl", "", "", 0, 0},
		{"wget", "/usr/bin/wget", "", 0, 0},
		{"curl", "/usr/bin/curl", "c1", 0, 0},
		{"curl", "/usr/bin/curl", "", 7, 1},
		{"curl", "/usr/bin/curl", "", 7, 2},
	};
	enum { N = sizeof owners / sizeof *owners };
	char ids[N + 1][RESOURCE_INSTANCE_TEXT], again[RESOURCE_INSTANCE_TEXT];

	for (size_t i = 0; i < N; i++) {
		instance_id_of("host", &owners[i], ids[i]);
		instance_id_of("host", &owners[i], again);
		assert_string_equal(ids[i], again);
	}
	instance_id_of("another", &owners[0], ids[N]);
	for (size_t i = 0; i <= N; i++) {
		assert_int_equal(strlen(ids[i]), 36);
		assert_int_equal(ids[i][14], '5'); /* version */
		assert_non_null(strchr("89ab", ids[i][19]));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(ids[i], ids[k]);
	}
	/* As `uuid.uuid5()` of Python makes it: it must not change with a new weir. */
	assert_string_equal(ids[0], "dc4761ed-68a6-5af9-979b-12e44f117b73");
	(void)state;
}

static void who_is_not_known_has_no_instance_id(void **state)
{
	static const struct resource_owner nobody = {.executable = "",
	                                             .path = "",
	                                             .container_id = ""};
	char id[RESOURCE_INSTANCE_TEXT];

	instance_id_of("host", &nobody, id);
	assert_string_equal(id, "");
	(void)state;
}

static void a_key_holds_what_the_kernel_told(void **state)
{
	struct process_owner owner = {.pid = 7, .start_time_ns = 8, .cgroup_id = 9};
	struct proc_key key;

	memset(owner.executable, 'x', sizeof owner.executable); /* no NUL */
	key = resource_process_key(&owner);
	assert_int_equal(key.pid, 7);
	assert_int_equal(key.start_time_ns, 8);
	assert_int_equal(key.cgroup_id, 9);
	assert_int_equal(strlen(key.executable), sizeof key.executable - 1);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_owner_is_the_same_resource),
		cmocka_unit_test(an_instance_id_is_a_uuid_that_stays),
		cmocka_unit_test(who_is_not_known_has_no_instance_id),
		cmocka_unit_test(a_key_holds_what_the_kernel_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
