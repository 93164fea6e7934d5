#include "core/proc/proc.h"
#include "tests/support/folder.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* A process as /proc shows it. Its command is hostile: field 2 of stat may hold anything. */
static void make_process(uint32_t pid, uint64_t start_ticks, const char *exe, const char *cgroup)
{
	char path[PATH_MAX], text[512];

	snprintf(path, sizeof path, "%s/%u", folder_path(), pid);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(text, sizeof text,
	         "%u (a) b) R 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 %llu 99 98 97\n", pid,
	         (unsigned long long)start_ticks);
	snprintf(path, sizeof path, "%s/%u/stat", folder_path(), pid);
	write_file(path, text);
	snprintf(path, sizeof path, "%s/%u/cgroup", folder_path(), pid);
	write_file(path, cgroup);
	snprintf(path, sizeof path, "%s/%u/exe", folder_path(), pid);
	if (exe)
		assert_int_equal(symlink(exe, path), 0);
}

static void end_process(uint32_t pid)
{
	static const char *const files[] = {"stat", "cgroup", "exe"};
	char path[PATH_MAX];

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/%u/%s", folder_path(), pid, files[i]);
		unlink(path);
	}
	snprintf(path, sizeof path, "%s/%u", folder_path(), pid);
	rmdir(path);
}

static struct proc_key key(uint32_t pid, uint64_t ticks, uint64_t cgroup_id, const char *executable)
{
	struct proc_key k = {.pid = pid,
	                     .start_time_ns = ticks * 10000000 + 1234567,
	                     .cgroup_id = cgroup_id};

	memcpy(k.executable, executable, strnlen(executable, sizeof k.executable - 1));
	return k;
}

static void check(struct proc_cache *c, struct proc_key k, uint64_t now_ns, const char *executable,
                  const char *path, const char *container_id)
{
	const struct proc_identity *i = proc_cache_find(c, &k, now_ns);

	assert_string_equal(i->executable, executable);
	assert_string_equal(i->path, path);
	assert_string_equal(i->container_id, container_id);
}

static void reads_path_and_container_once(void **state)
{
	struct proc_cache *c = proc_cache_new(folder_path(), 10);

	make_process(7, 500, "/usr/bin/curl", "0::/docker/" ID "\n");
	check(c, key(7, 500, 0, "curl"), 0, "curl", "/usr/bin/curl", ID);
	end_process(7);
	check(c, key(7, 500, 0, "curl"), 10 * PROC_RETRY_NS, "curl", "/usr/bin/curl", ID);
	proc_cache_free(c);
	(void)state;
}

static void a_pid_that_is_used_again_is_another_process(void **state)
{
	struct proc_cache *c = proc_cache_new(folder_path(), 10);

	make_process(7, 500, "/usr/bin/curl", "0::/\n");
	check(c, key(7, 500, 0, "curl"), 0, "curl", "/usr/bin/curl", "");
	check(c, key(7, 400, 0, "curl"), 0, "curl", "", ""); /* the one before */
	end_process(7);
	make_process(7, 900, "/usr/bin/wget", "0::/\n");
	check(c, key(7, 900, 0, "wget"), 0, "wget", "/usr/bin/wget", "");
	check(c, key(7, 500, 0, "curl"), 0, "curl", "/usr/bin/curl", "");
	end_process(7);
	proc_cache_free(c);
	(void)state;
}

static void the_path_of_another_executable_is_not_taken(void **state)
{
	struct proc_cache *c = proc_cache_new(folder_path(), 10);

	make_process(7, 500, "/usr/bin/curl", "0::/\n"); /* was a shell when it connected */
	check(c, key(7, 500, 0, "bash"), 0, "bash", "", "");
	check(c, key(7, 500, 0, "curl"), 0, "curl", "/usr/bin/curl", "");
	end_process(7);
	proc_cache_free(c);
	(void)state;
}

static void a_name_that_the_kernel_cut_is_made_whole(void **state)
{
	struct proc_cache *c = proc_cache_new(folder_path(), 10);

	make_process(7, 500, "/opt/a-very-long-name-of-an-executable-file", "0::/\n");
	check(c, key(7, 500, 0, "a-very-long-name-of-an-executab"), 0,
	      "a-very-long-name-of-an-executable-file",
	      "/opt/a-very-long-name-of-an-executable-file", "");
	end_process(7);
	proc_cache_free(c);
	(void)state;
}

static void a_deleted_executable_keeps_its_path(void **state)
{
	struct proc_cache *c = proc_cache_new(folder_path(), 10);

	make_process(7, 500, "/usr/bin/curl (deleted)", "0::/\n");
	check(c, key(7, 500, 0, "curl"), 0, "curl", "/usr/bin/curl", "");
	end_process(7);
	proc_cache_free(c);
	(void)state;
}

static void an_executable_may_be_called_deleted(void **state)
{
	struct proc_cache *c = proc_cache_new(folder_path(), 10);

	make_process(7, 500, "/opt/x (deleted)", "0::/\n");
	check(c, key(7, 500, 0, "x (deleted)"), 0, "x (deleted)", "/opt/x (deleted)", "");
	end_process(7);
	make_process(7, 600, "/opt/x (deleted) (deleted)", "0::/\n");
	check(c, key(7, 600, 0, "x (deleted)"), 0, "x (deleted)", "/opt/x (deleted)", "");
	end_process(7);
	make_process(7, 700, " (deleted)", "0::/\n"); /* nothing is left of it */
	check(c, key(7, 700, 0, ""), 0, " (deleted)", " (deleted)", "");
	end_process(7);
	proc_cache_free(c);
	(void)state;
}

static void a_name_may_hold_newlines_and_a_path_be_as_long_as_can_be(void **state)
{
	struct proc_cache *c = proc_cache_new(folder_path(), 10);
	char path[PATH_MAX];

	make_process(7, 500, "/opt/a\n0::/docker/" ID "/b\nc", "0::/\n");
	check(c, key(7, 500, 0, "b\nc"), 0, "b\nc", "/opt/a\n0::/docker/" ID "/b\nc", "");
	end_process(7);
	for (size_t i = 0; i < sizeof path - 1; i++)
		path[i] = i % 2 ? 'd' : '/';
	path[sizeof path - 1] = '\0';
	make_process(7, 600, path, "0::/\n");
	check(c, key(7, 600, 0, ""), 0, path + sizeof path - 1 - strlen(strrchr(path, '/') + 1),
	      path, "");
	end_process(7);
	proc_cache_free(c);
	(void)state;
}

static void names_are_made_utf8(void **state)
{
	struct proc_cache *c = proc_cache_new(folder_path(), 10);

	make_process(7, 500, "/opt/caf\xe9/\xff", "0::/\n");
	check(c, key(7, 500, 0, "\xff"), 0, "\xef\xbf\xbd", "/opt/caf\xef\xbf\xbd/\xef\xbf\xbd",
	      "");
	check(c, key(8, 500, 0, "\xc3\xa9\xc3"), 0, "\xc3\xa9\xef\xbf\xbd", "", "");
	end_process(7);
	proc_cache_free(c);
	(void)state;
}

static void one_that_has_gone_is_known_by_others_of_its_cgroup(void **state)
{
	struct proc_cache *c = proc_cache_new(folder_path(), 10);

	make_process(7, 500, "/usr/bin/curl", "0::/docker/" ID "\n");
	check(c, key(9, 600, 42, "curl"), 0, "curl", "", "");
	check(c, key(7, 500, 42, "curl"), 0, "curl", "/usr/bin/curl", ID);
	check(c, key(10, 600, 42, "curl"), 0, "curl", "/usr/bin/curl", ID);
	check(c, key(11, 600, 42, "wget"), 0, "wget", "", ID);
	check(c, key(12, 600, 43, "curl"), 0, "curl", "", "");
	/* two of one name: which it was is not known any more */
	make_process(8, 500, "/opt/curl", "0::/docker/" ID "\n");
	check(c, key(8, 500, 42, "curl"), 0, "curl", "/opt/curl", ID);
	check(c, key(13, 600, 42, "curl"), 0, "curl", "", ID);
	end_process(7);
	end_process(8);
	proc_cache_free(c);
	(void)state;
}

static void a_negative_answer_is_asked_again_later(void **state)
{
	struct proc_cache *c = proc_cache_new(folder_path(), 10);

	check(c, key(7, 500, 0, "curl"), 0, "curl", "", "");
	make_process(7, 500, "/usr/bin/curl", "0::/\n");
	check(c, key(7, 500, 0, "curl"), PROC_RETRY_NS - 1, "curl", "", "");
	check(c, key(7, 500, 0, "curl"), PROC_RETRY_NS, "curl", "/usr/bin/curl", "");
	end_process(7);
	proc_cache_free(c);
	(void)state;
}

static void an_unknown_process_is_no_process(void **state)
{
	struct proc_cache *c = proc_cache_new(folder_path(), 10);

	check(c, (struct proc_key){0}, 0, "", "", "");
	proc_cache_free(c);
	(void)state;
}

static void forgets_the_longest_unused_at_its_bound(void **state)
{
	struct proc_cache *c = proc_cache_new(folder_path(), 2);

	make_process(7, 500, "/usr/bin/curl", "0::/\n");
	check(c, key(7, 500, 0, "curl"), 0, "curl", "/usr/bin/curl", "");
	end_process(7);
	check(c, key(8, 500, 0, "a"), 0, "a", "", "");
	check(c, key(7, 500, 0, "curl"), 0, "curl", "/usr/bin/curl",
	      ""); /* used: a goes before it */
	check(c, key(9, 500, 0, "b"), 0, "b", "", "");
	check(c, key(7, 500, 0, "curl"), 0, "curl", "/usr/bin/curl", "");
	check(c, key(10, 500, 0, "c"), 0, "c", "", "");
	check(c, key(11, 500, 0, "d"), 0, "d", "", "");
	check(c, key(7, 500, 0, "curl"), 0, "curl", "", "");
	proc_cache_free(c);
	(void)state;
}

static void finds_itself_in_the_real_proc(void **state)
{
	struct proc_cache *c = proc_cache_new("/proc", 10);
	struct proc_key k = {.pid = (uint32_t)getpid()};
	const struct proc_identity *i = proc_cache_find(c, &k, 0);
	char self[PATH_MAX] = "";

	assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
	assert_string_equal(i->path, self);
	assert_string_equal(i->executable, strrchr(self, '/') + 1);
	proc_cache_free(c);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_path_and_container_once),
		cmocka_unit_test(a_pid_that_is_used_again_is_another_process),
		cmocka_unit_test(the_path_of_another_executable_is_not_taken),
		cmocka_unit_test(a_name_that_the_kernel_cut_is_made_whole),
		cmocka_unit_test(a_deleted_executable_keeps_its_path),
		cmocka_unit_test(an_executable_may_be_called_deleted),
		cmocka_unit_test(a_name_may_hold_newlines_and_a_path_be_as_long_as_can_be),
		cmocka_unit_test(names_are_made_utf8),
		cmocka_unit_test(one_that_has_gone_is_known_by_others_of_its_cgroup),
		cmocka_unit_test(a_negative_answer_is_asked_again_later),
		cmocka_unit_test(an_unknown_process_is_no_process),
		cmocka_unit_test(forgets_the_longest_unused_at_its_bound),
		cmocka_unit_test(finds_itself_in_the_real_proc),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
