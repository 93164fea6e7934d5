#include "bpf/host/netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct found {
	dev_t device;
	ino_t inode;
	long pid; /* the first process met there; /proc lists the eldest first */
};

struct walk {
	struct found *namespaces;
	size_t count, capacity;
	int (*visit)(void *arg, uint64_t inode);
	void *arg;
	struct netns_counts counts;
};

static void fail(struct walk *w, int error)
{
	w->counts.failed++;
	if (!w->counts.first_error)
		w->counts.first_error = error;
}

static int remember(struct walk *w, const struct stat *s, long pid)
{
	/* Most processes share the namespace of the one before. */
	for (size_t i = w->count; i-- > 0;)
		if (w->namespaces[i].inode == s->st_ino && w->namespaces[i].device == s->st_dev)
			return 0;
	if (w->count == w->capacity) {
		size_t capacity = w->capacity ? 2 * w->capacity : 16;
		struct found *grown = realloc(w->namespaces, capacity * sizeof *grown);

		if (!grown)
			return -ENOMEM;
		w->namespaces = grown;
		w->capacity = capacity;
	}
	w->namespaces[w->count++] = (struct found){s->st_dev, s->st_ino, pid};
	return 0;
}

static int find_all(struct walk *w)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int r = 0;

	if (!proc)
		return -errno;
	while (r == 0 && (entry = readdir(proc))) {
		char path[64], *end;
		long pid = strtol(entry->d_name, &end, 10);
		struct stat s;

		if (*end || pid <= 0)
			continue;
		snprintf(path, sizeof path, "%ld/ns/net", pid);
		if (fstatat(dirfd(proc), path, &s, 0) == 0)
			r = remember(w, &s, pid);
		else if (errno == EACCES || errno == EPERM)
			w->counts.hidden++;
	}
	closedir(proc);
	return r;
}

/* 1: the namespace is not there any more. */
static int enter(const struct found *ns)
{
	char path[64];
	struct stat s;
	int fd, r = 0;

	snprintf(path, sizeof path, "/proc/%ld/ns/net", ns->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ESRCH ? 1 : -errno;
	if (fstat(fd, &s) < 0 || s.st_ino != ns->inode || s.st_dev != ns->device)
		r = 1;
	else if (setns(fd, CLONE_NEWNET) < 0)
		r = -errno;
	close(fd);
	return r;
}

static void *visit_others(void *arg)
{
	struct walk *w = arg;

	for (size_t i = 0; i < w->count; i++) {
		int r = enter(&w->namespaces[i]);

		if (r == 1)
			continue;
		w->counts.seen++;
		if (r == 0)
			r = w->visit(w->arg, w->namespaces[i].inode);
		if (r < 0)
			fail(w, r);
	}
	return NULL;
}

static void forget_own(struct walk *w, const struct stat *own)
{
	for (size_t i = 0; i < w->count; i++) {
		if (w->namespaces[i].inode == own->st_ino &&
		    w->namespaces[i].device == own->st_dev) {
			w->namespaces[i] = w->namespaces[--w->count];
			return;
		}
	}
}

int netns_each(int (*visit)(void *arg, uint64_t inode), void *arg, struct netns_counts *ret)
{
	struct walk w = {.visit = visit, .arg = arg};
	struct stat own = {0};
	pthread_t thread;
	int r, in_own;

	stat("/proc/thread-self/ns/net", &own);
	w.counts.seen = 1;
	in_own = visit(arg, own.st_ino);
	if (in_own < 0)
		fail(&w, in_own);
	r = find_all(&w);
	forget_own(&w, &own);
	if (w.count > 0) {
		int error = pthread_create(&thread, NULL, visit_others, &w);

		if (error == 0)
			pthread_join(thread, NULL);
		else if (r == 0)
			r = -error;
	}
	free(w.namespaces);
	*ret = w.counts;
	return r;
}
