#include "common/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void
ml_buf_fini(struct ml_buf *b)
{
	free(b->data);
	*b = (struct ml_buf){ 0 };
}

void
ml_buf_need(struct ml_buf *b, size_t n)
{
	size_t cap = b->cap > 0 ? b->cap : 64;
	char *p;

	if (n < b->cap - b->len && b->cap > 0)
		return;
	if (n > SIZE_MAX / 4 || b->len > SIZE_MAX / 4)
		abort();
	while (cap < b->len + n + 1)
		cap *= 2;
	p = realloc(b->data, cap);
	if (p == NULL) {
		fprintf(stderr, "out of memory: buffer of %zu bytes\n", cap);
		abort();
	}
	b->data = p;
	b->cap = cap;
}

void
ml_buf_put(struct ml_buf *b, const void *p, size_t n)
{
	ml_buf_need(b, n);
	if (n > 0)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void
ml_buf_puts(struct ml_buf *b, const char *s)
{
	ml_buf_put(b, s, strlen(s));
}

void
ml_buf_putc(struct ml_buf *b, char c)
{
	ml_buf_put(b, &c, 1);
}

void
ml_buf_printf(struct ml_buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n > 0) {
		ml_buf_need(b, (size_t)n);
		vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}
