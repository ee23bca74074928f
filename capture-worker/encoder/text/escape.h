/*
 * escape.h - the inside of JSON strings, written straight into a message (protocols.md 3.1, 3.3).  No quotes are added, no
 * length is limited, any bytes are taken: what is not UTF-8 becomes \ufffd, once per bad byte, as Go writes it (profile I: stays).
 *
 * Profile E is canal-json's, profile S the one of Go's JSON package (open-protocol, maxwell, ...).  They differ in 08 and 0c.
 * Profile I is debezium's: as E, but only what JSON demands is escaped, so bytes from 7f on and < > & stay.
 */
#ifndef ML_WORKER_ENCODER_TEXT_ESCAPE_H
#define ML_WORKER_ENCODER_TEXT_ESCAPE_H
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/event/msg.h"

void ml_escape_e(struct ml_out *o, const char *s, size_t n);
void ml_escape_s(struct ml_out *o, const char *s, size_t n);
void ml_escape_i(struct ml_out *o, const char *s, size_t n);
/* Every byte 0xHH as the code point U+00HH, then profile E: how canal-json carries binary values. */
void ml_escape_latin1(struct ml_out *o, const char *s, size_t n);

/*
 * Length of the valid UTF-8 sequence at s (1-4), its code point in *rune; 0 if the bytes there are not valid: overlong forms,
 * surrogates and what is above U+10FFFF are not.  s < end.
 */
unsigned ml_utf8_rune(const uint8_t *s, const uint8_t *end, uint32_t *rune);
#endif
