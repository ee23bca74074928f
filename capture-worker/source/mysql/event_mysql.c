#include "capture-worker/source/mysql/event_mysql.h"

#include <string.h>

/* Type code of the commit order that follows a GTID. */
#define LOGICAL_TIMESTAMP 2u
#define HAS_ORIGINAL (UINT64_C(1) << 55)

static int
plain(struct ml_ev_gtid *g, struct ml_rd *r)
{
	const uint8_t *uuid;

	(void)ml_rd_le(r, 1);
	uuid = ml_rd_bytes(r, 16);
	g->number = (int64_t)ml_rd_le(r, 8);
	if (r->bad)
		return -1;
	memcpy(g->uuid, uuid, 16);
	/* What follows came with later versions, one after the other. */
	if (ml_rd_left(r) < 17 || ml_rd_le(r, 1) != LOGICAL_TIMESTAMP)
		return 0;
	(void)ml_rd_bytes(r, 16);
	if (ml_rd_left(r) < 7)
		return 0;
	g->time_us = ml_rd_le(r, 7);
	if ((g->time_us & HAS_ORIGINAL) != 0)
		g->time_us = ml_rd_le(r, 7);
	return r->bad ? -1 : 0;
}

/* A number whose first byte tells its length by its trailing 1 bits. */
static uint64_t
varlen(struct ml_rd *r)
{
	uint64_t v = ml_rd_le(r, 1);
	unsigned more = 0;

	while (more < 8 && (v >> more & 1) != 0)
		more++;
	if (more == 8)
		return ml_rd_le(r, 8);
	v |= more > 0 ? ml_rd_le(r, more) << 8 : 0;
	return v >> (more + 1);
}

static int64_t
varlen_signed(struct ml_rd *r)
{
	uint64_t v = varlen(r);

	return (v & 1) != 0 ? -(int64_t)(v >> 1) - 1 : (int64_t)(v >> 1);
}

/* Fields by number, in increasing order, each with its own form. */
static int
tagged(struct ml_ev_gtid *g, struct ml_rd *r)
{
	bool has_uuid = false, has_number = false;
	uint64_t immediate = 0, original = 0, len;
	const uint8_t *tag;

	if (varlen(r) != 1)
		return -1;
	(void)varlen(r); /* size */
	(void)varlen(r); /* last field that must be understood */
	while (!r->bad && ml_rd_left(r) > 0) {
		uint64_t id = varlen(r);

		switch (id) {
		case 0:
			(void)varlen(r);
			break;
		case 1:
			for (unsigned i = 0; i < 16; i++)
				g->uuid[i] = (uint8_t)varlen(r);
			has_uuid = true;
			break;
		case 2:
			g->number = varlen_signed(r);
			has_number = true;
			break;
		case 3:
			len = varlen(r);
			tag = len <= ML_GTID_TAG_MAX ? ml_rd_bytes(r, (size_t)len) : NULL;
			if (tag == NULL || memchr(tag, '\0', (size_t)len) != NULL)
				return -1;
			memcpy(g->tag, tag, (size_t)len);
			break;
		case 4:
		case 5:
			(void)varlen_signed(r);
			break;
		case 6:
			immediate = varlen(r);
			break;
		case 7:
			original = varlen(r);
			break;
		case 8:
		case 9:
		case 10:
		case 11:
			(void)varlen(r);
			break;
		default:
			/* A later field, of unknown form; those before it are all that is needed. */
			r->p = r->end;
			break;
		}
	}
	g->time_us = original != 0 ? original : immediate;
	return r->bad || !has_uuid || !has_number ? -1 : 0;
}

int
ml_ev_mysql_gtid(struct ml_ev_gtid *g, const struct ml_ev *e)
{
	struct ml_rd r = ml_rd_of(e->body, e->body_len);

	*g = (struct ml_ev_gtid){ .mysql = true, .flags = ML_GTIDF_TRANSACTIONAL };
	if ((e->type == ML_EV_GTID_TAGGED ? tagged(g, &r) : plain(g, &r)) < 0)
		return -1;
	g->anonymous = e->type == ML_EV_ANONYMOUS_GTID;
	return g->anonymous || (g->number >= 1 && g->number < INT64_MAX) ? 0 : -1;
}

int
ml_ev_heartbeat_v2(char file[256], uint64_t *pos, const struct ml_ev *e)
{
	struct ml_rd r = ml_rd_of(e->body, e->body_len);
	bool has_file = false, has_pos = false;

	while (ml_rd_left(&r) > 0) {
		uint64_t type = ml_rd_lenenc(&r), len;
		const uint8_t *p;
		struct ml_rd v;

		if (type == 0)
			break;
		len = ml_rd_lenenc(&r);
		if (r.bad || len > ml_rd_left(&r) || (p = ml_rd_bytes(&r, (size_t)len)) == NULL)
			return -1;
		if (type == 1) {
			if (len == 0 || len > 255 || memchr(p, '\0', (size_t)len) != NULL)
				return -1;
			memcpy(file, p, (size_t)len);
			file[len] = '\0';
			has_file = true;
		} else if (type == 2) {
			v = ml_rd_of(p, (size_t)len);
			*pos = ml_rd_lenenc(&v);
			has_pos = !v.bad;
		}
	}
	return r.bad || !has_file || !has_pos ? -1 : 0;
}
