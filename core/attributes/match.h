/* match: which spans, log records or metrics a processor acts on: the Collector's `include` and `exclude`.
 *
 * What is asked of the resource and the scope is answered once for each, then every item is asked the rest. For one
 * loop. */
#ifndef WEIR_ATTRIBUTES_MATCH_H
#define WEIR_ATTRIBUTES_MATCH_H

#include "config/option.h"
#include "core/data/batch.h"

struct match_properties {
	bool enabled;
	int match_type;
	struct string_list services, span_names, span_kinds;
	struct group_list attributes, resources, libraries;
	struct string_list log_bodies, log_severity_texts, metric_names;
	struct {
		bool enabled;
		int64_t min;
		bool match_undefined;
	} log_severity_number;
};
extern const struct option match_properties_options[];

struct match;

/* An item is acted on when it matches include, if that is on, and not exclude, if that is. Both must outlive the match.
 * -EINVAL, with the Collector's sentence: not for that signal, a malformed pattern; -ENOMEM. */
int match_new(const struct match_properties *include, const struct match_properties *exclude,
              enum signal signal, struct match **ret, struct error *error);
void match_free(struct match *m); /* takes NULL */

/* What properties name that is not looked at for the signal, as in the Collector; NULL: nothing. */
const char *match_ignored(const struct match_properties *p, enum signal signal);

/* To be called for every resource, then for each of its scopes (which may be NULL), then for each of its items. False:
 * no item below is acted on. */
bool match_resource(struct match *m, const Otlp__Resource *resource);
bool match_scope(struct match *m, const Otlp__InstrumentationScope *scope);
bool match_span(struct match *m, const Otlp__Span *span);
bool match_log(struct match *m, const Otlp__LogRecord *log);
bool match_metric(struct match *m, const Otlp__Metric *metric);

/* There was no memory for an answer since the last call: what was said was a guess. */
bool match_failed(struct match *m);

/* Matches that were given up at a pattern's limit, since the last call. */
unsigned match_given_up(struct match *m);

#endif
