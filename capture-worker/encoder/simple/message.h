/* message.h - simple's messages in both of its forms, JSON (protocols.md 12.1, 12.2) and Avro (12.6). */
#ifndef ML_WORKER_ENCODER_SIMPLE_MESSAGE_H
#define ML_WORKER_ENCODER_SIMPLE_MESSAGE_H
#include "capture-worker/encoder/simple/table.h"
#include "capture-worker/event/ddl.h"
#include "capture-worker/event/msg.h"

/* Each writes one whole value at the end of o; now: build time in ms. */
struct sm_writer {
	/* reduced: handle-key columns only and a marker; location: where the whole row lies, or NULL. */
	void (*row)(struct ml_out *o, const struct sm_table *t, const struct ml_row *row, uint64_t now, bool reduced,
		const struct ml_text *location);
	/* after, before: definitions, or NULL. */
	void (*ddl)(struct ml_out *o, const struct ml_ddl *ddl, const struct sm_table *after,
		const struct sm_table *before, uint64_t now);
	void (*bootstrap)(struct ml_out *o, const struct sm_table *t, uint64_t now);
	void (*watermark)(struct ml_out *o, ml_ts ts, uint64_t now);
};
extern const struct sm_writer sm_writer_json, sm_writer_avro;
#endif
