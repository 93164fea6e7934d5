#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include "tests/support/judge.h"
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, ARGUMENTS = 16 };

extern char **environ;

void judge_start(struct judge *j, const char *script, const char *const *arguments)
{
	char *argv[ARGUMENTS + 3] = {(char *)"/usr/bin/python3", (char *)script};
	int in[2], out[2], n = 2;
	size_t len = 0;
	posix_spawn_file_actions_t actions;

	for (; arguments && *arguments && n < ARGUMENTS; arguments++)
		argv[n++] = (char *)*arguments;
	setenv("WEIR_MESSAGES", MESSAGES, 1);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	assert_int_equal(posix_spawn(&j->pid, argv[0], &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	j->in = in[1];
	for (;;) {
		struct pollfd wait = {.fd = out[0], .events = POLLIN};
		ssize_t got;

		assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
		got = read(out[0], j->said + len, sizeof j->said - 1 - len);
		assert_true(got > 0);
		len += (size_t)got;
		j->said[len] = '\0';
		if (strchr(j->said, '\n'))
			break;
	}
	close(out[0]);
}

uint16_t judge_port(const struct judge *j, const char *key)
{
	char quoted[64];
	const char *at;

	snprintf(quoted, sizeof quoted, "\"%s\": ", key);
	at = strstr(j->said, quoted);
	assert_non_null(at);
	return (uint16_t)strtoul(at + strlen(quoted), NULL, 10);
}

void judge_stop(struct judge *j)
{
	close(j->in);
	kill(j->pid, SIGKILL);
	waitpid(j->pid, NULL, 0);
}
