#include "api-gateway/gateway.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/run/log.h"

/* Between tries to open the metadata store. */
#define REOPEN_MS 1000u

struct ml_gateway {
	struct ml_loop *l;
	struct ml_api api;
	struct ml_http *http;
	struct ml_tls *tls; /* NULL: plain HTTP */
	struct ml_meta *meta;
	struct ml_timer *reopen;
	bool started;
	char last_error[sizeof(((struct ml_err *)0)->text)]; /* of opening: logged when it changes */
};

static void
try_open(void *arg)
{
	struct ml_gateway *g = arg;
	struct ml_meta *m = NULL;
	struct ml_err err = { 0 };

	if (ml_meta_open(&m, g->api.config->metastore, g->l, g->api.config->data_dir, &err) < 0 ||
		ml_coord_load(g->api.coord, m, &err) < 0) {
		ml_meta_close(m);
		if (strcmp(g->last_error, err.text) != 0)
			ml_log_err(ML_ERROR, "-", &err, "metadata store cannot be used, tried again each second");
		memcpy(g->last_error, err.text, sizeof(g->last_error));
		ml_timer_arm(g->reopen, REOPEN_MS);
		return;
	}
	g->meta = m;
	g->api.ready = true;
	if (g->started)
		ml_coord_start(g->api.coord);
}

/* HTTPS if and only if all three files are named (openapi.md 8.1). */
static int
set_up_tls(struct ml_gateway *g, struct ml_err *err)
{
	const Ml__ServerConfig *c = g->api.config;
	struct ml_tls_config tls = {
		.ca = c->ca,
		.cert = c->cert,
		.key = c->key,
		.client_cert = c->mtls,
		.allowed_cn = c->cert_allowed_cn,
		.n_allowed_cn = c->n_cert_allowed_cn,
	};

	if (c->ca[0] == '\0' || c->cert[0] == '\0' || c->key[0] == '\0')
		return 0;
	return ml_tls_new(&g->tls, &tls, err);
}

struct ml_gateway *
ml_gateway_new(struct ml_loop *l, const Ml__ServerConfig *config, struct ml_chan *supervisor, int listen_fd,
	struct ml_err *err)
{
	struct ml_gateway *g = calloc(1, sizeof(*g));
	struct ml_coord_env env = { .loop = l, .supervisor = supervisor, .config = config, .version = ML_API_VERSION };
	struct ml_http_hooks hooks = { .routes = ml_api_routes, .n_routes = ml_api_n_routes, .gate = ml_api_gate };

	if (g == NULL)
		abort();
	g->l = l;
	g->api.config = config;
	g->api.supervisor = supervisor;
	g->api.start_wall_ms = ml_wall_ms();
	g->api.coord = ml_coord_new(&env);
	g->reopen = ml_timer_new(l, try_open, g);
	hooks.arg = &g->api;
	g->http = set_up_tls(g, err) < 0 ? NULL : ml_http_new(l, listen_fd, &hooks, g->tls, err);
	if (g->http == NULL) {
		ml_gateway_free(g);
		return NULL;
	}
	try_open(g);
	return g;
}

void
ml_gateway_start(struct ml_gateway *g)
{
	g->started = true;
	if (g->api.ready)
		ml_coord_start(g->api.coord);
}

void
ml_gateway_free(struct ml_gateway *g)
{
	if (g == NULL)
		return;
	ml_timer_free(g->reopen);
	ml_http_free(g->http);
	ml_tls_free(g->tls);
	ml_coord_halt(g->api.coord);
	ml_coord_flush(g->api.coord);
	ml_coord_free(g->api.coord);
	ml_meta_close(g->meta);
	if (g->api.processes != NULL)
		ml__process_stats__free_unpacked(g->api.processes, NULL);
	free(g);
}

static void
on_shard_up(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct ml_gateway *g = *(struct ml_gateway **)arg;

	(void)ch;
	if (g == NULL)
		close(fd); /* the process is on its way out */
	else
		ml_coord_shard_up(g->api.coord, m->shard_up, fd);
}

static void
on_shard_died(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct ml_gateway *g = *(struct ml_gateway **)arg;

	(void)ch;
	(void)fd;
	if (g != NULL)
		ml_coord_shard_died(g->api.coord, m->shard_died);
}

static void
on_liveness(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct ml_gateway *g = *(struct ml_gateway **)arg;

	(void)ch;
	(void)fd;
	if (g == NULL || !m->liveness->stopping)
		return;
	g->api.stopping = true;
	ml_coord_halt(g->api.coord);
}

static void
on_process_stats(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct ml_gateway *g = *(struct ml_gateway **)arg;
	size_t len = protobuf_c_message_get_packed_size(&m->process_stats->base);
	uint8_t *p;

	(void)ch;
	(void)fd;
	if (g == NULL)
		return;
	p = malloc(len > 0 ? len : 1);
	if (p == NULL)
		abort();
	/* The message goes when this returns: a copy through the wire form stays. */
	ml__process_stats__pack(m->process_stats, p);
	if (g->api.processes != NULL)
		ml__process_stats__free_unpacked(g->api.processes, NULL);
	g->api.processes = ml__process_stats__unpack(NULL, len, p);
	free(p);
}

void
ml_gateway_rows(struct ml_inbox_row rows[ML_GATEWAY_N_ROWS], uint32_t states)
{
	const struct ml_inbox_row all[ML_GATEWAY_N_ROWS] = {
		{ ML__ENVELOPE__BODY_SHARD_UP, states, on_shard_up },
		{ ML__ENVELOPE__BODY_SHARD_DIED, states, on_shard_died },
		{ ML__ENVELOPE__BODY_LIVENESS, states, on_liveness },
		{ ML__ENVELOPE__BODY_PROCESS_STATS, states, on_process_stats },
	};

	memcpy(rows, all, sizeof(all));
}
