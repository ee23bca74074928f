#include "capture-worker/mounter/value.h"

#include <string.h>

#include "capture-worker/mounter/tablemap.h"

static const char pairs[201] =
	"00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960"
	"616263646566676869707172737475767778798081828384858687888990919293949596979899";

static const uint32_t pow10_u32[10] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000 };

/* v < 100 */
static inline char *
put2(char *out, unsigned v)
{
	memcpy(out, pairs + 2 * v, 2);
	return out + 2;
}

/* v < 10000 */
static inline char *
put4(char *out, unsigned v)
{
	put2(out, v / 100);
	return put2(out + 2, v % 100);
}

/* v < 10^9 */
static inline char *
put9(char *out, uint32_t v)
{
	uint32_t hi = v / 10000, lo = v % 10000;

	*out = (char)('0' + hi / 10000);
	put4(out + 1, hi % 10000);
	return put4(out + 5, lo);
}

/* Exactly n digits, v < 10^n, n <= 9. */
static inline char *
put_digits(char *out, uint32_t v, unsigned n)
{
	for (unsigned i = n; i-- > 0; v /= 10)
		out[i] = (char)('0' + v % 10);
	return out + n;
}

static char *
put_uint(char *out, uint32_t v)
{
	char tmp[10];
	unsigned n = sizeof(tmp);

	while (v >= 100) {
		n -= 2;
		put2(tmp + n, v % 100);
		v /= 100;
	}
	if (v >= 10) {
		n -= 2;
		put2(tmp + n, v);
	} else {
		tmp[--n] = (char)('0' + v);
	}
	memcpy(out, tmp + n, sizeof(tmp) - n);
	return out + sizeof(tmp) - n;
}

/* Big-endian, 1 to 4 bytes. */
static inline uint32_t
be(const uint8_t *p, unsigned n)
{
	uint32_t v = p[0];

	for (unsigned i = 1; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static inline uint64_t
be64(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

/* Bytes that 0..9 decimal digits take in NEWDECIMAL. */
static const uint8_t digit_bytes[10] = { 0, 1, 1, 2, 2, 3, 3, 4, 4, 4 };

unsigned
ml_decimal_bytes(unsigned precision, unsigned scale)
{
	unsigned whole = precision - scale;

	return whole / 9 * 4 + digit_bytes[whole % 9] + scale / 9 * 4 + digit_bytes[scale % 9];
}

/*
 * Groups of nine digits, big-endian; the odd digits first before the point and last behind it.  The top bit is the sign
 * (1: positive); negative numbers have all bits inverted.
 */
char *
ml_decimal_text(char *out, const uint8_t *p, unsigned precision, unsigned scale)
{
	unsigned whole = precision - scale, n;
	uint32_t mask = p[0] & 0x80 ? 0 : UINT32_MAX, top = 0x80, v;
	char *sign = out, *digits;
	bool zero = true;

	*out++ = '-';
	digits = out;
	n = whole % 9;
	if (n > 0) {
		unsigned size = digit_bytes[n];

		v = be(p, size) ^ top << (8 * (size - 1));
		v = (v ^ mask) & (size == 4 ? UINT32_MAX : (1u << 8 * size) - 1);
		if (v >= pow10_u32[n])
			return NULL;
		top = 0;
		p += size;
		if (v > 0) {
			out = put_uint(out, v);
			zero = false;
		}
	}
	for (n = whole / 9; n > 0; n--, p += 4) {
		v = be(p, 4) ^ top << 24 ^ mask;
		if (v >= 1000000000)
			return NULL;
		top = 0;
		if (out > digits) {
			out = put9(out, v);
		} else if (v > 0) {
			out = put_uint(out, v);
			zero = false;
		}
	}
	if (out == digits)
		*out++ = '0';
	if (scale > 0) {
		*out++ = '.';
		for (n = scale / 9; n > 0; n--, p += 4) {
			v = be(p, 4) ^ top << 24 ^ mask;
			if (v >= 1000000000)
				return NULL;
			top = 0;
			out = put9(out, v);
			zero = zero && v == 0;
		}
		n = scale % 9;
		if (n > 0) {
			unsigned size = digit_bytes[n];

			v = be(p, size) ^ top << (8 * (size - 1));
			v = (v ^ mask) & (size == 4 ? UINT32_MAX : (1u << 8 * size) - 1);
			if (v >= pow10_u32[n])
				return NULL;
			out = put_digits(out, v, n);
			zero = zero && v == 0;
		}
	}
	if (mask != 0 && !zero)
		return out;
	/* Positive: close the place of the sign.  "-0.00" becomes "0.00" too. */
	memmove(sign, digits, (size_t)(out - digits));
	return out - 1;
}

static char *
put_date(char *out, unsigned y, unsigned m, unsigned d)
{
	if (y > 9999 || m > 12 || d > 31)
		return NULL;
	out = put4(out, y);
	*out++ = '-';
	out = put2(out, m);
	*out++ = '-';
	return put2(out, d);
}

static char *
put_clock(char *out, unsigned h, unsigned m, unsigned s)
{
	if (m > 59 || s > 59)
		return NULL;
	out = put2(out, h);
	*out++ = ':';
	out = put2(out, m);
	*out++ = ':';
	return put2(out, s);
}

/* "." and exactly so many digits of v, which has `digits` rounded up to even; nothing for 0 digits. */
static char *
put_fraction(char *out, uint32_t v, unsigned digits)
{
	unsigned stored = (digits + 1) & ~1u;

	if (digits == 0)
		return out;
	if (v >= pow10_u32[stored])
		return NULL;
	*out++ = '.';
	return put_digits(out, stored > digits ? v / 10 : v, digits);
}

unsigned
ml_fraction_bytes(unsigned digits)
{
	return (digits + 1) / 2;
}

char *
ml_date_text(char *out, const uint8_t *p)
{
	uint32_t v = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;

	return put_date(out, v >> 9, v >> 5 & 15, v & 31);
}

/*
 * Three bytes and the fraction are one big-endian number around its middle, so that negating the whole gives the
 * magnitude: hour 10 bits, minute 6, second 6, fraction.
 */
char *
ml_time2_text(char *out, const uint8_t *p, unsigned digits)
{
	unsigned fraction_bits = 8 * ml_fraction_bytes(digits);
	int64_t v = (int64_t)be64(p, 3 + ml_fraction_bytes(digits)) - ((int64_t)0x800000 << fraction_bits);
	uint32_t clock, fraction, hour;

	if (v < 0) {
		*out++ = '-';
		v = -v;
	}
	clock = (uint32_t)(v >> fraction_bits);
	fraction = (uint32_t)(v & (((int64_t)1 << fraction_bits) - 1));
	hour = clock >> 12 & 1023;
	if (hour > 838)
		return NULL;
	if (hour >= 100) {
		*out++ = (char)('0' + hour / 100);
		hour %= 100;
	}
	out = put_clock(out, hour, clock >> 6 & 63, clock & 63);
	return out == NULL ? NULL : put_fraction(out, fraction, digits);
}

char *
ml_datetime2_text(char *out, const uint8_t *p, unsigned digits)
{
	uint64_t v = be64(p, 5) - 0x8000000000u;
	uint32_t ym = (uint32_t)(v >> 22), fraction = digits > 0 ? be(p + 5, ml_fraction_bytes(digits)) : 0;

	if (v >> 39 != 0)
		return NULL;
	if ((out = put_date(out, ym / 13, ym % 13, v >> 17 & 31)) == NULL)
		return NULL;
	*out++ = ' ';
	if ((v >> 12 & 31) > 23 || (out = put_clock(out, v >> 12 & 31, v >> 6 & 63, v & 63)) == NULL)
		return NULL;
	return put_fraction(out, fraction, digits);
}

/* MariaDB 5.3: sizes by fraction digits. */
unsigned
ml_old_temporal_bytes(uint8_t code, unsigned digits)
{
	static const uint8_t time[7] = { 3, 4, 4, 5, 5, 5, 6 }, datetime[7] = { 8, 6, 6, 7, 7, 7, 8 },
			     timestamp[7] = { 4, 5, 5, 6, 6, 7, 7 };

	return code == ML_BT_TIME ? time[digits] : code == ML_BT_DATETIME ? datetime[digits] : timestamp[digits];
}

static char *
put_plain_fraction(char *out, uint32_t v, unsigned digits)
{
	if (digits == 0)
		return out;
	*out++ = '.';
	return put_digits(out, v, digits);
}

char *
ml_old_time_text(char *out, const uint8_t *p, unsigned digits)
{
	int64_t v;
	uint32_t fraction = 0, hour, minute, second;

	if (digits == 0) {
		int32_t n = (int32_t)((uint32_t)p[0] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 24) >> 8;

		if (n < 0) {
			*out++ = '-';
			n = -n;
		}
		second = (uint32_t)n % 100;
		minute = (uint32_t)n / 100 % 100;
		hour = (uint32_t)n / 10000;
	} else {
		/* The number of fractions since -838:59:59..., which is 0: 3020400 seconds below zero. */
		v = (int64_t)be64(p, ml_old_temporal_bytes(ML_BT_TIME, digits)) - (int64_t)3020400 * pow10_u32[digits];
		if (v < 0) {
			*out++ = '-';
			v = -v;
		}
		fraction = (uint32_t)(v % pow10_u32[digits]);
		v /= pow10_u32[digits];
		second = (uint32_t)(v % 60);
		minute = (uint32_t)(v / 60 % 60);
		if (v / 3600 > 838)
			return NULL;
		hour = (uint32_t)(v / 3600);
	}
	if (hour > 838)
		return NULL;
	if (hour >= 100) {
		*out++ = (char)('0' + hour / 100);
		hour %= 100;
	}
	out = put_clock(out, hour, minute, second);
	return out == NULL ? NULL : put_plain_fraction(out, fraction, digits);
}

char *
ml_old_datetime_text(char *out, const uint8_t *p, unsigned digits)
{
	unsigned y, m, d, h, mi, s;
	uint32_t fraction = 0;
	uint64_t v = 0;

	if (digits == 0) {
		for (unsigned i = 8; i-- > 0;)
			v = v << 8 | p[i];
		s = v % 100;
		mi = (unsigned)(v / 100 % 100);
		h = (unsigned)(v / 10000 % 100);
		d = (unsigned)(v / 1000000 % 100);
		m = (unsigned)(v / 100000000 % 100);
		v /= 10000000000;
	} else {
		v = be64(p, ml_old_temporal_bytes(ML_BT_DATETIME, digits));
		fraction = (uint32_t)(v % pow10_u32[digits]);
		v /= pow10_u32[digits];
		s = (unsigned)(v % 60);
		v /= 60;
		mi = (unsigned)(v % 60);
		v /= 60;
		h = (unsigned)(v % 24);
		v /= 24;
		d = (unsigned)(v % 32);
		v /= 32;
		m = (unsigned)(v % 13);
		v /= 13;
	}
	if (v > 9999 || h > 23)
		return NULL;
	y = (unsigned)v;
	if ((out = put_date(out, y, m, d)) == NULL)
		return NULL;
	*out++ = ' ';
	out = put_clock(out, h, mi, s);
	return out == NULL ? NULL : put_plain_fraction(out, fraction, digits);
}

void
ml_stamp_init(struct ml_stamp *st, const struct ml_tz *tz)
{
	*st = (struct ml_stamp){ .tz = tz, .day = INT64_MIN };
}

/* Days of the epoch to a date of the Gregorian calendar, by counting from 1 March of year 0 in cycles of 400 years. */
static char *
put_day(char *out, int64_t day)
{
	int64_t z = day + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	uint32_t doe = (uint32_t)(z - era * 146097);
	uint32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	uint32_t mp = (5 * doy + 2) / 153;
	uint32_t d = doy - (153 * mp + 2) / 5 + 1, m = mp < 10 ? mp + 3 : mp - 9;
	int64_t y = (int64_t)yoe + era * 400 + (m <= 2);

	return y < 0 ? NULL : put_date(out, (unsigned)y, m, d);
}

char *
ml_stamp_text(struct ml_stamp *st, char *out, int64_t utc_s, uint32_t us, unsigned digits)
{
	int64_t local, day;
	uint32_t second;

	if (us >= 1000000)
		return NULL;
	if (utc_s == 0 && us == 0) {
		memcpy(out, "0000-00-00 00:00:00.000000", 26);
		return out + (digits > 0 ? 20 + digits : 19);
	}
	if (utc_s < st->range.from_s || utc_s >= st->range.to_s)
		st->range = ml_tz_range_at(st->tz, utc_s);
	local = utc_s + st->range.offset_s;
	day = local / 86400;
	if (local % 86400 < 0)
		day--;
	second = (uint32_t)(local - day * 86400);
	if (day != st->day) {
		if (put_day(st->date, day) == NULL) {
			st->day = INT64_MIN;
			return NULL;
		}
		st->day = day;
	}
	memcpy(out, st->date, 10);
	out[10] = ' ';
	out = put_clock(out + 11, second / 3600, second / 60 % 60, second % 60);
	if (digits == 0)
		return out;
	*out++ = '.';
	return put_digits(out, us / pow10_u32[6 - digits], digits);
}

char *
ml_timestamp2_text(struct ml_stamp *st, char *out, const uint8_t *p, unsigned digits)
{
	uint32_t us = 0;

	if (digits > 0) {
		unsigned size = ml_fraction_bytes(digits);

		us = be(p + 4, size);
		us *= size == 1 ? 10000 : size == 2 ? 100 : 1;
	}
	return ml_stamp_text(st, out, be(p, 4), us, digits);
}

char *
ml_old_timestamp_text(struct ml_stamp *st, char *out, const uint8_t *p, unsigned digits)
{
	uint32_t fraction;

	if (digits == 0)
		return ml_stamp_text(st, out,
			(uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24, 0, 0);
	fraction = (uint32_t)be64(p + 4, ml_old_temporal_bytes(ML_BT_TIMESTAMP, digits) - 4);
	if (fraction >= pow10_u32[digits])
		return NULL;
	return ml_stamp_text(st, out, be(p, 4), fraction * pow10_u32[6 - digits], digits);
}

static const char hex[16] = "0123456789abcdef";

char *
ml_uuid_text(char *out, const uint8_t *p)
{
	for (unsigned i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = hex[p[i] >> 4];
		*out++ = hex[p[i] & 15];
	}
	return out;
}

char *
ml_inet4_text(char *out, const uint8_t *p)
{
	for (unsigned i = 0; i < 4; i++) {
		if (i > 0)
			*out++ = '.';
		out = put_uint(out, p[i]);
	}
	return out;
}

/* As the server does it, which is not RFC 5952: "::" stands for the first longest run of zeros, even for a single one. */
char *
ml_inet6_text(char *out, const uint8_t *p)
{
	unsigned group[8], gap = 8, gap_len = 0;

	for (unsigned i = 0; i < 8; i++)
		group[i] = (unsigned)p[2 * i] << 8 | p[2 * i + 1];
	for (unsigned i = 0; i < 8; i++) {
		unsigned n = 0;

		while (i + n < 8 && group[i + n] == 0)
			n++;
		if (n > gap_len) {
			gap = i;
			gap_len = n;
		}
		i += n;
	}
	for (unsigned i = 0; i < 8; i++) {
		if (i == gap) {
			*out++ = ':';
			if (i == 0)
				*out++ = ':';
			i += gap_len - 1;
			continue;
		}
		/* IPv4-compatible and IPv4-mapped addresses end in dotted form. */
		if (i == 6 && gap == 0 && (gap_len == 6 || (gap_len == 5 && group[5] == 0xFFFF)))
			return ml_inet4_text(out, p + 12);
		for (int shift = 12, seen = 0; shift >= 0; shift -= 4) {
			unsigned digit = group[i] >> shift & 15;

			if (digit != 0 || seen || shift == 0) {
				*out++ = hex[digit];
				seen = 1;
			}
		}
		if (i < 7)
			*out++ = ':';
	}
	return out;
}

char *
ml_packed_temporal_text(char *out, int64_t packed, uint8_t type)
{
	uint64_t v, ymd, hms;
	uint32_t us;

	if (packed < 0) {
		if (type != ML_BT_TIME || packed == INT64_MIN)
			return NULL;
		*out++ = '-';
		packed = -packed;
	}
	us = (uint32_t)(packed & 0xFFFFFF);
	v = (uint64_t)packed >> 24;
	if (us > 999999)
		return NULL;
	if (type == ML_BT_TIME) {
		unsigned hour = (unsigned)(v >> 12 & 1023);

		if (hour > 838)
			return NULL;
		if (hour >= 100) {
			*out++ = (char)('0' + hour / 100);
			hour %= 100;
		}
		if ((out = put_clock(out, hour, v >> 6 & 63, v & 63)) == NULL)
			return NULL;
		return put_fraction(out, us, 6);
	}
	ymd = v >> 17;
	hms = v & 0x1FFFF;
	if (ymd >> 5 > 13 * 9999 + 12 ||
		(out = put_date(out, (unsigned)((ymd >> 5) / 13), (ymd >> 5) % 13, ymd & 31)) == NULL)
		return NULL;
	if (type == ML_BT_DATE)
		return out;
	*out++ = ' ';
	if (hms >> 12 > 23 || (out = put_clock(out, (unsigned)(hms >> 12), hms >> 6 & 63, hms & 63)) == NULL)
		return NULL;
	return put_fraction(out, us, 6);
}
