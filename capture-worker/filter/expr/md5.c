#include "capture-worker/filter/expr/md5.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static uint32_t
rotate(uint32_t v, int n)
{
	return v << n | v >> (32 - n);
}

static void
block(uint32_t h[4], const uint8_t *p)
{
	static const uint8_t shift[4][4] = { { 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 },
		{ 6, 10, 15, 21 } };
	uint32_t w[16], a = h[0], b = h[1], c = h[2], d = h[3];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] | (uint32_t)p[4 * i + 1] << 8 | (uint32_t)p[4 * i + 2] << 16 |
		       (uint32_t)p[4 * i + 3] << 24;
	for (int i = 0; i < 64; i++) {
		uint32_t f, t, k = (uint32_t)(fabs(sin(i + 1)) * 4294967296.0);
		int g;

		switch (i / 16) {
		case 0:
			f = (b & c) | (~b & d);
			g = i;
			break;
		case 1:
			f = (d & b) | (~d & c);
			g = (5 * i + 1) % 16;
			break;
		case 2:
			f = b ^ c ^ d;
			g = (3 * i + 5) % 16;
			break;
		default:
			f = c ^ (b | ~d);
			g = 7 * i % 16;
		}
		t = d;
		d = c;
		c = b;
		b += rotate(a + f + k + w[g], shift[i / 16][i % 4]);
		a = t;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
}

void
ml_md5_hex(const char *s, size_t len, char hex[32])
{
	uint32_t h[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };
	const uint8_t *p = (const uint8_t *)s;
	uint8_t tail[128] = { 0 };
	size_t left = len, n;

	for (; left >= 64; left -= 64, p += 64)
		block(h, p);
	if (left > 0)
		memcpy(tail, p, left);
	tail[left] = 0x80;
	n = left < 56 ? 64 : 128;
	for (int i = 0; i < 8; i++)
		tail[n - 8 + (size_t)i] = (uint8_t)((uint64_t)len * 8 >> (8 * i));
	for (size_t i = 0; i < n; i += 64)
		block(h, tail + i);
	for (int i = 0; i < 16; i++) {
		uint8_t v = (uint8_t)(h[i / 4] >> (8 * (i % 4)));

		hex[2 * i] = "0123456789abcdef"[v >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[v & 15];
	}
}
