/* test_large.c - rows that are too large for a message, and message compression: settings, files, the messages themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <dirent.h>
#include <lz4frame.h>
#include <snappy-c.h>

#include "capture-worker/encoder/canal_json/canal_json.h"
#include "capture-worker/encoder/large.h"
#include "capture-worker/encoder/open/open.h"
#include "capture-worker/encoder/text/base64.h"
#include "common/base/buf.h"
#include "common/text/uri.h"

#define TS 445644800000000001u

static uint64_t
now_ms(void)
{
	return 1700000000123u;
}

/* --- settings --------------------------------------------------------------------------------------------------------------- */

static void
settings_fit_the_protocol_or_are_refused(void **state)
{
	static const struct {
		const char *protocol, *query, *handle;
		bool force, storage;
		enum ml_code want;
	} rows[] = {
		{ "canal-json", "", "", false, false, ML_OK },
		{ "canal", "", "\"large-message-handle-option\":\"none\"", true, false, ML_OK },
		{ "canal-json", "enable-tidb-extension=true", "\"large-message-handle-option\":\"handle-key-only\"",
			false, false, ML_OK },
		{ "canal-json", "", "\"large-message-handle-option\":\"handle-key-only\"", false, false,
			ML_ErrInvalidReplicaConfig },
		{ "open-protocol", "", "\"large-message-handle-option\":\"handle-key-only\"", false, false, ML_OK },
		{ "simple", "", "\"large-message-handle-option\":\"handle-key-only\"", false, false, ML_OK },
		{ "canal", "", "\"large-message-handle-option\":\"handle-key-only\"", false, false,
			ML_ErrInvalidReplicaConfig },
		{ "debezium", "",
			"\"large-message-handle-option\":\"claim-check\",\"claim-check-storage-uri\":\"file:///tmp/x\"",
			false, false, ML_ErrInvalidReplicaConfig },
		{ "open-protocol", "", "\"large-message-handle-option\":\"claim-check\"", false, false,
			ML_ErrInvalidReplicaConfig },
		{ "open-protocol", "",
			"\"large-message-handle-option\":\"claim-check\",\"claim-check-storage-uri\":\"file:///tmp/x\"",
			false, false, ML_OK },
		{ "open-protocol", "",
			"\"large-message-handle-option\":\"claim-check\",\"claim-check-storage-uri\":\"file:///tmp/x\","
			"\"claim-check-raw-value\":true",
			false, false, ML_ErrInvalidReplicaConfig },
		{ "simple", "",
			"\"large-message-handle-option\":\"claim-check\",\"claim-check-storage-uri\":\"file:///tmp/x\","
			"\"claim-check-raw-value\":true",
			false, false, ML_OK },
		{ "open-protocol", "", "\"large-message-handle-option\":\"handle-key-only\"", true, false,
			ML_ErrCodecInvalidConfig },
		{ "open-protocol", "", "\"large-message-handle-option\":\"smaller\"", false, false,
			ML_ErrInvalidReplicaConfig },
		{ "open-protocol", "", "\"large-message-handle-option\":\"smaller\"", false, true, ML_OK },
		{ "open-protocol", "", "\"large-message-handle-option\":3", false, false, ML_ErrCodecInvalidConfig },
		{ "open-protocol", "", "\"claim-check-raw-value\":\"yes\"", false, false, ML_ErrCodecInvalidConfig },
		{ "open-protocol", "", "\"large-message-handle-compression\":\"lz4\"", false, false, ML_OK },
		{ "open-protocol", "", "\"large-message-handle-compression\":\"Snappy\"", false, false, ML_OK },
		{ "open-protocol", "", "\"large-message-handle-compression\":\"gzip\"", false, false,
			ML_ErrInvalidReplicaConfig },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
		struct ml_encoder_env env = { .spec = &spec, .storage = rows[i].storage };
		struct ml_err err = { 0 };
		char config[400], text[200];
		struct ml_uri *uri;

		snprintf(config, sizeof(config), "{\"kafka-config\":{\"large-message-handle\":{%s}}}", rows[i].handle);
		snprintf(text, sizeof(text), "kafka://h:9092/t?%s", rows[i].query);
		assert_int_equal(ml_uri_parse(&uri, text, &err), 0);
		spec.sink_config_json = config;
		spec.force_replicate = rows[i].force;
		env.sink_uri = uri;
		ml_large_check(&env, rows[i].protocol, &err);
		if (err.code != rows[i].want)
			fail_msg("row %zu: %s %s", i, ml_code_name(err.code), err.text);
		ml_uri_free(uri);
	}
}

/* --- compression ------------------------------------------------------------------------------------------------------------ */

static void
undo(enum ml_compression c, const char *s, size_t n, char *out, size_t *len)
{
	LZ4F_dctx *d;
	size_t in = n;

	if (c == ML_COMPRESS_SNAPPY) {
		assert_int_equal(snappy_uncompress(s, n, out, len), SNAPPY_OK);
		return;
	}
	assert_false(LZ4F_isError(LZ4F_createDecompressionContext(&d, LZ4F_VERSION)));
	/* 0: the frame is complete, its checksum right. */
	assert_int_equal(LZ4F_decompress(d, out, len, s, &in, NULL), 0);
	assert_int_equal(in, n);
	LZ4F_freeDecompressionContext(d);
}

static void
compressed_texts_come_back(void **state)
{
	static const enum ml_compression kinds[] = { ML_COMPRESS_LZ4, ML_COMPRESS_SNAPPY };
	static const size_t lengths[] = { 0, 1, 100, 70000, 5 << 20 };
	static char plain[5 << 20], back[(5 << 20) + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (char)(i % 100 < 50 ? 'a' : i * 2654435761u >> 13);
	for (size_t k = 0; k < 2; k++) {
		struct ml_compressor *z = ml_compressor_new(kinds[k]);
		struct ml_arena a;

		ml_arena_init(&a, 0);
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			struct ml_err err = { 0 };
			size_t len = sizeof(back);
			struct ml_out o;
			uint32_t n;
			const char *s;

			ml_out_begin(&o, &a);
			ml_out_lit(&o, "before");
			ml_out_put(&o, plain, lengths[i]);
			assert_int_equal(ml_compress(z, &o, 6, &err), 0);
			s = ml_out_end(&o, &n);
			assert_memory_equal(s, "before", 6);
			undo(kinds[k], s + 6, n - 6, back, &len);
			assert_int_equal(len, lengths[i]);
			assert_memory_equal(back, plain, len);
		}
		ml_arena_fini(&a);
		ml_compressor_free(z);
	}
	assert_null(ml_compressor_new(ML_COMPRESS_NONE));
}

/* --- messages --------------------------------------------------------------------------------------------------------------- */

struct sample {
	struct ml_encoder *e;
	struct ml_batch *b;
	struct ml_schema *s;
	struct ml_uri *uri;
	char folder[64], config[400];
};

/* Letters in place of the name that the description has; 0: none. */
static uint32_t filler;
static bool noise; /* letters that no compression makes fewer */

/* The description's table item with INSERT A, encoded; the code of the error, ML_OK if there is none. */
static enum ml_code
encode(struct sample *sm, const struct ml_encoder_ops *ops, size_t max_bytes, const char *handle, bool key, int rows)
{
	static struct ml_datum a[] = { { .kind = ML_D_I64, .i = 7 },
		{ .kind = ML_D_BYTES, .s = "\xc3\xa9<1>", .len = 5 }, { .kind = ML_D_U64, .u = 3000000000 } };
	static uint16_t pk_col;
	static char letters[1000];
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	struct ml_encoder_env env = { .spec = &spec, .max_message_bytes = max_bytes, .now_ms = now_ms };
	struct ml_err err = { 0 };

	for (size_t i = 0; i < sizeof(letters); i++)
		letters[i] = noise ? (char)('a' + (i * i * 2654435761u >> 16) % 26) : 'x';
	a[1].s = filler > 0 ? letters : "\xc3\xa9<1>";
	a[1].len = filler > 0 ? filler : 5;
	*sm = (struct sample){ .folder = "/tmp/ml-large-XXXXXX" };
	assert_non_null(mkdtemp(sm->folder));
	snprintf(sm->config, sizeof(sm->config), "{\"kafka-config\":{\"large-message-handle\":{%s%s%s/claim//\"}}}",
		handle,
		handle[0] != '\0' ? ",\"claim-check-storage-uri\":\"file://" : "\"claim-check-storage-uri\":\"file://",
		sm->folder);
	spec.sink_config_json = sm->config;
	assert_int_equal(ml_uri_parse(&sm->uri, "kafka://h:9092/t?enable-tidb-extension=true", &err), 0);
	env.sink_uri = sm->uri;
	sm->s = ml_schema_new();
	sm->s->db = (struct ml_text){ "shop", 4 };
	sm->s->table = (struct ml_text){ "item", 4 };
	sm->s->n_columns = 3;
	sm->s->columns = ml_arena_zalloc(&sm->s->arena, 3 * sizeof(struct ml_column));
	sm->s->columns[0] = (struct ml_column){ .name = { "id", 2 }, .type = ML_T_LONG, .flags = ML_F_BINARY };
	sm->s->columns[1] = (struct ml_column){ .name = { "name", 4 }, .type = ML_T_VARCHAR, .flags = ML_F_NULLABLE };
	sm->s->columns[2] =
		(struct ml_column){ .name = { "qty", 3 }, .type = ML_T_LONG, .flags = ML_F_BINARY | ML_F_UNSIGNED };
	sm->s->indexes = ml_arena_zalloc(&sm->s->arena, sizeof(struct ml_index));
	sm->s->indexes[0] = (struct ml_index){ .primary = true, .unique = true, .n_cols = 1, .cols = &pk_col };
	sm->s->n_indexes = key;
	ml_schema_finish(sm->s);
	if (ops->open(&sm->e, &env, &err) < 0)
		fail_msg("%s", err.text);
	sm->b = ml_batch_new();
	for (int i = 0; i < rows; i++)
		*ml_batch_row(sm->b) =
			(struct ml_row){ .schema = sm->s, .commit_ts = TS, .op = ML_OP_INSERT, .after = a };
	if (ops->rows(sm->e, sm->b, &err) < 0 && err.code != ML_ErrOpenProtocolCodecInvalidData)
		assert_non_null(strstr(err.text, "shop.item"));
	return err.code;
}

/* The one file of the claim-check folder, removed; its name in name.  NULL: there is none. */
static char *
claimed(const struct sample *sm, char name[300], size_t *len)
{
	char dir[100], path[420], *text = NULL;
	struct dirent *de;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/claim", sm->folder);
	d = opendir(dir);
	while (d != NULL && (de = readdir(d)) != NULL) {
		FILE *f;

		if (de->d_name[0] == '.')
			continue;
		assert_null(text);
		snprintf(name, 300, "%s", de->d_name);
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		f = fopen(path, "r");
		assert_non_null(f);
		text = calloc(1, 4096);
		assert_non_null(text);
		*len = fread(text, 1, 4095, f);
		fclose(f);
		unlink(path);
	}
	if (d != NULL)
		closedir(d);
	rmdir(dir);
	return text;
}

static void
done(struct sample *sm)
{
	char name[300];
	size_t len;

	free(claimed(sm, name, &len));
	assert_int_equal(rmdir(sm->folder), 0);
	sm->e->ops->close(sm->e);
	ml_batch_free(sm->b);
	ml_batch_pool_drain();
	ml_schema_unref(sm->s);
	ml_uri_free(sm->uri);
}

#define HEAD                                                                                                           \
	"{\"id\":0,\"database\":\"shop\",\"table\":\"item\",\"pkNames\":[\"id\"],\"isDdl\":false,\"type\":\"INSERT\"," \
	"\"es\":1700000000000,\"ts\":1700000000123,\"sql\":\"\","
#define CANAL_WHOLE                                                                                                                          \
	HEAD "\"sqlType\":{\"id\":4,\"name\":12,\"qty\":-5},\"mysqlType\":{\"id\":\"int\",\"name\":\"varchar\","                             \
	     "\"qty\":\"int unsigned\"},\"old\":null,\"data\":[{\"id\":\"7\",\"name\":\"\xc3\xa9\\u003c1\\u003e\",\"qty\":\"3000000000\"}]," \
	     "\"_tidb\":{\"commitTs\":445644800000000001}}"
#define CANAL_KEY                                                                                                      \
	HEAD "\"sqlType\":{\"id\":4},\"mysqlType\":{\"id\":\"int\"},\"old\":null,\"data\":[{\"id\":\"7\"}],"           \
	     "\"_tidb\":{\"commitTs\":445644800000000001,"
#define KEY_ONLY "\"large-message-handle-option\":\"handle-key-only\""
#define CLAIM "\"large-message-handle-option\":\"claim-check\""

/* "<text in base64>" */
static const char *
base64(struct ml_arena *a, const char *s, size_t n)
{
	struct ml_out o;
	uint32_t len;

	ml_out_begin(&o, a);
	ml_base64(&o, s, n);
	ml_out_put(&o, "", 1);
	return ml_out_end(&o, &len);
}

static void
canal_json_keeps_the_key_of_a_row_that_is_too_large(void **state)
{
	struct sample sm;

	(void)state;
	/* At the limit it goes whole. */
	assert_int_equal(encode(&sm, &ml_encoder_canal_json, 36 + sizeof(CANAL_WHOLE) - 1, KEY_ONLY, true, 1), ML_OK);
	assert_int_equal(sm.b->msgs[0].value_len, sizeof(CANAL_WHOLE) - 1);
	assert_memory_equal(sm.b->msgs[0].value, CANAL_WHOLE, sizeof(CANAL_WHOLE) - 1);
	done(&sm);
	assert_int_equal(encode(&sm, &ml_encoder_canal_json, 36 + sizeof(CANAL_WHOLE) - 2, KEY_ONLY, true, 1), ML_OK);
	assert_int_equal(sm.b->msgs[0].key_len, 0);
	assert_int_equal(sm.b->msgs[0].value_len, strlen(CANAL_KEY "\"onlyHandleKey\":true}}"));
	assert_memory_equal(sm.b->msgs[0].value, CANAL_KEY "\"onlyHandleKey\":true}}", sm.b->msgs[0].value_len);
	done(&sm);
	/* The key alone is too large, there is no key, or nothing may be left out. */
	assert_int_equal(
		encode(&sm, &ml_encoder_canal_json, 36 + sizeof(CANAL_KEY), KEY_ONLY, true, 1), ML_ErrMessageTooLarge);
	done(&sm);
	assert_int_equal(encode(&sm, &ml_encoder_canal_json, 300, KEY_ONLY, false, 1), ML_ErrMessageTooLarge);
	done(&sm);
	assert_int_equal(
		encode(&sm, &ml_encoder_canal_json, 36 + sizeof(CANAL_WHOLE) - 2, "", true, 1), ML_ErrMessageTooLarge);
	done(&sm);
}

static void
canal_json_leaves_the_row_in_a_file(void **state)
{
	static const char *const handles[] = { CLAIM, CLAIM ",\"claim-check-raw-value\":true" };

	(void)state;
	for (int raw = 0; raw < 2; raw++) {
		struct sample sm;
		struct ml_arena a;
		char want[1200], name[300], *text;
		size_t len;

		ml_arena_init(&a, 0);
		assert_int_equal(
			encode(&sm, &ml_encoder_canal_json, 36 + sizeof(CANAL_WHOLE) - 2, handles[raw], true, 1),
			ML_OK);
		text = claimed(&sm, name, &len);
		assert_non_null(text);
		assert_int_equal(strlen(name), 36 + 5);
		assert_true(name[14] == '4' && strcmp(name + 36, ".json") == 0);
		snprintf(want, sizeof(want), CANAL_KEY "\"claimCheckLocation\":\"file://%s/claim/%s\"}}", sm.folder,
			name);
		assert_int_equal(sm.b->msgs[0].value_len, strlen(want));
		assert_memory_equal(sm.b->msgs[0].value, want, strlen(want));
		if (raw)
			snprintf(want, sizeof(want), "%s", CANAL_WHOLE);
		else
			snprintf(want, sizeof(want), "{\"key\":null,\"value\":\"%s\"}",
				base64(&a, CANAL_WHOLE, sizeof(CANAL_WHOLE) - 1));
		assert_int_equal(len, strlen(want));
		assert_memory_equal(text, want, len);
		free(text);
		ml_arena_fini(&a);
		done(&sm);
	}
}

#define OPEN_K "{\"ts\":445644800000000001,\"scm\":\"shop\",\"tbl\":\"item\",\"rid\":7,\"t\":1"
#define OPEN_V                                                                                                                 \
	"{\"u\":{\"id\":{\"t\":3,\"h\":true,\"f\":11,\"v\":7},\"name\":{\"t\":15,\"f\":64,\"v\":\"\xc3\xa9\\u003c1\\u003e\"}," \
	"\"qty\":{\"t\":3,\"f\":129,\"v\":3000000000}}}"
#define OPEN_V_KEY "{\"u\":{\"id\":{\"t\":3,\"h\":true,\"f\":11,\"v\":7}}}"
#define OPEN_LENGTH (36 + 8 + 8 + sizeof(OPEN_K "}") - 1 + 8 + sizeof(OPEN_V) - 1)

/* A piece of a record at *p, which moves behind it. */
static struct ml_text
piece(const char **p)
{
	struct ml_rd r = ml_rd_of(*p, 8);
	uint64_t n = ml_rd_be(&r, 8);
	struct ml_text t = { *p + 8, (uint32_t)n };

	*p += 8 + n;
	return t;
}

static void
open_protocol_keeps_the_key_of_a_row_that_is_too_large(void **state)
{
	struct sample sm;
	const char *k, *v;
	struct ml_text t;

	(void)state;
	assert_int_equal(encode(&sm, &ml_encoder_open, OPEN_LENGTH, KEY_ONLY, true, 1), ML_OK);
	assert_int_equal(sm.b->msgs[0].key_len + sm.b->msgs[0].value_len + 36, OPEN_LENGTH);
	done(&sm);
	/* Reduced rows are gathered like others. */
	assert_int_equal(encode(&sm, &ml_encoder_open, OPEN_LENGTH - 1, KEY_ONLY, true, 3), ML_OK);
	assert_int_equal(sm.b->n_msgs, 3);
	k = sm.b->msgs[0].key + 8;
	v = sm.b->msgs[0].value;
	t = piece(&k);
	assert_int_equal(t.len, strlen(OPEN_K ",\"ohk\":true}"));
	assert_memory_equal(t.s, OPEN_K ",\"ohk\":true}", t.len);
	assert_ptr_equal(k, sm.b->msgs[0].key + sm.b->msgs[0].key_len);
	t = piece(&v);
	assert_int_equal(t.len, strlen(OPEN_V_KEY));
	assert_memory_equal(t.s, OPEN_V_KEY, t.len);
	done(&sm);
	assert_int_equal(encode(&sm, &ml_encoder_open, 150, KEY_ONLY, true, 1), ML_ErrMessageTooLarge);
	done(&sm);
	assert_int_equal(encode(&sm, &ml_encoder_open, OPEN_LENGTH - 30, KEY_ONLY, false, 1),
		ML_ErrOpenProtocolCodecInvalidData);
	done(&sm);
	assert_int_equal(encode(&sm, &ml_encoder_open, OPEN_LENGTH - 1, "", true, 1), ML_ErrMessageTooLarge);
	done(&sm);
}

/* name is 600 letters: the row is far larger than its key and a location. */
#define FILLED 600

static void
open_protocol_leaves_the_row_in_a_file(void **state)
{
	static const char before[] =
		"{\"u\":{\"id\":{\"t\":3,\"h\":true,\"f\":11,\"v\":7},\"name\":{\"t\":15,\"f\":64,\"v\":\"",
			  after[] = "\"},\"qty\":{\"t\":3,\"f\":129,\"v\":3000000000}}}",
			  key[] = "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\x41" OPEN_K "}";
	char want[3000], value[1000], name[300], *text;
	size_t n = sizeof(before) - 1 + FILLED + sizeof(after) - 1, len;
	struct ml_arena a;
	struct sample sm;
	const char *k, *v;
	struct ml_text t;

	(void)state;
	ml_arena_init(&a, 0);
	filler = FILLED;
	assert_int_equal(encode(&sm, &ml_encoder_open, 400, CLAIM, true, 1), ML_OK);
	filler = 0;
	text = claimed(&sm, name, &len);
	assert_non_null(text);
	k = sm.b->msgs[0].key + 8;
	v = sm.b->msgs[0].value;
	t = piece(&k);
	snprintf(want, sizeof(want), OPEN_K ",\"ccl\":\"file://%s/claim/%s\"}", sm.folder, name);
	assert_int_equal(t.len, strlen(want));
	assert_memory_equal(t.s, want, t.len);
	t = piece(&v);
	assert_int_equal(t.len, strlen(OPEN_V_KEY));
	assert_memory_equal(t.s, OPEN_V_KEY, t.len);
	/* The file: the whole message as it would have been sent. */
	memset(value, 0, 6);
	value[6] = (char)(n >> 8);
	value[7] = (char)n;
	memcpy(value + 8, before, sizeof(before) - 1);
	memset(value + 8 + sizeof(before) - 1, 'x', FILLED);
	memcpy(value + 8 + sizeof(before) - 1 + FILLED, after, sizeof(after) - 1);
	snprintf(want, sizeof(want), "{\"key\":\"%s\",\"value\":\"%s\"}", base64(&a, key, sizeof(key) - 1),
		base64(&a, value, 8 + n));
	assert_int_equal(len, strlen(want));
	assert_memory_equal(text, want, len);
	free(text);
	done(&sm);
	ml_arena_fini(&a);
}

static void
every_message_is_compressed(void **state)
{
	static const char *const handles[] = { "\"large-message-handle-compression\":\"lz4\"",
		"\"large-message-handle-compression\":\"snappy\"" };
	static const enum ml_compression kinds[] = { ML_COMPRESS_LZ4, ML_COMPRESS_SNAPPY };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct ml_ddl ddl = { .commit_ts = TS,
			.action = 3,
			.query = { "CREATE", 6 },
			.db = { "shop", 4 },
			.table = { "item", 4 } };
		struct ml_err err = { 0 };
		struct ml_msg m;
		struct sample sm;
		char back[2000];
		size_t len = sizeof(back);
		const char *v;
		struct ml_text t;

		assert_int_equal(encode(&sm, &ml_encoder_canal_json, 100000, handles[i], true, 1), ML_OK);
		undo(kinds[i], sm.b->msgs[0].value, sm.b->msgs[0].value_len, back, &len);
		assert_int_equal(len, sizeof(CANAL_WHOLE) - 1);
		assert_memory_equal(back, CANAL_WHOLE, len);
		assert_int_equal(sm.e->ops->ddl(sm.e, &ddl, &sm.b->arena, &m, &err), 1);
		len = sizeof(back);
		undo(kinds[i], m.value, m.value_len, back, &len);
		assert_memory_equal(back, "{\"id\":0,\"database\":\"shop\"", 24);
		assert_int_equal(sm.e->ops->checkpoint(sm.e, TS, &sm.b->arena, &m, &err), 1);
		len = sizeof(back);
		undo(kinds[i], m.value, m.value_len, back, &len);
		assert_memory_equal(back, "{\"id\":0,\"database\":\"\"", 21);
		done(&sm);

		/* open-protocol: each value inside of the framing; never keys, never the resolved message. */
		assert_int_equal(encode(&sm, &ml_encoder_open, 100000, handles[i], true, 2), ML_OK);
		v = sm.b->msgs[0].value;
		for (int k = 0; k < 2; k++) {
			t = piece(&v);
			len = sizeof(back);
			undo(kinds[i], t.s, t.len, back, &len);
			assert_int_equal(len, sizeof(OPEN_V) - 1);
			assert_memory_equal(back, OPEN_V, len);
		}
		assert_ptr_equal(v, sm.b->msgs[0].value + sm.b->msgs[0].value_len);
		assert_memory_equal(sm.b->msgs[0].key + 16, OPEN_K "}", sizeof(OPEN_K "}") - 1);
		assert_int_equal(sm.e->ops->ddl(sm.e, &ddl, &sm.b->arena, &m, &err), 1);
		v = m.value;
		t = piece(&v);
		len = sizeof(back);
		undo(kinds[i], t.s, t.len, back, &len);
		assert_int_equal(len, strlen("{\"q\":\"CREATE\",\"t\":3}"));
		assert_memory_equal(back, "{\"q\":\"CREATE\",\"t\":3}", len);
		assert_int_equal(sm.e->ops->checkpoint(sm.e, TS, &sm.b->arena, &m, &err), 1);
		assert_int_equal(m.value_len, 8);
		done(&sm);
	}
	/* What is tested against the limit, and what goes to a file, is the compressed form. */
	{
		struct sample sm;
		char back[2000], name[300], *text;
		size_t len, n = sizeof(back);

		filler = FILLED;
		assert_int_equal(encode(&sm, &ml_encoder_canal_json, 600,
					 "\"large-message-handle-compression\":\"lz4\"", true, 1),
			ML_OK);
		done(&sm);
		assert_int_equal(encode(&sm, &ml_encoder_canal_json, 600,
					 "\"large-message-handle-compression\":\"none\"", true, 1),
			ML_ErrMessageTooLarge);
		done(&sm);
		noise = true;
		assert_int_equal(encode(&sm, &ml_encoder_canal_json, 700,
					 CLAIM ",\"claim-check-raw-value\":true,"
					       "\"large-message-handle-compression\":\"snappy\"",
					 true, 1),
			ML_OK);
		filler = 0;
		noise = false;
		text = claimed(&sm, name, &len);
		assert_non_null(text);
		undo(ML_COMPRESS_SNAPPY, text, len, back, &n);
		assert_non_null(memmem(back, n, "\"data\":[{\"id\":\"7\",\"name\":\"", 26));
		free(text);
		n = sizeof(back);
		undo(ML_COMPRESS_SNAPPY, sm.b->msgs[0].value, sm.b->msgs[0].value_len, back, &n);
		assert_non_null(memmem(back, n, name, strlen(name)));
		done(&sm);
	}
}

/* --- storage ---------------------------------------------------------------------------------------------------------------- */

static void
storage_that_cannot_be_written_is_refused(void **state)
{
	static const struct {
		const char *uri;
		enum ml_code want;
	} rows[] = {
		{ "s3://bucket/claim", ML_ErrInvalidReplicaConfig },
		{ "file:///", ML_ErrInvalidReplicaConfig },
		{ "nothing", ML_ErrInvalidReplicaConfig },
		{ "file:///dev/null/claim", ML_ErrFailToCreateExternalStorage },
		{ "file:///proc/claim", ML_ErrFailToCreateExternalStorage },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_claim *c;
		struct ml_err err = { 0 };

		assert_int_equal(ml_claim_open(&c, rows[i].uri, false, NULL, NULL, &err), -1);
		if (err.code != rows[i].want)
			fail_msg("%s: %s %s", rows[i].uri, ml_code_name(err.code), err.text);
	}
}

struct shelf {
	struct ml_claim_place place; /* first */
	char name[100], text[100];
	size_t len;
	bool broken;
};

static int
put_on_shelf(struct ml_claim_place *p, const char *name, const char *text, size_t len, struct ml_err *err)
{
	struct shelf *s = (struct shelf *)p;

	if (s->broken)
		return ML_ERR(err, ErrStorageSinkSendFailed, 0, "shelf", "it fell down");
	assert_true(len < sizeof(s->text));
	snprintf(s->name, sizeof(s->name), "%s", name);
	memcpy(s->text, text, len);
	s->text[s->len = len] = '\0';
	return 0;
}

static int
open_shelf(void *arg, struct ml_claim_place **out, const char *uri, struct ml_err *err)
{
	struct shelf *s = arg;

	(void)err;
	assert_string_equal(uri, "s3://bucket/claim/?secret-access-key=x");
	s->place = (struct ml_claim_place){ .name = "s3://bucket/claim", .put = put_on_shelf };
	*out = &s->place;
	return 0;
}

static void
other_places_come_from_outside(void **state)
{
	static const struct {
		bool raw;
		const char *want;
	} rows[] = { { false, "{\"key\":\"a2V5\",\"value\":\"dmFsdWU=\"}" }, { true, "value" } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct shelf s = { 0 };
		struct ml_text location;
		struct ml_claim *c;
		struct ml_err err = { 0 };

		assert_int_equal(
			ml_claim_open(&c, "s3://bucket/claim/?secret-access-key=x", rows[i].raw, open_shelf, &s, &err),
			0);
		assert_int_equal(ml_claim_put(c, "key", 3, "value", 5, &location, &err), 0);
		assert_string_equal(s.text, rows[i].want);
		/* Without what follows the '?'. */
		assert_int_equal(location.len, strlen("s3://bucket/claim/") + strlen(s.name));
		assert_memory_equal(location.s, "s3://bucket/claim/", 18);
		assert_memory_equal(location.s + 18, s.name, strlen(s.name));
		s.broken = true;
		assert_int_equal(ml_claim_put(c, "key", 3, "value", 5, &location, &err), -1);
		assert_int_equal(err.code, ML_ErrStorageSinkSendFailed);
		ml_claim_close(c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_fit_the_protocol_or_are_refused),
		cmocka_unit_test(compressed_texts_come_back),
		cmocka_unit_test(canal_json_keeps_the_key_of_a_row_that_is_too_large),
		cmocka_unit_test(canal_json_leaves_the_row_in_a_file),
		cmocka_unit_test(open_protocol_keeps_the_key_of_a_row_that_is_too_large),
		cmocka_unit_test(open_protocol_leaves_the_row_in_a_file),
		cmocka_unit_test(every_message_is_compressed),
		cmocka_unit_test(other_places_come_from_outside),
		cmocka_unit_test(storage_that_cannot_be_written_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
