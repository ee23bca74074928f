#include "supervisor/broker.h"

#include <unistd.h>

#include "common/run/log.h"

void
ml_broker_key(Ml__ShardKey *key, const struct ml_child *c)
{
	ml__shard_key__init(key);
	key->namespace_ = c->ns;
	key->changefeed_id = c->id;
	key->shard = c->shard;
	key->epoch = c->epoch;
}

void
ml_broker_link(struct ml_child *gateway, struct ml_child *worker, bool running)
{
	Ml__Envelope to_worker = ML__ENVELOPE__INIT, to_gateway = ML__ENVELOPE__INIT;
	Ml__GatewayChannel channel = ML__GATEWAY_CHANNEL__INIT;
	Ml__ShardUp up = ML__SHARD_UP__INIT;
	Ml__ShardKey key;
	struct ml_err err;
	int pair[2];

	if (ml_chan_pair(pair, &err) != 0) {
		/* Without its channel the worker is of no use; its next life gets a new chance. */
		ml_log_err(ML_ERROR, worker->name, &err, "cannot connect it to the gateway");
		ml_child_bad(worker, "no channel to the gateway");
		return;
	}
	to_worker.body_case = ML__ENVELOPE__BODY_GATEWAY_CHANNEL;
	to_worker.gateway_channel = &channel;
	ml_chan_send(worker->ch, &to_worker, pair[0]);
	ml_broker_key(&key, worker);
	up.key = &key;
	up.role = worker->role;
	up.pid = worker->pid;
	up.running = running;
	to_gateway.body_case = ML__ENVELOPE__BODY_SHARD_UP;
	to_gateway.shard_up = &up;
	ml_chan_send(gateway->ch, &to_gateway, pair[1]);
	close(pair[0]);
	close(pair[1]);
}
