#include "core/proc/cgroup.h"

#include <ctype.h>

/* A container is a part of the path that ends in 64 hexadecimal digits:
 *
 *   /docker/ID                                               docker, cgroupfs driver
 *   /system.slice/docker-ID.scope                            docker, systemd driver
 *   /kubepods/burstable/podUID/ID                            kubelet, cgroupfs driver
 *   /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID.slice/cri-containerd-ID.scope
 *   /kubepods-podUID.slice:cri-containerd:ID                 containerd with a systemd name, v1
 *   .../crio-ID.scope   .../libpod-ID.scope/container        cri-o, podman
 *
 * crio-conmon-ID.scope and libpod-conmon-ID.scope hold the monitor, which is a process of the host.
 */

static bool is_hex(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static size_t hex_run(struct slice s)
{
	size_t n = 0;

	while (n < s.len && is_hex(s.data[n]))
		n++;
	return n;
}

static bool ends_with(struct slice s, struct slice suffix)
{
	return s.len >= suffix.len &&
	       memcmp(s.data + s.len - suffix.len, suffix.data, suffix.len) == 0;
}

/* One part of the path, between slashes. */
static void read_container(struct slice part, char *ret)
{
	size_t begin;

	if (ends_with(part, SLICE_LITERAL(".scope")))
		part.len -= strlen(".scope");
	if (part.len < CGROUP_CONTAINER_ID_LEN)
		return;
	begin = part.len - CGROUP_CONTAINER_ID_LEN;
	if (hex_run(slice_of(part.data + begin, CGROUP_CONTAINER_ID_LEN)) !=
	    CGROUP_CONTAINER_ID_LEN)
		return;
	if (begin && part.data[begin - 1] != '-' && part.data[begin - 1] != ':')
		return;
	if (ends_with(slice_of(part.data, begin), SLICE_LITERAL("conmon-")))
		return;
	memcpy(ret, part.data + begin, CGROUP_CONTAINER_ID_LEN);
	ret[CGROUP_CONTAINER_ID_LEN] = '\0';
}

static bool is_uid(const uint8_t *p)
{
	for (size_t i = 0; i < CGROUP_POD_UID_LEN; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? p[i] != '-' && p[i] != '_'
		                                            : !is_hex(p[i]))
			return false;
	return true;
}

/* "podUID" at the beginning of a part or after a dash. systemd's names have '_' for '-'. */
static void read_pod(struct slice part, char *ret)
{
	for (size_t i = 0; i + 3 + CGROUP_POD_UID_LEN <= part.len; i++) {
		const uint8_t *uid = part.data + i + 3;

		if ((i && part.data[i - 1] != '-') || memcmp(part.data + i, "pod", 3) != 0 ||
		    !is_uid(uid))
			continue;
		for (size_t j = 0; j < CGROUP_POD_UID_LEN; j++)
			ret[j] = uid[j] == '_' ? '-' : (char)uid[j];
		ret[CGROUP_POD_UID_LEN] = '\0';
		return;
	}
}

static struct slice take_until(struct slice *s, uint8_t end)
{
	const uint8_t *at = s->len ? memchr(s->data, end, s->len) : NULL;
	size_t n = at ? (size_t)(at - s->data) : s->len;
	struct slice taken = slice_of(s->data, n);

	s->data += n + (at != NULL);
	s->len -= n + (at != NULL);
	return taken;
}

void cgroup_parse(struct slice text, struct cgroup_names *ret)
{
	*ret = (struct cgroup_names){0};
	while (text.len) {
		struct slice line = take_until(&text, '\n');

		take_until(&line, ':'); /* number of the hierarchy */
		take_until(&line, ':'); /* its controllers */
		while (line.len) {
			struct slice part = take_until(&line, '/');

			read_container(part, ret->container_id);
			read_pod(part, ret->pod_uid);
		}
	}
}
