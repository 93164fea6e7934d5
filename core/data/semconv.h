/* semconv: the names that weir itself puts on telemetry, each written down once.
 *
 * Semantic conventions v1.44.0 (SEMCONV_SCHEMA_URL goes on every resource and scope that weir
 * makes). What the conventions do not name has the prefix "weir.". Names that change with the next
 * version of the conventions change here and nowhere else. */
#ifndef WEIR_DATA_SEMCONV_H
#define WEIR_DATA_SEMCONV_H

#define SEMCONV_SCHEMA_URL "https://opentelemetry.io/schemas/1.44.0"

/* Resource */
#define SEMCONV_HOST_NAME "host.name"
#define SEMCONV_SERVICE_NAME "service.name"
#define SEMCONV_SERVICE_NAMESPACE "service.namespace"
#define SEMCONV_SERVICE_INSTANCE_ID "service.instance.id"
#define SEMCONV_SERVICE_VERSION "service.version"
#define SEMCONV_PROCESS_PID "process.pid"
#define SEMCONV_PROCESS_EXECUTABLE_NAME "process.executable.name"
#define SEMCONV_PROCESS_EXECUTABLE_PATH "process.executable.path"
#define SEMCONV_CONTAINER_ID "container.id"

/* Network */
#define SEMCONV_NETWORK_TRANSPORT "network.transport"
#define SEMCONV_NETWORK_TRANSPORT_TCP "tcp"
#define SEMCONV_NETWORK_TRANSPORT_UDP "udp"
#define SEMCONV_NETWORK_TYPE "network.type"
#define SEMCONV_NETWORK_TYPE_IPV4 "ipv4"
#define SEMCONV_NETWORK_TYPE_IPV6 "ipv6"
#define SEMCONV_NETWORK_IO_DIRECTION "network.io.direction"
#define SEMCONV_NETWORK_IO_DIRECTION_TRANSMIT "transmit"
#define SEMCONV_NETWORK_IO_DIRECTION_RECEIVE "receive"
#define SEMCONV_NETWORK_LOCAL_ADDRESS "network.local.address"
#define SEMCONV_NETWORK_LOCAL_PORT "network.local.port"
#define SEMCONV_NETWORK_PEER_ADDRESS "network.peer.address"
#define SEMCONV_NETWORK_PEER_PORT "network.peer.port"
#define SEMCONV_SERVER_ADDRESS "server.address"
#define SEMCONV_SERVER_PORT "server.port"
#define SEMCONV_CLIENT_ADDRESS "client.address"
#define SEMCONV_CLIENT_PORT "client.port"

/* Errors; the closed set of values of failed TCP connections */
#define SEMCONV_ERROR_TYPE "error.type"
#define SEMCONV_ERROR_TYPE_CONNECTION_REFUSED "connection_refused"
#define SEMCONV_ERROR_TYPE_CONNECTION_RESET "connection_reset"
#define SEMCONV_ERROR_TYPE_TIMED_OUT "timed_out"
#define SEMCONV_ERROR_TYPE_HOST_UNREACHABLE "host_unreachable"
#define SEMCONV_ERROR_TYPE_NETWORK_UNREACHABLE "network_unreachable"
#define SEMCONV_ERROR_TYPE_OTHER "other"

/* The same of DNS look-ups: how one ended, or the answer's code in the words of RFC 1035, 2136, 6891
 * and 7873; _OTHER for the rest of the codes */
#define SEMCONV_ERROR_TYPE_TIMEOUT "timeout"
#define SEMCONV_ERROR_TYPE_TRUNCATED "truncated"
#define SEMCONV_ERROR_TYPE_MALFORMED "malformed"
#define SEMCONV_ERROR_TYPE_OTHER_ADDRESS "other_address" /* answered by another than was asked */
#define SEMCONV_ERROR_TYPE_FORMAT_ERROR "format_error"
#define SEMCONV_ERROR_TYPE_SERVER_FAILURE "server_failure"
#define SEMCONV_ERROR_TYPE_NAME_ERROR "name_error"
#define SEMCONV_ERROR_TYPE_NOT_IMPLEMENTED "not_implemented"
#define SEMCONV_ERROR_TYPE_REFUSED "refused"
#define SEMCONV_ERROR_TYPE_NOT_AUTHORITATIVE "not_authoritative"
#define SEMCONV_ERROR_TYPE_BAD_VERSION "bad_version"
#define SEMCONV_ERROR_TYPE_BAD_COOKIE "bad_cookie"

/* A series that stands for those beyond a bound, value true */
#define SEMCONV_OTEL_METRIC_OVERFLOW "otel.metric.overflow"

/* TCP connections: weir's own names, the conventions have none (sockets receiver) */
#define SEMCONV_WEIR_CONNECTION_ROLE "weir.connection.role"
#define SEMCONV_WEIR_CONNECTION_ROLE_CLIENT "client"
#define SEMCONV_WEIR_CONNECTION_ROLE_SERVER "server"

#define SEMCONV_WEIR_TCP_CONNECTIONS "weir.tcp.connections"                       /* {connection} */
#define SEMCONV_WEIR_TCP_CONNECTIONS_OPENED "weir.tcp.connections.opened"         /* {connection} */
#define SEMCONV_WEIR_TCP_CONNECTIONS_FAILED "weir.tcp.connections.failed"         /* {connection} */
#define SEMCONV_WEIR_TCP_CONNECT_DURATION "weir.tcp.connect.duration"             /* s */
#define SEMCONV_WEIR_TCP_CONNECTION_DURATION "weir.tcp.connection.duration"       /* s */
#define SEMCONV_WEIR_TCP_IO "weir.tcp.io"                                         /* By */
#define SEMCONV_WEIR_TCP_RTT "weir.tcp.rtt"                                       /* s */
#define SEMCONV_WEIR_TCP_SEGMENTS_RETRANSMITTED "weir.tcp.segments.retransmitted" /* {segment} */
#define SEMCONV_WEIR_TCP_RESETS "weir.tcp.resets"                                 /* {reset} */

/* The log record of one failed or closed connection, and its attributes */
#define SEMCONV_WEIR_TCP_CONNECTION_EVENT "weir.tcp.connection"
#define SEMCONV_WEIR_TCP_BYTES_SENT "weir.tcp.bytes_sent"         /* By, payload */
#define SEMCONV_WEIR_TCP_BYTES_RECEIVED "weir.tcp.bytes_received" /* By, payload */
#define SEMCONV_WEIR_TCP_DURATION "weir.tcp.duration"             /* s, open to close */
#define SEMCONV_WEIR_TCP_RETRANSMITS "weir.tcp.retransmits"       /* {segment} */

/* DNS look-ups: the conventions name the first three (dns receiver) */
#define SEMCONV_DNS_LOOKUP_DURATION "dns.lookup.duration" /* s */
#define SEMCONV_DNS_QUESTION_NAME "dns.question.name"
#define SEMCONV_DNS_ANSWERS "dns.answers"
#define SEMCONV_WEIR_DNS_QUESTION_TYPE "weir.dns.question.type"
#define SEMCONV_WEIR_DNS_RESPONSE_CODE "weir.dns.response.code"
#define SEMCONV_WEIR_DNS_RETRANSMISSIONS "weir.dns.retransmissions"         /* {question} */
#define SEMCONV_WEIR_DNS_ANSWERS_MISDIRECTED "weir.dns.answers.misdirected" /* {answer} */

/* The log record of one look-up, and its attributes */
#define SEMCONV_WEIR_DNS_LOOKUP_EVENT "weir.dns.lookup"
#define SEMCONV_WEIR_DNS_DURATION "weir.dns.duration"           /* s, question to answer */
#define SEMCONV_WEIR_DNS_TRANSMISSIONS "weir.dns.transmissions" /* {question} */

/* Units (UCUM) */
#define SEMCONV_UNIT_SECONDS "s"
#define SEMCONV_UNIT_BYTES "By"
#define SEMCONV_UNIT_CONNECTIONS "{connection}"
#define SEMCONV_UNIT_SEGMENTS "{segment}"
#define SEMCONV_UNIT_RESETS "{reset}"
#define SEMCONV_UNIT_QUESTIONS "{question}"
#define SEMCONV_UNIT_ANSWERS "{answer}"

#endif
