/* canal against recorded and published packets, byte for byte; protoc reads what is written; lengths of every size. */
#include "tests/unit/capture-worker/encoder/golden.h"

#include <sys/wait.h>
#include <unistd.h>

#include "capture-worker/encoder/canal/canal.h"

static void
show_message(struct golden *g, const struct ml_msg *m)
{
	ml_buf_printf(&g->got, "%s %u ", m->key == NULL ? "null" : m->key_len == 0 ? "empty" : "key", m->rows);
	golden_put_bytes(g, m->value, m->value_len);
	ml_buf_putc(&g->got, '\n');
}

static void
run(const char *in, const char *want, const char *query, const char *config, golden_print_fn *show)
{
	golden_run(&ml_encoder_canal, false, query, config, show, NULL, in, want);
}

static void
writes_what_was_recorded(void **state)
{
	static const char *const cases[] = { "num", "str", "time", "keys", "txn", "gen", "part", "ddl", "wide" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char name[64];

		snprintf(name, sizeof(name), "canal/%s", cases[i]);
		run(name, name, "", "", show_message);
	}
}

/* INSERT A, UPDATE A to B, DELETE B and the DDL; no number of rows is asked for, one row a packet comes from the data. */
static void
writes_the_published_examples(void **state)
{
	(void)state;
	run("canal/examples", "canal/examples", "max-batch-size=1&enable-tidb-extension=true", "", show_message);
}

/* --- a reader that is not ours ------------------------------------------------------------------------------------------ */

static FILE *
temp(const char *bytes, size_t n)
{
	FILE *f = tmpfile();

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fflush(f), 0);
	rewind(f);
	return f;
}

/* protoc's own decoder, with the protocol's description next to the data. */
static void
show_decoded(struct golden *g, const struct ml_msg *m)
{
	FILE *in = temp(m->value, m->value_len), *out = temp("", 0);
	char line[4096];
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fileno(in), 0);
		dup2(fileno(out), 1);
		execlp("protoc", "protoc", "--decode=canal.Packet", "-I" ML_TEST_DIR "/golden/canal",
			ML_TEST_DIR "/golden/canal/canal.proto", NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	rewind(out);
	ml_buf_printf(&g->got, "message rows %u\n", m->rows);
	while (fgets(line, sizeof(line), out) != NULL)
		ml_buf_puts(&g->got, line);
	fclose(in);
	fclose(out);
}

static void
protoc_reads_what_is_written(void **state)
{
	(void)state;
	run("canal/examples", "canal/examples.protoc", "", "", show_decoded);
	/* Columns that a selector took away, names of all kinds, a row without columns. */
	run("canal_json/selected", "canal/selected.protoc", "", "", show_decoded);
	/* A DELETE with handle keys only; an INSERT is as always. */
	run("canal/delkeys", "canal/delkeys.protoc", "", "{\"delete-only-output-handle-key-columns\":true}",
		show_decoded);
}

/* --- lengths ------------------------------------------------------------------------------------------------------------ */

/* A table of one binary column, and an encoder. */
struct one {
	struct ml_encoder *e;
	struct ml_batch *b;
	struct ml_schema *s;
	struct ml_column c;
	struct ml_datum *d;
	Ml__ChangefeedSpec spec;
};

static void
one_open(struct one *t, size_t max_message_bytes)
{
	struct ml_encoder_env env = { .spec = &t->spec, .max_message_bytes = max_message_bytes, .now_ms = golden_now };
	struct ml_err err = { 0 };

	*t = (struct one){ .s = ml_schema_new(),
		.c = { .name = { "v", 1 }, .type = ML_T_VARCHAR, .flags = ML_F_BINARY } };
	ml__changefeed_spec__init(&t->spec);
	t->s->db = (struct ml_text){ "d", 1 };
	t->s->table = (struct ml_text){ "t", 1 };
	t->s->columns = &t->c;
	t->s->n_columns = 1;
	ml_schema_finish(t->s);
	t->b = ml_batch_new();
	assert_int_equal(ml_encoder_canal.open(&t->e, &env, &err), 0);
}

static void
one_add(struct one *t, const char *bytes, size_t n)
{
	struct ml_datum *d = ml_arena_zalloc(&t->b->arena, sizeof(*d));

	*d = (struct ml_datum){ .kind = ML_D_BYTES, .s = bytes, .len = (uint32_t)n };
	*ml_batch_row(t->b) =
		(struct ml_row){ .schema = t->s, .after = d, .op = ML_OP_INSERT, .commit_ts = ml_ts_from_ms(1000) };
}

static void
one_encode(struct one *t)
{
	struct ml_err err = { 0 };

	assert_int_equal(t->e->ops->rows(t->e, t->b, &err), 0);
}

static void
one_close(struct one *t)
{
	t->e->ops->close(t->e);
	ml_batch_free(t->b);
	ml_batch_pool_drain();
	ml_schema_unref(t->s);
}

/* The number at r, which must be written with as few bytes as possible. */
static uint64_t
number(struct ml_rd *r)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t c;

	do {
		c = *ml_rd_bytes(r, 1);
		v |= (uint64_t)(c & 0x7f) << shift;
		shift += 7;
	} while (c & 0x80);
	assert_true(shift == 7 || v >> (shift - 7) != 0);
	return v;
}

/* The next field, which must be this number of wire type 2. */
static struct ml_rd
field(struct ml_rd *r, unsigned n)
{
	uint64_t len;

	assert_int_equal(number(r), n << 3 | 2);
	len = number(r);
	assert_true(len <= ml_rd_left(r));
	return ml_rd_of(ml_rd_bytes(r, len), len);
}

static void
skip_number(struct ml_rd *r, unsigned n)
{
	assert_int_equal(number(r), n << 3);
	number(r);
}

/* Takes the next row of a packet's body apart; its value, which is binary. */
static struct ml_rd
value_of_row(struct ml_rd *body)
{
	struct ml_rd entry = field(body, 2), change, data, column;

	field(&entry, 1);
	skip_number(&entry, 2);
	change = field(&entry, 3);
	assert_int_equal(ml_rd_left(&entry), 0);
	skip_number(&change, 2);
	skip_number(&change, 10);
	data = field(&change, 12);
	assert_int_equal(ml_rd_left(&change), 0);
	column = field(&data, 2);
	assert_int_equal(ml_rd_left(&data), 0);
	skip_number(&column, 2);
	field(&column, 3);
	skip_number(&column, 5);
	skip_number(&column, 6);
	data = field(&column, 8);
	field(&column, 10);
	assert_int_equal(ml_rd_left(&column), 0);
	return data;
}

static struct ml_rd
body_of(const struct ml_msg *m)
{
	struct ml_rd r = ml_rd_of(m->value, m->value_len), body;

	skip_number(&r, 2);
	skip_number(&r, 3);
	body = field(&r, 5);
	assert_int_equal(ml_rd_left(&r), 0);
	return body;
}

/* Around each place where a length takes a byte more, with rows before and behind, which must not be hurt. */
static void
lengths_of_every_size_fit(void **state)
{
	static const size_t near[] = { 128, 16384, 2097152 };
	char *bytes = malloc(2100000);

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < 2100000; i++)
		bytes[i] = (char)('a' + i % 26);
	for (size_t k = 0; k < sizeof(near) / sizeof(near[0]); k++)
		for (size_t n = near[k] - 100; n<near[k] + 4; n += near[k]> 100000 ? 13 : 1) {
			struct one t;
			struct ml_rd body, v;

			one_open(&t, SIZE_MAX);
			one_add(&t, "before", 6);
			one_add(&t, bytes, n);
			one_add(&t, "behind", 6);
			one_encode(&t);
			assert_int_equal(t.b->n_msgs, 1);
			assert_int_equal(t.b->msgs[0].rows, 3);
			body = body_of(&t.b->msgs[0]);
			v = value_of_row(&body);
			assert_int_equal(ml_rd_left(&v), 6);
			assert_memory_equal(ml_rd_bytes(&v, 6), "before", 6);
			v = value_of_row(&body);
			assert_int_equal(ml_rd_left(&v), n);
			assert_memory_equal(ml_rd_bytes(&v, n), bytes, n);
			v = value_of_row(&body);
			assert_memory_equal(ml_rd_bytes(&v, 6), "behind", 6);
			assert_int_equal(ml_rd_left(&body), 0);
			one_close(&t);
		}
	free(bytes);
}

/* Every byte as the code point of its number. */
static void
binary_values_are_valid_text(void **state)
{
	char bytes[256];
	struct ml_rd body, v;
	struct one t;

	(void)state;
	for (int i = 0; i < 256; i++)
		bytes[i] = (char)i;
	one_open(&t, SIZE_MAX);
	one_add(&t, bytes, sizeof(bytes));
	one_encode(&t);
	body = body_of(&t.b->msgs[0]);
	v = value_of_row(&body);
	assert_int_equal(ml_rd_left(&v), 128 + 2 * 128);
	for (unsigned i = 0; i < 256; i++) {
		uint8_t c = *ml_rd_bytes(&v, 1);

		assert_int_equal(c, i < 0x80 ? i : 0xc0 + i / 64);
		if (i >= 0x80)
			assert_int_equal(*ml_rd_bytes(&v, 1), 0x80 + i % 64);
	}
	one_close(&t);
}

/* --- packets ------------------------------------------------------------------------------------------------------------ */

static void
closes_a_packet_before_it_is_too_large(void **state)
{
	enum { ROWS = 100, LIMIT = 1000 };
	uint32_t rows = 0;
	struct one t;

	(void)state;
	one_open(&t, LIMIT);
	for (int i = 0; i < ROWS; i++)
		one_add(&t, "0123456789012345678901234567890123456789", (size_t)(i % 40 + 1));
	one_encode(&t);
	assert_true(t.b->n_msgs > 5 && t.b->n_msgs < 20);
	for (uint32_t m = 0; m < t.b->n_msgs; m++) {
		struct ml_rd body = body_of(&t.b->msgs[m]);

		assert_true(t.b->msgs[m].value_len + 36 <= LIMIT);
		assert_int_equal(t.b->msgs[m].key_len, 0);
		assert_non_null(t.b->msgs[m].key);
		for (uint32_t i = 0; i < t.b->msgs[m].rows; i++, rows++) {
			struct ml_rd v = value_of_row(&body);

			assert_int_equal(ml_rd_left(&v), rows % 40 + 1);
		}
		assert_int_equal(ml_rd_left(&body), 0);
	}
	assert_int_equal(rows, ROWS);
	one_close(&t);
	/* A row that is too large by itself is the sink's to refuse. */
	one_open(&t, 50);
	one_add(&t, "too large for this", 18);
	one_encode(&t);
	assert_int_equal(t.b->n_msgs, 1);
	one_close(&t);
}

static void
puts_2048_rows_into_a_packet(void **state)
{
	struct one t;

	(void)state;
	one_open(&t, SIZE_MAX);
	for (int i = 0; i < 2049; i++)
		one_add(&t, "x", 1);
	one_encode(&t);
	assert_int_equal(t.b->n_msgs, 2);
	assert_int_equal(t.b->msgs[0].rows, 2048);
	assert_int_equal(t.b->msgs[1].rows, 1);
	one_close(&t);
}

static void
keeps_partitions_apart(void **state)
{
	struct ml_rd body, v;
	struct one t;

	(void)state;
	one_open(&t, SIZE_MAX);
	for (int i = 0; i < 9; i++) {
		one_add(&t, "123456789", (size_t)(i + 1));
		t.b->rows[i].partition = i % 3;
	}
	one_encode(&t);
	assert_int_equal(t.b->n_msgs, 3);
	for (uint32_t m = 0; m < 3; m++) {
		assert_int_equal(t.b->msgs[m].partition, m);
		assert_int_equal(t.b->msgs[m].rows, 3);
		body = body_of(&t.b->msgs[m]);
		for (uint32_t i = 0; i < 3; i++) {
			v = value_of_row(&body);
			assert_int_equal(ml_rd_left(&v), m + 3 * i + 1);
		}
	}
	one_close(&t);
}

/* One large row must not make room for two thousand of its size. */
static void
takes_room_ahead_within_bounds(void **state)
{
	char *large = calloc(1, 3 << 20);
	struct one t;

	(void)state;
	assert_non_null(large);
	one_open(&t, SIZE_MAX);
	one_add(&t, large, 3 << 20);
	one_encode(&t);
	ml_batch_free(t.b);
	t.b = ml_batch_new();
	for (int i = 0; i < 2000; i++)
		one_add(&t, "x", 1);
	one_encode(&t);
	assert_true(ml_batch_bytes(t.b) < 8 << 20);
	one_close(&t);
	free(large);
}

static void
has_no_checkpoint_message(void **state)
{
	struct one t;

	(void)state;
	one_open(&t, SIZE_MAX);
	assert_null(t.e->ops->checkpoint);
	assert_false(t.e->ops->checkpoint_messages);
	assert_false(t.e->ops->ddl_all_partitions);
	one_close(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_what_was_recorded),
		cmocka_unit_test(writes_the_published_examples),
		cmocka_unit_test(protoc_reads_what_is_written),
		cmocka_unit_test(lengths_of_every_size_fit),
		cmocka_unit_test(binary_values_are_valid_text),
		cmocka_unit_test(closes_a_packet_before_it_is_too_large),
		cmocka_unit_test(puts_2048_rows_into_a_packet),
		cmocka_unit_test(keeps_partitions_apart),
		cmocka_unit_test(takes_room_ahead_within_bounds),
		cmocka_unit_test(has_no_checkpoint_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
