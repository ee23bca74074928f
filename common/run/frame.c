#include "common/run/frame.h"

#include <errno.h>
#include <stdlib.h>

#include "common/run/chan.h"

/* A buffer that one rare large frame has grown is given back when it is empty. */
#define KEEP_BYTES (256u << 10)

void
ml_frame_in_fini(struct ml_frame_in *in)
{
	ml_buf_fini(&in->buf);
	in->at = 0;
}

size_t
ml_frame_rest(const struct ml_frame_in *in)
{
	return in->buf.len - in->at;
}

static uint32_t
head(const struct ml_frame_in *in)
{
	struct ml_rd r = ml_rd_of(in->buf.data + in->at, ML_FRAME_HEAD);

	return (uint32_t)ml_rd_le(&r, 4);
}

void *
ml_frame_room(struct ml_frame_in *in, size_t *n)
{
	size_t rest = ml_frame_rest(in), want = ML_FRAME_READ;

	if (rest == 0) {
		ml_buf_clear(&in->buf);
		in->at = 0;
		if (in->buf.cap > KEEP_BYTES)
			ml_buf_fini(&in->buf);
	} else if (in->at > 0) {
		memmove(in->buf.data, in->buf.data + in->at, rest);
		in->buf.len = rest;
		in->at = 0;
	}
	if (rest >= ML_FRAME_HEAD) {
		/* ml_frame_next has seen this head, or it is about to be refused; either way no more than the cap is asked. */
		size_t len = ML_FRAME_HEAD + (head(in) & ~ML_FRAME_FD);

		if (len <= ML_FRAME_HEAD + ML_CHAN_MAX && len > rest && len - rest > want)
			want = len - rest;
	}
	ml_buf_need(&in->buf, want);
	*n = want;
	return in->buf.data + in->buf.len;
}

void
ml_frame_added(struct ml_frame_in *in, size_t n)
{
	in->buf.len += n;
}

int
ml_frame_next(struct ml_frame_in *in, Ml__Envelope **m, bool *has_fd, struct ml_err *err)
{
	size_t rest = ml_frame_rest(in);
	Ml__Envelope *got;
	uint32_t h, len;

	if (rest < ML_FRAME_HEAD)
		return 0;
	h = head(in);
	len = h & ~ML_FRAME_FD;
	if (len == 0 || len > ML_CHAN_MAX)
		return ML_ERRF(err, ErrChannel, EBADMSG, "frame of %u bytes; the most is %u", len, ML_CHAN_MAX);
	if (rest - ML_FRAME_HEAD < len)
		return 0;
	got = ml__envelope__unpack(NULL, len, (const uint8_t *)in->buf.data + in->at + ML_FRAME_HEAD);
	in->at += ML_FRAME_HEAD + len;
	if (got == NULL)
		return ML_ERRF(err, ErrChannel, EBADMSG, "frame of %u bytes does not unpack", len);
	if (got->version != ML_CHAN_VERSION) {
		ML_ERRF(err, ErrChannel, EPROTONOSUPPORT, "message of version %u; this program speaks version %u",
			got->version, ML_CHAN_VERSION);
		ml__envelope__free_unpacked(got, NULL);
		return -1;
	}
	if (got->id == 0) {
		ml__envelope__free_unpacked(got, NULL);
		return ML_ERRF(err, ErrChannel, EBADMSG, "message without an id");
	}
	*m = got;
	*has_fd = (h & ML_FRAME_FD) != 0;
	return 1;
}

int
ml_frame_put(struct ml_buf *out, const Ml__Envelope *m, bool has_fd, struct ml_err *err)
{
	size_t len = ml__envelope__get_packed_size(m);
	uint32_t h = (uint32_t)len | (has_fd ? ML_FRAME_FD : 0);
	uint8_t bytes[ML_FRAME_HEAD] = { (uint8_t)h, (uint8_t)(h >> 8), (uint8_t)(h >> 16), (uint8_t)(h >> 24) };

	if (len > ML_CHAN_MAX)
		return ML_ERRF(err, ErrChannel, EMSGSIZE, "message of %zu bytes; the most is %u", len, ML_CHAN_MAX);
	ml_buf_need(out, ML_FRAME_HEAD + len);
	ml_buf_put(out, bytes, sizeof(bytes));
	ml__envelope__pack(m, (uint8_t *)out->data + out->len);
	out->len += len;
	out->data[out->len] = '\0';
	return 0;
}
