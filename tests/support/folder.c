#include "tests/support/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char folder[] = "/tmp/weir-test-XXXXXX";

/* Its standard input ends with this program, which alone holds the other end. */
static void remove_at_the_end(void)
{
	static const char script[] = "exec 3<&0; { cat <&3; rm -rf \"$0\"; } >/dev/null 2>&1 &";
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)script, folder, NULL};
	posix_spawn_file_actions_t actions;
	int ends[2], status;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[0], 0);
	assert_int_equal(posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

const char *folder_path(void)
{
	static bool made;

	if (!made) {
		assert_non_null(mkdtemp(folder));
		made = true;
		remove_at_the_end();
	}
	return folder;
}

const char *folder_at(const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof *paths, "%s/%s", folder_path(), name);
	return path;
}

const char *folder_new(void)
{
	static char path[sizeof folder + 16];
	static unsigned n;

	snprintf(path, sizeof path, "%s/%u", folder_path(), n++);
	assert_int_equal(mkdir(path, 0700), 0);
	return path;
}

int folder_with_certificates(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof command, "tests/unit/net/make_certificates.sh %s", folder_path());
	return system(command);
}
