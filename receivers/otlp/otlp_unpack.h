/* otlp_unpack, private: from the body of a request to a batch: inflating and decoding, on the loop
 * when it is little, on the pool when it would hold the loop up. */
#ifndef WEIR_RECEIVERS_OTLP_UNPACK_H
#define WEIR_RECEIVERS_OTLP_UNPACK_H

#include "receivers/otlp/otlp_intake.h"

/* What one receiver has under way. */
struct unpacker {
	struct list waiting; /* for their turn to inflate on the pool */
	unsigned inflating;  /* whose turn it is */
	unsigned works;      /* on the pool */
	void (*idle)(void *arg);
	void *idle_arg;
};

void unpacker_init(struct unpacker *u);

/* idle(arg) comes once, when nothing runs on the pool; maybe at once. */
void unpacker_wait(struct unpacker *u, void (*idle)(void *arg), void *arg);

/* r->body holds r->received bytes. Ends in intake_request_hand_on() or a refusal, maybe before this
 * returns. */
void unpack_start(struct intake_request *r);

/* The client has gone. True: nothing of the request is under way; otherwise it is freed when what runs
 * on the pool has ended. */
bool unpack_cancel(struct intake_request *r);

#endif
