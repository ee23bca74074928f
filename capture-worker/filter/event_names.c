#include "capture-worker/filter/event_names.h"

#include <string.h>

#include "capture-worker/event/ddl.h"
#include "capture-worker/event/row.h"

static const struct {
	const char *name;
	uint8_t actions[3]; /* up to a 0 */
	bool alter;         /* "alter table" covers it */
} kinds[] = {
	{ "create schema", { 1 }, false },
	{ "create database", { 1 }, false },
	{ "drop schema", { 2 }, false },
	{ "drop database", { 2 }, false },
	{ "modify schema charset and collate", { 26 }, false },
	{ "create table", { 3, 60 }, false },
	{ "drop table", { 4 }, false },
	{ "truncate table", { 11 }, false },
	{ "rename table", { 14, 47 }, true },
	{ "recover table", { 25 }, false },
	{ "modify table comment", { 17 }, true },
	{ "modify table charset and collate", { 22 }, true },
	{ "create view", { 21 }, false },
	{ "drop view", { 24 }, false },
	{ "add table partition", { 19 }, true },
	{ "drop table partition", { 20 }, true },
	{ "truncate table partition", { 23 }, true },
	{ "exchange table partition", { 42 }, true },
	{ "reorganize table partition", { 64 }, true },
	{ "alter table partitioning", { 71 }, true },
	{ "remove table partitioning", { 72 }, true },
	{ "add column", { 5, 37 }, true },
	{ "drop column", { 6, 38 }, true },
	{ "modify column", { 12 }, true },
	{ "set default value", { 15 }, true },
	{ "rebase auto id", { 13 }, true },
	{ "add primary key", { 32 }, true },
	{ "drop primary key", { 33 }, true },
	{ "create index", { 7 }, true },
	{ "drop index", { 8 }, true },
	{ "rename index", { 18 }, true },
	{ "alter index visibility", { 41 }, true },
	{ "alter ttl info", { 65 }, true },
	{ "alter ttl remove", { 67 }, true },
	{ "multi schema change", { 61 }, true },
	{ "other alter table", { ML_DDL_OTHER }, true },
	{ "add foreign key", { 9 }, false },
	{ "drop foreign key", { 10 }, false },
};

static void
add(struct ml_event_set *set, size_t kind)
{
	for (int i = 0; i < 3 && kinds[kind].actions[i] != 0; i++)
		set->actions[kinds[kind].actions[i] / 64] |= 1ull << (kinds[kind].actions[i] % 64);
}

bool
ml_event_set_add(struct ml_event_set *set, const char *name)
{
	static const struct {
		const char *name;
		uint8_t ops;
	} rows[] = {
		{ "insert", 1 << ML_OP_INSERT },
		{ "update", 1 << ML_OP_UPDATE },
		{ "delete", 1 << ML_OP_DELETE },
		{ "all dml", 1 << ML_OP_INSERT | 1 << ML_OP_UPDATE | 1 << ML_OP_DELETE },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(name, rows[i].name) == 0) {
			set->ops |= rows[i].ops;
			return true;
		}
	if (strcmp(name, "all ddl") == 0) {
		set->actions[0] = set->actions[1] = UINT64_MAX;
		return true;
	}
	if (strcmp(name, "alter table") == 0) {
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			if (kinds[i].alter)
				add(set, i);
		return true;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(name, kinds[i].name) == 0) {
			add(set, i);
			return true;
		}
	return false;
}
