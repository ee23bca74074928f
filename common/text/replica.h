/*
 * replica.h - the settings of a changefeed (openapi.md 5): one table holds name, type, default, range and meaning of every key
 * that this build knows, and checking, the stored form and docs/config.md follow from it.
 *
 * A document spells its keys in kebab-case, as the changefeed file and v1 do, or in snake_case, as v2 does; unknown keys are
 * ignored, as in TiCDC.
 */
#ifndef ML_COMMON_TEXT_REPLICA_H
#define ML_COMMON_TEXT_REPLICA_H
#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/text/json.h"

/*
 * Types of all known keys below section: "" for a whole document, "sink" for its sink part.  called: how errors name it
 * ("replica_config", "sink_config").  ErrAPIInvalidParam whose text is the detail alone, as from ml_json_decode.
 */
int ml_replica_types(
	const struct ml_json *doc, const char *section, const char *called, struct ml_arena *a, struct ml_err *err);
/* Ranges and choices, with the codes of openapi.md 5.7.  The types must be right already. */
int ml_replica_ranges(const struct ml_json *doc, const char *section, struct ml_err *err);
/* The same of text as it is stored ("": nothing). */
int ml_replica_ranges_text(const char *json, const char *section, struct ml_err *err);
/*
 * The stored form: known keys in the table's order and kebab-case, without blanks and nulls, integral durations as given; ""
 * if there are none.  Objects of one sink ("kafka-config") are kept whole.  without: keys to leave out ("a|b"), or NULL.
 */
void ml_replica_print(const struct ml_json *doc, const char *section, const char *without, struct ml_buf *out);
/* A member by its path ("filter.event-filters"), in either spelling; NULL if absent or null. */
const struct ml_json *ml_replica_get(const struct ml_json *doc, const char *path);
/* A switch of a stored text ("": nothing is set), by its path; false where it is not set. */
bool ml_replica_on(const char *json, const char *path);
/* Markdown for docs/config.md. */
void ml_replica_doc(struct ml_buf *out);
#endif
