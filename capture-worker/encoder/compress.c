#include "capture-worker/encoder/compress.h"

#include <stdlib.h>
#include <strings.h>

#include <lz4frame.h>
#include <snappy-c.h>

#include "common/base/buf.h"

struct ml_compressor {
	enum ml_compression kind;
	LZ4F_cctx *lz4;
	struct ml_buf room; /* a compressed text is made here, then put in the place of the plain one */
};

/* The reference's frame: independent blocks of 4 MiB, a checksum of the content, no size of it. */
static const LZ4F_preferences_t lz4_frame = {
	.frameInfo = { .blockSizeID = LZ4F_max4MB,
		.blockMode = LZ4F_blockIndependent,
		.contentChecksumFlag = LZ4F_contentChecksumEnabled },
	.autoFlush = 1, /* the whole text is at hand, so nothing is held back in a buffer */
};

int
ml_compression_named(enum ml_compression *out, const char *name)
{
	static const char *const names[] = {
		[ML_COMPRESS_NONE] = "none", [ML_COMPRESS_LZ4] = "lz4", [ML_COMPRESS_SNAPPY] = "snappy"
	};

	if (name[0] == '\0')
		name = "none";
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(name, names[i]) == 0) {
			*out = (enum ml_compression)i;
			return 0;
		}
	return -1;
}

struct ml_compressor *
ml_compressor_new(enum ml_compression c)
{
	struct ml_compressor *z;

	if (c == ML_COMPRESS_NONE)
		return NULL;
	z = calloc(1, sizeof(*z));
	if (z == NULL || (c == ML_COMPRESS_LZ4 && LZ4F_isError(LZ4F_createCompressionContext(&z->lz4, LZ4F_VERSION))))
		abort();
	z->kind = c;
	return z;
}

void
ml_compressor_free(struct ml_compressor *z)
{
	if (z == NULL)
		return;
	(void)LZ4F_freeCompressionContext(z->lz4);
	ml_buf_fini(&z->room);
	free(z);
}

static int
failed(const char *why, struct ml_err *err)
{
	return ML_ERR(err, ErrCompressionFailed, 0, why);
}

static int
lz4(struct ml_compressor *z, const char *s, size_t n, struct ml_err *err)
{
	size_t most = LZ4F_HEADER_SIZE_MAX + LZ4F_compressBound(n, &lz4_frame), at, got;

	ml_buf_need(&z->room, most);
	got = LZ4F_compressBegin(z->lz4, z->room.data, most, &lz4_frame);
	if (LZ4F_isError(got))
		return failed(LZ4F_getErrorName(got), err);
	at = got;
	got = LZ4F_compressUpdate(z->lz4, z->room.data + at, most - at, s, n, NULL);
	if (LZ4F_isError(got))
		return failed(LZ4F_getErrorName(got), err);
	at += got;
	got = LZ4F_compressEnd(z->lz4, z->room.data + at, most - at, NULL);
	if (LZ4F_isError(got))
		return failed(LZ4F_getErrorName(got), err);
	z->room.len = at + got;
	return 0;
}

static int
snappy(struct ml_compressor *z, const char *s, size_t n, struct ml_err *err)
{
	size_t len = snappy_max_compressed_length(n);

	ml_buf_need(&z->room, len);
	if (snappy_compress(s, n, z->room.data, &len) != SNAPPY_OK)
		return failed("snappy refused a text", err);
	z->room.len = len;
	return 0;
}

int
ml_compress(struct ml_compressor *z, struct ml_out *o, size_t from, struct ml_err *err)
{
	const char *s = o->start + from;
	size_t n = (size_t)(o->p - s);

	if (z == NULL)
		return 0;
	z->room.len = 0;
	if ((z->kind == ML_COMPRESS_LZ4 ? lz4(z, s, n, err) : snappy(z, s, n, err)) < 0)
		return -1;
	o->p = o->start + from;
	ml_out_put(o, z->room.data, z->room.len);
	return 0;
}
