/* fuzz_envelope.c - the channel's frame parser.  The first byte says in what pieces the rest arrives. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/run/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ml_frame_in in = { 0 };
	size_t piece;

	if (size == 0)
		return 0;
	piece = data[0] == 0 ? size : data[0];
	for (size_t at = 1; at < size;) {
		size_t room, n = size - at < piece ? size - at : piece;
		void *p = ml_frame_room(&in, &room);
		struct ml_err err;
		bool has_fd;
		int r;

		if (n > room)
			n = room;
		memcpy(p, data + at, n);
		at += n;
		ml_frame_added(&in, n);
		for (;;) {
			Ml__Envelope *m;
			struct ml_buf out = { 0 };

			r = ml_frame_next(&in, &m, &has_fd, &err);
			if (r <= 0)
				break;
			/* What was read can be written, and is again a frame. */
			if (ml_frame_put(&out, m, has_fd, NULL) != 0)
				abort();
			ml_buf_fini(&out);
			ml__envelope__free_unpacked(m, NULL);
		}
		if (r < 0)
			break;
	}
	ml_frame_in_fini(&in);
	return 0;
}
