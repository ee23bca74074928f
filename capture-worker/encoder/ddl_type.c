#include "capture-worker/encoder/ddl_type.h"

const char *
ml_ddl_type(int action)
{
	switch (action) {
	case 3:
		return "CREATE";
	case 14:
	case 47:
		return "RENAME";
	case 7:
	case 9:
	case 32:
		return "CINDEX";
	case 8:
	case 10:
	case 33:
		return "DINDEX";
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
		return "ALTER";
	case 4:
		return "ERASE";
	case 11:
		return "TRUNCATE";
	default:
		return "QUERY";
	}
}
