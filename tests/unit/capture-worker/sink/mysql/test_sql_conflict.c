/* test_sql_conflict.c - keys of changes, and the order in which units may run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture-worker/sink/mysql/conflict.h"
#include "tests/unit/capture-worker/sink/mysql/rows.h"

static struct ml_schema *mail, *none, *both;

static int
set_up(void **state)
{
	(void)state;
	mail = rows_table("d", "t", 100, "id:i email:v:utf8mb4_general_ci", "P=id U=email");
	none = rows_table("d", "n", 200, "a:i", "");
	both = rows_table("d", "b", 300, "a:i b:v:utf8mb4_bin", "U=a,b");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	ml_schema_unref(mail);
	ml_schema_unref(none);
	ml_schema_unref(both);
	ml_batch_pool_drain();
	return 0;
}

static void
keys_are_values_ordinal_and_table(void **state)
{
	static const char id[] = "1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x64",
			  email[] = "a@x\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\x64";
	struct ml_batch *b = ml_batch_new();
	struct ml_buf out = { 0 };
	const struct sql_table *t;

	(void)state;
	rows_add(b, mail, "I 1|A@x", 5);
	rows_add(b, mail, "I 2|N", 5);
	t = mail->encoder;
	assert_true(sql_key_bytes(&out, t, &t->uniques[0], b->rows[0].after));
	assert_int_equal(out.len, sizeof(id) - 1);
	assert_memory_equal(out.data, id, out.len);
	assert_true(sql_key_bytes(&out, t, &t->uniques[1], b->rows[0].after));
	assert_int_equal(out.len, sizeof(email) - 1);
	assert_memory_equal(out.data, email, out.len);
	/* NULL gives no key. */
	assert_false(sql_key_bytes(&out, t, &t->uniques[1], b->rows[1].after));
	ml_buf_fini(&out);
	ml_batch_free(b);
}

/* How many hashes two rows have in common. */
static int
common(struct ml_schema *s, const char *one, const char *two)
{
	struct ml_batch *b = ml_batch_new();
	struct ml_buf scratch = { 0 };
	uint64_t x[16], y[16];
	uint32_t n, m;
	int found = 0;

	rows_add(b, s, one, 5);
	rows_add(b, s, two, 6);
	n = sql_keys_of(x, s->encoder, &b->rows[0], &scratch);
	m = sql_keys_of(y, s->encoder, &b->rows[1], &scratch);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < m; k++)
			found += x[i] == y[k];
	ml_buf_fini(&scratch);
	ml_batch_free(b);
	return found;
}

static void
equal_values_meet_whatever_their_spelling(void **state)
{
	static const struct {
		const char *one, *two;
		bool meet;
	} rows[] = {
		{ "a", "A", true },
		{ "a", "a  ", true },
		{ "é", "E", true },
		{ "straße", "STRASSE", true },
		{ "Ærø", "aero", true },
		{ "Åse", "aase", true },
		{ "ä", "ae", true },
		{ "ｆｕｌｌ", "full", true },
		{ "ПРИВЕТ", "привет", true },
		{ "Ω", "ω", true },
		{ "e\xcc\x81", "é", true },
		{ "a", "b", false },
		{ "中", "文", false },
		{ "user1", "user2", false },
		{ "привет", "привед", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char one[64], two[64];

		snprintf(one, sizeof(one), "I 1|%s", rows[i].one);
		snprintf(two, sizeof(two), "I 2|%s", rows[i].two);
		assert_int_equal(common(mail, one, two), rows[i].meet);
	}
	/* _bin: blanks at the end do not count, case does. */
	assert_int_equal(common(both, "I 1|a", "I 1|a "), 1);
	assert_int_equal(common(both, "I 1|a", "I 1|A"), 0);
	/* Rows without any key are all one; also rows whose unique values are NULL. */
	assert_int_equal(common(none, "I 1", "D 2"), 1);
	assert_int_equal(common(both, "I N|a", "I N|b"), 1);
	assert_int_equal(common(both, "U N|a>1|a", "D N|b"), 1);
	assert_int_equal(common(mail, "D 1|A@x", "I 7|a@X"), 1);
	assert_int_equal(common(mail, "I 2|N", "I 3|N"), 0);
}

static void
of_a_prefix_only_the_prefix_counts(void **state)
{
	static const struct {
		const char *cols, *keys, *one, *two;
		bool meet;
	} rows[] = {
		{ "id:i v:v:utf8mb4_bin", "P=id U=v(3)", "I 1|abcX", "I 2|abcY", true },
		{ "id:i v:v:utf8mb4_bin", "P=id U=v(3)", "I 1|abX", "I 2|abY", false },
		{ "id:i v:v:utf8mb4_bin", "P=id U=v(3)", "I 1|ab", "I 2|abc", false },
		{ "id:i v:v:utf8mb4_bin", "P=id U=v(3)", "I 1|ab", "I 2|ab", true },
		/* characters, not bytes */
		{ "id:i v:v:utf8mb4_bin", "P=id U=v(3)", "I 1|éééX", "I 2|éééY", true },
		{ "id:i v:v:utf8mb4_bin", "P=id U=v(3)", "I 1|ééX", "I 2|ééY", false },
		{ "id:i v:v:utf8mb4_bin", "P=id U=v(2)", "I 1|😀中X", "I 2|😀中", true },
		{ "id:i v:v:utf8mb4_bin", "P=id U=v(2)", "I 1|😀中X", "I 2|😀文X", false },
		/* of bytes, bytes */
		{ "id:i v:b", "P=id U=v(3)", "I 1|xc3a9c3a9", "I 2|xc3a9c3aa", true },
		{ "id:i v:b", "P=id U=v(3)", "I 1|xc3a9c3a9", "I 2|xc3a9c4a9", false },
		{ "id:i v:b", "P=id U=v(2)", "I 1|x6120", "I 2|x61", false },
		/* cut first, then blanks at the end and case */
		{ "id:i v:v:utf8mb4_bin", "P=id U=v(3)", "I 1|a  X", "I 2|a", true },
		{ "id:i v:v:utf8mb4_bin", "P=id U=v(3)", "I 1|abcX", "I 2|ABCY", false },
		{ "id:i v:v:utf8mb4_general_ci", "P=id U=v(3)", "I 1|abcX", "I 2|ÁBCY", true },
		{ "id:i v:v:utf8mb4_general_ci", "P=id U=v(3)", "I 1|a  X", "I 2|A", true },
		{ "id:i v:v:utf8mb4_general_ci", "P=id U=v(3)", "I 1|abX", "I 2|abY", false },
		/* among whole columns */
		{ "id:i v:v:utf8mb4_bin n:i", "P=id U=v(2),n", "I 1|abX|5", "I 2|abY|5", true },
		{ "id:i v:v:utf8mb4_bin n:i", "P=id U=v(2),n", "I 1|abX|5", "I 2|abY|6", false },
		{ "id:i v:v:utf8mb4_bin w:v:utf8mb4_bin", "P=id U=v,w(1)", "I 1|ab|xy", "I 2|ab|xz", true },
		{ "id:i v:v:utf8mb4_bin w:v:utf8mb4_bin", "P=id U=v,w(1)", "I 1|ab|xy", "I 2|ac|xy", false },
		/* of a virtual column nobody knows the value */
		{ "id:i v:i:V", "P=id U=v", "I 1|~", "U 2|~>2|~", true },
		{ "id:i v:i:V n:i", "P=id U=v,n", "I 1|~|5", "I 2|~|5", true },
		{ "id:i v:i:V n:i", "P=id U=v,n", "I 1|~|5", "I 2|~|6", false },
		{ "id:i v:i:V n:i", "P=id U=n,v", "I 1|~|N", "I 2|~|N", false },
		{ "id:i v:i n:i", "P=id U=v,n", "I 1|~|5", "I 2|~|5", false },
		/* all in the index, and nobody knows how much */
		{ "id:i v:v:utf8mb4_bin", "P=id U=v(99)", "I 1|abcX", "I 2|abcY", false },
		{ "id:i v:v:utf8mb4_bin", "P=id U=v(?)", "I 1|abc", "I 2|xyz", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_schema *s = rows_table("d", "p", 400, rows[i].cols, rows[i].keys);

		if (common(s, rows[i].one, rows[i].two) != rows[i].meet)
			fail_msg("%s: %s and %s", rows[i].keys, rows[i].one, rows[i].two);
		ml_schema_unref(s);
	}
}

#define ANY SQL_WORKER_ANY

struct run {
	struct sql_conflict c;
	struct ml_batch *b;
	struct sql_unit *u[8];
};

static void
run_init(struct run *r)
{
	*r = (struct run){ .b = ml_batch_new() };
	sql_conflict_init(&r->c);
}

static void
run_fini(struct run *r)
{
	sql_conflict_fini(&r->c);
	ml_batch_free(r->b);
}

/* A unit that touches these ids. */
static void
make(struct run *r, int i, const char *rows[], int n)
{
	uint32_t from = r->b->n_rows;

	for (int k = 0; k < n; k++)
		rows_add(r->b, mail, rows[k], 10 + (ml_ts)i);
	r->u[i] = rows_unit(r->b, from, r->b->n_rows, true);
}

static void
expect_ready(struct run *r, int i, int worker)
{
	struct sql_unit *u = sql_conflict_ready(&r->c);

	assert_ptr_equal(u, i < 0 ? NULL : r->u[i]);
	if (u != NULL)
		assert_int_equal(u->worker, worker);
}

static void
strangers_run_at_once_and_followers_where_their_past_is(void **state)
{
	struct run r;

	(void)state;
	run_init(&r);
	ml_batch_row(r.b);
	r.b->n_rows = 0;
	for (int i = 0; i < 40; i++) /* so that rows do not move */
		ml_batch_row(r.b);
	r.b->n_rows = 0;
	make(&r, 0, (const char *[]){ "I 1|N" }, 1);
	make(&r, 1, (const char *[]){ "I 2|N" }, 1);
	make(&r, 2, (const char *[]){ "U 1|N>1|x" }, 1);      /* after 0 */
	make(&r, 3, (const char *[]){ "D 1|x", "D 2|N" }, 2); /* after 2 and 1 */
	make(&r, 4, (const char *[]){ "I 9|X" }, 1);          /* after 3, by the mail address */
	make(&r, 5, (const char *[]){ "I 10|N" }, 1);         /* stranger */
	sql_conflict_add(&r.c, r.u[0]);
	expect_ready(&r, 0, ANY);
	sql_conflict_assign(&r.c, r.u[0], 3);
	sql_conflict_add(&r.c, r.u[1]);
	expect_ready(&r, 1, ANY);
	sql_conflict_assign(&r.c, r.u[1], 4);
	sql_conflict_add(&r.c, r.u[2]);
	expect_ready(&r, 2, 3);
	sql_conflict_assign(&r.c, r.u[2], 3);
	sql_conflict_add(&r.c, r.u[3]); /* two workers: it waits */
	expect_ready(&r, -1, 0);
	sql_conflict_add(&r.c, r.u[4]);
	expect_ready(&r, -1, 0);
	sql_conflict_add(&r.c, r.u[5]);
	expect_ready(&r, 5, ANY);
	assert_int_equal(r.c.n_waiting, 2);
	sql_conflict_assign(&r.c, r.u[5], 0);
	sql_conflict_finish(&r.c, r.u[0]);
	expect_ready(&r, -1, 0);
	sql_conflict_finish(&r.c, r.u[2]);
	expect_ready(&r, -1, 0);
	sql_conflict_finish(&r.c, r.u[1]);
	expect_ready(&r, 3, ANY); /* all before it are committed */
	sql_conflict_assign(&r.c, r.u[3], 7);
	expect_ready(&r, 4, 7); /* at once behind the one it waited for */
	sql_conflict_assign(&r.c, r.u[4], 7);
	sql_conflict_finish(&r.c, r.u[3]);
	sql_conflict_finish(&r.c, r.u[4]);
	expect_ready(&r, -1, 0);
	assert_int_equal(r.c.n_waiting, 0);
	run_fini(&r);
}

/*
 * Random units over few keys, random workers and progress: no two units that share a key are ever out of order, on one worker
 * or across, and all come through.
 */
static void
random_units_keep_the_order_of_their_keys(void **state)
{
	enum { N = 3000, WORKERS = 5, KEYS = 40 };
	static struct sql_unit *queue[WORKERS][N];
	int head[WORKERS] = { 0 }, tail[WORKERS] = { 0 }, next = 0, done = 0;
	struct ml_batch *b = ml_batch_new();
	static struct sql_unit *units[N];
	static int ids[N][3];
	int last[KEYS];
	struct sql_conflict c;

	(void)state;
	srand(7);
	sql_conflict_init(&c);
	for (int k = 0; k < KEYS; k++)
		last[k] = -1;
	for (int i = 0; i < N; i++)
		for (int k = 0; k < 3; k++) {
			char row[40];

			ids[i][k] = rand() % KEYS;
			snprintf(row, sizeof(row), "D %d|N", ids[i][k]);
			rows_add(b, mail, row, 5);
		}
	for (int i = 0; i < N; i++) {
		units[i] = rows_unit(b, (uint32_t)i * 3, (uint32_t)i * 3 + 3, true);
	}
	while (done < N) {
		struct sql_unit *u;

		if (next < N && rand() % 3 != 0) {
			sql_conflict_add(&c, units[next++]);
		} else {
			int w = rand() % WORKERS;

			if (head[w] < tail[w]) {
				int i = (int)((queue[w][head[w]++]->rows - b->rows) / 3);

				for (int k = 0; k < 3; k++) {
					assert_true(last[ids[i][k]] <= i);
					last[ids[i][k]] = i;
				}
				sql_conflict_finish(&c, units[i]);
				done++;
			}
		}
		while ((u = sql_conflict_ready(&c)) != NULL) {
			int w = u->worker >= 0 ? u->worker : rand() % WORKERS;

			queue[w][tail[w]++] = u;
			sql_conflict_assign(&c, u, w);
		}
	}
	assert_int_equal(c.n_waiting, 0);
	sql_conflict_fini(&c);
	ml_batch_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_values_ordinal_and_table),
		cmocka_unit_test(equal_values_meet_whatever_their_spelling),
		cmocka_unit_test(of_a_prefix_only_the_prefix_counts),
		cmocka_unit_test(strangers_run_at_once_and_followers_where_their_past_is),
		cmocka_unit_test(random_units_keep_the_order_of_their_keys),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
