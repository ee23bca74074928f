#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/source/mysql/mysql.h"
#include "capture-worker/source/source.h"

static const struct ml_source_ops *const sources[] = { &ml_source_mysql };

/* Other names of a source's scheme. */
static const struct {
	const char *alias, *scheme;
} aliases[] = { { "mariadb", "mysql" } };

const struct ml_source_ops *
ml_source_for(const char *uri, struct ml_err *err)
{
	const char *colon = uri != NULL ? strstr(uri, "://") : NULL;
	char scheme[32] = "";

	if (colon == NULL) {
		ML_ERR(err, ErrUpstreamURIInvalid, 0, "it has no scheme");
		return NULL;
	}
	if ((size_t)(colon - uri) < sizeof(scheme))
		memcpy(scheme, uri, (size_t)(colon - uri));
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (strcasecmp(scheme, aliases[i].alias) == 0)
			strcpy(scheme, aliases[i].scheme);
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		if (strcasecmp(scheme, sources[i]->scheme) == 0)
			return sources[i];
	ML_ERR(err, ErrUpstreamURIInvalid, 0, "its scheme is none of mysql, mariadb");
	return NULL;
}

void
ml_source_facts_fini(struct ml_source_facts *f)
{
	for (size_t i = 0; i < f->n_tables; i++)
		ml_schema_unref(f->tables[i]);
	free(f->tables);
	if (f->position.file != NULL && f->position.file != protobuf_c_empty_string) {
		free(f->position.flavor);
		free(f->position.server);
		free(f->position.file);
		free(f->position.gtid);
	}
	memset(f, 0, sizeof(*f));
}
