/* test_chan.c - the process channel: order, sizes, descriptors, malformed peers, back-pressure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/run/chan.h"
#include "common/run/frame.h"
#include "common/run/inbox.h"

struct end {
	struct ml_chan *ch;
	unsigned messages, fds, rooms, closed;
	unsigned stop_at; /* stop the loop after so many messages; 0: never */
	uint64_t last_id;
	size_t text_len;
	int fd; /* the last one received */
	enum ml_chan_end how;
	struct ml_err err;
	bool free_on_message;
	const struct ml_inbox_row *rows;
	size_t n_rows;
	unsigned state;
};

static struct ml_loop *loop;

static void
on_message(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct end *e = arg;

	assert_true(m->id > e->last_id);
	e->last_id = m->id;
	e->messages++;
	if (m->body_case == ML__ENVELOPE__BODY_FAULT)
		e->text_len = strlen(m->fault->text);
	if (e->rows != NULL) {
		ml_inbox_take(e->rows, e->n_rows, e->state, ch, m, fd, e);
	} else if (fd >= 0) {
		assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
		e->fds++;
		if (e->fd >= 0)
			close(e->fd);
		e->fd = fd;
	}
	if (e->free_on_message) {
		ml_chan_free(ch);
		e->ch = NULL;
	}
	if (e->messages == e->stop_at)
		ml_loop_stop(loop);
}

static void
on_closed(struct ml_chan *ch, enum ml_chan_end how, const struct ml_err *err, void *arg)
{
	struct end *e = arg;

	e->closed++;
	e->how = how;
	e->err = *err;
	ml_chan_free(ch);
	e->ch = NULL;
	ml_loop_stop(loop);
}

static void
on_room(struct ml_chan *ch, void *arg)
{
	struct end *e = arg;

	assert_false(ml_chan_full(ch));
	assert_true(ml_chan_unsent(ch) <= ML_CHAN_LOW);
	e->rooms++;
}

static const struct ml_chan_handlers handlers = { on_message, on_closed, on_room };

static void
too_late(void *arg)
{
	(void)arg;
	fail_msg("nothing happened within 5 s");
}

static void
run(void)
{
	struct ml_timer *t = ml_timer_new(loop, too_late, NULL);

	ml_timer_arm(t, 5000);
	ml_loop_run(loop);
	ml_timer_free(t);
}

static int
setup(void **state)
{
	(void)state;
	loop = ml_loop_new();
	return loop == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	ml_loop_free(loop);
	return 0;
}

static uint64_t
send_fault(struct ml_chan *ch, const char *text, int fd)
{
	Ml__Envelope m = ML__ENVELOPE__INIT;
	Ml__Fault f = ML__FAULT__INIT;

	f.text = (char *)(uintptr_t)text;
	m.body_case = ML__ENVELOPE__BODY_FAULT;
	m.fault = &f;
	return ml_chan_send(ch, &m, fd);
}

/* One channel of ours and the raw socket of a peer. */
static int
open_raw(struct end *e)
{
	int s[2];

	assert_int_equal(ml_chan_pair(s, NULL), 0);
	e->fd = -1;
	e->ch = ml_chan_new(loop, s[0], "peer", &handlers, e);
	return s[1];
}

static void
open_pair(struct end *a, struct end *b)
{
	int s[2];

	assert_int_equal(ml_chan_pair(s, NULL), 0);
	a->fd = b->fd = -1;
	a->ch = ml_chan_new(loop, s[0], "a", &handlers, a);
	b->ch = ml_chan_new(loop, s[1], "b", &handlers, b);
}

static void
messages_arrive_whole_and_in_order_with_their_descriptors(void **state)
{
	struct end a = { 0 }, b = { .stop_at = 500 };
	char *big = malloc(300000);
	unsigned with_fd = 0;

	(void)state;
	memset(big, 'x', 299999);
	big[299999] = '\0';
	open_pair(&a, &b);
	for (unsigned i = 0; i < 500; i++) {
		/* Far more than a socket buffer, so that reads and writes are partial, and descriptors wait in the queue. */
		bool fd = i % 20 == 7;

		with_fd += fd;
		assert_int_equal(send_fault(a.ch, i % 25 == 0 ? big : "small", fd ? 0 : -1), i + 1);
	}
	run();
	assert_int_equal(b.messages, 500);
	assert_int_equal(b.fds, with_fd);
	assert_int_equal(b.closed, 0);
	close(b.fd);
	ml_chan_free(a.ch);
	ml_chan_free(b.ch);
	free(big);
}

static void
a_passed_descriptor_is_the_senders_own(void **state)
{
	struct end a = { 0 }, b = { .stop_at = 1 };
	int p[2];
	char byte = 0;

	(void)state;
	assert_int_equal(pipe(p), 0);
	open_pair(&a, &b);
	assert_int_not_equal(send_fault(a.ch, "", p[1]), 0);
	assert_int_equal(fcntl(p[1], F_GETFD) >= 0, 1); /* stays the caller's */
	close(p[1]);
	run();
	assert_int_equal(write(b.fd, "z", 1), 1);
	assert_int_equal(read(p[0], &byte, 1), 1);
	assert_int_equal(byte, 'z');
	close(b.fd);
	close(p[0]);
	ml_chan_free(a.ch);
	ml_chan_free(b.ch);
}

static size_t
frame(struct ml_buf *out, uint32_t version, uint64_t id, bool has_fd)
{
	Ml__Envelope m = ML__ENVELOPE__INIT;
	Ml__Ready ready = ML__READY__INIT;

	m.version = version;
	m.id = id;
	m.body_case = ML__ENVELOPE__BODY_READY;
	m.ready = &ready;
	assert_int_equal(ml_frame_put(out, &m, has_fd, NULL), 0);
	return out->len;
}

static void
malformed_bytes_end_the_channel_only(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *want;
	} rows[] = {
		{ "\x01\x00\x40\x00", 4,
			"frame of 4194305 bytes" }, /* one above the cap; no body needed to refuse it */
		{ "\xff\xff\xff\x7f", 4, "frame of 2147483647 bytes" },
		{ "\x00\x00\x00\x00", 4, "frame of 0 bytes" },
		{ "\x02\x00\x00\x00\xff\xff", 6, "does not unpack" },
		{ "\x02\x00\x00\x00\x08\x01", 6, "without an id" },
		{ "\x04\x00\x00\x00\x08\x01\x10\x00", 8, "without an id" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct end e = { 0 };
		int raw = open_raw(&e);

		assert_int_equal(write(raw, rows[i].bytes, rows[i].n), rows[i].n);
		run();
		assert_int_equal(e.closed, 1);
		assert_int_equal(e.how, ML_CHAN_BAD);
		assert_int_equal(e.messages, 0);
		assert_int_equal(e.err.lib, EBADMSG);
		assert_non_null(strstr(e.err.text, rows[i].want));
		close(raw);
	}
}

static void
another_version_parts_with_a_clear_text(void **state)
{
	struct end e = { 0 };
	struct ml_buf out = { 0 };
	int raw = open_raw(&e);

	(void)state;
	frame(&out, ML_CHAN_VERSION + 1, 1, false);
	assert_int_equal(write(raw, out.data, out.len), out.len);
	run();
	assert_int_equal(e.how, ML_CHAN_BAD);
	assert_int_equal(e.err.lib, EPROTONOSUPPORT);
	assert_string_equal(e.err.text, "message of version 2; this program speaks version 1");
	ml_buf_fini(&out);
	close(raw);
}

static void
bytes_one_by_one_make_a_message_and_a_cut_one_is_an_end(void **state)
{
	struct end e = { .stop_at = 1 };
	struct ml_buf out = { 0 };
	int raw = open_raw(&e);

	(void)state;
	frame(&out, ML_CHAN_VERSION, 7, false);
	for (size_t i = 0; i < out.len; i++) {
		assert_int_equal(e.messages, 0);
		assert_int_equal(write(raw, out.data + i, 1), 1);
		if (i + 1 < out.len) {
			ml_loop_later(loop, (ml_loop_fn *)ml_loop_stop, loop);
			run();
		}
	}
	run();
	assert_int_equal(e.messages, 1);
	assert_int_equal(e.last_id, 7);
	assert_int_equal(write(raw, out.data, 5), 5);
	close(raw);
	run();
	assert_int_equal(e.how, ML_CHAN_EOF);
	assert_non_null(strstr(e.err.text, "within a message"));
	ml_buf_fini(&out);
}

static void
send_raw_fds(int raw, const void *bytes, size_t n, unsigned n_fds)
{
	char control[CMSG_SPACE(sizeof(int) * 4)] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes, n };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
	memset(CMSG_DATA(c), 0, sizeof(int) * n_fds); /* fd 0, n_fds times */
	assert_int_equal(sendmsg(raw, &msg, 0), n);
}

static unsigned
open_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
descriptors_and_messages_must_match(void **state)
{
	static const struct {
		bool flag;
		unsigned n_fds;
		const char *want;
	} rows[] = {
		{ true, 0, "without its descriptor" },
		{ false, 1, "descriptor without its message" },
		{ true, 2, "more descriptors than messages" },
		{ true, 4, "more descriptors than messages" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct end e = { 0 };
		struct ml_buf out = { 0 };
		unsigned before = open_fds();
		int raw = open_raw(&e);

		frame(&out, ML_CHAN_VERSION, 1, rows[i].flag);
		if (rows[i].n_fds > 0)
			send_raw_fds(raw, out.data, out.len, rows[i].n_fds);
		else
			assert_int_equal(write(raw, out.data, out.len), out.len);
		run();
		assert_int_equal(e.how, ML_CHAN_BAD);
		assert_non_null(strstr(e.err.text, rows[i].want));
		ml_buf_fini(&out);
		close(raw);
		assert_int_equal(open_fds(), before); /* nothing leaks */
	}
}

static void
marks_tell_when_to_stop_and_when_to_go_on(void **state)
{
	struct end a = { 0 }, b = { 0 };
	size_t size = 1u << 20;
	char *big = malloc(size);
	unsigned sent = 0;

	(void)state;
	memset(big, 'x', size - 1);
	big[size - 1] = '\0';
	open_pair(&a, &b);
	while (!ml_chan_full(a.ch)) {
		assert_int_not_equal(send_fault(a.ch, big, -1), 0);
		sent++;
	}
	assert_in_range(sent, 8, 10);
	assert_int_equal(a.rooms, 0);
	b.stop_at = sent;
	run();
	assert_int_equal(a.rooms, 1);
	assert_false(ml_chan_full(a.ch));
	/* A caller that ignores the mark does not take memory without end: the channel is given up. */
	for (sent = 0; sent < 100 && send_fault(a.ch, big, -1) != 0; sent++)
		continue;
	assert_in_range(sent, 30, 40);
	assert_int_equal(a.closed, 0); /* never from inside send */
	b.stop_at = 0;
	run();
	assert_int_equal(a.closed, 1);
	assert_int_equal(a.how, ML_CHAN_IO);
	ml_chan_free(b.ch);
	free(big);
}

static void
a_message_above_the_cap_is_not_sent_and_one_below_is(void **state)
{
	struct end a = { 0 }, b = { .stop_at = 1 };
	char *big = malloc(ML_CHAN_MAX + 1);

	(void)state;
	memset(big, 'x', ML_CHAN_MAX);
	big[ML_CHAN_MAX] = '\0';
	open_pair(&a, &b);
	assert_int_equal(send_fault(a.ch, big, -1), 0);
	big[ML_CHAN_MAX - 100] = '\0';
	assert_int_equal(send_fault(a.ch, big, -1), 1);
	run();
	assert_int_equal(b.text_len, ML_CHAN_MAX - 100);
	ml_chan_free(a.ch);
	ml_chan_free(b.ch);
	free(big);
}

static void
last_words_are_read_before_the_end(void **state)
{
	struct end e = { 0 };
	struct ml_buf out = { 0 };
	int raw = open_raw(&e);

	(void)state;
	/* The peer says two things and dies; meanwhile we find out by failing to send. */
	frame(&out, ML_CHAN_VERSION, 1, false);
	frame(&out, ML_CHAN_VERSION, 2, false);
	assert_int_equal(write(raw, out.data, out.len), out.len);
	close(raw);
	send_fault(e.ch, "hello?", -1);
	assert_int_equal(send_fault(e.ch, "hello?", -1), 0);
	run();
	assert_int_equal(e.messages, 2);
	assert_int_equal(e.closed, 1);
	assert_int_equal(e.how, ML_CHAN_EOF);
	ml_buf_fini(&out);
}

static void
a_channel_may_be_freed_by_its_own_message(void **state)
{
	struct end e = { .stop_at = 1, .free_on_message = true };
	struct ml_buf out = { 0 };
	int raw = open_raw(&e);

	(void)state;
	frame(&out, ML_CHAN_VERSION, 1, false);
	frame(&out, ML_CHAN_VERSION, 2, false);
	assert_int_equal(write(raw, out.data, out.len), out.len);
	run();
	assert_int_equal(e.messages, 1);
	assert_int_equal(e.closed, 0);
	ml_buf_fini(&out);
	close(raw);
}

static void
handle_ready(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct end *e = arg;

	(void)ch;
	(void)m;
	assert_int_equal(fd, -1);
	e->state = 1;
}

static void
the_inbox_takes_a_message_only_in_its_state(void **state)
{
	static const struct ml_inbox_row rows[] = { { ML__ENVELOPE__BODY_READY, 1u << 0, handle_ready } };
	struct end e = { .rows = rows, .n_rows = 1 }, other = { .rows = rows, .n_rows = 1 };
	struct ml_buf out = { 0 };
	int raw = open_raw(&e);
	unsigned before;

	(void)state;
	frame(&out, ML_CHAN_VERSION, 1, false);
	frame(&out, ML_CHAN_VERSION, 2, false); /* Ready again, in state 1 */
	frame(&out, ML_CHAN_VERSION, 3, false); /* never handed out */
	assert_int_equal(write(raw, out.data, out.len), out.len);
	run();
	assert_int_equal(e.state, 1);
	assert_int_equal(e.messages, 2);
	assert_int_equal(e.how, ML_CHAN_BAD);
	assert_non_null(strstr(e.err.text, "message 12 out of turn (state 1)"));
	close(raw);
	ml_buf_fini(&out);

	/* A message that is not for this end; its descriptor is closed. */
	before = open_fds();
	raw = open_raw(&other);
	{
		struct end sender = { .fd = -1 };
		struct ml_chan *ch = ml_chan_new(loop, raw, "sender", &handlers, &sender);

		send_fault(ch, "", 0);
		run();
		ml_chan_free(ch);
	}
	assert_int_equal(other.how, ML_CHAN_BAD);
	assert_non_null(strstr(other.err.text, "message 43 is not for this end"));
	assert_int_equal(open_fds(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			messages_arrive_whole_and_in_order_with_their_descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(a_passed_descriptor_is_the_senders_own, setup, teardown),
		cmocka_unit_test_setup_teardown(malformed_bytes_end_the_channel_only, setup, teardown),
		cmocka_unit_test_setup_teardown(another_version_parts_with_a_clear_text, setup, teardown),
		cmocka_unit_test_setup_teardown(
			bytes_one_by_one_make_a_message_and_a_cut_one_is_an_end, setup, teardown),
		cmocka_unit_test_setup_teardown(descriptors_and_messages_must_match, setup, teardown),
		cmocka_unit_test_setup_teardown(marks_tell_when_to_stop_and_when_to_go_on, setup, teardown),
		cmocka_unit_test_setup_teardown(a_message_above_the_cap_is_not_sent_and_one_below_is, setup, teardown),
		cmocka_unit_test_setup_teardown(last_words_are_read_before_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(a_channel_may_be_freed_by_its_own_message, setup, teardown),
		cmocka_unit_test_setup_teardown(the_inbox_takes_a_message_only_in_its_state, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
