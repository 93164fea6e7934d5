/* What the files of reverse_dns share: addresses and the sources of their names. */
#ifndef WEIR_PROCESSORS_REVERSE_DNS_INTERNAL_H
#define WEIR_PROCESSORS_REVERSE_DNS_INTERNAL_H

#include "core/base/address.h"
#include "core/component.h"

#include <sys/types.h>
#include <time.h>

/* networks: the label of the longest prefix that an address lies in. The prefixes are cut into ranges
 * that do not overlap, so a look-up is one binary search. 24 bytes a range, at most two ranges a prefix
 * and one more. */
struct networks;

/* Of prefixes ("10.0.0.0/8", or an address alone) and labels, whose texts must stay. -EINVAL with the
 * prefix named; -ENOMEM. */
int networks_new(const struct string_map *prefixes, struct networks **ret, struct error *error);
void networks_free(struct networks *n); /* takes NULL */

/* NULL: in none of them. n may be NULL. */
const char *networks_find(const struct networks *n, const struct address *a);

/* Which contents a file has, as far as one can tell without reading it; zeroed: none. */
struct file_version {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
};

/* Whether the file is there and another version than this one, which is then set anew. May run on any
 * thread. */
bool file_is_new(const char *path, struct file_version *version);

enum {
	HOSTS_FILE_MAX = 16 << 20, /* bytes; somebody's disk image is no hosts file */
	HOSTS_ADDRESSES_MAX = 1 << 20,
};

/* hosts: what a hosts file says, as hosts(5) describes it: an address's first name in its first line.
 * 48 to 96 bytes an address beside up to twice the file's size. Never changes. */
struct hosts;

/* Reads the file unless it is still that version. Returns 1 and *ret, with the version set anew; 0: it
 * is the same; or an error, of which the sentence names the file. May run on any thread. */
int hosts_read(const char *path, struct file_version *version, struct hosts **ret,
               struct error *error);
void hosts_free(struct hosts *h); /* takes NULL */

/* Nothing: it does not stand there. h may be NULL. The name belongs to h. */
struct slice hosts_find(const struct hosts *h, const struct address *a);
size_t hosts_count(const struct hosts *h);

/* An attribute list as it stands in a message. */
struct attributes {
	size_t *count;
	Otlp__KeyValue ***items;
};

/* Calls visit for the attributes of each resource, span, span event, log record and point, until one
 * returns false; then false. Every group must be decoded in full. arena is where what is put into that
 * group must lie. */
bool attributes_each(struct batch *b,
                     bool (*visit)(void *arg, struct arena *arena, struct attributes attributes),
                     void *arg);

#endif
