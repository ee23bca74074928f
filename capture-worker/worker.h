/* worker.h - the capture-worker process: channels to supervisor and gateway, and the one shard or probe it runs. */
#ifndef ML_WORKER_WORKER_H
#define ML_WORKER_WORKER_H

/* From the channel on fd 3 to the end of the process. */
void ml_worker_main(void) __attribute__((noreturn));
#endif
