/* otlp_grpc, private: the gRPC entrance. Knows the three Export methods and says verdicts as gRPC
 * statuses. */
#ifndef WEIR_RECEIVERS_OTLP_GRPC_H
#define WEIR_RECEIVERS_OTLP_GRPC_H

#include "core/net/grpc_server.h"
#include "receivers/otlp/otlp_intake.h"

/* For grpc_server_new(); arg is the entrance. */
extern const struct grpc_server_handler otlp_grpc_handler;

/* intake and what users configure of an entrance are the caller's to set. */
void otlp_grpc_init(struct entrance *e);

#endif
