#include "common/text/replica.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/text/uri.h"

enum type {
	BOOL,
	INT,
	UINT,
	STR,
	STRS,
	UINTS,
	DURATION,
	OBJECT,  /* its members have rows of their own */
	OBJECTS, /* the same, an array of them; rows are named x[].y */
	KEPT,    /* as OBJECT, but stored whole: a sink may know more members than this table */
	KEPTS,   /* the same, an array of them */
};

enum {
	STORED = 1, /* accepted and stored; this build has nothing that it could change */
	JUDGED = 2, /* by the sink that has it, and by no other (sinks.md 1.6); the range is for the documentation */
};

struct row {
	const char *name; /* kebab-case path */
	enum type type;
	const char *dflt;    /* NULL: none */
	int64_t min, max;    /* numbers, and durations in ns; both 0: any */
	const char *choices; /* texts: "a|b|c", any case; the empty text is the default */
	enum ml_code code;   /* of a value out of its range */
	unsigned flags;
	const char *help;
};

#define MINUTE_NS 60000000000ll
#define ANY 0, 0, NULL, ML_OK
#define FROM(n, code) n, INT64_MAX, NULL, ML_##code
#define SETS(section)                                                                                                  \
	{                                                                                                              \
		section, OBJECT, NULL, ANY, 0, ""                                                                      \
	}

static const struct row rows[] = {
	{ "memory-quota", UINT, "1073741824", ANY, STORED,
		"Bytes of changes in flight; the server's worker-memory-quota counts." },
	{ "case-sensitive", BOOL, "false", ANY, 0, "Whether table patterns distinguish case." },
	{ "force-replicate", BOOL, "false", ANY, 0,
		"Replicate tables without a primary key or a unique key of NOT NULL columns." },
	{ "ignore-ineligible-table", BOOL, "false", ANY, 0,
		"Leave such tables out instead of refusing the changefeed." },
	{ "check-gc-safe-point", BOOL, "true", ANY, STORED, "Of a TiDB upstream." },
	{ "enable-sync-point", BOOL, "false", ANY, 0, "Sync points; for SQL sinks only." },
	{ "enable-table-monitor", BOOL, "false", ANY, STORED, "Informational." },
	{ "bdr-mode", BOOL, "false", ANY, 0, "Two-way copies; for SQL sinks only." },
	{ "sync-point-interval", DURATION, "10m", ANY, 0, "Time between sync points, 30s at least." },
	{ "sync-point-retention", DURATION, "24h", ANY, 0, "How long they are kept, 1h at least." },
	{ "changefeed-error-stuck-duration", DURATION, "30m", FROM(30 * MINUTE_NS, ErrInvalidReplicaConfig), STORED,
		"How long a changefeed may fail to advance before it is given up." },
	{ "snapshot", STR, "none", 0, 0, "none|incremental|locked", ML_ErrInvalidReplicaConfig, 0,
		"Initial copy of the tables, Millrace's own; see snapshot.md." },
	{ "snapshot-threads", INT, "4", 1, 64, NULL, ML_ErrInvalidReplicaConfig, 0,
		"Connections that read tables for the initial copy; 64 at most." },
	{ "snapshot-chunk-rows", INT, "20000", 1, 10000000, NULL, ML_ErrInvalidReplicaConfig, 0,
		"Rows of a table that are read at a time." },
	{ "max-rows-per-second", INT, "0", 0, INT64_MAX, NULL, ML_ErrInvalidReplicaConfig, 0,
		"Limit of the initial copy; 0: none." },
	{ "create-tables", BOOL, "true", ANY, 0,
		"With an initial copy into an SQL target: the tables are made there as the source has them." },
	SETS("filter"),
	{ "filter.rules", STRS, "*.*", ANY, 0,
		"Tables to replicate: table patterns, the last one that matches decides." },
	{ "filter.ignore-txn-start-ts", UINTS, NULL, ANY, 0, "Transactions to skip, DDLs too, by their start-ts." },
	{ "filter.event-filters", OBJECTS, NULL, ANY, 0, "Changes to leave out; see filters.md." },
	{ "filter.event-filters[].matcher", STRS, NULL, ANY, 0, "Tables that the rule is about." },
	{ "filter.event-filters[].ignore-event", STRS, NULL, ANY, 0,
		"Kinds of change: `insert`, `all ddl`, `drop table`, ..." },
	{ "filter.event-filters[].ignore-sql", STRS, NULL, ANY, 0,
		"Regular expressions searched in the text of DDLs." },
	{ "filter.event-filters[].ignore-insert-value-expr", STR, NULL, ANY, 0,
		"Condition on the new row of an INSERT." },
	{ "filter.event-filters[].ignore-update-new-value-expr", STR, NULL, ANY, 0,
		"Condition on the new row of an UPDATE." },
	{ "filter.event-filters[].ignore-update-old-value-expr", STR, NULL, ANY, 0,
		"Condition on the old row of an UPDATE." },
	{ "filter.event-filters[].ignore-delete-value-expr", STR, NULL, ANY, 0, "Condition on the row of a DELETE." },
	{ "filter.event-filters[].ignore-update-only-columns", STRS, NULL, ANY, 0,
		"UPDATEs that change nothing but these columns are left out." },
	SETS("mounter"),
	{ "mounter.worker-num", INT, "16", ANY, STORED, "Decoding threads; a changefeed has one." },
	SETS("scheduler"),
	{ "scheduler.enable-table-across-nodes", BOOL, "false", ANY, STORED, "There is one node." },
	{ "scheduler.region-threshold", INT, "100000", ANY, STORED, "Of a TiDB upstream." },
	{ "scheduler.write-key-threshold", INT, "0", ANY, STORED, "Of a TiDB upstream." },
	SETS("integrity"),
	{ "integrity.integrity-check-level", STR, "none", 0, 0, "none|correctness", ML_ErrInvalidReplicaConfig, 0,
		"`correctness`: Avro values get fields for a row checksum, empty ones, since a binary log has none." },
	{ "integrity.corruption-handle-level", STR, "warn", 0, 0, "warn|error", ML_ErrInvalidReplicaConfig, STORED,
		"What a wrong checksum does." },
	SETS("synced-status"),
	{ "synced-status.synced-check-interval", INT, "300", ANY, STORED, "Seconds." },
	{ "synced-status.checkpoint-interval", INT, "15", ANY, STORED, "Seconds." },
	SETS("sink"),
	{ "sink.protocol", STR, NULL, ANY, 0, "Message format; the URI's wins." },
	{ "sink.schema-registry", STR, NULL, ANY, 0, "URL of the Avro schema registry." },
	{ "sink.csv", KEPT, NULL, ANY, 0, "Format of CSV files." },
	{ "sink.csv.delimiter", STR, ",", ANY, 0, "1 to 3 bytes between fields." },
	{ "sink.csv.quote", STR, "\"", ANY, 0, "At most one byte; empty: no quoting." },
	{ "sink.csv.null", STR, "\\N", ANY, 0, "What stands for NULL." },
	{ "sink.csv.include-commit-ts", BOOL, "false", ANY, 0, "A column with the commit-ts." },
	{ "sink.csv.binary-encoding-method", STR, "base64", ANY, 0, "`base64` or `hex`." },
	{ "sink.csv.output-old-value", BOOL, "false", ANY, 0, "The old row of an UPDATE as a line of its own." },
	{ "sink.csv.output-handle-key", BOOL, "false", ANY, 0, "A column with the handle." },
	{ "sink.dispatchers", OBJECTS, NULL, ANY, 0, "Topics and partitions: the first rule that matches decides." },
	{ "sink.dispatchers[].matcher", STRS, NULL, ANY, 0, "Table patterns." },
	{ "sink.dispatchers[].dispatcher", STR, NULL, ANY, 0, "Old name of partition." },
	{ "sink.dispatchers[].partition", STR, NULL, ANY, 0, "`default`, `table`, `ts`, `index-value`, `columns`." },
	{ "sink.dispatchers[].index", STR, NULL, ANY, 0, "Unique index for `index-value`." },
	{ "sink.dispatchers[].columns", STRS, NULL, ANY, 0, "Columns for `columns`." },
	{ "sink.dispatchers[].topic", STR, NULL, ANY, 0, "Topic, with `{schema}` and `{table}`." },
	{ "sink.dispatchers[].target-schema", STR, NULL, ANY, 0,
		"Name of the schema downstream, with `{schema}` and `{table}`; see routing.md." },
	{ "sink.dispatchers[].target-table", STR, NULL, ANY, 0, "Name of the table downstream, the same way." },
	{ "sink.dispatchers[].target-merge", BOOL, "false", ANY, 0,
		"Several tables of the same definition may have the same name downstream; Millrace's own." },
	{ "sink.column-selectors", OBJECTS, NULL, ANY, 0, "Columns to send: the first rule that matches decides." },
	{ "sink.column-selectors[].matcher", STRS, NULL, ANY, 0, "Table patterns." },
	{ "sink.column-selectors[].columns", STRS, NULL, ANY, 0, "Column patterns, `!` in front excludes." },
	{ "sink.mask", KEPTS, NULL, ANY, 0, "Values to hide, Millrace's own; see shaping.md." },
	{ "sink.mask[].matcher", STRS, NULL, ANY, 0, "Table patterns." },
	{ "sink.mask[].columns", STRS, NULL, ANY, 0, "Column patterns, `!` in front excludes." },
	{ "sink.mask[].method", STR, NULL, ANY, 0,
		"`hash` with `salt`, `truncate` with `length`, `constant` with `value`." },
	{ "sink.mask[].salt", STR, NULL, ANY, 0, "Secret text in front of what is hashed." },
	{ "sink.mask[].length", UINT, NULL, ANY, 0, "Characters that remain." },
	{ "sink.transaction-atomicity", STR, "none", ANY, 0, "`none`, or `table` for files; the URI's wins." },
	{ "sink.encoder-concurrency", INT, "32", FROM(0, ErrSinkInvalidConfig), STORED,
		"Encoding threads; a changefeed has one." },
	{ "sink.terminator", STR, "\\r\\n", ANY, 0, "End of a row in files." },
	{ "sink.date-separator", STR, "day", 0, 0, "none|year|month|day", ML_ErrSinkInvalidConfig, JUDGED,
		"Folders by date." },
	{ "sink.enable-partition-separator", BOOL, "true", ANY, STORED,
		"Folders by partition, of partitioned TiDB tables." },
	{ "sink.file-index-digit", INT, "20", ANY, 0, "Width of a file's number; outside of 6 to 20 it is 20." },
	{ "sink.enable-kafka-sink-v2", BOOL, "false", ANY, STORED, "No effect." },
	{ "sink.only-output-updated-columns", BOOL, "false", ANY, 0, "Old rows hold changed columns only." },
	{ "sink.delete-only-output-handle-key-columns", BOOL, "false", ANY, 0, "DELETEs hold the key only." },
	{ "sink.content-compatible", BOOL, "false", ANY, 0, "canal-json as Alibaba's canal writes it." },
	{ "sink.safe-mode", BOOL, "false", ANY, 0, "SQL sinks: REPLACE always." },
	{ "sink.kafka-config", KEPT, NULL, ANY, 0,
		"Kafka; members are also keys of the URI, which win. See sinks.md." },
	{ "sink.kafka-config.codec-config", KEPT, NULL, ANY, 0, "Of the message format." },
	{ "sink.kafka-config.codec-config.enable-tidb-extension", BOOL, "false", ANY, 0,
		"TiDB's fields in canal-json and Avro." },
	{ "sink.kafka-config.codec-config.max-batch-size", INT, "16", ANY, 0,
		"Rows per message of open-protocol and craft." },
	{ "sink.kafka-config.codec-config.avro-decimal-handling-mode", STR, "precise", ANY, 0,
		"`precise` or `string`." },
	{ "sink.kafka-config.codec-config.avro-bigint-unsigned-handling-mode", STR, "long", ANY, 0,
		"`long` or `string`." },
	{ "sink.kafka-config.codec-config.encoding-format", STR, "json", ANY, 0, "Of simple: `json` or `avro`." },
	{ "sink.kafka-config.partition-num", INT, NULL, ANY, 0, "Partitions to use; all of the topic if absent." },
	{ "sink.kafka-config.replication-factor", INT, "1", ANY, 0, "Of topics that are created." },
	{ "sink.kafka-config.kafka-version", STR, "2.4.0", ANY, 0, "Checked; the client negotiates." },
	{ "sink.kafka-config.max-message-bytes", INT, "10485760", ANY, 0, "Largest message." },
	{ "sink.kafka-config.compression", STR, "none", ANY, 0, "`gzip`, `snappy`, `lz4`, `zstd`." },
	{ "sink.kafka-config.kafka-client-id", STR, NULL, ANY, 0, "Client id." },
	{ "sink.kafka-config.auto-create-topic", BOOL, "true", ANY, 0, "Create missing topics." },
	{ "sink.kafka-config.dial-timeout", STR, "10s", ANY, 0, "Connecting." },
	{ "sink.kafka-config.write-timeout", STR, "10s", ANY, 0, "One request." },
	{ "sink.kafka-config.read-timeout", STR, "10s", ANY, 0, "One request." },
	{ "sink.kafka-config.required-acks", INT, "-1", ANY, 0, "-1, 0 or 1." },
	{ "sink.kafka-config.output-raw-change-event", BOOL, "false", ANY, 0,
		"UPDATEs that change a key are not split." },
	{ "sink.kafka-config.large-message-handle", KEPT, NULL, ANY, 0,
		"Of messages that are too large; see shaping.md." },
	{ "sink.kafka-config.large-message-handle.large-message-handle-option", STR, "none", ANY, 0,
		"`none`, `handle-key-only`, `claim-check`." },
	{ "sink.kafka-config.large-message-handle.large-message-handle-compression", STR, "none", ANY, 0,
		"`none`, `lz4`, `snappy`." },
	{ "sink.kafka-config.large-message-handle.claim-check-storage-uri", STR, NULL, ANY, 0,
		"`file:///folder`, or a bucket: `s3://bucket/prefix?...`, `gs://...` as a sink's URI." },
	{ "sink.kafka-config.large-message-handle.claim-check-raw-value", BOOL, "false", ANY, 0,
		"Files hold the value alone." },
	{ "sink.pulsar-config", KEPT, NULL, ANY, STORED, "There is no Pulsar sink." },
	{ "sink.mysql-config", KEPT, NULL, ANY, 0,
		"SQL targets; members are also keys of the URI, which win. See sinks.md." },
	{ "sink.mysql-config.worker-count", INT, "16", ANY, 0, "Connections that write at a time." },
	{ "sink.mysql-config.max-txn-row", INT, "256", ANY, 0, "Rows of a downstream transaction, about." },
	{ "sink.mysql-config.max-multi-update-row", INT, "40", ANY, 0, "Rows of one UPDATE, TiDB." },
	{ "sink.mysql-config.max-multi-update-row-size", INT, "1024", ANY, 0,
		"Bytes of a row up to which that is done; 0: never." },
	{ "sink.mysql-config.tidb-txn-mode", STR, "optimistic", ANY, 0, "`optimistic` or `pessimistic`, TiDB." },
	{ "sink.mysql-config.ssl-ca", STR, NULL, ANY, 0, "PEM file; switches TLS on." },
	{ "sink.mysql-config.ssl-cert", STR, NULL, ANY, 0, "Client certificate." },
	{ "sink.mysql-config.ssl-key", STR, NULL, ANY, 0, "Its key." },
	{ "sink.mysql-config.time-zone", STR, NULL, ANY, 0, "The server's; empty: the session keeps the target's." },
	{ "sink.mysql-config.write-timeout", STR, "2m", ANY, 0, "Of a network write." },
	{ "sink.mysql-config.read-timeout", STR, "2m", ANY, 0, "Of a statement." },
	{ "sink.mysql-config.timeout", STR, "2m", ANY, 0, "Connecting." },
	{ "sink.mysql-config.enable-batch-dml", BOOL, "true", ANY, 0, "Several rows a statement." },
	{ "sink.mysql-config.enable-multi-statement", BOOL, "true", ANY, 0, "Several statements a packet." },
	{ "sink.mysql-config.enable-cache-prepared-statement", BOOL, "true", ANY, 0,
		"Prepared statements where statements go one by one." },
	{ "sink.cloud-storage-config", KEPT, NULL, ANY, 0, "Files; members are also keys of the URI, which win." },
	{ "sink.cloud-storage-config.worker-count", INT, "16", ANY, 0, "Files closed at a time." },
	{ "sink.cloud-storage-config.flush-interval", STR, "5s", ANY, 0, "Files are closed this often." },
	{ "sink.cloud-storage-config.file-size", INT, "67108864", ANY, 0, "And when they are this large." },
	{ "sink.cloud-storage-config.output-column-id", BOOL, "false", ANY, 0, "`ColumnId` in schema files." },
	{ "sink.cloud-storage-config.file-expiration-days", INT, "0", ANY, 0,
		"Age at which files are removed; 0: never." },
	{ "sink.cloud-storage-config.file-cleanup-cron-spec", STR, "0 0 2 * * *", ANY, 0, "When they are removed." },
	{ "sink.cloud-storage-config.flush-concurrency", INT, "1", ANY, STORED, "Parallel uploads of one file." },
	{ "sink.cloud-storage-config.output-raw-change-event", BOOL, "false", ANY, 0,
		"UPDATEs that change a key are not split." },
	{ "sink.advance-timeout-in-sec", UINT, "150", ANY, STORED, "Obsolete." },
	{ "sink.send-bootstrap-interval-in-sec", INT, "120", ANY, 0, "Of simple: bootstrap messages this often." },
	{ "sink.send-bootstrap-in-msg-count", INT, "10000", ANY, 0, "Of simple: and after so many messages." },
	{ "sink.send-bootstrap-to-all-partition", BOOL, "true", ANY, 0, "Of simple: to all partitions." },
	{ "sink.send-all-bootstrap-at-start", BOOL, "false", ANY, 0, "Of simple: of all tables, at the start." },
	{ "sink.debezium-disable-schema", BOOL, "false", ANY, 0, "Debezium messages without `schema`." },
	{ "sink.debezium", KEPT, NULL, ANY, 0, "Of debezium." },
	{ "sink.debezium.output-old-value", BOOL, "true", ANY, 0, "`before` of UPDATEs." },
	{ "sink.open", KEPT, NULL, ANY, 0, "Of open-protocol." },
	{ "sink.open.output-old-value", BOOL, "true", ANY, 0, "Old values of UPDATEs." },
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

/* The row's own name if it stands directly in section ("" or "a.b" or "a.b[]"), else NULL. */
static const char *
name_in(const struct row *r, const char *section)
{
	size_t n = strlen(section);
	const char *s = r->name;

	if (n > 0) {
		if (strncmp(s, section, n) != 0 || s[n] != '.')
			return NULL;
		s += n + 1;
	}
	return strchr(s, '.') == NULL && strchr(s, '[') == NULL ? s : NULL;
}

/* By kebab-case name or the snake_case one; null counts as absent. */
static const struct ml_json *
member(const struct ml_json *obj, const char *name, size_t len)
{
	char kebab[64], snake[64];
	const struct ml_json *v;

	if (len >= sizeof(kebab))
		return NULL;
	memcpy(kebab, name, len);
	kebab[len] = '\0';
	for (size_t i = 0; i <= len; i++)
		snake[i] = kebab[i] == '-' ? '_' : kebab[i];
	v = ml_json_get(obj, kebab);
	if (v == NULL)
		v = ml_json_get(obj, snake);
	return v == NULL || v->type == ML_JSON_NULL ? NULL : v;
}

static bool
has_members(enum type t)
{
	return t == OBJECT || t == OBJECTS || t == KEPT || t == KEPTS;
}

static bool
is_list(enum type t)
{
	return t == OBJECTS || t == KEPTS;
}

static void
below(char *buf, size_t size, const char *path, const char *name, const char *more)
{
	snprintf(buf, size, "%s%s%s%s", path, path[0] != '\0' ? "." : "", name, more);
}

static int types_of(
	const struct ml_json *doc, const char *section, const char *called, struct ml_arena *a, struct ml_err *err);

/* The value alone, by the one decoder of foreign bodies. */
static int
type_of(const struct row *r, const char *name, const struct ml_json *v, const char *called, struct ml_arena *a,
	struct ml_err *err)
{
	static const enum ml_json_kind kinds[] = {
		[BOOL] = ML_JK_BOOL,
		[INT] = ML_JK_I64,
		[UINT] = ML_JK_U64,
		[STR] = ML_JK_STR,
		[STRS] = ML_JK_STRS,
		[UINTS] = ML_JK_U64S,
		[DURATION] = ML_JK_STR,
		[OBJECT] = ML_JK_OBJECT,
		[OBJECTS] = ML_JK_ARRAY,
		[KEPT] = ML_JK_OBJECT,
		[KEPTS] = ML_JK_ARRAY,
	};
	struct ml_json_field f = { name, kinds[r->type], 0 };
	struct ml_json alone = *v, holder = { .type = ML_JSON_OBJECT, .child = &alone, .n = 1 };
	union {
		bool b;
		int64_t i;
		uint64_t u;
		const char *s;
		struct ml_json_strs strs;
		struct ml_json_u64s nums;
	} out;
	char path[160];

	if (r->type == DURATION && v->type == ML_JSON_NUMBER)
		f.kind = ML_JK_I64;
	alone.key = name;
	alone.key_len = strlen(name);
	alone.next = NULL;
	below(path, sizeof(path), called, "", "");
	return ml_json_decode(&holder, path, &f, 1, &out, a, err);
}

static int
types_of(const struct ml_json *doc, const char *section, const char *called, struct ml_arena *a, struct ml_err *err)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		const char *name = name_in(&rows[i], section);
		const struct ml_json *v = name != NULL ? member(doc, name, strlen(name)) : NULL;
		char in[160], path[160];

		if (v == NULL)
			continue;
		if (type_of(&rows[i], name, v, called, a, err) < 0)
			return -1;
		if (!has_members(rows[i].type))
			continue;
		below(in, sizeof(in), section, name, is_list(rows[i].type) ? "[]" : "");
		below(path, sizeof(path), called, name, "");
		if (!is_list(rows[i].type)) {
			if (types_of(v, in, path, a, err) < 0)
				return -1;
			continue;
		}
		for (const struct ml_json *e = v->child; e != NULL; e = e->next) {
			if (e->type != ML_JSON_OBJECT && e->type != ML_JSON_NULL)
				return ML_ERRF(err, ErrAPIInvalidParam, 0,
					"cannot decode %s into field %s of type object", ml_json_type_name(e->type),
					path);
			if (types_of(e, in, path, a, err) < 0)
				return -1;
		}
	}
	return 0;
}

int
ml_replica_types(
	const struct ml_json *doc, const char *section, const char *called, struct ml_arena *a, struct ml_err *err)
{
	return types_of(doc, section, called, a, err);
}

static bool
is_choice(const char *choices, const struct ml_json *v)
{
	for (const char *s = choices; *s != '\0';) {
		size_t n = strcspn(s, "|");

		if (n == v->len && strncasecmp(s, v->s, n) == 0)
			return true;
		s += n + (s[n] == '|');
	}
	return v->len == 0;
}

static int
range_of(const struct row *r, const struct ml_json *v, struct ml_err *err)
{
	const char *head = r->code == ML_ErrSinkInvalidConfig ? "sink config invalid: " : "invalid replica config, ";
	int64_t n;

	if (r->choices != NULL) {
		if (is_choice(r->choices, v))
			return 0;
		return ml_err_set(
			err, r->code, 0, "%s%s is %.60s, which is none of %s", head, r->name, v->s, r->choices);
	}
	if (r->type == DURATION && v->type == ML_JSON_STRING) {
		if (v->len == 0)
			return 0;
		if (ml_parse_duration_ns(v->s, &n) != 0)
			return ML_ERRF(err, ErrInvalidReplicaConfig, 0,
				"invalid replica config, %s is no duration: %.60s", r->name, v->s);
	} else if (r->type == INT || r->type == DURATION) {
		n = strtoll(v->s, NULL, 10);
	} else {
		return 0;
	}
	if ((r->min == 0 && r->max == 0) || (n >= r->min && n <= r->max))
		return 0;
	if (n > r->max)
		return ml_err_set(err, r->code, 0, "%s%s must not be more than %lld", head, r->name, (long long)r->max);
	if (r->type == DURATION)
		return ml_err_set(err, r->code, 0, "%s%s must not be less than %lld s", head, r->name,
			(long long)(r->min / 1000000000));
	return ml_err_set(err, r->code, 0, "%s%s must not be less than %lld", head, r->name, (long long)r->min);
}

int
ml_replica_ranges(const struct ml_json *doc, const char *section, struct ml_err *err)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		const char *name = name_in(&rows[i], section);
		const struct ml_json *v = name != NULL ? member(doc, name, strlen(name)) : NULL;
		char in[160];

		if (v == NULL)
			continue;
		if (is_list(rows[i].type) || rows[i].flags & JUDGED)
			continue; /* rules of their own: their stages judge them */
		if (range_of(&rows[i], v, err) < 0)
			return -1;
		below(in, sizeof(in), section, name, "");
		if (has_members(rows[i].type) && ml_replica_ranges(v, in, err) < 0)
			return -1;
	}
	return 0;
}

int
ml_replica_ranges_text(const char *json, const char *section, struct ml_err *err)
{
	struct ml_arena a;
	struct ml_json *doc;
	int rc = 0;

	if (json == NULL || json[0] == '\0')
		return 0;
	ml_arena_init(&a, 4096);
	if (ml_json_parse(&doc, &a, json, strlen(json), err) < 0)
		rc = ML_ERRF(
			err, ErrInvalidReplicaConfig, 0, "invalid replica config, the stored settings cannot be read");
	else
		rc = ml_replica_ranges(doc, section, err);
	ml_arena_fini(&a);
	return rc;
}

/* Is name one of the list "a|b"? */
static bool
listed(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *s = list; s != NULL && *s != '\0'; s += strcspn(s, "|"), s += *s == '|')
		if (strcspn(s, "|") == n && memcmp(s, name, n) == 0)
			return true;
	return false;
}

void
ml_replica_print(const struct ml_json *doc, const char *section, const char *without, struct ml_buf *out)
{
	size_t start = out->len;

	for (size_t i = 0; i < N_ROWS; i++) {
		const char *name = name_in(&rows[i], section);
		const struct ml_json *v = name != NULL ? member(doc, name, strlen(name)) : NULL;
		struct ml_buf inner = { 0 };
		char in[160];

		if (v == NULL || listed(without, name))
			continue;
		below(in, sizeof(in), section, name, rows[i].type == OBJECTS ? "[]" : "");
		if (rows[i].type == OBJECT) {
			ml_replica_print(v, in, NULL, &inner);
		} else if (rows[i].type == OBJECTS) {
			ml_buf_putc(&inner, '[');
			for (const struct ml_json *e = v->child; e != NULL; e = e->next) {
				struct ml_buf one = { 0 };

				ml_replica_print(e, in, NULL, &one);
				ml_buf_printf(&inner, "%s%s", e != v->child ? "," : "", one.len > 0 ? one.data : "{}");
				ml_buf_fini(&one);
			}
			ml_buf_putc(&inner, ']');
		} else {
			ml_json_print(v, &inner);
		}
		if (inner.len > 0)
			ml_buf_printf(out, "%s\"%s\":%s", out->len == start ? "{" : ",", name, inner.data);
		ml_buf_fini(&inner);
	}
	if (out->len > start)
		ml_buf_putc(out, '}');
}

const struct ml_json *
ml_replica_get(const struct ml_json *doc, const char *path)
{
	while (doc != NULL && *path != '\0') {
		size_t n = strcspn(path, ".");

		doc = member(doc, path, n);
		path += n + (path[n] == '.');
	}
	return doc;
}

bool
ml_replica_on(const char *json, const char *path)
{
	const struct ml_json *v = NULL;
	struct ml_arena a;
	struct ml_json *doc;
	bool on;

	if (json == NULL || json[0] == '\0')
		return false;
	ml_arena_init(&a, 4096);
	if (ml_json_parse(&doc, &a, json, strlen(json), NULL) == 0)
		v = ml_replica_get(doc, path);
	on = v != NULL && v->type == ML_JSON_BOOL && v->b;
	ml_arena_fini(&a);
	return on;
}

void
ml_replica_doc(struct ml_buf *out)
{
	static const char *const types[] = { "boolean", "integer", "integer", "string", "list of strings",
		"list of integers", "duration", "table", "list of tables", "table", "list of tables" };

	ml_buf_puts(out,
		"\n# Settings of a changefeed\n\n"
		"In `replica_config` of the body that creates or updates a changefeed, as JSON with the names of the changefeed file: "
		"`a.b` is `b` in the object `a`. `sink_config` is its `sink` alone and wins over it, as do the body's own fields "
		"(`filter_rules`, `ignore_txn_start_ts`, `force_replicate`, ...). Names with `_` for `-` are taken too. "
		"Unknown keys are ignored, wrong types are refused.\n\n"
		"| Key | Type | Default | Meaning |\n|---|---|---|---|\n");
	for (size_t i = 0; i < N_ROWS; i++) {
		const struct row *r = &rows[i];
		bool empty = r->dflt == NULL || r->dflt[0] == '\0';

		if (r->help[0] == '\0')
			continue;
		ml_buf_printf(out, "| `%s` | %s", r->name, types[r->type]);
		if (r->choices != NULL) {
			ml_buf_puts(out, ": ");
			for (const char *s = r->choices; *s != '\0'; s++)
				ml_buf_puts(out, *s == '|' ? ", " : (char[]){ *s, '\0' });
		} else if (r->type == DURATION && r->max != 0) {
			ml_buf_printf(out, ", at least %lldm", (long long)(r->min / MINUTE_NS));
		} else if (r->max != 0) {
			ml_buf_printf(out, ", at least %lld", (long long)r->min);
		}
		ml_buf_printf(out, " | %s%s%s | %s%s |\n", empty ? "–" : "`", empty ? "" : r->dflt, empty ? "" : "`",
			r->help, r->flags & STORED ? " *Accepted without effect.*" : "");
	}
}
