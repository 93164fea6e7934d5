#include "exporters/file/file_config.h"

#include "exporters/file/file_encode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { COMPRESSION_NONE, COMPRESSION_ZSTD };
static const char *const formats[] = {"json", "proto", NULL};
static const char *const compressions[] = {"none", "zstd", NULL};

static const struct option rotation_options[] = {
	OPTION_UINT(struct rotation_config, max_megabytes, .text = "100", .min = 1, .max = 1 << 20,
                    .doc = "Size in MiB above which the file gets the name of a backup and a new "
                           "one is begun."),
	OPTION_UINT(struct rotation_config, max_days, .text = "0", .max = 36500,
                    .doc = "Backups older than this are removed; 0: never for their age."),
	OPTION_UINT(struct rotation_config, max_backups, .text = "100", .max = 1 << 20,
                    .doc = "The oldest backups beyond this number are removed; 0: all are kept."),
	OPTION_BOOL(struct rotation_config, localtime, .text = "false",
                    .doc = "Local time in the names of backups instead of UTC."),
	OPTION_END,
};

const struct option file_options[] = {
	OPTION_STRING(struct file_config, path, .flags = OPTION_REQUIRED,
                      .doc = "The file to write to."),
	OPTION_ENUM(struct file_config, format, formats, .text = "json",
                    .doc = "One line of OTLP/JSON a batch, or OTLP's protobuf after a 4-byte "
                           "big-endian length."),
	OPTION_BOOL(struct file_config, append, .text = "true",
                    .doc = "Go on at the end of a file that exists; false: give it the name of a "
                           "backup and begin a new one."),
	OPTION_ENUM(struct file_config, compression, compressions, .text = "none",
                    .doc = "zstd compresses each batch; JSON then has a length before it too."),
	OPTION_DURATION(struct file_config, flush_interval, .text = "1s",
                        .doc = "How often what was written is forced to disk; 0: before each batch "
                               "is acknowledged."),
	OPTION_BOOL(struct file_config, create_directory, .text = "false",
                    .doc = "Create the directories of path that are missing."),
	OPTION_STRING(struct file_config, directory_permissions, .text = "0755",
                      .doc = "Permissions of created directories, octal."),
	OPTION_OPTIONAL(struct file_config, rotation, rotation_options,
                        .doc = "Begin a new file when this one is large."),
	OPTION_END,
};

static bool parse_permissions(const char *text, mode_t *ret)
{
	char *end;
	unsigned long v = strtoul(text, &end, 8);

	if (*text < '0' || *text > '7' || *end || v > 07777)
		return false;
	*ret = (mode_t)v;
	return true;
}

int file_check(const void *config, struct error *error)
{
	const struct file_config *c = config;
	mode_t mode;

	if (!c->path || !*c->path)
		return error_set(error, -EINVAL, "path must be non-empty");
	if (strlen(c->path) >= PATH_MAX - 64)
		return error_set(error, -EINVAL, "path is longer than %d characters",
		                 PATH_MAX - 64);
	if (!c->directory_permissions || !parse_permissions(c->directory_permissions, &mode))
		return error_set(error, -EINVAL,
		                 "directory_permissions must be an octal number like 0755");
	return 0;
}

struct file_writer_config file_config_writer(const struct file_config *c)
{
	struct file_writer_config w = {
		.path = c->path,
		.compressed = c->compression == COMPRESSION_ZSTD,
		.framed = c->format == FORMAT_PROTO || c->compression == COMPRESSION_ZSTD,
		.start_anew = !c->append,
		.create_directory = c->create_directory,
		.max_backups = 100, /* of append: false without rotation */
	};

	parse_permissions(c->directory_permissions, &w.directory_mode);
	if (c->rotation.enabled) {
		w.max_bytes = c->rotation.max_megabytes << 20;
		w.max_days = c->rotation.max_days;
		w.max_backups = c->rotation.max_backups;
		w.localtime = c->rotation.localtime;
	}
	return w;
}
