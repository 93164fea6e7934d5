/* What a resolver answers to the question for an address's name: a name is taken only when it is one
 * of a host. */
#include "processors/reverse_dns/reverse_dns_ptr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
	struct ptr_answer answer;
	struct address address;
	enum ptr_result result =
		ptr_answer_read(slice_of(data, size), "1.2.0.192.in-addr.arpa", &answer);
	size_t len = strlen(answer.name);

	if ((result == PTR_NAME) != (len > 0) || len > 253 || strspn(answer.name, allowed) != len ||
	    strstr(answer.name, "..") || address_parse(slice_from_string(answer.name), &address)) {
		fprintf(stderr, "took '%s'\n", answer.name);
		abort();
	}
	return 0;
}
