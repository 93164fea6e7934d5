#include "bpf/host/mounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* mountinfo writes space, tab, newline and backslash as \ and three octal digits. */
static void unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		unsigned byte;

		if (*s == '\\' && sscanf(s + 1, "%3o", &byte) == 1 && strlen(s) >= 4) {
			*out++ = (char)byte;
			s += 3;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
}

int mounts_find(const char *type, char *ret_path, size_t size)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t room = 0;
	int r = -ENOENT;

	if (!f)
		return -errno;
	/* 36 35 98:0 /root /mount/point options optional-fields... - type source options */
	while (r == -ENOENT && getline(&line, &room, f) > 0) {
		char *dash = strstr(line, " - "), *point = line, *end;

		if (!dash || strncmp(dash + 3, type, strlen(type)) != 0 ||
		    dash[3 + strlen(type)] != ' ')
			continue;
		for (int field = 0; field < 4 && point; field++) {
			point = strchr(point, ' ');
			point = point ? point + 1 : NULL;
		}
		end = point ? strchr(point, ' ') : NULL;
		if (!end)
			continue;
		*end = '\0';
		unescape(point);
		r = snprintf(ret_path, size, "%s", point) < (int)size ? 0 : -ENAMETOOLONG;
	}
	free(line);
	fclose(f);
	return r;
}

bool mounts_is_cgroup_root(const char *path)
{
	struct stat s;

	/* The first cgroup has the first number, on every kernel. */
	return stat(path, &s) == 0 && s.st_ino == 1;
}
