/* otlp_intake, private: requests of both protocols on their way from bytes to an answer.
 *
 * An entrance is one listener's side of it. Its handler makes a request when a head has come and was
 * let in, gives it the body, and submits it; the entrance's answer() is called once, after which the
 * request does not exist. Verdicts are told in gRPC's statuses, which each entrance says in its own
 * way.
 *
 * Happy path: intake_request_new -> intake_request_expect -> body -> intake_request_submit -> (inflate) -> batch -> next ->
 * answer(OK).
 * Fails: no memory for it, refused by what follows, shutting down (UNAVAILABLE with a delay) · too
 * large, also inflated (RESOURCE_EXHAUSTED) · not the coding, not OTLP (INVALID_ARGUMENT) · refused for
 * good (INTERNAL).
 * The client goes away: intake_request_abandon; what has been handed on goes on, and its outcome finds nobody.
 *
 * Bodies, what they inflate to and what is decoded from them are charged to the budget before they
 * take memory. The budget is the loop's: work on the pool is lent a sum and gives back the rest. */
#ifndef WEIR_RECEIVERS_OTLP_INTAKE_H
#define WEIR_RECEIVERS_OTLP_INTAKE_H

#include "core/base/list.h"
#include "core/component.h"
#include "core/net/http_server.h"
#include "core/wire/compress.h"
#include "core/wire/grpc.h"
#include "core/wire/otlp_status.h"

struct intake;
struct intake_request;
struct unpacker;
struct unpacking;

struct verdict {
	enum grpc_status status;
	const char *message; /* valid during the call; NULL when there is none */
	uint64_t rejected_items;
	bool retry;           /* the same request may succeed later */
	uint64_t retry_delay; /* ns */
};

enum { ENTRANCE_CODES_MAX = 20 };

struct entrance {
	struct intake *intake;
	const char *transport; /* "grpc", "http" */
	size_t max_size;       /* bytes of a request, as it comes and inflated */
	bool include_metadata;
	struct component *authenticator; /* NULL: everybody may send */
	const struct string_list *request_params;
	/* The exchange of r is there. r is freed afterwards. */
	void (*answer)(struct intake_request *r, const struct verdict *v);
	/* The head of r's exchange. */
	const struct http_request *(*head)(const struct intake_request *r);
	uint64_t wire_bytes, plain_bytes; /* of bodies submitted */
	/* Answers by code, for the figures; the entrance counts them. gone: the client had gone. */
	const char *codes[ENTRANCE_CODES_MAX]; /* NULL: none of that number */
	uint64_t answered[ENTRANCE_CODES_MAX], gone;
};

struct intake_request {
	struct list link; /* in the intake's list of those whose body comes, or of the complete */
	struct intake *intake;
	struct entrance *entrance;
	void *exchange; /* http_exchange or grpc_server_call; NULL: the client has gone */
	enum signal signal;
	enum otlp_encoding encoding;
	enum coding coding;
	char *identity;
	struct budget *budget;
	size_t charged;              /* for itself */
	struct rcbuf *body;          /* as it comes */
	size_t received;             /* bytes of it */
	struct unpacking *unpacking; /* under way: inflating, decoding */
	bool handed_on;
};

/* Fails with no memory: NULL. next are the consumers by signal. */
struct intake *intake_new(const struct component *component, const struct consumer *next);

/* After intake_wait(). Requests whose outcome is still to come lose their owner. Takes NULL. */
void intake_free(struct intake *i);

/* idle(arg) comes once, when nothing of it runs on the pool any more; maybe at once. After the last
 * request has come. */
void intake_wait(struct intake *i, void (*idle)(void *arg), void *arg);

/* Whether no complete request waits for its answer. */
bool intake_is_idle(const struct intake *i);

/* Answers the requests whose body is still coming: they may come again elsewhere. False: there were none. */
bool intake_refuse_unfinished(struct intake *i);

/* What otlp_unpack has under way. */
struct unpacker *intake_unpacker(struct intake *i);
const struct host *intake_host(const struct intake *i);

/* For who is refused now (ns): longer the more refusals there were since the last success. Counts this
 * one. */
uint64_t intake_retry_delay(struct intake *i);

bool intake_takes(const struct intake *i, enum signal signal);

/* Who sends: 0 with *ret_identity (owned by the caller, or NULL), or a negative errno; -ENOMEM is
 * retryable. */
int intake_authenticate(const struct entrance *e, const struct http_request *head,
                        char **ret_identity, struct error *error);

/* exchange is there. Takes identity, also when it fails (NULL: no memory, or the budget refuses). */
struct intake_request *intake_request_new(struct entrance *e, void *exchange, enum signal signal,
                                          char *identity);

/* Room for a body of that many bytes, or, without a length, of what comes. Returns false after
 * answering: too large, or no memory for so much. */
bool intake_request_expect(struct intake_request *r, bool has_length, uint64_t length);

/* The next bytes of the body. Returns false after answering. */
bool intake_request_receive(struct intake_request *r, struct slice bytes);

/* The body is complete. */
void intake_request_submit(struct intake_request *r);

/* Without an answer; takes NULL. */
void intake_request_free(struct intake_request *r);

/* Answers and frees the request. */
void intake_request_refuse(struct intake_request *r, enum grpc_status status, const char *message);

/* With a delay that grows with the number of refusals. */
void intake_request_refuse_for_now(struct intake_request *r, const char *message);

/* What came is a batch, whose reference goes along. */
void intake_request_hand_on(struct intake_request *r, struct batch *batch);

/* The client has gone: exchange must not be used any more. */
void intake_request_abandon(struct intake_request *r);

#endif
