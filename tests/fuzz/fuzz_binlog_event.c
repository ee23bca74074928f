/*
 * fuzz_binlog_event.c - a stream of binary log events through groups, fold, definitions and row decoder to batches.
 *
 * Input: events back to back.  The size in each header says where the next one begins; one that runs past the input is cut
 * and corrected, so that a mutation cannot hide everything behind it.  Checksums are made right as well, but for one input in
 * eight, since no mutation would get past them.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture-worker/filter/filter.h"
#include "capture-worker/source/mysql/feed.h"
#include "common/base/crc32.h"
#include "common/run/log.h"
#include "common/text/tz.h"

#ifndef FUZZ_FLAVOR
#define FUZZ_FLAVOR ML_MARIADB
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	char dir[64];
	Ml__ChangefeedSpec spec;
	struct ml_filter *filter;
	struct ml_tz *tz;
	struct ml_source_env env;
	struct ml_clock clock;
} once;

static ml_ts resolved;

static int
emit(void *arg, struct ml_batch *b)
{
	(void)arg;
	if (b->barrier.kind == ML_BAR_RESOLVED) {
		if (b->barrier.ts <= resolved)
			abort(); /* it never goes back */
		resolved = b->barrier.ts;
	}
	ml_batch_free(b);
	return 0;
}

static int
reread(void *arg, struct ml_err *err)
{
	(void)arg;
	(void)err;
	return 0;
}

/* Empties the folder: what one input left must not change what the next one does. */
static void
empty(void)
{
	struct dirent *e;
	DIR *d = opendir(once.dir);

	if (d == NULL)
		abort();
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
}

static void
clean(void)
{
	empty();
	rmdir(once.dir);
}

static void
init(void)
{
	struct ml_err err;

	ml_log_set_level(ML_FATAL);
	strcpy(once.dir, "/tmp/ml-fuzz-XXXXXX");
	ml__changefeed_spec__init(&once.spec);
	if (mkdtemp(once.dir) == NULL || ml_filter_new(&once.filter, &once.spec, &err) < 0 ||
		ml_tz_open(&once.tz, "UTC", &err) < 0)
		abort();
	atexit(clean);
	once.env = (struct ml_source_env){
		.spec = &once.spec,
		.object = "fuzz",
		.filter = once.filter,
		.state_dir = once.dir,
		.emit = emit,
	};
	once.clock.measured_us = 1;
	once.clock.last_us = 1;
}

static void
seal(uint8_t *ev, uint32_t len)
{
	uint32_t crc = len >= ML_EV_HEADER + 4 ? ml_crc32(0, ev, len - 4) : 0;

	if (len >= ML_EV_HEADER + 4)
		memcpy(ev + len - 4, &crc, 4);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ml_feed f = { .env = &once.env };
	struct ml_schema_store_env store = { .object = "fuzz", .mariadb = FUZZ_FLAVOR == ML_MARIADB };
	struct ml_place place = { .file = "b.000001", .offset = 4 };
	struct ml_err err = { 0 };

	if (once.filter == NULL)
		init();
	empty();
	/* Odd lengths count rows only. */
	once.env.want_values = size % 2 == 0;
	store.filter = once.filter;
	if (ml_journal_open(&f.journal, once.dir, "fuzz b", &err) < 0 || ml_xa_open(&f.xa, once.dir, &err) < 0 ||
		ml_schema_store_open(&f.store, &store, &err) < 0)
		abort();
	f.clock = &once.clock;
	f.tz = once.tz;
	f.server = "1-0";
	f.reread = reread;
	f.reader.flavor = FUZZ_FLAVOR;
	ml_feed_init(&f);
	resolved = 0;
	ml_feed_start(&f, &place, 1);
	ml_feed_rewind(&f, 0);
	for (size_t at = 0; size - at >= ML_EV_HEADER;) {
		uint32_t len;
		uint8_t *ev;
		int rc;

		memcpy(&len, data + at + 9, 4);
		if (len < ML_EV_HEADER || len > size - at)
			len = (uint32_t)(size - at);
		ev = malloc(len); /* exactly as long, so that the sanitizer sees one byte too many */
		if (ev == NULL)
			abort();
		memcpy(ev, data + at, len);
		memcpy(ev + 9, &len, 4);
		if (size / 2 % 8 != 7 && (f.reader.crc_len == 4 || ev[4] == ML_EV_FORMAT))
			seal(ev, len);
		rc = ml_feed_event(&f, ev, len, &err);
		if (rc == 0 && ev[4] == ML_EV_XID)
			rc = ml_feed_drained(&f, &err);
		free(ev);
		at += len;
		if (rc < 0) {
			if (err.code == ML_OK)
				abort(); /* an error says what it is */
			ml_feed_rewind(&f, 0);
			err.code = ML_OK;
		}
	}
	ml_schema_store_close(f.store);
	ml_xa_close(f.xa);
	ml_journal_close(f.journal);
	ml_feed_fini(&f);
	ml_place_fini(&place);
	return 0;
}
