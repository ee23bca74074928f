#include "capture-worker/encoder/ddl_type.h"

enum ml_ddl_kind
ml_ddl_kind(int action)
{
	switch (action) {
	case 3:
		return ML_DDL_K_CREATE;
	case 14:
	case 47:
		return ML_DDL_K_RENAME;
	case 7:
	case 9:
	case 32:
		return ML_DDL_K_CINDEX;
	case 8:
	case 10:
	case 33:
		return ML_DDL_K_DINDEX;
	case 5:
	case 6:
	case 12:
	case 13:
	case 15:
	case 17:
	case 18:
	case 19:
	case 20:
	case 22:
	case 23:
	case 37:
	case 38:
	case 41:
	case 61:
	case 64:
	case 71:
	case 72:
		return ML_DDL_K_ALTER;
	case 4:
		return ML_DDL_K_ERASE;
	case 11:
		return ML_DDL_K_TRUNCATE;
	default:
		return ML_DDL_K_QUERY;
	}
}

const char *
ml_ddl_type(int action)
{
	static const char *const names[] = {
		[ML_DDL_K_CREATE] = "CREATE",
		[ML_DDL_K_ALTER] = "ALTER",
		[ML_DDL_K_ERASE] = "ERASE",
		[ML_DDL_K_QUERY] = "QUERY",
		[ML_DDL_K_TRUNCATE] = "TRUNCATE",
		[ML_DDL_K_RENAME] = "RENAME",
		[ML_DDL_K_CINDEX] = "CINDEX",
		[ML_DDL_K_DINDEX] = "DINDEX",
	};

	return names[ml_ddl_kind(action)];
}

const char *
ml_ddl_type_simple(int action)
{
	return action == 37 || action == 38 ? "QUERY" : ml_ddl_type(action);
}
