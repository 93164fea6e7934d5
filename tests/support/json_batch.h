/* json_batch: batches written as OTLP/JSON, for tests of what changes them. */
#ifndef WEIR_TESTS_JSON_BATCH_H
#define WEIR_TESTS_JSON_BATCH_H

#include "core/data/batch.h"

/* The request as a batch of bytes that nobody has opened. Fails the test when it is none. */
struct batch *json_batch(enum signal signal, const char *json, struct budget *budget);

/* Fails the test unless the batch, encoded and printed, is that request (in weir's own form). */
void json_batch_expect(struct batch *b, const char *json);

#endif
