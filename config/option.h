/* option: one table per component says which keys it has, and drives everything that deals with
 * them: parsing and checking (config/walk.h), `weir describe`, the effective configuration with
 * secrets masked, and the README tables.
 *
 * A row names a key and a field of the component's config struct; the macros check the field's C
 * type when they are compiled. Defaults are written as the text a user would write. Strings, lists
 * and maps are owned by the configuration (an arena) and live as long as it. */
#ifndef WEIR_CONFIG_OPTION_H
#define WEIR_CONFIG_OPTION_H

#include "core/base/endpoint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
	KIND_BOOL,        /* bool */
	KIND_INT,         /* int64_t */
	KIND_UINT,        /* uint64_t */
	KIND_FLOAT,       /* double */
	KIND_STRING,      /* const char *; NULL: absent */
	KIND_BYTES,       /* uint64_t; an integer or text like 64MiB */
	KIND_DURATION,    /* uint64_t ns; Go syntax, not negative */
	KIND_ENUM,        /* int: index into values */
	KIND_ENDPOINT,    /* struct endpoint */
	KIND_COMPONENT,   /* const char *: id of another component, usually an extension */
	KIND_STRING_LIST, /* struct string_list; a plain string is split on commas */
	KIND_UINT_LIST, /* struct uint_list: integers from min to max; one alone is a list of one */
	KIND_STRING_MAP, /* struct string_map: free keys, string values */
	KIND_SCALAR,     /* struct scalar: text, number or bool, as it is written */
	KIND_GROUP,      /* a struct embedded in the config struct, with a table of its own */
	KIND_OPTIONAL,   /* the same, with a bool enabled that says whether the block is on */
	KIND_GROUP_LIST, /* struct group_list: a list of maps, each filled as a struct of size
			    bytes */
};

enum option_flag {
	OPTION_REQUIRED = 1,
	OPTION_SECRET = 2,     /* never printed: [REDACTED] */
	OPTION_RELOADABLE = 4, /* may change without the component being built anew */
	OPTION_DEPRECATED = 8, /* accepted with a warning that .doc explains */
	OPTION_IGNORED =
		16, /* the Collector's key without a meaning here: accepted with a notice */
	OPTION_NULL_ON = 32, /* OPTIONAL: `key:` without a value switches it on with its defaults */
};

struct string_list {
	const char **items;
	size_t count;
};
struct uint_list {
	uint64_t *items;
	size_t count;
};
struct string_map {
	struct string_pair {
		const char *key, *value;
	} * items;
	size_t count;
};
/* What was written, with the type that YAML's core schema gives it. */
enum scalar_kind {
	SCALAR_IS_ABSENT,
	SCALAR_IS_STRING,
	SCALAR_IS_BOOL,
	SCALAR_IS_INT,
	SCALAR_IS_FLOAT
};
struct scalar {
	enum scalar_kind kind;
	union {
		const char *string;
		bool boolean;
		int64_t integer;
		double number;
	};
};
struct group_list {
	void *items; /* count structs of the row's .size */
	size_t count;
};

struct option {
	const char *name; /* NULL ends the table */
	enum option_kind kind;
	size_t offset, size;
	const char *text; /* default as a user would write it; NULL: zero, empty, absent. OPTIONAL:
	                     "on" or NULL (off) */
	double min, max;  /* bounds, both included; 0 and 0: none. DURATION in ns, BYTES in bytes */
	unsigned flags;
	size_t enabled;               /* OPTIONAL: offset of the bool in the row's own struct */
	const char *const *values;    /* ENUM: NULL-terminated */
	const struct option *options; /* GROUP, OPTIONAL, GROUP_LIST */
	const char *doc;              /* one sentence */
};

/* Fails to compile when the field does not have the C type; otherwise 0. */
#define OPTION_TYPED(type, field, ctype)                                                           \
	(0 *                                                                                       \
	 sizeof(char[__builtin_types_compatible_p(__typeof__(((type *)0)->field), ctype) ? 1       \
	                                                                                 : -1]))

#define OPTION_ROW(type, field, kind_, ctype, ...)                                                 \
	{                                                                                          \
		.name = #field, .kind = kind_,                                                     \
		.offset = offsetof(type, field) + OPTION_TYPED(type, field, ctype),                \
		.size = sizeof(((type *)0)->field), __VA_ARGS__                                    \
	}

/* The key is called as the field; give .name = "..." among the rest where it cannot be. */
#define OPTION_BOOL(type, field, ...) OPTION_ROW(type, field, KIND_BOOL, bool, __VA_ARGS__)
#define OPTION_INT(type, field, ...) OPTION_ROW(type, field, KIND_INT, int64_t, __VA_ARGS__)
#define OPTION_UINT(type, field, ...) OPTION_ROW(type, field, KIND_UINT, uint64_t, __VA_ARGS__)
#define OPTION_FLOAT(type, field, ...) OPTION_ROW(type, field, KIND_FLOAT, double, __VA_ARGS__)
#define OPTION_STRING(type, field, ...)                                                            \
	OPTION_ROW(type, field, KIND_STRING, const char *, __VA_ARGS__)
#define OPTION_SIZE(type, field, ...) OPTION_ROW(type, field, KIND_BYTES, uint64_t, __VA_ARGS__)
#define OPTION_DURATION(type, field, ...)                                                          \
	OPTION_ROW(type, field, KIND_DURATION, uint64_t, __VA_ARGS__)
/* The field is an int that holds an enum's value; values_ are its names in order. */
#define OPTION_ENUM(type, field, values_, ...)                                                     \
	OPTION_ROW(type, field, KIND_ENUM, int, .values = values_, __VA_ARGS__)
#define OPTION_ENDPOINT(type, field, ...)                                                          \
	OPTION_ROW(type, field, KIND_ENDPOINT, struct endpoint, __VA_ARGS__)
#define OPTION_COMPONENT(type, field, ...)                                                         \
	OPTION_ROW(type, field, KIND_COMPONENT, const char *, __VA_ARGS__)
#define OPTION_STRING_LIST(type, field, ...)                                                       \
	OPTION_ROW(type, field, KIND_STRING_LIST, struct string_list, __VA_ARGS__)
#define OPTION_UINT_LIST(type, field, ...)                                                         \
	OPTION_ROW(type, field, KIND_UINT_LIST, struct uint_list, __VA_ARGS__)
#define OPTION_STRING_MAP(type, field, ...)                                                        \
	OPTION_ROW(type, field, KIND_STRING_MAP, struct string_map, __VA_ARGS__)
#define OPTION_SCALAR(type, field, ...)                                                            \
	OPTION_ROW(type, field, KIND_SCALAR, struct scalar, __VA_ARGS__)
#define OPTION_GROUP(type, field, table, ...)                                                      \
	{                                                                                          \
		.name = #field, .kind = KIND_GROUP, .offset = offsetof(type, field),               \
		.size = sizeof(((type *)0)->field), .options = table, __VA_ARGS__                  \
	}
#define OPTION_OPTIONAL(type, field, table, ...)                                                   \
	{                                                                                          \
		.name = #field, .kind = KIND_OPTIONAL, .offset = offsetof(type, field),            \
		.size = sizeof(((type *)0)->field),                                                \
		.enabled = offsetof(__typeof__(((type *)0)->field), enabled), .options = table,    \
		__VA_ARGS__                                                                        \
	}
#define OPTION_GROUP_LIST(type, field, element, table, ...)                                        \
	{                                                                                          \
		.name = #field, .kind = KIND_GROUP_LIST,                                           \
		.offset = offsetof(type, field) + OPTION_TYPED(type, field, struct group_list),    \
		.size = sizeof(element), .options = table, __VA_ARGS__                             \
	}
#define OPTION_END                                                                                 \
	{                                                                                          \
		0                                                                                  \
	}

#endif
