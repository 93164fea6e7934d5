/* file_writer, private: one file of whole records on disk. Everything here blocks and runs on a
 * pool thread, one call at a time; the loop looks at a writer only while no work is under way.
 *
 * A record is a line (JSON without compression) or a 4-byte big-endian length and that many bytes.
 * Whatever happens, the file ends with a whole record: what a crash left at its end is repaired
 * when it is opened, and what a failed write left is cut off at once. An existing file is never
 * emptied. Paths that are no regular files (pipes, /dev/stdout) are written as streams: nothing of
 * that can be undone there, and they are not rotated. */
#ifndef WEIR_EXPORTERS_FILE_WRITER_H
#define WEIR_EXPORTERS_FILE_WRITER_H

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/log.h"

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

/* No record is larger. Below 0x20000000 so that a length never looks like text. */
#define RECORD_LIMIT (UINT64_C(512) << 20)

struct file_writer_config {
	const char *path; /* copied by file_writer_init() */
	bool framed;      /* 4-byte length and payload; otherwise lines */
	bool compressed;  /* each payload is a zstd frame; only with framed */
	bool start_anew;  /* an existing file is moved aside when the writer is opened first */
	bool create_directory;
	mode_t directory_mode;
	uint64_t max_bytes;             /* 0: not rotated */
	uint64_t max_days, max_backups; /* 0: no limit */
	bool localtime;                 /* of the names of rotated files; otherwise UTC */
};

struct file_writer {
	struct file_writer_config config;
	const struct logger *log;
	int fd; /* -1: not open */
	char path[PATH_MAX];
	char real[PATH_MAX]; /* path without symbolic links */
	bool stream;         /* not a regular file */
	bool checked;        /* the end of the file was looked at since it was opened */
	bool dirty;          /* written since the last sync */
	bool opened_before;
	struct buffer scratch; /* the compressed payload */
	uint64_t bytes, rotations, reopenings;
};

void file_writer_init(struct file_writer *w, const struct file_writer_config *config,
                      const struct logger *log);
void file_writer_fini(
	struct file_writer *w); /* closes without a sync; takes what was never opened */

/* Opens or creates the file; creates the directory when asked to. Does nothing when it is open.
 * Does not read it, so it returns soon. Fails with the sentence that names the path. */
int file_writer_open(struct file_writer *w, struct error *error);

/* Appends one record: opens the file when it is not open, or not the one at path any more; repairs
 * and rotates. Errors are retryable: nothing of the record is in the file then. */
int file_writer_append(struct file_writer *w, struct slice payload, struct error *error);

/* What was written is on disk afterwards. On failure, what was written since the last sync may be
 * lost when the machine stops. */
int file_writer_sync(struct file_writer *w, struct error *error);

/* Syncs and closes. The next append opens what is at path then. */
void file_writer_close(struct file_writer *w);

/* ---- file_repair.c */

enum repair { REPAIR_NONE, REPAIR_CUT, REPAIR_NEWLINE, REPAIR_FOREIGN };

/* Makes the file end with a whole record. REPAIR_FOREIGN: it holds something else than records of
 * this form, and was not touched. *ret_bytes: how many bytes were cut off. Negative errno when
 * reading or writing failed. */
int file_repair(int fd, const struct file_writer_config *config, uint64_t *ret_bytes);

/* ---- file_backups.c */

/* Renames the file to `name-2022-09-14T05-02-14.173.ext`, never over another one. Negative
 * errno. */
int file_backup_make(const char *path, bool localtime);

/* Removes the oldest backups beyond max_backups, and those older than max_days; 0: no limit. */
void file_backups_prune(const char *path, const struct file_writer_config *config,
                        const struct logger *log);

#endif
