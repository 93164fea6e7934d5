#include "core/base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void random_bytes(void *data, size_t len)
{
	uint8_t *p = data;
	while (len) {
		ssize_t n = getrandom(p, len, 0);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			abort(); /* no kernel that weir runs on lacks getrandom() */
		}
		p += n;
		len -= (size_t)n;
	}
}

uint64_t random_u64(void)
{
	uint64_t v;
	random_bytes(&v, sizeof v);
	return v;
}

uint64_t random_jitter(uint64_t value, double fraction)
{
	double unit = (double)(random_u64() >> 11) * 0x1p-53; /* 0 <= unit < 1 */
	double spread = (double)value * (1.0 + fraction * (2.0 * unit - 1.0));
	return spread <= 0 ? 0 : spread >= 0x1p63 ? UINT64_MAX : (uint64_t)spread;
}
