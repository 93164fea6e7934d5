#include "core/proc/cgroup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID2 "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UID "8d27f3f5-2f0c-4a5c-9d3e-0b1c2d3e4f50"
#define UID_ "8d27f3f5_2f0c_4a5c_9d3e_0b1c2d3e4f50"

static const struct {
	const char *text, *container_id, *pod_uid;
} cases[] = {
	{"", "", ""},
	{"\n\n:::\n0", "", ""},
	{"0::/\n", "", ""},
	{"0::/user.slice/user-1000.slice/session-2.scope\n", "", ""},
	{"0::/docker/" ID "\n", ID, ""},
	{"0::/docker/" ID, ID, ""},
	{"0::/system.slice/docker-" ID ".scope\n", ID, ""},
	{"0::/../../docker-" ID ".scope/init\n", ID, ""},
	{"0::/kubepods/burstable/pod" UID "/" ID "\n", ID, UID},
	{"0::/kubepods/pod" UID "\n", "", UID},
	{"0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" UID_
         ".slice/cri-containerd-" ID ".scope\n",
         ID, UID},
	{"0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UID_ ".slice/crio-" ID
         ".scope\n",
         ID, UID},
	{"11:memory:/system.slice/containerd.service/kubepods-burstable-pod" UID_
         ".slice:cri-containerd:" ID "\n",
         ID, UID},
	{"0::/machine.slice/libpod-" ID ".scope/container\n", ID, ""},
	{"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope\n", ID,
         ""},
	/* the monitor beside the container is of the host */
	{"0::/machine.slice/libpod-conmon-" ID ".scope\n", "", ""},
	{"0::/kubepods.slice/crio-conmon-" ID ".scope\n", "", ""},
	/* hybrid: any line */
	{"12:pids:/docker/" ID "\n1:name=systemd:/docker/" ID "\n0::/\n", ID, ""},
	{"12:cpu,cpuacct:/\n0::/system.slice/docker-" ID ".scope\n", ID, ""},
	/* a container in a container: the innermost */
	{"0::/docker/" ID "/kubelet/kubepods/pod" UID "/" ID2 "\n", ID2, UID},
	/* not quite */
	{"0::/docker/" ID "0\n", "", ""},
	{"0::/docker/x" ID "\n", "", ""},
	{"0::/docker/0123456789abcdef\n", "", ""},
	{"0::/kubepods/podnot-a-uid-not-a-uid-not-a-uid-not-a-uid/x\n", "", ""},
	{"0::/kubepods/pod8d27f3f5\n", "", ""},
};

static void finds_containers_and_pods_by_their_names(void **state)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct cgroup_names names;

		cgroup_parse(slice_from_string(cases[i].text), &names);
		assert_string_equal(names.container_id, cases[i].container_id);
		assert_string_equal(names.pod_uid, cases[i].pod_uid);
	}
	(void)state;
}

static void reads_no_byte_beyond_the_text(void **state)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t len = 0; len <= strlen(cases[i].text); len++) {
			struct cgroup_names names;
			char *cut = malloc(len ? len : 1); /* the sanitizer knows where it ends */

			memcpy(cut, cases[i].text, len);
			cgroup_parse(slice_of(cut, len), &names);
			free(cut);
		}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_containers_and_pods_by_their_names),
		cmocka_unit_test(reads_no_byte_beyond_the_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
