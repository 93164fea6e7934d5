#include "core/attributes/pattern.h"

#include <errno.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* (a*)*b against a long row of a's takes exponential time when nobody counts. A hundred thousand steps are some
 * milliseconds and far beyond what a sane pattern takes for an attribute. */
enum { STEPS_MAX = 100000, DEPTH_MAX = 10000, HEAP_MAX_KIB = 1024, SOURCE_MAX = 65536 };

struct pattern {
	pcre2_code *code;
	pcre2_match_data *match;
	pcre2_match_context *limits;
	const char **names; /* of the groups, from 1; NULL: unnamed */
	unsigned groups, given_up;
};

void pattern_free(struct pattern *p)
{
	if (!p)
		return;
	pcre2_code_free(p->code);
	pcre2_match_data_free(p->match);
	pcre2_match_context_free(p->limits);
	free(p->names);
	free(p);
}

/* The table of names: entries of two bytes number and a text that ends with NUL. */
static void read_names(struct pattern *p)
{
	uint32_t count = 0, size = 0;
	PCRE2_SPTR table = NULL;

	pcre2_pattern_info(p->code, PCRE2_INFO_NAMECOUNT, &count);
	pcre2_pattern_info(p->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
	pcre2_pattern_info(p->code, PCRE2_INFO_NAMETABLE, &table);
	for (; count; count--, table += size) {
		unsigned number = (unsigned)table[0] << 8 | table[1];
		if (number <= p->groups)
			p->names[number] = (const char *)table + 2;
	}
}

static int compile(struct pattern *p, const char *text, struct error *error)
{
	/* As Go: $ is the very end of the text. */
	const uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY |
	                         PCRE2_NEVER_BACKSLASH_C;
	size_t at = 0;
	int code = 0;
	char why[160] = "";

	if (strlen(text) > SOURCE_MAX)
		return error_set(error, -EINVAL, "the pattern is longer than %d bytes", SOURCE_MAX);
	p->code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, options, &code, &at, NULL);
	if (!p->code && code == PCRE2_ERROR_HEAP_FAILED)
		return error_no_memory(error);
	if (p->code)
		return 0;
	pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
	return error_set(error, -EINVAL, "invalid pattern: \"%.200s\", at character %zu: %s", text,
	                 at + 1, why);
}

int pattern_new(const char *text, struct pattern **ret, struct error *error)
{
	struct pattern *p = calloc(1, sizeof *p);
	uint32_t groups = 0;
	int r;

	if (!p)
		return error_no_memory(error);
	r = compile(p, text, error);
	if (r < 0)
		goto fail;
	pcre2_pattern_info(p->code, PCRE2_INFO_CAPTURECOUNT, &groups);
	p->groups = groups;
	p->names = calloc(groups + 1, sizeof *p->names);
	p->match = pcre2_match_data_create_from_pattern(p->code, NULL);
	p->limits = pcre2_match_context_create(NULL);
	if (!p->names || !p->match || !p->limits) {
		r = error_no_memory(error);
		goto fail;
	}
	read_names(p);
	pcre2_set_match_limit(p->limits, STEPS_MAX);
	pcre2_set_depth_limit(p->limits, DEPTH_MAX);
	pcre2_set_heap_limit(p->limits, HEAP_MAX_KIB);
	*ret = p;
	return 0;
fail:
	pattern_free(p);
	return r;
}

int pattern_match(struct pattern *p, struct slice text)
{
	int r = pcre2_match(p->code, text.data ? text.data : (const uint8_t *)"", text.len, 0, 0,
	                    p->match, p->limits);

	if (r > 0)
		return 1;
	if (r == PCRE2_ERROR_NOMEMORY)
		return -ENOMEM;
	p->given_up += r != PCRE2_ERROR_NOMATCH;
	return 0;
}

unsigned pattern_groups(const struct pattern *p)
{
	return p->groups;
}

const char *pattern_group_name(const struct pattern *p, unsigned i)
{
	return p->names[i];
}

struct slice pattern_group(const struct pattern *p, struct slice text, unsigned i)
{
	const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(p->match);
	size_t from = bounds[2 * i], to = bounds[2 * i + 1];

	if (from == PCRE2_UNSET || to < from || to > text.len) /* \K may end before it begins */
		return slice_of("", 0);
	return slice_of(text.data + from, to - from);
}

unsigned pattern_given_up(struct pattern *p)
{
	unsigned n = p->given_up;

	p->given_up = 0;
	return n;
}

void pattern_log_given_up(const struct logger *log, unsigned given_up)
{
	if (given_up)
		log_warn(log,
		         "%u matches of regular expressions took too many steps and count as no "
		         "match: simplify the pattern, above all repetitions inside repetitions",
		         given_up);
}
