#include "api-gateway/coord/store.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"

static const char *const kind_name[] = {
	[ML_STORE_INFO] = "/changefeed/info/", [ML_STORE_STATUS] = "/changefeed/status/"
};

char *
ml_store_prefix(const char *cluster_id)
{
	struct ml_buf b = { 0 };

	ml_buf_printf(&b, "/tidb/cdc/%s/", cluster_id);
	return b.data;
}

char *
ml_store_key(const char *cluster_id, enum ml_store_kind kind, const char *ns, const char *id)
{
	struct ml_buf b = { 0 };

	ml_buf_printf(&b, "/tidb/cdc/%s/%s%s%s", cluster_id, ns, kind_name[kind], id);
	return b.data;
}

bool
ml_store_parse_key(const char *cluster_id, const char *key, enum ml_store_kind *kind, char **ns, char **id)
{
	char *prefix = ml_store_prefix(cluster_id);
	size_t n = strlen(prefix);
	bool ours = strncmp(key, prefix, n) == 0;

	free(prefix);
	if (!ours)
		return false;
	key += n;
	for (int k = ML_STORE_INFO; k <= ML_STORE_STATUS; k++) {
		const char *mid = strchr(key, '/');

		if (mid == NULL || mid == key || strncmp(mid, kind_name[k], strlen(kind_name[k])) != 0)
			continue;
		*kind = (enum ml_store_kind)k;
		*ns = strndup(key, (size_t)(mid - key));
		*id = strdup(mid + strlen(kind_name[k]));
		if (*ns == NULL || *id == NULL)
			abort();
		return true;
	}
	return false;
}

static void
put(struct ml_meta_txn *t, const char *cluster_id, enum ml_store_kind kind, const struct ml_feed *f,
	const ProtobufCMessage *m)
{
	char *key = ml_store_key(cluster_id, kind, f->spec->namespace_, f->spec->id);
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *p = malloc(len > 0 ? len : 1);

	if (p == NULL)
		abort();
	protobuf_c_message_pack(m, p);
	ml_meta_txn_put(t, key, p, len);
	free(p);
	free(key);
}

static void
fill_error(Ml__StoredError *to, const struct ml_feed_error *e)
{
	ml__stored_error__init(to);
	if (e == NULL)
		return;
	to->time_us = e->time_us;
	to->addr = e->addr;
	to->code = (char *)(uintptr_t)ml_code_name(e->err.code);
	to->text = (char *)(uintptr_t)e->err.text;
}

void
ml_store_put_info(struct ml_meta_txn *t, const char *cluster_id, const struct ml_feed *f, enum ml_feed_state s)
{
	Ml__StoredFeed m = ML__STORED_FEED__INIT;
	Ml__StoredError error, warning;

	fill_error(&error, f->error);
	fill_error(&warning, f->warning);
	m.spec = f->spec;
	m.state = (char *)(uintptr_t)ml_feed_state_name(s);
	m.upstream_id = f->upstream_id;
	m.creator_version = f->creator_version;
	m.create_time_us = f->create_time_us;
	m.create_offset_s = f->create_offset_s;
	m.epoch = f->epoch;
	/* A resume clears the error together with the state. */
	m.error = f->error != NULL && s != ML_FEED_NORMAL ? &error : NULL;
	m.warning = f->warning != NULL && s != ML_FEED_NORMAL ? &warning : NULL;
	put(t, cluster_id, ML_STORE_INFO, f, &m.base);
}

void
ml_store_put_status(struct ml_meta_txn *t, const char *cluster_id, const struct ml_feed *f)
{
	Ml__StoredStatus m = ML__STORED_STATUS__INIT;

	m.checkpoint_ts = f->checkpoint_ts;
	m.position = f->position;
	put(t, cluster_id, ML_STORE_STATUS, f, &m.base);
}

static struct ml_feed_error *
read_error(const Ml__StoredError *m)
{
	struct ml_feed_error *e;

	if (m == NULL)
		return NULL;
	e = calloc(1, sizeof(*e));
	if (e == NULL || (e->addr = strdup(m->addr)) == NULL)
		abort();
	e->time_us = m->time_us;
	ml_err_named(&e->err, m->code, m->text);
	return e;
}

int
ml_store_read_info(struct ml_coord *c, const void *p, size_t len, struct ml_feed **out, struct ml_err *err)
{
	Ml__StoredFeed *m = ml__stored_feed__unpack(NULL, len, p);
	struct ml_feed *f;
	enum ml_feed_state state;

	if (m == NULL || m->spec == NULL || !ml_feed_state_of(m->state, &state)) {
		if (m != NULL)
			ml__stored_feed__free_unpacked(m, NULL);
		return ML_ERR(err, ErrMetaStore, 0, "a changefeed's record is damaged");
	}
	f = ml_feed_new(c, m->spec);
	m->spec = NULL;
	f->state = state;
	f->upstream_id = m->upstream_id;
	f->creator_version = strdup(m->creator_version);
	f->create_time_us = m->create_time_us;
	f->create_offset_s = m->create_offset_s;
	f->epoch = m->epoch;
	f->error = read_error(m->error);
	f->warning = read_error(m->warning);
	f->checkpoint_ts = f->resolved_ts = f->saved_ts = f->spec->start_ts;
	ml__stored_feed__free_unpacked(m, NULL);
	*out = f;
	return 0;
}

int
ml_store_read_status(struct ml_feed *f, const void *p, size_t len, struct ml_err *err)
{
	Ml__StoredStatus *m = ml__stored_status__unpack(NULL, len, p);

	if (m == NULL)
		return ML_ERR(err, ErrMetaStore, 0, "a changefeed's status record is damaged");
	f->checkpoint_ts = f->resolved_ts = f->saved_ts = m->checkpoint_ts;
	if (f->position != NULL)
		ml__position__free_unpacked(f->position, NULL);
	f->position = m->position;
	m->position = NULL;
	ml__stored_status__free_unpacked(m, NULL);
	return 0;
}

static uint8_t *
pack(const ProtobufCMessage *m, size_t *len)
{
	uint8_t *p;

	*len = protobuf_c_message_get_packed_size(m);
	p = malloc(*len > 0 ? *len : 1);
	if (p == NULL)
		abort();
	protobuf_c_message_pack(m, p);
	return p;
}

static ProtobufCMessage *
copy(const ProtobufCMessage *m)
{
	size_t len;
	uint8_t *p = pack(m, &len);
	ProtobufCMessage *out = protobuf_c_message_unpack(m->descriptor, NULL, len, p);

	if (out == NULL)
		abort();
	free(p);
	return out;
}

Ml__ChangefeedSpec *
ml_spec_copy(const Ml__ChangefeedSpec *spec)
{
	return (Ml__ChangefeedSpec *)copy(&spec->base);
}

bool
ml_spec_equal(const Ml__ChangefeedSpec *a, const Ml__ChangefeedSpec *b)
{
	size_t la, lb;
	uint8_t *pa = pack(&a->base, &la), *pb = pack(&b->base, &lb);
	bool equal = la == lb && memcmp(pa, pb, la) == 0;

	free(pa);
	free(pb);
	return equal;
}

Ml__Position *
ml_position_copy(const Ml__Position *p)
{
	return p != NULL ? (Ml__Position *)copy(&p->base) : NULL;
}
