/* test_loop.c - timers, deferred calls, calls from another thread, signals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/run/loop.h"

struct ctx {
	struct ml_loop *l;
	struct ml_timer *t, *end;
	struct ml_watch *w;
	char order[64];
	unsigned calls;
};

static void
note(struct ctx *c, const char *what)
{
	strncat(c->order, what, sizeof(c->order) - strlen(c->order) - 1);
}

/* Then the end, where one is set: never before, however late the loop gets its turn. */
static void
later_b(void *arg)
{
	struct ctx *c = arg;

	note(c, "b");
	if (c->end != NULL)
		ml_timer_arm(c->end, 1);
}

static void
later_a(void *arg)
{
	struct ctx *c = arg;

	note(c, "a");
	ml_loop_later(c->l, later_b, c);
}

static void
stop(void *arg)
{
	struct ctx *c = arg;

	note(c, "s");
	ml_loop_stop(c->l);
}

static void
timer_frees_itself(void *arg)
{
	struct ctx *c = arg;

	ml_timer_free(c->t);
	c->t = NULL;
	note(c, "t");
	ml_loop_later(c->l, later_a, c);
	note(c, "T");
}

static void
deferred_calls_come_after_the_callback_and_may_defer_again(void **state)
{
	struct ctx c = { .l = ml_loop_new() };

	(void)state;
	c.t = ml_timer_new(c.l, timer_frees_itself, &c);
	ml_timer_arm(c.t, 1);
	c.end = ml_timer_new(c.l, stop, &c);
	ml_loop_run(c.l);
	assert_string_equal(c.order, "tTabs");
	ml_timer_free(c.end);
	ml_loop_free(c.l);
}

static void
a_rearmed_timer_fires_once_and_a_disarmed_one_not_at_all(void **state)
{
	struct ctx c = { .l = ml_loop_new() };
	struct ml_timer *twice = ml_timer_new(c.l, later_b, &c), *never = ml_timer_new(c.l, later_a, &c);
	struct ml_timer *end = ml_timer_new(c.l, stop, &c);

	(void)state;
	ml_timer_arm(twice, 1);
	ml_timer_arm(twice, 5);
	ml_timer_arm(never, 1);
	ml_timer_disarm(never);
	ml_timer_arm(end, 25);
	ml_loop_run(c.l);
	assert_string_equal(c.order, "bs");
	ml_timer_free(twice);
	ml_timer_free(never);
	ml_timer_free(end);
	ml_loop_free(c.l);
}

#define WAKES 10000
static void
count(void *arg)
{
	struct ctx *c = arg;

	if (++c->calls == WAKES)
		ml_loop_stop(c->l);
}

static void *
waker(void *arg)
{
	struct ctx *c = arg;

	for (unsigned i = 0; i < WAKES; i++)
		ml_loop_wake(c->l, count, c);
	return NULL;
}

static void
every_wake_of_another_thread_arrives(void **state)
{
	struct ctx c = { .l = ml_loop_new() };
	pthread_t th;

	(void)state;
	assert_int_equal(pthread_create(&th, NULL, waker, &c), 0);
	ml_loop_run(c.l);
	pthread_join(th, NULL);
	assert_int_equal(c.calls, WAKES);
	ml_loop_free(c.l);
}

static void
raise_usr1(void *arg)
{
	(void)arg;
	raise(SIGUSR1);
}

static void
signals_are_handled_on_the_loop_by_their_last_handler(void **state)
{
	struct ctx c = { .l = ml_loop_new() };

	(void)state;
	assert_int_equal(ml_loop_signal(c.l, SIGUSR1, later_a, &c), 0);
	assert_int_equal(ml_loop_signal(c.l, SIGUSR1, stop, &c), 0);
	ml_loop_later(c.l, raise_usr1, &c);
	ml_loop_run(c.l);
	assert_string_equal(c.order, "s");
	ml_loop_free(c.l);
}

static void
on_pipe(int fd, short what, void *arg)
{
	struct ctx *c = arg;
	char byte;

	assert_int_equal(what & EV_READ, EV_READ);
	assert_int_equal(read(fd, &byte, 1), 1);
	note(c, byte == 'x' ? "x" : "y");
	if (byte == 'y') {
		ml_watch_free(c->w);
		ml_loop_stop(c->l);
	} else {
		ml_watch_set(c->w, 0);
		ml_watch_set(c->w, EV_READ);
	}
}

static void
a_watch_can_be_switched_and_freed_by_its_own_callback(void **state)
{
	struct ctx c = { .l = ml_loop_new() };
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "xy", 2), 2);
	c.w = ml_watch_new(c.l, p[0], EV_READ, on_pipe, &c);
	ml_loop_run(c.l);
	assert_string_equal(c.order, "xy");
	close(p[0]);
	close(p[1]);
	ml_loop_free(c.l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deferred_calls_come_after_the_callback_and_may_defer_again),
		cmocka_unit_test(a_rearmed_timer_fires_once_and_a_disarmed_one_not_at_all),
		cmocka_unit_test(every_wake_of_another_thread_arrives),
		cmocka_unit_test(signals_are_handled_on_the_loop_by_their_last_handler),
		cmocka_unit_test(a_watch_can_be_switched_and_freed_by_its_own_callback),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
