/* secret: what authenticators keep: secrets in files that are read again when they change, and
 * comparing secrets without telling by the time how far they agree.
 *
 * Kubernetes replaces a mounted secret by turning a symbolic link: a path is looked at anew each
 * time. A file that cannot be read any more keeps its last contents in force, with a line in the
 * log. No message shows contents. */
#ifndef WEIR_NET_SECRET_H
#define WEIR_NET_SECRET_H

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/log.h"

#include <sys/types.h>
#include <time.h>

enum {
	SECRET_FILE_MAX = 1 << 20, /* bytes; somebody's disk image is not a password */
	SECRET_DIGEST_SIZE = 32,
	SECRET_KEY_SIZE = 32,
};

struct secret_file {
	const char *path;
	struct buffer text; /* as it is in the file, but for the white space at its end */
	struct secret_file_version {
		dev_t device;
		ino_t inode;
		off_t size;
		struct timespec modified, changed;
	} version;
	uint64_t looked_ns;
	bool failing;
};

/* Reads the file for the first time; path outlives it. Fails when it is not there, not a regular
 * file, too large, empty, or may be read by every user of the machine: the sentence says what to
 * do. On failure nothing is held. */
int secret_file_open(struct secret_file *f, const char *path, struct error *error);
void secret_file_fini(struct secret_file *f); /* overwrites what it held; takes one full of zeros */

/* Looks whether it is another file now, at most once a second. True when the text was read anew. */
bool secret_file_refresh(struct secret_file *f, const struct logger *log);

/* Frees the buffer after overwriting what was in it. */
void secret_buffer_fini(struct buffer *b);

/* Random bytes, for one process's life. False: the system gives none. */
bool secret_key_make(uint8_t ret[SECRET_KEY_SIZE]);

/* A keyed digest (HMAC-SHA-256) of both parts, the first ended by a NUL. Two secrets are compared
 * by their digests. False: no memory. */
bool secret_digest(const uint8_t key[SECRET_KEY_SIZE], struct slice first, struct slice second,
                   uint8_t ret[SECRET_DIGEST_SIZE]);
/* In constant time. */
bool secret_digest_equal(const uint8_t a[SECRET_DIGEST_SIZE], const uint8_t b[SECRET_DIGEST_SIZE]);

#endif
