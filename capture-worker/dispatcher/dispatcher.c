#include "capture-worker/dispatcher/dispatcher.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <zlib.h>

#include "capture-worker/dispatcher/topic.h"
#include "capture-worker/event/rules.h"
#include "common/run/log.h"
#include "common/text/num.h"

enum kind { BY_TABLE, BY_TS, BY_INDEX, BY_COLUMNS };

struct rule {
	struct ml_rules *matcher;
	enum kind kind;
	char *topic; /* expression; "" = the default topic */
	char *index; /* BY_INDEX: "" = the handle key */
	char **columns;
	size_t n_columns;
};

struct ml_dispatcher {
	struct rule *rules; /* the last one accepts every table */
	size_t n_rules;
	bool has_topics;
	char *default_topic;
	ml_topic_open_fn *open_topic;
	void *arg;
	struct ml_topic **topics; /* opened ones, in the order of opening */
	size_t n_topics, cap_topics;
	struct ml_topic **by_name; /* the same, hashed; cap_hash is a power of two > n_topics, NULL = free */
	size_t cap_hash;
};

/* What was decided for one version of a table. */
struct route {
	struct ml_topic *topic;
	bool by_ts;
	uint32_t hash; /* of schema and table */
	uint16_t n_cols;
	struct {
		uint16_t col;
		uint32_t name_crc; /* CRC32 so far: of the column's name */
	} cols[];
};

static void
rule_fini(struct rule *r)
{
	ml_rules_free(r->matcher);
	free(r->topic);
	free(r->index);
	for (size_t i = 0; i < r->n_columns; i++)
		free(r->columns[i]);
	free(r->columns);
}

static enum kind
parse_kind(const char *text)
{
	if (*text == '\0' || strcasecmp(text, "default") == 0 || strcasecmp(text, "table") == 0)
		return BY_TABLE;
	if (strcasecmp(text, "ts") == 0)
		return BY_TS;
	if (strcasecmp(text, "rowid") == 0)
		ml_warn("-", "partition rule rowid is an old name of index-value");
	if (strcasecmp(text, "index-value") == 0 || strcasecmp(text, "rowid") == 0)
		return BY_INDEX;
	if (strcasecmp(text, "columns") == 0)
		return BY_COLUMNS;
	ml_warn("-", "unknown partition rule, rows are dispatched by table rule=%s", text);
	return BY_TABLE;
}

/* in: NULL for the rule at the end. */
static int
rule_init(struct rule *r, const Ml__DispatchRule *in, bool case_sensitive, bool topics, bool both, struct ml_err *err)
{
	static char all[] = "*.*", *const everything[] = { all };
	const char *topic = in != NULL ? in->topic : "", *index = in != NULL ? in->index : "";

	if (topics && ml_topic_check(topic, both, err) != 0)
		return -1;
	if (ml_rules_new(&r->matcher, in != NULL ? in->matcher : everything, in != NULL ? in->n_matcher : 1,
		    case_sensitive, false, err) != 0)
		return -1;
	r->kind = in != NULL ? parse_kind(in->partition) : BY_TABLE;
	r->topic = strdup(topic);
	r->index = strdup(index);
	if (r->topic == NULL || r->index == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "making a dispatcher");
	if (in == NULL || in->n_columns == 0)
		return 0;
	r->columns = calloc(in->n_columns, sizeof(*r->columns));
	if (r->columns == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "making a dispatcher");
	for (; r->n_columns < in->n_columns; r->n_columns++) {
		r->columns[r->n_columns] = strdup(in->columns[r->n_columns]);
		if (r->columns[r->n_columns] == NULL)
			return ML_ERR(err, ErrNoMemory, 0, "making a dispatcher");
	}
	return 0;
}

int
ml_dispatcher_new(struct ml_dispatcher **out, const Ml__ChangefeedSpec *spec, const char *default_topic,
	const char *protocol, ml_topic_open_fn *open_topic, void *arg, struct ml_err *err)
{
	bool both = protocol != NULL && strcasecmp(protocol, "avro") == 0;
	struct ml_dispatcher *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "making a dispatcher");
	if (*default_topic == '/')
		default_topic++;
	d->has_topics = *default_topic != '\0';
	d->open_topic = open_topic;
	d->arg = arg;
	d->default_topic = strdup(default_topic);
	d->rules = calloc(spec->n_dispatchers + 1, sizeof(*d->rules));
	if (d->default_topic == NULL || d->rules == NULL) {
		ML_ERR(err, ErrNoMemory, 0, "making a dispatcher");
		goto fail;
	}
	while (d->n_rules <= spec->n_dispatchers) {
		size_t i = d->n_rules++;

		if (rule_init(&d->rules[i], i < spec->n_dispatchers ? spec->dispatchers[i] : NULL, spec->case_sensitive,
			    d->has_topics, both, err) != 0)
			goto fail;
	}
	*out = d;
	return 0;
fail:
	ml_dispatcher_free(d);
	return -1;
}

void
ml_dispatcher_free(struct ml_dispatcher *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->n_rules; i++)
		rule_fini(&d->rules[i]);
	for (size_t i = 0; i < d->n_topics; i++) {
		free((void *)(uintptr_t)d->topics[i]->name.s);
		free(d->topics[i]);
	}
	free(d->topics);
	free(d->by_name);
	free(d->rules);
	free(d->default_topic);
	free(d);
}

static uint32_t
crc(uint32_t start, const char *s, size_t len)
{
	return (uint32_t)crc32(start, (const Bytef *)s, (uInt)len);
}

static struct ml_topic **
slot(struct ml_topic **table, size_t cap, const char *name, size_t len)
{
	size_t i = crc(0, name, len) & (cap - 1);

	while (table[i] != NULL && (table[i]->name.len != len || memcmp(table[i]->name.s, name, len) != 0))
		i = (i + 1) & (cap - 1);
	return &table[i];
}

static int
make_room(struct ml_dispatcher *d, struct ml_err *err)
{
	size_t cap = d->cap_hash > 0 ? d->cap_hash * 2 : 16;
	struct ml_topic **table, **topics;

	if (d->n_topics < d->cap_topics)
		return 0;
	table = calloc(cap, sizeof(struct ml_topic *));
	topics = reallocarray(d->topics, cap / 2, sizeof(struct ml_topic *));
	if (topics != NULL)
		d->topics = topics;
	if (table == NULL || topics == NULL) {
		free(table);
		return ML_ERR(err, ErrNoMemory, 0, "opening a topic");
	}
	for (size_t i = 0; i < d->n_topics; i++)
		*slot(table, cap, topics[i]->name.s, topics[i]->name.len) = topics[i];
	free(d->by_name);
	d->by_name = table;
	d->cap_hash = cap;
	d->cap_topics = cap / 2;
	return 0;
}

static int
open_topic(struct ml_dispatcher *d, const char *name, size_t len, struct ml_topic **out, struct ml_err *err)
{
	struct ml_topic **place, *t;
	char *copy;

	if (make_room(d, err) != 0)
		return -1;
	place = slot(d->by_name, d->cap_hash, name, len);
	if (*place != NULL) {
		*out = *place;
		return 0;
	}
	t = calloc(1, sizeof(*t));
	copy = strndup(name, len);
	if (t == NULL || copy == NULL) {
		free(t);
		free(copy);
		return ML_ERR(err, ErrNoMemory, 0, "opening a topic");
	}
	t->name = (struct ml_text){ .s = copy, .len = (uint32_t)len };
	atomic_init(&t->partitions, 1);
	if (d->open_topic != NULL && d->open_topic(d->arg, t, err) != 0) {
		free(copy);
		free(t);
		return -1;
	}
	d->topics[d->n_topics++] = *place = *out = t;
	return 0;
}

static int
open_default(struct ml_dispatcher *d, struct ml_topic **out, struct ml_err *err)
{
	return open_topic(d, d->default_topic, strlen(d->default_topic), out, err);
}

static const struct rule *
rule_for(const struct ml_dispatcher *d, const struct ml_text *db, const struct ml_text *table)
{
	size_t i = 0;

	while (i + 1 < d->n_rules && !ml_rules_match(d->rules[i].matcher, db->s, db->len, table->s, table->len))
		i++;
	return &d->rules[i];
}

static int
topic_of(struct ml_dispatcher *d, const struct rule *r, const struct ml_text *db, const struct ml_text *table,
	struct ml_topic **out, struct ml_err *err)
{
	char name[ML_TOPIC_MAX + 1];
	size_t len;

	if (*r->topic == '\0')
		return open_default(d, out, err);
	len = ml_topic_name(r->topic, db->s, db->len, table->s, table->len, name);
	return open_topic(d, name, len, out, err);
}

static void
add_column(struct route *rt, const struct ml_schema *s, int col)
{
	const struct ml_text *name = &s->columns[col].name;

	rt->cols[rt->n_cols].col = (uint16_t)col;
	rt->cols[rt->n_cols++].name_crc = crc(0, name->s, name->len);
}

static int
add_index(struct route *rt, const struct rule *r, const struct ml_schema *s, struct ml_err *err)
{
	const struct ml_index *ix = s->handle;

	if (*r->index != '\0') {
		ix = NULL;
		for (uint16_t i = 0; i < s->n_indexes && ix == NULL; i++)
			if (strcasecmp(s->indexes[i].name.s, r->index) == 0)
				ix = &s->indexes[i];
		if (ix == NULL)
			return ML_ERRF(err, ErrDispatcherFailed, 0,
				"index not found when verify the table, table: %s, index: %s", s->qname.s, r->index);
		if (!ix->unique)
			return ML_ERRF(err, ErrDispatcherFailed, 0,
				"index is not unique when verify the table, table: %s, index: %s", s->qname.s,
				r->index);
	}
	/* Terms are XORed, so index order and table order give the same. */
	for (uint16_t i = 0; ix != NULL && i < ix->n_cols; i++)
		add_column(rt, s, ix->cols[i]);
	return 0;
}

static int
add_columns(struct route *rt, const struct rule *r, const struct ml_schema *s, struct ml_err *err)
{
	for (size_t i = 0; i < r->n_columns; i++) {
		int col = ml_schema_column(s, r->columns[i], strlen(r->columns[i]));

		if (col < 0)
			return ML_ERRF(err, ErrDispatcherFailed, 0,
				"columns not found when verify the table, table: %s, columns: %s", s->qname.s,
				r->columns[i]);
		if (s->columns[col].virtual_generated)
			return ML_ERRF(err, ErrDispatcherFailed, 0,
				"found virtual generated columns when verify the table, table: %s, columns: %s",
				s->qname.s, r->columns[i]);
		add_column(rt, s, col);
	}
	return 0;
}

/* Everything of a route but its topic. */
static int
make_route(struct route **out, const struct rule *r, const struct ml_schema *s, struct ml_err *err)
{
	size_t most = r->kind == BY_COLUMNS ? r->n_columns : s->n_columns;
	struct route *rt = calloc(1, sizeof(*rt) + most * sizeof(rt->cols[0]));
	int rc = 0;

	if (rt == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "routing a table");
	rt->by_ts = r->kind == BY_TS;
	rt->hash = crc(crc(0, s->db.s, s->db.len), s->table.s, s->table.len);
	if (r->kind == BY_INDEX)
		rc = add_index(rt, r, s, err);
	else if (r->kind == BY_COLUMNS)
		rc = add_columns(rt, r, s, err);
	if (rc != 0) {
		free(rt);
		return -1;
	}
	*out = rt;
	return 0;
}

int
ml_dispatcher_check(struct ml_dispatcher *d, struct ml_schema *s, struct ml_err *err)
{
	struct route *rt = NULL;

	if (make_route(&rt, rule_for(d, &s->db, &s->table), s, err) != 0)
		return -1;
	free(rt);
	return 0;
}

static int
find_route(struct ml_dispatcher *d, struct ml_schema *s, struct ml_err *err)
{
	const struct rule *r = rule_for(d, &s->db, &s->table);
	struct route *rt = NULL;

	if (make_route(&rt, r, s, err) != 0)
		return -1;
	if (topic_of(d, r, &s->db, &s->table, &rt->topic, err) != 0) {
		free(rt);
		return -1;
	}
	s->route = rt;
	s->route_free = free;
	return 0;
}

int
ml_dispatcher_row(struct ml_dispatcher *d, struct ml_row *row, struct ml_err *err)
{
	const struct ml_datum *image = row->after != NULL ? row->after : row->before;
	struct ml_schema *s = row->schema;
	const struct route *rt;
	char buf[352];
	uint32_t hash, n;

	if (!d->has_topics) {
		row->topic = NULL;
		row->partition = 0;
		return 0;
	}
	if (__builtin_expect(s->route == NULL, 0) && find_route(d, s, err) != 0)
		return -1;
	rt = s->route;
	row->topic = rt->topic;
	n = (uint32_t)atomic_load_explicit(&rt->topic->partitions, memory_order_relaxed);
	if (rt->by_ts) {
		row->partition = (int32_t)(row->commit_ts % n);
		return 0;
	}
	hash = rt->hash;
	for (uint16_t i = 0; i < rt->n_cols; i++) {
		const struct ml_datum *datum = &image[rt->cols[i].col];
		const char *text;
		size_t len;

		if (datum->kind == ML_D_ABSENT)
			continue;
		ml_key_text(datum, buf, &text, &len);
		hash ^= crc(rt->cols[i].name_crc, text, len);
	}
	row->partition = (int32_t)(hash % n);
	return 0;
}

int
ml_dispatcher_table(struct ml_dispatcher *d, struct ml_schema *s, struct ml_topic **topic, struct ml_err *err)
{
	*topic = NULL;
	if (!d->has_topics)
		return 0;
	if (s->route == NULL && find_route(d, s, err) != 0)
		return -1;
	*topic = ((struct route *)s->route)->topic;
	return 0;
}

int
ml_dispatcher_ddl(struct ml_dispatcher *d, const struct ml_ddl *ddl, struct ml_topic **topic, struct ml_err *err)
{
	const struct ml_text *db = &ddl->db, *table = &ddl->table;

	if (!d->has_topics) {
		*topic = NULL;
		return 0;
	}
	if (ddl->pre_table.len > 0) {
		table = &ddl->pre_table;
		if (ddl->pre_db.len > 0)
			db = &ddl->pre_db;
	}
	if (table->len == 0)
		return open_default(d, topic, err);
	return topic_of(d, rule_for(d, db, table), db, table, topic, err);
}

int
ml_dispatcher_topics(struct ml_dispatcher *d, struct ml_topic ***topics, size_t *n, struct ml_err *err)
{
	struct ml_topic *t;

	if (d->has_topics && open_default(d, &t, err) != 0)
		return -1;
	*topics = d->topics;
	*n = d->n_topics;
	return 0;
}

void
ml_key_text(const struct ml_datum *d, char buf[352], const char **s, size_t *len)
{
	_Static_assert(ML_FLOAT_TEXT_MAX <= 352, "buf is too small for a float");

	*s = buf;
	switch ((enum ml_datum_kind)d->kind) {
	case ML_D_I64:
		*len = ml_i64_text(buf, d->i);
		return;
	case ML_D_U64:
		*len = ml_u64_text(buf, d->u);
		return;
	case ML_D_F32:
		*len = ml_f32_text(buf, d->f32, ML_FLOAT_F);
		return;
	case ML_D_F64:
		*len = ml_f64_text(buf, d->f64, ML_FLOAT_F);
		return;
	case ML_D_BYTES:
		*s = d->s;
		*len = d->len;
		return;
	case ML_D_ABSENT:
	case ML_D_NULL:
		break;
	}
	*s = "null";
	*len = 4;
}
