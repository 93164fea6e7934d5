/* Prints the addresses of DNS answers for test_dns_addresses.py: reads records of a length (2 bytes,
 * big-endian) and a message; writes a line with address and time to live for each, and a line with a
 * dot after each message. */
#include "receivers/dns/dns_exchange.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void on_address(void *arg, const struct address *address, uint32_t ttl_s)
{
	char text[INET6_ADDRSTRLEN];

	address_text(address, text);
	printf("%s %" PRIu32 "\n", text, ttl_s);
}

int main(void)
{
	uint8_t head[2];

	while (fread(head, sizeof head, 1, stdin) == 1) {
		size_t len = (size_t)head[0] << 8 | head[1];
		/* Of its own size, so that a byte too many is seen. */
		uint8_t *data = malloc(len ? len : 1);

		if (!data || fread(data, 1, len, stdin) != len)
			return 1;
		dns_answer_addresses(slice_of(data, len), on_address, NULL);
		printf(".\n");
		free(data);
	}
	return 0;
}
