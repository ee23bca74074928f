/* buf.h - growable bytes to write into, and a reader of foreign bytes that cannot run past the end. */
#ifndef ML_COMMON_BASE_BUF_H
#define ML_COMMON_BASE_BUF_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ml_buf {
	char *data; /* NULL while empty; NUL-terminated after any ml_buf call that writes */
	size_t len, cap;
};

void ml_buf_fini(struct ml_buf *b);           /* frees; b is empty again */
void ml_buf_need(struct ml_buf *b, size_t n); /* room for n more bytes and a NUL; aborts without memory */
void ml_buf_put(struct ml_buf *b, const void *p, size_t n);
void ml_buf_puts(struct ml_buf *b, const char *s);
void ml_buf_putc(struct ml_buf *b, char c);
void ml_buf_printf(struct ml_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline void
ml_buf_clear(struct ml_buf *b)
{
	b->len = 0;
	if (b->data != NULL)
		b->data[0] = '\0';
}

/*
 * Reader: every get checks the room left; the first overrun sets `bad`, empties the reader, and all later gets give 0 or
 * NULL.  So a parser may read on and ask once at the end.
 */
struct ml_rd {
	const uint8_t *p, *end;
	bool bad;
};

static inline struct ml_rd
ml_rd_of(const void *p, size_t n)
{
	return (struct ml_rd){ .p = p, .end = (const uint8_t *)p + n };
}

static inline size_t
ml_rd_left(const struct ml_rd *r)
{
	return (size_t)(r->end - r->p);
}

/* n raw bytes, borrowed; NULL on overrun. */
static inline const uint8_t *
ml_rd_bytes(struct ml_rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (__builtin_expect(ml_rd_left(r) < n, 0)) {
		r->bad = true;
		r->p = r->end;
		return NULL;
	}
	r->p += n;
	return p;
}

/* Little-endian unsigned integer of n bytes, 1..8. */
static inline uint64_t
ml_rd_le(struct ml_rd *r, unsigned n)
{
	const uint8_t *p = ml_rd_bytes(r, n);
	uint64_t v = 0;

	if (p == NULL)
		return 0;
	for (unsigned i = n; i-- > 0;)
		v = v << 8 | p[i];
	return v;
}

/* Big-endian unsigned integer of n bytes, 1..8. */
static inline uint64_t
ml_rd_be(struct ml_rd *r, unsigned n)
{
	const uint8_t *p = ml_rd_bytes(r, n);
	uint64_t v = 0;

	if (p == NULL)
		return 0;
	for (unsigned i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

/* MySQL's length-encoded integer; 0xFB (NULL) and 0xFF are overruns here. */
static inline uint64_t
ml_rd_lenenc(struct ml_rd *r)
{
	uint8_t c = (uint8_t)ml_rd_le(r, 1);

	if (c < 0xFB)
		return c;
	if (c == 0xFC)
		return ml_rd_le(r, 2);
	if (c == 0xFD)
		return ml_rd_le(r, 3);
	if (c == 0xFE)
		return ml_rd_le(r, 8);
	r->bad = true;
	r->p = r->end;
	return 0;
}
#endif
