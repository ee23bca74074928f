/*
 * frame.h - bytes of a channel to envelopes and back, without any I/O, so that the parser can be fed by tests and fuzzers.
 *
 * Frame: 4 bytes little-endian, of which the lower 31 bits are the length and the top bit says that a file descriptor travels
 * with the frame's first byte; then one packed Ml__Envelope.  Rejects: length 0 or above ML_CHAN_MAX, bytes that do not unpack,
 * another version, no id.
 */
#ifndef ML_COMMON_RUN_FRAME_H
#define ML_COMMON_RUN_FRAME_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "proto/envelope.pb-c.h"

#define ML_FRAME_HEAD 4u
#define ML_FRAME_FD 0x80000000u
/* One read; large frames make the room grow to their own size. */
#define ML_FRAME_READ (64u << 10)

struct ml_frame_in {
	struct ml_buf buf;
	size_t at; /* first byte not parsed yet */
};

void ml_frame_in_fini(struct ml_frame_in *in);
/* Where to put the next bytes: at least one byte of room, *n bytes in all.  Then tell ml_frame_added. */
void *ml_frame_room(struct ml_frame_in *in, size_t *n);
void ml_frame_added(struct ml_frame_in *in, size_t n);
/*
 * The next whole frame: 1 and *m (yours: ml__envelope__free_unpacked) and *has_fd; 0 when more bytes are needed; -1 with err:
 * ErrChannel, lib EPROTONOSUPPORT for another version, else EBADMSG.
 */
int ml_frame_next(struct ml_frame_in *in, Ml__Envelope **m, bool *has_fd, struct ml_err *err);
/* Bytes of a frame that is not whole yet. */
size_t ml_frame_rest(const struct ml_frame_in *in);
/* Appends the frame of m to out; 0, or -1 with err if it is larger than ML_CHAN_MAX. */
int ml_frame_put(struct ml_buf *out, const Ml__Envelope *m, bool has_fd, struct ml_err *err);
#endif
