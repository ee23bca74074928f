/*
 * tsan_threads.c - C11's threads by way of pthreads, in builds with ThreadSanitizer only.
 *
 * The sanitizer follows pthread_create() and its like, and knows nothing of thrd_create(): the first malloc() of a thread that
 * was made with it crashes, and what C11's mutexes order counts as a race.  librdkafka uses both.  The linker takes these
 * instead of the C library's (CMakeLists.txt asks for them), whose types are those of pthreads.
 */
#ifdef __SANITIZE_THREAD__
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

struct start {
	thrd_start_t fn;
	void *arg;
};

static int
result(int e)
{
	return e == 0           ? thrd_success
	       : e == ETIMEDOUT ? thrd_timedout
	       : e == EBUSY     ? thrd_busy
	       : e == ENOMEM    ? thrd_nomem
				: thrd_error;
}

static pthread_mutex_t *
mutex(mtx_t *m)
{
	return (pthread_mutex_t *)(void *)m;
}

static pthread_cond_t *
condition(cnd_t *c)
{
	return (pthread_cond_t *)(void *)c;
}

static void *
begin(void *arg)
{
	struct start s = *(struct start *)arg;

	free(arg);
	return (void *)(intptr_t)s.fn(s.arg);
}

int
thrd_create(thrd_t *thread, thrd_start_t fn, void *arg)
{
	struct start *s = malloc(sizeof(*s));
	int e;

	if (s == NULL)
		return thrd_nomem;
	*s = (struct start){ fn, arg };
	e = pthread_create(thread, NULL, begin, s);
	if (e != 0)
		free(s);
	return e == EAGAIN ? thrd_nomem : result(e);
}

int
thrd_join(thrd_t thread, int *code)
{
	void *value = NULL;
	int e = pthread_join(thread, &value);

	if (code != NULL)
		*code = (int)(intptr_t)value;
	return result(e);
}

int
mtx_init(mtx_t *m, int type)
{
	pthread_mutexattr_t attr;
	int e;

	pthread_mutexattr_init(&attr);
	if ((type & mtx_recursive) != 0)
		pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	e = pthread_mutex_init(mutex(m), &attr);
	pthread_mutexattr_destroy(&attr);
	return result(e);
}

void
mtx_destroy(mtx_t *m)
{
	pthread_mutex_destroy(mutex(m));
}

int
mtx_lock(mtx_t *m)
{
	return result(pthread_mutex_lock(mutex(m)));
}

int
mtx_trylock(mtx_t *m)
{
	return result(pthread_mutex_trylock(mutex(m)));
}

int
mtx_unlock(mtx_t *m)
{
	return result(pthread_mutex_unlock(mutex(m)));
}

int
cnd_init(cnd_t *c)
{
	return result(pthread_cond_init(condition(c), NULL));
}

void
cnd_destroy(cnd_t *c)
{
	pthread_cond_destroy(condition(c));
}

int
cnd_signal(cnd_t *c)
{
	return result(pthread_cond_signal(condition(c)));
}

int
cnd_broadcast(cnd_t *c)
{
	return result(pthread_cond_broadcast(condition(c)));
}

int
cnd_wait(cnd_t *c, mtx_t *m)
{
	return result(pthread_cond_wait(condition(c), mutex(m)));
}

int
cnd_timedwait(cnd_t *restrict c, mtx_t *restrict m, const struct timespec *restrict end)
{
	return result(pthread_cond_timedwait(condition(c), mutex(m), end));
}
#else
typedef int nothing_without_tsan;
#endif
