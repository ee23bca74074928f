/* main.c - millrace-capture-worker: started by the supervisor only, with its channel on fd 3. */
#include "capture-worker/worker.h"

int
main(void)
{
	ml_worker_main();
}
