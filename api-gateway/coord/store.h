/* store.h - a changefeed's two records in the metadata store: keys, and structs to bytes and back. */
#ifndef ML_API_GATEWAY_COORD_STORE_H
#define ML_API_GATEWAY_COORD_STORE_H
#include "api-gateway/coord/feed.h"
#include "api-gateway/metastore/metastore.h"

enum ml_store_kind { ML_STORE_INFO, ML_STORE_STATUS };

/* "/tidb/cdc/<cluster>/": all keys of this cluster begin so.  malloc'ed. */
char *ml_store_prefix(const char *cluster_id);
/* TiCDC's layout: <prefix><namespace>/changefeed/info/<id>; malloc'ed. */
char *ml_store_key(const char *cluster_id, enum ml_store_kind kind, const char *ns, const char *id);
/* true if key is one of ours; ns and id malloc'ed. */
bool ml_store_parse_key(const char *cluster_id, const char *key, enum ml_store_kind *kind, char **ns, char **id);

/* Adds a put of f's definition with state s (which may be the one f is to have after the commit) and f's present error. */
void ml_store_put_info(struct ml_meta_txn *t, const char *cluster_id, const struct ml_feed *f, enum ml_feed_state s);
void ml_store_put_status(struct ml_meta_txn *t, const char *cluster_id, const struct ml_feed *f);
/* Bytes of the store into a new changefeed (no worker, checkpoint = start_ts); ErrMetaStore if they are damaged. */
int ml_store_read_info(struct ml_coord *c, const void *p, size_t len, struct ml_feed **out, struct ml_err *err);
int ml_store_read_status(struct ml_feed *f, const void *p, size_t len, struct ml_err *err);

/* Deep copies through the wire form; protobuf-c has none. */
Ml__ChangefeedSpec *ml_spec_copy(const Ml__ChangefeedSpec *spec);
bool ml_spec_equal(const Ml__ChangefeedSpec *a, const Ml__ChangefeedSpec *b);
Ml__Position *ml_position_copy(const Ml__Position *p); /* NULL stays NULL */
#endif
