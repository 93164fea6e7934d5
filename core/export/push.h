/* push: one attempt to deliver a batch: as one request, or as several when it is too large for one.
 *
 * A request's bytes are gathered from where they lie, or printed as JSON; compressed if so configured; and
 * handed to the exporter's protocol, which ends the push with an outcome. Large ones are printed and
 * compressed on a thread of the pool, and what that makes is charged to the host's budget. The batch stays
 * its owner's until the end.
 *
 * The pusher is what all pushes of an exporter share: the queue before them (core/export/exporter.h), and
 * the order in which everything ends. */
#ifndef WEIR_EXPORT_PUSH_H
#define WEIR_EXPORT_PUSH_H

#include "core/component.h"
#include "core/export/exporter.h"
#include "core/wire/compress.h"

/* OTLP's recommendation for the largest request a client sends, uncompressed. */
enum { PUSH_REQUEST_LIMIT = 64 * 1024 * 1024 };

enum push_encoding { PUSH_PROTOBUF, PUSH_JSON };

struct push;

/* Embedded in an exporter, which fills it in before pusher_init(). */
struct pusher {
	struct component *owner;
	enum signal signal;
	enum push_encoding encoding;
	enum coding coding;
	int level;            /* of compression; 0: the usual */
	size_t request_limit; /* bytes before compression */
	void *self;
	/* Sends p->pieces; push_end() is called for it, once, maybe at once. */
	void (*send)(void *self, struct push *p);
	/* Ends the client, if there is one, and by that the pushes that are still out; calls closed once. */
	void (*close)(void *self, void (*closed)(void *arg), void *arg);
	bool running; /* otherwise pushes fail: nothing is there to send with */

	/* of push.c */
	struct exporter *exporter;
	unsigned under_way;
	bool exporter_closed, client_closed;
	void (*closed)(void *arg);
	void *closed_arg;
};

struct push {
	struct pusher *pusher;
	const struct slice *pieces; /* what is to be sent, as coding says */
	size_t n_pieces;
	enum coding coding;
	size_t items;
	uint64_t deadline_ns; /* monotonic; 0: none */

	/* of push.c */
	struct done done;
	const struct batch *batch;
	struct gather gather; /* points into the batch */
	struct buffer text, compressed;
	struct slice piece;
	size_t bytes;   /* before compression */
	size_t charged; /* to the budget */
	int result;     /* of printing and compressing */
};

int pusher_init(struct pusher *pusher, const struct exporter_config *config, struct error *error);
void pusher_fini(struct pusher *pusher);

/* What a component does with a batch, and at its end. */
void pusher_consume(struct pusher *pusher, struct batch *batch, struct done done);
void pusher_shutdown(struct pusher *pusher, uint64_t deadline_ns, void (*closed)(void *arg),
                     void *arg);

/* Ends it; outcome->message is copied by whoever needs it longer. */
void push_end(struct push *p, const struct outcome *outcome);
void push_retry(struct push *p, const char *message);

/* The backend has taken it, except rejected items, which it will never take; text is what it says about
 * that, or a warning, or empty. Both are logged, with the backend's name, and told to
 * done. */
void push_accepted(struct push *p, const char *backend, uint64_t rejected, struct slice text);

/* A stranger's text as one printable line, cut to size. */
void push_printable(struct slice text, char *ret, size_t size);

#endif
