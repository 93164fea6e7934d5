/* file_config, private: what users write, and what it means to the writer. */
#ifndef WEIR_EXPORTERS_FILE_CONFIG_H
#define WEIR_EXPORTERS_FILE_CONFIG_H

#include "core/component.h"
#include "exporters/file/file_writer.h"

struct file_config {
	const char *path;
	int format, compression;
	bool append, create_directory;
	const char *directory_permissions;
	uint64_t flush_interval;
	struct rotation_config {
		bool enabled, localtime;
		uint64_t max_megabytes, max_days, max_backups;
	} rotation;
};

extern const struct option file_options[];

int file_check(const void *config, struct error *error);

struct file_writer_config file_config_writer(const struct file_config *c);

#endif
