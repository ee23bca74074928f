/* main.c - millrace-api-gateway: started by the supervisor only, with its channel on fd 3 and the listening socket in Welcome. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "api-gateway/gateway.h"
#include "common/run/log.h"
#include "common/run/proc.h"

static struct ml_gateway *gateway;
static struct ml_proc *proc;

static void
on_stop(uint32_t grace_ms, void *arg)
{
	(void)grace_ms;
	(void)arg;
	ml_gateway_free(gateway);
	gateway = NULL;
	ml_proc_end(proc, ML_EXIT_OK);
}

/* A descriptor for each of a thousand clients and for each worker: the soft limit is often 1024, the hard one far above. */
static void
raise_fd_limit(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < lim.rlim_max) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
}

int
main(void)
{
	static struct ml_inbox_row rows[ML_GATEWAY_N_ROWS];
	struct ml_proc_desc desc = {
		.role = ML__ROLE__ROLE_GATEWAY,
		.log_name = "gateway",
		.rows = rows,
		.n_rows = ML_GATEWAY_N_ROWS,
		.stop = on_stop,
		.arg = &gateway,
	};
	struct ml_loop *l = ml_loop_new();
	struct ml_err err;

	if (l == NULL) {
		fputs("gateway: the event loop cannot be made\n", stderr);
		return ML_EXIT_ORPHAN;
	}
	tzset();
	raise_fd_limit();
	ml_gateway_rows(rows, ML_PROC_IN_UP);
	proc = ml_proc_start(l, &desc);
	gateway = ml_gateway_new(l, ml_proc_config(proc), ml_proc_chan(proc), ml_proc_listen_fd(proc), &err);
	if (gateway == NULL) {
		ml_log_err(ML_FATAL, "-", &err, "gateway cannot start");
		ml_proc_end(proc, ML_EXIT_CONFIG);
	}
	ml_proc_ready(proc);
	ml_gateway_start(gateway);
	ml_loop_run(l);
	ml_proc_end(proc, ML_EXIT_OK);
}
