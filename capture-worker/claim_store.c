#include "capture-worker/claim_store.h"

#include <stdlib.h>
#include <strings.h>

#include "capture-worker/sink/storage/store.h"
#include "common/text/uri.h"

struct ml_claim_store {
	struct ml_claim_place place; /* first */
	struct store *store;
};

static int
put(struct ml_claim_place *p, const char *name, const char *text, size_t len, struct ml_err *err)
{
	struct store *s = ((struct ml_claim_store *)p)->store;

	return s->ops->put(s, "", name, text, len, true, err);
}

void
ml_claim_store_free(struct ml_claim_store *s)
{
	if (s == NULL)
		return;
	store_free(s->store);
	free(s);
}

static int
make(struct store **out, const struct ml_uri *uri, const Ml__ServerConfig *config, const char *object,
	struct ml_err *err)
{
	/* All settings are the uri's: those of the changefeed are its sink's. */
	const Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	struct ml_sink_env env = { .spec = &spec, .config = config, .uri = uri, .object = object };
	struct ml_settings st;
	int rc;

	if (strcasecmp(uri->scheme, "s3") != 0 && strcasecmp(uri->scheme, "gs") != 0 &&
		strcasecmp(uri->scheme, "gcs") != 0)
		return ML_ERRF(err, ErrInvalidReplicaConfig, 0,
			"invalid replica config, claim-check-storage-uri takes file, s3, gs and gcs; the scheme here is %.20s",
			uri->scheme);
	if (ml_settings_init(&st, &env, "cloud-storage-config", ML_ErrStorageSinkInvalidConfig, err) != 0)
		return -1;
	rc = store_make(out, &env, &st, err);
	ml_settings_fini(&st);
	return rc != 0 ? ml_err_wrap(err, ML_ErrInvalidReplicaConfig, "invalid replica config, claim-check-storage-uri")
		       : 0;
}

int
ml_claim_store_open(struct ml_claim_store **out, const char *text, const Ml__ServerConfig *config, const char *object,
	struct ml_err *err)
{
	struct ml_claim_store *s;
	struct store *store;
	struct ml_uri *uri;
	int rc;

	if (ml_uri_parse(&uri, text, err) != 0)
		return ml_err_wrap(err, ML_ErrInvalidReplicaConfig, "invalid replica config, claim-check-storage-uri");
	rc = make(&store, uri, config, object, err);
	ml_uri_free(uri);
	if (rc != 0)
		return -1;
	if (store->ops->probe(store, err) != 0) {
		store_free(store);
		return ml_err_wrap(err, ML_ErrFailToCreateExternalStorage,
			"failed to create external storage: claim-check-storage-uri");
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	s->place = (struct ml_claim_place){ .name = store->name, .put = put };
	s->store = store;
	*out = s;
	return 0;
}

struct ml_claim_place *
ml_claim_store_place(struct ml_claim_store *s)
{
	return &s->place;
}

void
ml_claim_store_stop(struct ml_claim_store *s)
{
	if (s != NULL)
		s->store->ops->stop(s->store);
}
