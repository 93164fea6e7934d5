/* judge: starts the Python backends of tests/e2e for C tests, and talks of the ports they print. */
#ifndef WEIR_TESTS_JUDGE_H
#define WEIR_TESTS_JUDGE_H

#include <stdint.h>
#include <sys/types.h>

struct judge {
	pid_t pid;
	int in; /* closing it ends the judge */
	char said[2048];
};

/* Runs /usr/bin/python3 SCRIPT arguments... (NULL-terminated) and waits for its first line. Fails
 * the test when there is none within 20 s. */
void judge_start(struct judge *j, const char *script, const char *const *arguments);

/* The number after "key" in that line. */
uint16_t judge_port(const struct judge *j, const char *key);

void judge_stop(struct judge *j);

#endif
