#include "capture-worker/source/mysql/event.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "common/base/crc32.h"

/* Most bytes that a compressed statement may claim to unfold to: a statement cannot exceed max_allowed_packet, 1 GiB at most. */
#define MAX_UNFOLDED (1u << 30)

/* Flag of a FORMAT_DESCRIPTION whose file is still written to; set later, so its checksum was made without it. */
#define IN_USE 0x01

int
ml_ev_split(struct ml_ev *e, const uint8_t *p, size_t len, unsigned crc_len)
{
	struct ml_rd r = ml_rd_of(p, len);
	uint64_t size;

	if (len < ML_EV_HEADER || len > UINT32_MAX)
		return -1;
	e->timestamp = (uint32_t)ml_rd_le(&r, 4);
	e->type = (uint8_t)ml_rd_le(&r, 1);
	e->server_id = (uint32_t)ml_rd_le(&r, 4);
	size = ml_rd_le(&r, 4);
	e->next_pos = (uint32_t)ml_rd_le(&r, 4);
	e->flags = (uint16_t)ml_rd_le(&r, 2);
	if (e->type == ML_EV_FORMAT)
		crc_len = 4;
	if (size != len || len < ML_EV_HEADER + crc_len)
		return -1;
	e->raw = p;
	e->len = (uint32_t)len;
	e->body = p + ML_EV_HEADER;
	e->body_len = (uint32_t)(len - ML_EV_HEADER - crc_len);
	return 0;
}

bool
ml_ev_crc_ok(const uint8_t *p, size_t len)
{
	uint8_t head[ML_EV_HEADER];
	struct ml_rd r;
	uint32_t want;

	if (len < ML_EV_HEADER + 4)
		return false;
	r = ml_rd_of(p + len - 4, 4);
	want = (uint32_t)ml_rd_le(&r, 4);
	if (__builtin_expect(ml_crc32(0, p, len - 4) == want, 1))
		return true;
	if (p[4] != ML_EV_FORMAT || (p[17] & IN_USE) == 0)
		return false;
	memcpy(head, p, sizeof(head));
	head[17] &= (uint8_t)~IN_USE;
	return ml_crc32(ml_crc32(0, head, sizeof(head)), p + sizeof(head), len - sizeof(head) - 4) == want;
}

const char *
ml_ev_name(uint8_t type)
{
	static const char *const names[256] = {
		[1] = "START_V3",
		[2] = "QUERY",
		[3] = "STOP",
		[4] = "ROTATE",
		[5] = "INTVAR",
		[6] = "LOAD",
		[8] = "CREATE_FILE",
		[9] = "APPEND_BLOCK",
		[10] = "EXEC_LOAD",
		[11] = "DELETE_FILE",
		[12] = "NEW_LOAD",
		[13] = "RAND",
		[14] = "USER_VAR",
		[15] = "FORMAT_DESCRIPTION",
		[16] = "XID",
		[17] = "BEGIN_LOAD_QUERY",
		[18] = "EXECUTE_LOAD_QUERY",
		[19] = "TABLE_MAP",
		[20] = "WRITE_ROWS_V0",
		[21] = "UPDATE_ROWS_V0",
		[22] = "DELETE_ROWS_V0",
		[23] = "WRITE_ROWS_V1",
		[24] = "UPDATE_ROWS_V1",
		[25] = "DELETE_ROWS_V1",
		[26] = "INCIDENT",
		[27] = "HEARTBEAT",
		[28] = "IGNORABLE",
		[29] = "ROWS_QUERY",
		[30] = "WRITE_ROWS",
		[31] = "UPDATE_ROWS",
		[32] = "DELETE_ROWS",
		[33] = "GTID",
		[34] = "ANONYMOUS_GTID",
		[35] = "PREVIOUS_GTIDS",
		[36] = "TRANSACTION_CONTEXT",
		[37] = "VIEW_CHANGE",
		[38] = "XA_PREPARE",
		[39] = "PARTIAL_UPDATE_ROWS",
		[40] = "TRANSACTION_PAYLOAD",
		[41] = "HEARTBEAT_V2",
		[42] = "GTID_TAGGED",
		[160] = "ANNOTATE_ROWS",
		[161] = "BINLOG_CHECKPOINT",
		[162] = "MARIADB_GTID",
		[163] = "MARIADB_GTID_LIST",
		[164] = "START_ENCRYPTION",
		[165] = "QUERY_COMPRESSED",
		[166] = "WRITE_ROWS_COMPRESSED_V1",
		[167] = "UPDATE_ROWS_COMPRESSED_V1",
		[168] = "DELETE_ROWS_COMPRESSED_V1",
		[169] = "WRITE_ROWS_COMPRESSED",
		[170] = "UPDATE_ROWS_COMPRESSED",
		[171] = "DELETE_ROWS_COMPRESSED",
	};

	return names[type] != NULL ? names[type] : "unknown";
}

int
ml_ev_format(struct ml_ev_format *f, const struct ml_ev *e)
{
	struct ml_rd r = ml_rd_of(e->body, e->body_len);
	const uint8_t *version;
	uint64_t binlog, header_len;

	binlog = ml_rd_le(&r, 2);
	version = ml_rd_bytes(&r, 50);
	f->created = (uint32_t)ml_rd_le(&r, 4);
	header_len = ml_rd_le(&r, 1);
	if (r.bad || binlog != 4 || header_len != ML_EV_HEADER)
		return -1;
	memcpy(f->server_version, version, 50);
	f->server_version[50] = '\0';
	/* Post-header lengths up to the algorithm: those of all supported servers reach the rows events at least. */
	if (ml_rd_left(&r) < 25 + 1)
		return -1;
	if (r.p[ML_EV_TABLE_MAP - 1] == 6)
		return -1; /* table ids of 4 bytes: older than every supported server */
	f->checksum = r.end[-1];
	if (f->checksum != 0 && f->checksum != 1 && f->checksum != 255)
		return -1;
	return 0;
}

static int
file_name(char out[256], const uint8_t *p, size_t n)
{
	if (n == 0 || n > 255 || memchr(p, '\0', n) != NULL)
		return -1;
	memcpy(out, p, n);
	out[n] = '\0';
	return 0;
}

int
ml_ev_rotate(struct ml_ev_rotate *ro, const struct ml_ev *e)
{
	struct ml_rd r = ml_rd_of(e->body, e->body_len);

	ro->pos = ml_rd_le(&r, 8);
	return r.bad ? -1 : file_name(ro->file, r.p, ml_rd_left(&r));
}

int
ml_ev_heartbeat(char file[256], const struct ml_ev *e)
{
	return file_name(file, e->body, e->body_len);
}

static int
xid_bytes(struct ml_xid *x, struct ml_rd *r, uint64_t gtrid_len, uint64_t bqual_len)
{
	const uint8_t *p;

	if (gtrid_len > 64 || bqual_len > 64)
		return -1;
	p = ml_rd_bytes(r, (size_t)(gtrid_len + bqual_len));
	if (p == NULL)
		return -1;
	x->gtrid_len = (uint8_t)gtrid_len;
	x->bqual_len = (uint8_t)bqual_len;
	memcpy(x->data, p, (size_t)(gtrid_len + bqual_len));
	return 0;
}

int
ml_ev_maria_gtid(struct ml_ev_gtid *g, const struct ml_ev *e)
{
	struct ml_rd r = ml_rd_of(e->body, e->body_len);

	*g = (struct ml_ev_gtid){ 0 };
	g->gtid.seq = ml_rd_le(&r, 8);
	g->gtid.domain = (uint32_t)ml_rd_le(&r, 4);
	g->gtid.server = e->server_id;
	g->flags = (uint8_t)ml_rd_le(&r, 1);
	if ((g->flags & ML_GTIDF_GROUP_COMMIT) != 0)
		(void)ml_rd_le(&r, 8);
	if ((g->flags & (ML_GTIDF_XA_PREPARE | ML_GTIDF_XA_COMPLETED)) != 0) {
		uint64_t gtrid_len, bqual_len;

		g->xid.format = (uint32_t)ml_rd_le(&r, 4);
		gtrid_len = ml_rd_le(&r, 1);
		bqual_len = ml_rd_le(&r, 1);
		if (xid_bytes(&g->xid, &r, gtrid_len, bqual_len) < 0)
			return -1;
	}
	if (r.bad)
		return -1;
	if (ml_rd_left(&r) > 0)
		g->flags_extra = (uint8_t)ml_rd_le(&r, 1);
	return 0;
}

int
ml_ev_maria_gtid_list(struct ml_gtid_list *l, const struct ml_ev *e)
{
	struct ml_rd r = ml_rd_of(e->body, e->body_len);
	uint64_t n = ml_rd_le(&r, 4) & 0x0FFFFFFF;

	if (r.bad || n * 16 > ml_rd_left(&r))
		return -1;
	for (uint64_t i = 0; i < n; i++) {
		struct ml_gtid g;

		g.domain = (uint32_t)ml_rd_le(&r, 4);
		g.server = (uint32_t)ml_rd_le(&r, 4);
		g.seq = ml_rd_le(&r, 8);
		ml_gtid_list_set(l, &g);
	}
	return 0;
}

/* Names of databases that MySQL puts into one event at most. */
#define MAX_UPDATED_DBS 16

/* Status variables up to the first unknown code: lengths of later ones cannot be known.  -1 only for an overrun. */
static int
status_vars(struct ml_ev_query *q, struct ml_rd r)
{
	/* Fixed lengths; 0: handled or unknown. */
	static const uint8_t fixed[256] = {
		[0] = 4,
		[7] = 2,
		[9] = 8,
		[10] = 4,
		[17] = 8,
		[19] = 1,
		[20] = 1,
		[129] = 8,
	};

	while (ml_rd_left(&r) > 0) {
		uint8_t code = (uint8_t)ml_rd_le(&r, 1);

		if (fixed[code] > 0) {
			(void)ml_rd_bytes(&r, fixed[code]);
			continue;
		}
		switch (code) {
		case 1:
			q->sql_mode = ml_rd_le(&r, 8);
			q->has_sql_mode = !r.bad;
			break;
		case 2:
			(void)ml_rd_bytes(&r, (size_t)ml_rd_le(&r, 1) + 1);
			break;
		case 3:
			q->increment = (uint16_t)ml_rd_le(&r, 2);
			q->offset = (uint16_t)ml_rd_le(&r, 2);
			break;
		case 4:
			q->client_charset = (uint16_t)ml_rd_le(&r, 2);
			q->connection_collation = (uint16_t)ml_rd_le(&r, 2);
			q->server_collation = (uint16_t)ml_rd_le(&r, 2);
			break;
		case 5:
		case 6:
			(void)ml_rd_bytes(&r, (size_t)ml_rd_le(&r, 1));
			break;
		case 8:
			q->db_collation = (uint16_t)ml_rd_le(&r, 2);
			break;
		case 11:
			(void)ml_rd_bytes(&r, (size_t)ml_rd_le(&r, 1));
			(void)ml_rd_bytes(&r, (size_t)ml_rd_le(&r, 1));
			break;
		case 12: {
			uint64_t n = ml_rd_le(&r, 1);

			/* 254 says "too many to name", as it does for tables with foreign keys; 255 none. */
			for (; n > 0 && n <= MAX_UPDATED_DBS && !r.bad; n--) {
				const uint8_t *nul = memchr(r.p, '\0', ml_rd_left(&r));

				(void)ml_rd_bytes(&r, nul != NULL ? (size_t)(nul - r.p) + 1 : ml_rd_left(&r) + 1);
			}
			break;
		}
		case 16:
			q->implicit_timestamps = ml_rd_le(&r, 1) == 0 && !r.bad;
			break;
		case 18:
			q->collations[0] = (uint16_t)ml_rd_le(&r, 2);
			q->n_collations = q->collations[0] != 0;
			break;
		case 131: /* MariaDB 11: pairs of a character set, by its first collation, and what it means */
			for (uint64_t n = ml_rd_le(&r, 1); n > 0 && !r.bad; n--) {
				uint16_t to = (uint16_t)(ml_rd_le(&r, 4) >> 16);

				if (q->n_collations < ML_DDL_COLLATIONS && !r.bad)
					q->collations[q->n_collations++] = to;
			}
			break;
		case 13:
		case 128:
			q->micros = (uint32_t)ml_rd_le(&r, 3);
			break;
		case 130:
			q->alter_flags = (uint8_t)ml_rd_le(&r, 1);
			if ((q->alter_flags & (ML_GTIDX_COMMIT_ALTER | ML_GTIDX_ROLLBACK_ALTER)) != 0)
				(void)ml_rd_le(&r, 8);
			break;
		default:
			return 0;
		}
	}
	return r.bad ? -1 : 0;
}

/* MariaDB's compressed text: a byte with the length of the length, the unfolded length big-endian, a zlib stream. */
static int
unfold(struct ml_text *out, struct ml_rd r, struct ml_buf *scratch)
{
	uint8_t head = (uint8_t)ml_rd_le(&r, 1);
	unsigned n = head & 7u;
	uint64_t want;
	uLongf got;

	if (r.bad || (head & 0xE0) != 0x80 || n < 1 || n > 4)
		return -1;
	want = ml_rd_be(&r, n);
	if (r.bad || want > MAX_UNFOLDED || ml_rd_left(&r) == 0)
		return -1;
	/* zlib cannot expand more than about 1032 times: a length beyond that is a lie that must not cost memory. */
	if (want > (uint64_t)ml_rd_left(&r) * 1040 + 1024)
		return -1;
	ml_buf_clear(scratch);
	ml_buf_need(scratch, (size_t)want);
	got = (uLongf)want;
	if (uncompress((Bytef *)scratch->data, &got, r.p, (uLong)ml_rd_left(&r)) != Z_OK || got != want)
		return -1;
	scratch->len = (size_t)want;
	scratch->data[want] = '\0';
	*out = (struct ml_text){ .s = scratch->data, .len = (uint32_t)want };
	return 0;
}

int
ml_ev_query(struct ml_ev_query *q, const struct ml_ev *e, struct ml_buf *scratch)
{
	struct ml_rd r = ml_rd_of(e->body, e->body_len);
	uint64_t db_len, status_len;
	const uint8_t *status, *db;

	*q = (struct ml_ev_query){ 0 };
	q->thread_id = (uint32_t)ml_rd_le(&r, 4);
	(void)ml_rd_le(&r, 4);
	db_len = ml_rd_le(&r, 1);
	q->error_code = (uint16_t)ml_rd_le(&r, 2);
	status_len = ml_rd_le(&r, 2);
	status = ml_rd_bytes(&r, (size_t)status_len);
	db = ml_rd_bytes(&r, (size_t)db_len + 1);
	if (r.bad || db[db_len] != '\0' || status_vars(q, ml_rd_of(status, (size_t)status_len)) < 0)
		return -1;
	q->db = (struct ml_text){ .s = (const char *)db, .len = (uint32_t)db_len };
	if (e->type == ML_EV_MARIA_QUERY_COMPRESSED)
		return unfold(&q->sql, r, scratch);
	q->sql = (struct ml_text){ .s = (const char *)r.p, .len = (uint32_t)ml_rd_left(&r) };
	return 0;
}

int
ml_ev_xa_prepare(struct ml_ev_xa_prepare *x, const struct ml_ev *e)
{
	struct ml_rd r = ml_rd_of(e->body, e->body_len);
	uint64_t gtrid_len, bqual_len;

	*x = (struct ml_ev_xa_prepare){ 0 };
	x->one_phase = ml_rd_le(&r, 1) != 0;
	x->xid.format = (uint32_t)ml_rd_le(&r, 4);
	gtrid_len = ml_rd_le(&r, 4);
	bqual_len = ml_rd_le(&r, 4);
	return r.bad ? -1 : xid_bytes(&x->xid, &r, gtrid_len, bqual_len);
}

int
ml_ev_incident(uint16_t *code, char *text, size_t size, const struct ml_ev *e)
{
	struct ml_rd r = ml_rd_of(e->body, e->body_len);
	size_t n;
	const uint8_t *p;

	*code = (uint16_t)ml_rd_le(&r, 2);
	n = (size_t)ml_rd_le(&r, 1);
	p = ml_rd_bytes(&r, n);
	if (r.bad)
		return -1;
	if (n >= size)
		n = size - 1;
	memcpy(text, p, n);
	text[n] = '\0';
	return 0;
}

/* X'hex' or 'text' without escapes (the server writes hex); advances *p.  Bytes go to out; -1 if there is no such thing. */
static int
xid_part(const char **p, const char *end, uint8_t *out, uint8_t *out_len)
{
	bool hex = false;
	size_t n = 0;

	while (*p < end && **p == ' ')
		(*p)++;
	if (*p < end && (**p == 'X' || **p == 'x')) {
		hex = true;
		(*p)++;
	}
	if (*p >= end || *(*p)++ != '\'')
		return -1;
	while (*p < end && **p != '\'') {
		unsigned v = (uint8_t) * *p;

		if (n >= 64)
			return -1;
		if (hex) {
			static const char digits[] = "0123456789abcdef";
			const char *hi, *lo;

			if (end - *p < 2 || (hi = strchr(digits, (*p)[0] | 0x20)) == NULL ||
				(lo = strchr(digits, (*p)[1] | 0x20)) == NULL || *hi == '\0' || *lo == '\0')
				return -1;
			v = (unsigned)((hi - digits) << 4 | (lo - digits));
			(*p)++;
		}
		out[n++] = (uint8_t)v;
		(*p)++;
	}
	if (*p >= end)
		return -1;
	(*p)++;
	*out_len = (uint8_t)n;
	return 0;
}

int
ml_xid_parse(struct ml_xid *x, const char *text, size_t len)
{
	const char *p = text, *end = text + len;
	uint64_t format = 1; /* the default of the statement */

	*x = (struct ml_xid){ 0 };
	if (len < 3 || strncasecmp(p, "XA ", 3) != 0)
		return -1;
	p += 3;
	if (end - p > 7 && strncasecmp(p, "COMMIT ", 7) == 0)
		p += 7;
	else if (end - p > 6 && strncasecmp(p, "START ", 6) == 0)
		p += 6;
	else if (end - p > 9 && strncasecmp(p, "ROLLBACK ", 9) == 0)
		p += 9;
	else
		return -1;
	if (xid_part(&p, end, x->data, &x->gtrid_len) < 0)
		return -1;
	if (p < end && *p == ',') {
		p++;
		if (xid_part(&p, end, x->data + x->gtrid_len, &x->bqual_len) < 0)
			return -1;
	}
	if (p < end && *p == ',') {
		p++;
		while (p < end && *p == ' ')
			p++;
		if (p >= end || *p < '0' || *p > '9')
			return -1;
		for (format = 0; p < end && *p >= '0' && *p <= '9'; p++) {
			format = format * 10 + (uint64_t)(*p - '0');
			if (format > UINT32_MAX)
				return -1;
		}
	}
	x->format = (uint32_t)format;
	return 0;
}

bool
ml_xid_equal(const struct ml_xid *a, const struct ml_xid *b)
{
	return a->format == b->format && a->gtrid_len == b->gtrid_len && a->bqual_len == b->bqual_len &&
	       memcmp(a->data, b->data, (size_t)a->gtrid_len + b->bqual_len) == 0;
}

const char *
ml_xid_print(const struct ml_xid *x, char *buf, size_t size)
{
	char hex[2][129];

	for (unsigned part = 0; part < 2; part++) {
		const uint8_t *p = x->data + (part == 1 ? x->gtrid_len : 0);
		unsigned n = part == 1 ? x->bqual_len : x->gtrid_len;

		hex[part][0] = '\0';
		for (unsigned i = 0; i < n; i++)
			snprintf(hex[part] + 2 * i, 3, "%02x", p[i]);
	}
	snprintf(buf, size, "X'%s',X'%s',%u", hex[0], hex[1], x->format);
	return buf;
}
