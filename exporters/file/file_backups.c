#include "core/base/clock.h"
#include "exporters/file/file_writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* As the Collector names them: 2022-09-14T05-02-14.173; sorts by time as text. */
enum { STAMP_LEN = 23 };
static const char stamp_form[] = "dddd-dd-ddTdd-dd-dd.ddd";

/* A path in three parts: "/var/log/", "data", ".json". */
struct parts {
	int folder_len, stem_len;
	const char *folder, *stem, *extension;
};

static struct parts split_path(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	const char *dot = strrchr(name, '.');

	if (!dot)
		dot = name + strlen(name);
	return (struct parts){
		.folder = path,
		.folder_len = (int)(name - path),
		.stem = name,
		.stem_len = (int)(dot - name),
		.extension = dot,
	};
}

static void format_stamp(char stamp[STAMP_LEN + 1], uint64_t ns, bool local)
{
	time_t seconds = (time_t)(ns / NS_PER_S);
	char text[64];
	struct tm tm;

	if (local)
		localtime_r(&seconds, &tm);
	else
		gmtime_r(&seconds, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H-%M-%S", &tm);
	snprintf(text + 19, sizeof text - 19, ".%03u", (unsigned)(ns % NS_PER_S / NS_PER_MS));
	memcpy(stamp, text, STAMP_LEN);
	stamp[STAMP_LEN] = '\0';
}

static bool is_stamp(const char *text)
{
	for (int i = 0; i < STAMP_LEN; i++)
		if (stamp_form[i] == 'd' ? text[i] < '0' || text[i] > '9'
		                         : text[i] != stamp_form[i])
			return false;
	return true;
}

static int rename_to_new(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* file systems that cannot do it in one step */
	if (access(to, F_OK) == 0)
		return -EEXIST;
	return rename(from, to) == 0 ? 0 : -errno;
}

int file_backup_make(const char *path, bool localtime)
{
	uint64_t now = clock_realtime_ns();
	struct parts p = split_path(path);
	char stamp[STAMP_LEN + 1], to[PATH_MAX];
	int r = -EEXIST;

	/* Two rotations in one millisecond: the second takes the next one. */
	for (int i = 0; i < 1000 && r == -EEXIST; i++) {
		format_stamp(stamp, now + (uint64_t)i * NS_PER_MS, localtime);
		if ((size_t)snprintf(to, sizeof to, "%.*s%.*s-%s%s", p.folder_len, p.folder,
		                     p.stem_len, p.stem, stamp, p.extension) >= sizeof to)
			return -ENAMETOOLONG;
		r = rename_to_new(path, to);
	}
	return r;
}

/* The stamp in a name that is a backup of the file, or NULL. */
static const char *backup_stamp(const struct parts *p, const char *name)
{
	size_t stem = (size_t)p->stem_len, extension = strlen(p->extension);

	if (strlen(name) != stem + 1 + STAMP_LEN + extension || memcmp(name, p->stem, stem) != 0 ||
	    name[stem] != '-' || strcmp(name + stem + 1 + STAMP_LEN, p->extension) != 0 ||
	    !is_stamp(name + stem + 1))
		return NULL;
	return name + stem + 1;
}

static int newest_first(const void *a, const void *b)
{
	return memcmp(b, a, STAMP_LEN);
}

/* The stamps of all backups, one after the other. */
static void list_backups(const struct parts *p, struct buffer *stamps)
{
	char folder[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	snprintf(folder, sizeof folder, "%.*s", p->folder_len ? p->folder_len : 1,
	         p->folder_len ? p->folder : ".");
	dir = opendir(folder);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		const char *stamp = backup_stamp(p, entry->d_name);
		if (stamp)
			buffer_append(stamps, stamp, STAMP_LEN);
	}
	closedir(dir);
}

void file_backups_prune(const char *path, const struct file_writer_config *config,
                        const struct logger *log)
{
	uint64_t now = clock_realtime_ns(), age = config->max_days * 86400 * NS_PER_S;
	struct buffer stamps = BUFFER_INIT;
	struct parts p = split_path(path);
	char oldest[STAMP_LEN + 1] = "", name[PATH_MAX];

	if (!config->max_days && !config->max_backups)
		return;
	if (config->max_days && age < now)
		format_stamp(oldest, now - age, config->localtime);
	list_backups(&p, &stamps);
	if (!stamps.failed && stamps.len)
		qsort(stamps.data, stamps.len / STAMP_LEN, STAMP_LEN, newest_first);
	for (size_t i = 0; !stamps.failed && i < stamps.len / STAMP_LEN; i++) {
		const char *stamp = (const char *)stamps.data + i * STAMP_LEN;
		bool spare = config->max_backups && i >= config->max_backups;
		if (!spare && memcmp(stamp, oldest, strlen(oldest)) >= 0)
			continue;
		snprintf(name, sizeof name, "%.*s%.*s-%.*s%s", p.folder_len, p.folder, p.stem_len,
		         p.stem, STAMP_LEN, stamp, p.extension);
		if (unlink(name) < 0 && errno != ENOENT)
			log_warn(log, "cannot remove the old file %s: %s", name, strerror(errno));
	}
	buffer_fini(&stamps);
}
