/* SPDX-License-Identifier: MIT */
/* Export, CSV: a row for each record, the same columns for all kinds.  RFC 4180. */

#include <string.h>

#include "report/export.h"

static const char columns[] =
	"seq,ts_ns,ts0_ns,ev,pid,mm,tid,comm,kind,write,addr,page,npages,mapping,mapping_kind,"
	"offset,act,via,lat_ns,stop_ns,ip,function,module,source,line,stack,epoch,reason,n,"
	"other\r\n";

/* A spreadsheet would take it for a formula. */
static void field(struct pen *p, const char *s, size_t len)
{
	if (len && strchr("=+-@", s[0]))
		pen_text(p, "'");
	pen_csv(p, s, len);
}

static void comma(struct pen *p)
{
	pen_bytes(p, ",", 1);
}

static void text(struct pen *p, const char *s)
{
	comma(p);
	if (s)
		field(p, s, strlen(s));
}

/* Nothing for 0. */
static void number(struct pen *p, uint64_t v)
{
	comma(p);
	if (v)
		pen_number(p, v);
}

static void hex(struct pen *p, uint64_t v)
{
	comma(p);
	if (v)
		pen_format(p, "0x%llx", (unsigned long long)v);
}

static bool has_span(const struct record *r)
{
	switch ((enum record_kind)r->kind) {
	case RECORD_FAULT:
	case RECORD_VMA:
	case RECORD_ARM:
	case RECORD_DIRTY:
	case RECORD_REMAP:
	case RECORD_REMOVE:
	case RECORD_UNMAP:
	case RECORD_GAP:
		return r->npages;
	default:
		return false;
	}
}

/* addr to offset. */
static void write_place(struct export *e, const struct record *r)
{
	const struct model_vma *v = has_span(r) ? model_place(e->model, r) : NULL;
	struct pen *p = e->pen;

	if (!has_span(r)) {
		pen_text(p, ",,,,,,");
		return;
	}
	pen_format(p, ",0x%llx", (unsigned long long)r->addr);
	comma(p);
	pen_number(p, r->addr / e->header->page_size);
	number(p, r->npages);
	comma(p);
	if (v)
		field(p, v->label->text.s, v->label->text.len);
	text(p, v ? vma_kind_name(v->label->kind) : NULL);
	comma(p);
	if (v && r->addr >= v->lo)
		pen_number(p, r->addr - v->lo);
}

/* act to stack. */
static int write_fault(struct export *e, const struct record *r)
{
	const struct symbol *s;
	struct pen *p = e->pen;
	int err = export_function(e, r, &s);

	if (err)
		return err;
	if (r->kind != RECORD_FAULT) {
		pen_text(p, ",,,,,,,,,,");
		return 0;
	}
	text(p, fault_act_name(r->fault.act));
	text(p, fault_via_name(r->fault.via));
	if (r->fault.via == VIA_PERF) {
		pen_text(p, ",,");
	} else {
		comma(p);
		pen_number(p, r->fault.lat_ns);
		comma(p);
		pen_number(p, r->fault.stop_ns);
	}
	hex(p, r->fault.ip);
	text(p, s && s->known ? s->function : NULL);
	text(p, s ? s->module : NULL);
	text(p, s ? s->file : NULL);
	number(p, s ? s->line : 0);
	number(p, r->fault.stack);
	return 0;
}

static const char *reason_of(const struct record *r)
{
	switch ((enum record_kind)r->kind) {
	case RECORD_GAP:
		return gap_reason_name(r->gap.reason);
	case RECORD_LOST:
		return lost_reason_name(r->lost.reason);
	case RECORD_DETACH:
		return detach_reason_name(r->detach.reason);
	case RECORD_VMA:
		return r->vma.watch ? NULL : vma_why_name(r->vma.why);
	default:
		return NULL;
	}
}

/* epoch to other: what only some kinds have. */
static void write_rest(struct pen *p, const struct record *r)
{
	number(p, r->kind == RECORD_DIRTY ? r->dirty.epoch : 0);
	text(p, reason_of(r));
	comma(p);
	if (r->kind == RECORD_LOST && r->lost.n >= 0)
		pen_number(p, (uint64_t)r->lost.n);
	switch ((enum record_kind)r->kind) {
	case RECORD_FORK:
		number(p, r->fork.child > 0 ? (uint64_t)r->fork.child : 0);
		break;
	case RECORD_EXEC:
		number(p, r->exec.new_mm);
		break;
	case RECORD_EXIT:
		comma(p);
		if (r->exit.code != RECORD_UNKNOWN)
			pen_format(p, "%lld", (long long)r->exit.code);
		break;
	case RECORD_REMAP:
		hex(p, r->remap.new_addr);
		break;
	default:
		comma(p);
	}
	pen_text(p, "\r\n");
}

static const char *kind_of(const struct record *r)
{
	switch ((enum record_kind)r->kind) {
	case RECORD_FAULT:
		return fault_kind_name(r->fault.kind);
	case RECORD_VMA:
		return vma_op_name(r->vma.op);
	case RECORD_ARM:
		return arm_mode_name(r->arm.mode);
	default:
		return NULL;
	}
}

static int32_t tid_of(const struct record *r)
{
	if (r->kind == RECORD_FAULT)
		return r->fault.tid;
	return r->kind == RECORD_THREAD ? r->thread.tid : 0;
}

static int begin(struct export *e)
{
	pen_text(e->pen, columns);
	return 0;
}

static int record(struct export *e, const struct reader_record *rec, bool picked)
{
	const struct record *r = &rec->record;
	struct model_text comm;
	struct pen *p = e->pen;
	int err;

	/* Frames are addresses, a list: no field of a table. */
	if (!picked || r->kind == RECORD_STACK)
		return 0;
	comm = model_comm(e->model, r->pid, r->mm, tid_of(r));
	pen_number(p, rec->seq);
	comma(p);
	pen_number(p, r->ts);
	number(p, r->ts0);
	text(p, record_kind_name(r->kind));
	number(p, r->pid > 0 ? (uint64_t)r->pid : 0);
	number(p, r->mm);
	number(p, tid_of(r) > 0 ? (uint64_t)tid_of(r) : 0);
	comma(p);
	field(p, comm.s ? comm.s : "", comm.len);
	text(p, kind_of(r));
	text(p, r->kind != RECORD_FAULT || r->fault.unsure ? NULL : r->fault.write ? "1" : "0");
	write_place(e, r);
	err = write_fault(e, r);
	if (!err)
		write_rest(p, r);
	return err;
}

static int end(struct export *e)
{
	(void)e;
	return 0;
}

static void done(struct export *e)
{
	(void)e;
}

const struct export_form export_csv = { "csv", begin, record, end, done };
