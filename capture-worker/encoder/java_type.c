#include "capture-worker/encoder/java_type.h"

bool
ml_column_is_binary(const struct ml_column *c)
{
	switch (c->type) {
	case ML_T_VARCHAR:
	case ML_T_VARSTRING:
	case ML_T_STRING:
	case ML_T_TINYBLOB:
	case ML_T_MEDIUMBLOB:
	case ML_T_LONGBLOB:
	case ML_T_BLOB:
		return c->flags & ML_F_BINARY;
	case ML_T_GEOMETRY:
		return true;
	default:
		return false;
	}
}

int
ml_java_code(const struct ml_column *c)
{
	bool binary = ml_column_is_binary(c);

	switch (c->type) {
	case ML_T_TINY:
		return -6;
	case ML_T_SHORT:
		return 5;
	case ML_T_INT24:
	case ML_T_LONG:
	case ML_T_ENUM:
		return 4;
	case ML_T_LONGLONG:
		return -5;
	case ML_T_FLOAT:
		return 7;
	case ML_T_DOUBLE:
		return 8;
	case ML_T_DECIMAL:
		return 3;
	case ML_T_BIT:
	case ML_T_SET:
		return -7;
	case ML_T_STRING:
		return binary ? 2004 : 1;
	case ML_T_VARCHAR:
	case ML_T_VARSTRING:
		return binary ? 2004 : 12;
	case ML_T_TINYBLOB:
	case ML_T_MEDIUMBLOB:
	case ML_T_LONGBLOB:
	case ML_T_BLOB:
		return binary ? 2004 : 2005;
	case ML_T_GEOMETRY:
		return 2004;
	case ML_T_DATE:
		return 91;
	case ML_T_TIME:
		return 92;
	case ML_T_DATETIME:
	case ML_T_TIMESTAMP:
		return 93;
	default: /* YEAR, JSON, VECTOR */
		return 12;
	}
}

int
ml_java_code_promoted(const struct ml_column *c, uint64_t *bound)
{
	if (!(c->flags & ML_F_UNSIGNED))
		return 0;
	switch (c->type) {
	case ML_T_TINY:
		*bound = INT8_MAX;
		return 5;
	case ML_T_SHORT:
		*bound = INT16_MAX;
		return 4;
	case ML_T_LONG:
		*bound = INT32_MAX;
		return -5;
	case ML_T_LONGLONG:
		*bound = INT64_MAX;
		return 3;
	default:
		return 0;
	}
}
