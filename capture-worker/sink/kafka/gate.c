#include "capture-worker/sink/kafka/gate.h"

#include <string.h>

/* What a message takes in a request beyond key and value, at most: lengths, offset and time as varints, attributes. */
#define RECORD_OVERHEAD 40

void
kafka_gate_init(struct kafka_gate *g, size_t request_bytes)
{
	ml_list_init(&g->ready);
	g->sets = g->in_flight = 0;
	g->max_sets = KAFKA_BROKER_SETS;
	g->request_bytes = request_bytes;
}

void
kafka_lane_init(struct kafka_lane *l, rd_kafka_topic_t *rkt, int32_t partition)
{
	*l = (struct kafka_lane){ .rkt = rkt, .partition = partition };
	ml_list_init(&l->link);
}

static bool
may_give(const struct kafka_lane *l)
{
	return l->sets < (l->known ? KAFKA_LANE_SETS : 1);
}

void
kafka_gate_put(struct kafka_gate *g, struct kafka_lane *l, struct ml_msg *m)
{
	m->next = NULL;
	if (l->head != NULL) {
		l->tail->next = m;
		l->tail = m;
		return;
	}
	l->head = l->tail = m;
	if (may_give(l))
		ml_list_append(&g->ready, &l->link);
}

/* The lane's next messages, up to a request's worth and at least one, to out; their number. */
static int
take(struct kafka_gate *g, struct kafka_lane *l)
{
	size_t bytes = 0;
	int n = 0;

	for (; l->head != NULL && n < (l->known ? KAFKA_GATE_MESSAGES : 1); l->head = l->head->next) {
		struct ml_msg *m = l->head;
		rd_kafka_message_t *o = &g->out[n];

		bytes += (size_t)m->key_len + m->value_len + RECORD_OVERHEAD;
		if (n > 0 && bytes > g->request_bytes)
			break;
		o->err = RD_KAFKA_RESP_ERR_NO_ERROR;
		o->partition = l->partition;
		o->payload = (void *)(uintptr_t)m->value;
		o->len = m->value_len;
		/* A null key and an empty one are two things (protocols.md 4.2). */
		o->key = (void *)(uintptr_t)m->key;
		o->key_len = m->key_len;
		o->_private = m;
		n++;
	}
	return n;
}

int
kafka_gate_pump(struct kafka_gate *g, struct ml_err *err)
{
	while (g->sets < g->max_sets && !ml_list_empty(&g->ready)) {
		struct kafka_lane *l = ML_CONTAINER(g->ready.next, struct kafka_lane, link);
		int n, in;

		ml_list_remove(&l->link);
		n = take(g, l);
		in = rd_kafka_produce_batch(l->rkt, 0, RD_KAFKA_MSG_F_PARTITION, g->out, n);
		if (in > 0) {
			l->left[l->sets++] = (unsigned)in;
			g->in_flight += (unsigned)in;
			g->sets++;
		}
		if (in < n) {
			rd_kafka_resp_err_t why = RD_KAFKA_RESP_ERR__FAIL;

			/* Nothing else fills its queue, so this is no passing state; who calls gives the sink up. */
			for (int i = 0; i < n && why == RD_KAFKA_RESP_ERR__FAIL; i++)
				if (g->out[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
					why = g->out[i].err;
			return ML_ERR(err, ErrKafkaAsyncSendMessage, why, rd_kafka_err2str(why));
		}
		/* Its second set waits for the other lanes' first ones. */
		if (l->head != NULL && may_give(l))
			ml_list_append(&g->ready, &l->link);
	}
	return 0;
}

bool
kafka_gate_reported(struct kafka_gate *g, struct kafka_lane *l)
{
	bool could_give = may_give(l);

	g->in_flight--;
	if (--l->left[0] > 0)
		return false;
	l->known = true;
	g->sets--;
	if (--l->sets > 0)
		memmove(l->left, l->left + 1, l->sets * sizeof(l->left[0]));
	if (l->head != NULL && !could_give)
		ml_list_append(&g->ready, &l->link);
	return true;
}
