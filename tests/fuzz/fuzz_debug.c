/* Whatever a batch holds, its text is made and is harmless to a terminal. */
#include "exporters/debug/debug_render.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* No control but the ends of lines that the views themselves write. */
static void check(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((text.data[i] < 0x20 && text.data[i] != '\n') || text.data[i] == 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct batch *b = NULL;
	struct rcbuf *pin;

	if (len < 2)
		return 0;
	pin = rcbuf_new(len - 2, NULL);
	if (!pin)
		return 0;
	memcpy(pin->data, data + 2, len - 2);
	if (batch_from_request(data[0] % SIGNAL_COUNT, pin, slice_of(pin->data, len - 2), NULL, &b,
	                       NULL) == 0) {
		struct buffer out = BUFFER_INIT;
		struct render r = {.out = &out, .verbosity = data[1] % 3, .width = 40 + data[1]};

		if (batch_read(b, NULL) == 0)
			render_batch(&r, b, 1);
		check(buffer_slice(&out));
		buffer_fini(&out);
		batch_unref(b);
	}
	rcbuf_unref(pin);
	return 0;
}
