/* What the doctor says, and what the receivers say when they are refused: as root, and as a process
 * without any rights. */
#include "bpf/host/doctor.h"

#include "receivers/dns/dns_kernel.h"
#include "receivers/sockets/sockets_kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
	bool silent;
	unsigned lines, by_status[4], without_text;
	enum doctor_status capability_bpf, tp_btf;
	char fix_bpf[128];
};

static void on_line(void *arg, const struct doctor_line *line)
{
	struct seen *seen = arg;

	if (!seen->silent)
		print_message("%-8s %-10s %-32s %s%s%s%s%s\n", doctor_status_name(line->status),
		              line->group, line->check, line->seen,
		              *line->disables ? "; without it: " : "", line->disables,
		              *line->fix ? "; " : "", line->fix);
	seen->lines++;
	seen->by_status[line->status]++;
	seen->without_text += !*line->group || !*line->check || !*line->seen;
	if (strcmp(line->check, "CAP_BPF") == 0) {
		seen->capability_bpf = line->status;
		snprintf(seen->fix_bpf, sizeof seen->fix_bpf, "%s", line->fix);
	}
	if (strcmp(line->check, "tp_btf") == 0)
		seen->tp_btf = line->status;
}

static void says_something_about_every_check(void **state)
{
	struct seen seen = {0};

	doctor_run(on_line, &seen);
	assert_true(seen.lines >= 30);
	assert_int_equal(seen.without_text, 0);
}

static int dns_open(struct error *error)
{
	static const struct dns_kernel_handler nobody;
	uint16_t port = 53;
	struct dns_kernel_limits limits = {65536, 64, &port, 1};
	struct dns_kernel *k = NULL;
	int r = dns_kernel_open(NULL, &limits, &nobody, &k, error);

	dns_kernel_close(k);
	return r;
}

static void agrees_with_what_the_receivers_can_do(void **state)
{
	struct seen seen = {.silent = true};
	struct error error = ERROR_INIT;
	struct sockets_kernel *k = NULL;
	bool opens = sockets_kernel_open(NULL, 65536, &k, &error) == 0;

	sockets_kernel_close(k);
	opens = dns_open(&error) == 0 && opens;
	doctor_run(on_line, &seen);
	assert_int_equal(opens, seen.by_status[DOCTOR_FAIL] == 0);
}

/* Runs check as a user without rights, in a child. */
static void assert_without_rights(bool (*check)(void))
{
	int status;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	pid = fork();
	if (pid == 0)
		_exit(setgid(65534) == 0 && setuid(65534) == 0 && check() ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static bool is_refusal_told(void)
{
	struct error error = ERROR_INIT;
	struct sockets_kernel *k = NULL;
	int r = sockets_kernel_open(NULL, 65536, &k, &error);

	struct error dns = ERROR_INIT;

	print_message("%s\n", error.message);
	if (dns_open(&dns) >= 0 ||
	    !strstr(dns.message, "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN are missing"))
		return false;
	return r < 0 && !k && strstr(error.message, "CAP_BPF and CAP_PERFMON are missing") &&
	       strstr(error.message, "AmbientCapabilities=CAP_BPF CAP_PERFMON");
}

static void the_receivers_name_the_capabilities_that_they_lack(void **state)
{
	assert_without_rights(is_refusal_told);
}

static bool is_doctor_failing(void)
{
	struct seen seen = {.silent = true};

	doctor_run(on_line, &seen);
	return seen.capability_bpf == DOCTOR_FAIL && seen.tp_btf == DOCTOR_FAIL &&
	       strstr(seen.fix_bpf, "AmbientCapabilities=CAP_BPF");
}

static void fails_what_needs_rights_that_it_lacks(void **state)
{
	assert_without_rights(is_doctor_failing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_something_about_every_check),
		cmocka_unit_test(agrees_with_what_the_receivers_can_do),
		cmocka_unit_test(the_receivers_name_the_capabilities_that_they_lack),
		cmocka_unit_test(fails_what_needs_rights_that_it_lacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
