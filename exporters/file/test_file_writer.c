#include "exporters/file/file_writer.h"
#include "tests/support/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

/* A folder of its own for each test, with the paths used in it. */
struct fixture {
	const char *folder;
	char path[128];
	struct logger log;
	struct file_writer writer;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	f->folder = folder_new();
	snprintf(f->path, sizeof f->path, "%s/data.json", f->folder);
	file_writer_init(&f->writer, &(struct file_writer_config){.path = f->path}, &f->log);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	file_writer_fini(&f->writer);
	free(f);
	return 0;
}

static void begin(struct fixture *f, struct file_writer_config config)
{
	if (!config.path)
		config.path = f->path;
	file_writer_fini(&f->writer);
	file_writer_init(&f->writer, &config, &f->log);
}

static int append(struct fixture *f, const char *text, struct error *error)
{
	return file_writer_append(&f->writer, slice_from_string(text), error);
}

static void append_ok(struct fixture *f, const char *text)
{
	struct error error = ERROR_INIT;
	if (append(f, text, &error) < 0)
		fail_msg("%s", error.message);
}

static size_t read_file(const char *path, char *data, size_t size)
{
	FILE *file = fopen(path, "r");
	size_t n;

	assert_non_null(file);
	n = fread(data, 1, size - 1, file);
	data[n] = '\0';
	fclose(file);
	return n;
}

static void expect_content(const char *path, const void *content, size_t len)
{
	char data[8192];
	size_t n = read_file(path, data, sizeof data);

	assert_int_equal(n, len);
	assert_memory_equal(data, content, len);
}

#define EXPECT(path, literal) expect_content(path, literal, sizeof(literal) - 1)

static void put(const char *path, const void *content, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, len, file), len);
	fclose(file);
}

#define PUT(path, literal) put(path, literal, sizeof(literal) - 1)

/* The names of the backups, sorted; returns how many there are. */
static int backups(const struct fixture *f, char paths[][160], int max)
{
	struct dirent **entries;
	int n = scandir(f->folder, &entries, NULL, alphasort), found = 0;

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		if (strncmp(entries[i]->d_name, "data-", 5) == 0 && found < max)
			snprintf(paths[found++], 160, "%s/%.60s", f->folder, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return found;
}

static void writes_a_line_for_each_record(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	begin(f, (struct file_writer_config){0});
	append_ok(f, "{\"a\":1}");
	append_ok(f, "{\"b\":2}");
	EXPECT(f->path, "{\"a\":1}\n{\"b\":2}\n");
	assert_int_equal(f->writer.bytes, 16);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void writes_a_length_before_framed_records(void **state)
{
	struct fixture *f = *state;

	begin(f, (struct file_writer_config){.framed = true});
	append_ok(f, "\nabc");
	append_ok(f, "\nd");
	EXPECT(f->path, "\0\0\0\x04\nabc\0\0\0\x02\nd");
}

static void compresses_each_record_by_itself(void **state)
{
	struct fixture *f = *state;
	char text[3001], data[8192], plain[4096];
	size_t n;

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	begin(f, (struct file_writer_config){.framed = true, .compressed = true});
	append_ok(f, text);
	n = read_file(f->path, data, sizeof data);
	assert_true(n < 200);
	assert_int_equal(data[3], n - 4);
	assert_int_equal(ZSTD_decompress(plain, sizeof plain, data + 4, n - 4), 3000);
	assert_memory_equal(plain, text, 3000);
}

static void goes_on_at_the_end_of_an_existing_file(void **state)
{
	struct fixture *f = *state;

	PUT(f->path, "{\"old\":1}\n");
	begin(f, (struct file_writer_config){0});
	append_ok(f, "{}");
	EXPECT(f->path, "{\"old\":1}\n{}\n");
}

static void keeps_the_old_file_when_told_to_start_anew(void **state)
{
	struct fixture *f = *state;
	char old[4][160];

	PUT(f->path, "{\"old\":1}\n");
	begin(f, (struct file_writer_config){.start_anew = true, .max_backups = 100});
	append_ok(f, "{}");
	append_ok(f, "{}");
	EXPECT(f->path, "{}\n{}\n");
	assert_int_equal(backups(f, old, 4), 1);
	EXPECT(old[0], "{\"old\":1}\n");
}

static void ends_a_line_that_a_crash_left_unfinished(void **state)
{
	struct fixture *f = *state;

	PUT(f->path, "{\"a\":1}\n{\"b\":");
	begin(f, (struct file_writer_config){0});
	append_ok(f, "{}");
	EXPECT(f->path, "{\"a\":1}\n{\"b\":\n{}\n");
}

static void cuts_zeros_that_a_crash_left_at_the_end(void **state)
{
	struct fixture *f = *state;
	char zeros[5000] = "{\"a\":1}\n";

	put(f->path, zeros, sizeof zeros);
	begin(f, (struct file_writer_config){0});
	append_ok(f, "{}");
	EXPECT(f->path, "{\"a\":1}\n{}\n");

	memset(zeros, 0, sizeof zeros);
	memcpy(zeros, "\0\0\0\x02\nq", 6);
	put(f->path, zeros, sizeof zeros);
	begin(f, (struct file_writer_config){.framed = true});
	append_ok(f, "\nr");
	EXPECT(f->path, "\0\0\0\x02\nq\0\0\0\x02\nr");
}

static void cuts_a_record_that_is_not_whole_at_every_length(void **state)
{
	struct fixture *f = *state;
	static const char whole[] = "\0\0\0\x03\nab", torn[] = "\0\0\0\x03\nab\0\0\0\x05\ncdef";
	static const char after[] = "\0\0\0\x03\nab\0\0\0\x02\nz";

	for (size_t len = sizeof whole - 1; len < sizeof torn - 1; len++) {
		put(f->path, torn, len);
		begin(f, (struct file_writer_config){.framed = true});
		append_ok(f, "\nz");
		expect_content(f->path, after, sizeof after - 1);
	}
}

static void moves_a_file_of_another_kind_aside(void **state)
{
	static const struct {
		const char *content;
		size_t len;
		bool framed, compressed;
	} cases[] = {
		{"a,b,c\n", 6, false, false},       {"{\"json\":1}\n", 11, true, false},
		{"\0\0\0\x02xy", 6, true, false},   {"\0\0\0\x02\nx", 6, true, true},
		{"\0\0\0\x02\nx", 6, false, false}, {"12345", 5, true, false},
		{"\0\0\0\0rest", 8, true, false},
	};
	struct fixture *f = *state;
	char old[4][160];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		put(f->path, cases[i].content, cases[i].len);
		begin(f, (struct file_writer_config){.framed = cases[i].framed,
		                                     .compressed = cases[i].compressed});
		append_ok(f, "\n");
		assert_int_equal(backups(f, old, 4), 1);
		expect_content(old[0], cases[i].content, cases[i].len);
		unlink(old[0]);
		unlink(f->path);
	}
}

static void rotates_before_a_file_grows_too_large(void **state)
{
	struct fixture *f = *state;
	char old[8][160];

	begin(f, (struct file_writer_config){.max_bytes = 10, .max_backups = 3});
	for (int i = 0; i < 12; i++) {
		char line[16];
		snprintf(line, sizeof line, "{%03d", i);
		append_ok(f, line); /* 5 bytes: two to a file */
	}
	assert_int_equal(f->writer.rotations, 5);
	assert_int_equal(backups(f, old, 8), 3);
	EXPECT(old[0], "{004\n{005\n");
	EXPECT(old[2], "{008\n{009\n");
	EXPECT(f->path, "{010\n{011\n");
}

static void counts_what_an_existing_file_holds_towards_rotation(void **state)
{
	struct fixture *f = *state;
	char old[4][160];

	PUT(f->path, "{\"old\":1}\n");
	begin(f, (struct file_writer_config){.max_bytes = 12});
	append_ok(f, "{\"new\"}");
	EXPECT(f->path, "{\"new\"}\n");
	assert_int_equal(backups(f, old, 4), 1);
	EXPECT(old[0], "{\"old\":1}\n");
}

static void a_record_larger_than_a_file_may_be_gets_one_of_its_own(void **state)
{
	struct fixture *f = *state;
	char old[4][160];

	begin(f, (struct file_writer_config){.max_bytes = 4});
	append_ok(f, "{123456789}");
	append_ok(f, "{}");
	EXPECT(f->path, "{}\n");
	assert_int_equal(backups(f, old, 4), 1);
	EXPECT(old[0], "{123456789}\n");
}

static void removes_backups_that_are_too_old_and_nothing_else(void **state)
{
	static const char *const names[] = {"data-2001-02-03T04-05-06.789.json",
	                                    "data-2001-02-03T04-05-06.789.json.bak",
	                                    "data-2001-02-03T04-05-06.json",
	                                    "database-2001-02-03T04-05-06.789.json",
	                                    "data-notes.json"};
	struct fixture *f = *state;
	char paths[5][160];

	for (int i = 0; i < 5; i++) {
		snprintf(paths[i], sizeof paths[i], "%s/%s", f->folder, names[i]);
		PUT(paths[i], "x");
	}
	begin(f, (struct file_writer_config){.max_bytes = 100, .max_days = 30, .max_backups = 100});
	append_ok(f, "{}");
	assert_int_equal(access(paths[0], F_OK), -1);
	for (int i = 1; i < 5; i++)
		assert_int_equal(access(paths[i], F_OK), 0);
}

static void begins_a_new_file_when_the_old_one_was_removed_or_renamed(void **state)
{
	struct fixture *f = *state;
	char moved[160];

	snprintf(moved, sizeof moved, "%s/moved", f->folder);
	begin(f, (struct file_writer_config){0});
	append_ok(f, "{1}");
	assert_int_equal(unlink(f->path), 0);
	append_ok(f, "{2}");
	EXPECT(f->path, "{2}\n");
	assert_int_equal(rename(f->path, moved), 0);
	append_ok(f, "{3}");
	EXPECT(moved, "{2}\n");
	EXPECT(f->path, "{3}\n");
	assert_int_equal(f->writer.reopenings, 2);
}

/* A limit on file sizes makes write() succeed for a part and then fail, as a full disk does. */
static void leaves_no_part_of_a_record_that_could_not_be_written(void **state)
{
	struct fixture *f = *state;
	struct error error = ERROR_INIT;
	struct rlimit old, small = {.rlim_cur = 20};

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	begin(f, (struct file_writer_config){0});
	append_ok(f, "{\"a\":1}");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(append(f, "{\"this record is longer\":1}", &error), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(error.kind, ERROR_RETRYABLE);
	assert_non_null(strstr(error.message, f->path));
	EXPECT(f->path, "{\"a\":1}\n");
	append_ok(f, "{\"b\":2}");
	EXPECT(f->path, "{\"a\":1}\n{\"b\":2}\n");
}

static void says_that_the_disk_is_full(void **state)
{
	struct fixture *f = *state;
	struct error error = ERROR_INIT;

	begin(f, (struct file_writer_config){.path = "/dev/full"});
	assert_int_equal(append(f, "{}", &error), -ENOSPC);
	assert_int_equal(error.kind, ERROR_RETRYABLE);
	assert_string_equal(error.message, "write /dev/full: No space left on device");
}

static void writes_to_devices_as_streams(void **state)
{
	struct fixture *f = *state;
	struct error error = ERROR_INIT;

	begin(f,
	      (struct file_writer_config){.path = "/dev/null", .max_bytes = 1, .start_anew = true});
	append_ok(f, "{}");
	append_ok(f, "{}");
	assert_int_equal(f->writer.rotations, 0);
	assert_int_equal(file_writer_sync(&f->writer, &error), 0);
}

static void says_what_to_do_about_a_missing_directory(void **state)
{
	struct fixture *f = *state;
	struct error error = ERROR_INIT;
	char path[160], expected[400];
	struct stat st;

	snprintf(path, sizeof path, "%s/a/b/data.json", f->folder);
	begin(f, (struct file_writer_config){.path = path});
	assert_int_equal(file_writer_open(&f->writer, &error), -ENOENT);
	snprintf(expected, sizeof expected,
	         "open %s: No such file or directory; create its directory, or set "
	         "create_directory: true",
	         path);
	assert_string_equal(error.message, expected);

	begin(f, (struct file_writer_config){.path = path,
	                                     .create_directory = true,
	                                     .directory_mode = 0700});
	append_ok(f, "{}");
	EXPECT(path, "{}\n");
	*strrchr(path, '/') = '\0';
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

static void rotates_the_file_behind_a_symbolic_link(void **state)
{
	struct fixture *f = *state;
	char link[160], old[4][160];

	snprintf(link, sizeof link, "%s/current", f->folder);
	PUT(f->path, "{1}\n");
	assert_int_equal(symlink(f->path, link), 0);
	begin(f, (struct file_writer_config){.path = link, .max_bytes = 6});
	append_ok(f, "{2}");
	EXPECT(link, "{2}\n");
	EXPECT(f->path, "{2}\n");
	assert_int_equal(backups(f, old, 4), 1);
	EXPECT(old[0], "{1}\n");
}

static void syncs_what_was_written(void **state)
{
	struct fixture *f = *state;
	struct error error = ERROR_INIT;

	begin(f, (struct file_writer_config){0});
	append_ok(f, "{}");
	assert_true(f->writer.dirty);
	assert_int_equal(file_writer_sync(&f->writer, &error), 0);
	assert_false(f->writer.dirty);
	file_writer_close(&f->writer);
	append_ok(f, "{}");
	EXPECT(f->path, "{}\n{}\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(writes_a_line_for_each_record),
		TEST(writes_a_length_before_framed_records),
		TEST(compresses_each_record_by_itself),
		TEST(goes_on_at_the_end_of_an_existing_file),
		TEST(keeps_the_old_file_when_told_to_start_anew),
		TEST(ends_a_line_that_a_crash_left_unfinished),
		TEST(cuts_zeros_that_a_crash_left_at_the_end),
		TEST(cuts_a_record_that_is_not_whole_at_every_length),
		TEST(moves_a_file_of_another_kind_aside),
		TEST(rotates_before_a_file_grows_too_large),
		TEST(counts_what_an_existing_file_holds_towards_rotation),
		TEST(a_record_larger_than_a_file_may_be_gets_one_of_its_own),
		TEST(removes_backups_that_are_too_old_and_nothing_else),
		TEST(begins_a_new_file_when_the_old_one_was_removed_or_renamed),
		TEST(leaves_no_part_of_a_record_that_could_not_be_written),
		TEST(says_that_the_disk_is_full),
		TEST(writes_to_devices_as_streams),
		TEST(says_what_to_do_about_a_missing_directory),
		TEST(rotates_the_file_behind_a_symbolic_link),
		TEST(syncs_what_was_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
