/* series_internal: how series come into the table and leave it. For core/prometheus only. */
#ifndef WEIR_PROMETHEUS_SERIES_INTERNAL_H
#define WEIR_PROMETHEUS_SERIES_INTERNAL_H

#include "core/prometheus/series.h"

/* Label sets with more than this are nobody's monitoring: a point with a million attributes is an
 * attempt to make the table large and every comparison slow. */
enum { SERIES_LABELS_LIMIT = 256, SERIES_LABEL_BYTES_LIMIT = 256 * 1024 };

struct label {
	struct slice name, value;
};

bool series_table_init(struct series_table *t, size_t max_series, size_t max_symbol_bytes);
/* Forgets everything that is in the table; nobody may hold a series any more. */
void series_table_fini(struct series_table *t);

/* The family of that name and type. -ENOMEM; -ENOSPC: a limit; -EEXIST: one_type, and the name has
 * series of another type. It is the caller's to drop with series_family_release(). */
int series_family_get(struct series_table *t, struct slice name, enum metric_type type,
                      struct slice help, struct slice unit, bool one_type,
                      struct series_family **ret);
void series_family_release(struct series_table *t, struct series_family *f);

/* The series with these labels (sorted, unique, no name and no value empty, __name__ among them), which
 * then has one more stream. Made when there is none. -ENOMEM; -ENOSPC: a limit; -E2BIG: more than
 * SERIES_LABELS_LIMIT; -EEXIST: it has samples of the other kind (values, native histograms), or with
 * one_type another family. */
int series_get(struct series_table *t, struct series_family *f, enum series_role role,
               const struct label *labels, size_t n, bool one_type, struct series **ret,
               bool *ret_new);

/* One stream less. */
static inline void series_leave(struct series *s)
{
	s->streams--;
}

/* Out of the table, when no stream is left. True: it was the last; the table's reference is now the
 * caller's. */
bool series_end(struct series_table *t, struct series *s);

#endif
