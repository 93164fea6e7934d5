/* Prints requests for test_otlp_json.py: reads records of a signal's number (1 byte), a length (4
 * bytes, big-endian) and an encoded Export*ServiceRequest; writes a line of JSON for each. */
#include "core/wire/otlp.pb-c.h"
#include "core/wire/otlp_json.h"

#include <stdio.h>
#include <stdlib.h>

static const ProtobufCMessageDescriptor *const requests[SIGNAL_COUNT] = {
	&otlp__export_trace_service_request__descriptor,
	&otlp__export_metrics_service_request__descriptor,
	&otlp__export_logs_service_request__descriptor,
};

int main(void)
{
	uint8_t head[5];

	while (fread(head, sizeof head, 1, stdin) == 1) {
		size_t len = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 |
		             head[4];
		struct buffer out = BUFFER_INIT;
		ProtobufCMessage *message = NULL;
		uint8_t *data = malloc(len + 1);
		if (data && head[0] < SIGNAL_COUNT && fread(data, 1, len, stdin) == len)
			message = protobuf_c_message_unpack(requests[head[0]], NULL, len, data);
		free(data);
		if (!message)
			return 1;
		otlp_json_append(&out, message);
		buffer_append_byte(&out, '\n');
		protobuf_c_message_free_unpacked(message, NULL);
		if (out.failed || fwrite(out.data, 1, out.len, stdout) != out.len)
			return 1;
		buffer_fini(&out);
	}
	return 0;
}
