
-- From here on both dialects are the same.

-- One row.
create view header as
	select engine, page_size, coalesce(granularity, 1) as granularity, host, kernel, version,
		base_real, base_mono_ns
	from records where ev = 'header';

create view faults as
	select seq, ts, coalesce(ts0, ts - stop_ns) as began, pid, mm, tid, ns_tid, kind, "write",
		addr, page, npages, vma, act, via, src, lat_ns, stop_ns, ip, stack
	from records where ev = 'fault';

create view dirty as
	select seq, ts, ts0, pid, mm, epoch, addr, page, npages, vma
	from records where ev = 'dirty';

-- What pagetap-report(1) calls writes: n of them a row, each page once for each arming.
create view writes as
	select seq, ts, pid, mm, tid, addr, page, npages, vma, 1 as n
	from faults
	where "write" and not (via = 'perf' and (select engine from header) <> 'sync')
	union all
	select seq, ts, pid, mm, null, addr, page, npages, vma, npages
	from dirty;

-- Each mapping as it was last told.
create view mappings as
	select id, pid, mm, op, kind, name, name_hex, addr, page, npages, prot, off, ino, watch,
		why, build_id, coalesce(nullif(name, ''), kind) as label
	from (select *, row_number() over (partition by id order by seq desc) as latest
		from records where ev = 'vma') as told
	where latest = 1;

create view threads as
	select pid, tid, comm
	from (select *, row_number() over (partition by pid, tid order by seq desc) as latest
		from records where ev = 'thread') as told
	where latest = 1;

-- attach, fork, exec, exit, in order.
create view processes as
	select seq, ts, ev, pid, mm, comm, exe, ppid, image_pid, child, child_mm, followed, new_mm,
		code, signal
	from records where ev in ('attach', 'fork', 'exec', 'exit');

create view arms as
	select seq, ts, ts0, pid, mm, addr, page, npages, mode
	from records where ev = 'arm';

-- remap, remove, unmap
create view layout as
	select seq, ts, ts0, ev, pid, mm, addr, page, npages, new_addr, new_page
	from records where ev in ('remap', 'remove', 'unmap');

-- Without a span it is the whole address space.
create view gaps as
	select seq, ts, ts0, ts - ts0 as ns, pid, mm, addr, page, npages, reason
	from records where ev = 'gap';

create view losses as
	select seq, ts, reason, n, faults
	from records where ev = 'lost';

create view stats as
	select seq, ts, final, faults, writes, lost, repeats, lat_p50_ns, lat_p99_ns, stop_p99_ns,
		dirty_pages, distinct_pages, unwitnessed, slowdown_ppm, rss_kb
	from records where ev = 'stats';

create view budgets as
	select seq, ts, ts0, pid, mm, budget_ppm, slowdown_ppm, epoch_ns, cold_every, resting, sync
	from records where ev = 'budget';

create view errors as
	select seq, ts, pid, mm, what, errno, msg
	from records where ev = 'error';

-- Who wrote how much where.
create view writes_by_mapping as
	select m.label, m.kind, sum(w.n) as writes, min(w.ts) as first_ts, max(w.ts) as last_ts
	from writes as w left join mappings as m on m.id = w.vma
	group by m.label, m.kind
	order by writes desc;

create view writes_by_thread as
	select f.pid, f.tid, t.comm, count(*) as writes
	from faults as f left join threads as t on t.pid = f.pid and t.tid = f.tid
	where f."write"
	group by f.pid, f.tid, t.comm
	order by writes desc;

-- Pages one by one: of a trace with large spans this takes its time.
create view hot_pages as
	with recursive single (mm, page, final) as (
		select mm, page, page + n - 1 from writes
		union all
		select mm, page + 1, final from single where page < final
	)
	select mm, page, count(*) as writes
	from single
	group by mm, page
	order by writes desc, mm, page;
