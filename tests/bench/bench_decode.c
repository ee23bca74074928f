/*
 * bench_decode.c - rows events to rows, on one core: nanoseconds a row with values, and when rows are only counted.
 * Events of 8 KiB as the servers write them: id BIGINT, k INT, c VARCHAR(120), pad CHAR(60), price DECIMAL(10,2), at
 * TIMESTAMP(3); about 210 bytes a row.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/crc32.h"
#include "tests/unit/capture-worker/mounter/decode_util.h"

#define MAP "0100000000000100 0164 00 0174 00 06 08030ffef611 07 e001 fe3c 0a02 03 3e 01 01 00"
#define ROUNDS 100000

static double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Events of one row each, as small transactions write them; a batch takes 2,048. */
static void
run_small(const char *name, struct ml_rowdec *dec, uint8_t type, const uint8_t *body, size_t len, bool values)
{
	struct ml_rows_want want = { .commit_ts = 1, .values = values };
	struct ml_rows r;
	uint64_t n = 0;
	double t0 = now_s(), t;

	ml_rows_init(&r, no_place, NULL);
	for (int i = 0; i < ROUNDS / 100; i++) {
		struct ml_batch *b = ml_batch_new();

		for (int k = 0; k < 2048; k++)
			if (ml_rows_open(&r, dec, type, body, len, NULL) != 0 || ml_rows_next(&r, b, &want, NULL) != 0)
				abort();
		n += b->n_changes;
		ml_batch_free(b);
	}
	t = now_s() - t0;
	printf("%-16s %8.1f ns/row  %6.2f M rows/s  one row an event\n", name, t * 1e9 / (double)n,
		(double)n / t / 1e6);
	ml_rows_fini(&r);
}

static void
run(const char *name, struct ml_rowdec *dec, uint8_t type, const uint8_t *body, size_t len, bool values)
{
	struct ml_rows_want want = { .commit_ts = 1, .values = values };
	struct ml_rows r;
	uint64_t n = 0;
	double t0, t;

	ml_rows_init(&r, no_place, NULL);
	t0 = now_s();
	for (int i = 0; i < ROUNDS; i++) {
		struct ml_batch *b = ml_batch_new();

		if (ml_rows_open(&r, dec, type, body, len, NULL) != 0 || ml_rows_next(&r, b, &want, NULL) != 0)
			abort();
		n += b->n_changes;
		ml_batch_free(b);
	}
	t = now_s() - t0;
	printf("%-16s %8.1f ns/row  %6.2f M rows/s  %7.0f MB/s\n", name, t * 1e9 / (double)n, (double)n / t / 1e6,
		(double)len * ROUNDS / t / 1e6);
	ml_rows_fini(&r);
}

/* What checking such an event costs beside reading its rows. */
static void
run_checksum(const char *name, const uint8_t *body, size_t len, uint64_t rows)
{
	uint32_t sum = 0;
	double t0 = now_s(), t;

	for (int i = 0; i < ROUNDS; i++)
		sum = ml_crc32(sum, body, len);
	t = now_s() - t0;
	printf("%-16s %8.1f ns/row  %08x\n", name, t * 1e9 / ROUNDS / (double)rows, (unsigned)sum);
}

int
main(void)
{
	static struct ml_tablemap tm;
	struct ml_arena a;
	struct ml_buf hex = { 0 };
	struct ml_rowdec *dec;
	struct ml_schema *schema;
	struct ml_tz *tz;
	size_t len;
	uint8_t *body;

	ml_arena_init(&a, 0);
	body = unhex(MAP, &len);
	if (ml_tz_open(&tz, "Europe/Berlin", NULL) != 0 || ml_tablemap_parse(&tm, &a, body, len, true, "", NULL) != 0)
		return 1;
	free(body);
	schema = schema_of(&tm);
	if (ml_rowdec_new(&dec, &tm, schema, tz, "", NULL) != 0)
		return 1;
	for (int update = 0; update < 2; update++) {
		ml_buf_clear(&hex);
		ml_buf_puts(&hex, "010000000000 0100 06 3f");
		if (update)
			ml_buf_puts(&hex, "3f");
		for (int i = 0; i < 40; i++) {
			if (i == 1) { /* the first row alone: before, and for UPDATE after */
				body = unhex(hex.data, &len);
				if (!update) {
					run_small("insert values", dec, ML_EV_WRITE_V1, body, len, true);
					run_small("insert counted", dec, ML_EV_WRITE_V1, body, len, false);
					run_checksum("its checksum", body, len, 1);
				}
				free(body);
			}
			ml_buf_printf(&hex, "c0 %02x00000000000000 %02x000000 7800", i, i);
			for (int k = 0; k < 120; k++)
				ml_buf_puts(&hex, "61");
			ml_buf_puts(&hex, "3c");
			for (int k = 0; k < 60; k++)
				ml_buf_puts(&hex, "62");
			ml_buf_printf(&hex, "800004d2%02x 65dfd78b04ce", i);
		}
		body = unhex(hex.data, &len);
		run(update ? "update values" : "insert values", dec, update ? ML_EV_UPDATE_V1 : ML_EV_WRITE_V1, body,
			len, true);
		run(update ? "update counted" : "insert counted", dec, update ? ML_EV_UPDATE_V1 : ML_EV_WRITE_V1, body,
			len, false);
		run_checksum("their checksum", body, len, 40);
		free(body);
	}
	ml_rowdec_free(dec);
	ml_schema_unref(schema);
	ml_tz_free(tz);
	ml_arena_fini(&a);
	ml_buf_fini(&hex);
	ml_batch_pool_drain();
	return 0;
}
