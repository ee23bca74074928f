/* charset_tables.h - the facts behind charset.h; see charset_tables.c. */
#ifndef ML_WORKER_MOUNTER_CHARSET_TABLES_H
#define ML_WORKER_MOUNTER_CHARSET_TABLES_H
#include <stdint.h>

#include "capture-worker/mounter/charset.h"

/* A byte sequence, big-endian, whose code point is not iconv's; rising. */
struct ml_cs_override {
	uint32_t seq;
	uint16_t code;
};

extern const uint16_t ml_cs_armscii8[128];
extern const uint16_t ml_cs_cp1250[128];
extern const uint16_t ml_cs_cp1251[128];
extern const uint16_t ml_cs_cp1256[128];
extern const uint16_t ml_cs_cp1257[128];
extern const uint16_t ml_cs_cp850[128];
extern const uint16_t ml_cs_cp852[128];
extern const uint16_t ml_cs_cp866[128];
extern const uint16_t ml_cs_dec8[128];
extern const uint16_t ml_cs_geostd8[128];
extern const uint16_t ml_cs_greek[128];
extern const uint16_t ml_cs_hebrew[128];
extern const uint16_t ml_cs_hp8[128];
extern const uint16_t ml_cs_keybcs2[128];
extern const uint16_t ml_cs_koi8r[128];
extern const uint16_t ml_cs_koi8u[128];
extern const uint16_t ml_cs_latin1[128];
extern const uint16_t ml_cs_latin2[128];
extern const uint16_t ml_cs_latin5[128];
extern const uint16_t ml_cs_latin7[128];
extern const uint16_t ml_cs_macce[128];
extern const uint16_t ml_cs_macroman[128];
extern const uint16_t ml_cs_swe7[128];
extern const uint16_t ml_cs_tis620[128];
extern const uint16_t ml_cs_swe7_low[];
extern const struct ml_cs_override ml_cs_sjis_overrides[];
extern const unsigned ml_cs_sjis_overrides_n;
extern const struct ml_cs_override ml_cs_ujis_overrides[];
extern const unsigned ml_cs_ujis_overrides_n;
extern const struct ml_cs_override ml_cs_big5_overrides[];
extern const unsigned ml_cs_big5_overrides_n;
extern const uint8_t ml_cs_of_collation[256];
extern const struct ml_charset ml_charsets[];
extern const unsigned ml_charsets_n;
#endif
