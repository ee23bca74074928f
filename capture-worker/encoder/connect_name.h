/* connect_name.h - names and elements as Kafka Connect's schemas take them (protocols.md 8.3, 11): avro and debezium. */
#ifndef ML_WORKER_ENCODER_CONNECT_NAME_H
#define ML_WORKER_ENCODER_CONNECT_NAME_H
#include <stdbool.h>

#include "capture-worker/event/msg.h"

/* A name of Avro: per character, what is not [A-Za-z0-9_] becomes '_'; a digit in front gets one before it. */
void ml_connect_name(struct ml_out *o, struct ml_text t);
/* The same for a table behind a prefix: points stay, the first character is as the others. */
void ml_connect_table_name(struct ml_out *o, struct ml_text t);
/*
 * An element of ENUM or SET, to be joined with the others by commas: `,` gets a backslash, then \' and '' become '.  buf has
 * room for 2 * t.len bytes; returns how many are used.  JSON escaping is the caller's.
 */
uint32_t ml_connect_element(char *buf, struct ml_text t);
#endif
