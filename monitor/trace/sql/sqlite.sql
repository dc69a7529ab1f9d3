-- SPDX-License-Identifier: MIT
--
-- Typed views of a trace, for sqlite3 3.38 or later:
--
--	$ sqlite3 t.db
--	sqlite> create table trace (line text);
--	sqlite> .mode ascii
--	sqlite> .separator "\037" "\n"
--	sqlite> .import t.ndjson trace
--	sqlite> .read sqlite.sql
--	sqlite> .mode box
--	sqlite> select * from writes_by_mapping;
--
-- What the columns are, pagetap-trace(5) tells; booleans are 1 and 0.

-- A record a row, all keys of all kinds.
create view records as select
	line->>'ev' as ev, line->>'seq' as seq, line->>'ts' as ts, line->>'ts0' as ts0,
	line->>'pid' as pid, line->>'mm' as mm, line->>'tid' as tid,
	line->>'ns_tid' as ns_tid, line->>'kind' as kind, line->>'write' as "write",
	line->>'addr' as addr, line->>'page' as page, line->>'npages' as npages,
	line->>'vma' as vma, line->>'act' as act, line->>'via' as via, line->>'src' as src,
	line->>'lat_ns' as lat_ns, line->>'stop_ns' as stop_ns, line->>'ip' as ip,
	line->>'stack' as stack, line->>'epoch' as epoch, line->>'id' as id,
	line->>'op' as op, line->>'prot' as prot, line->>'name' as name,
	line->>'name_hex' as name_hex, line->>'off' as off, line->>'ino' as ino,
	line->>'watch' as watch, line->>'why' as why, line->>'build_id' as build_id,
	line->>'comm' as comm, line->>'exe' as exe, line->>'ppid' as ppid,
	line->>'image_pid' as image_pid, line->>'threads' as threads,
	line->>'vmas' as vmas, line->>'mode' as mode, line->>'child' as child,
	line->>'child_mm' as child_mm, line->>'followed' as followed,
	line->>'new_mm' as new_mm, line->>'code' as code, line->>'signal' as signal,
	line->>'new_addr' as new_addr, line->>'new_page' as new_page,
	line->>'reason' as reason, line->>'n' as n, line->>'faults' as faults,
	line->>'what' as what, line->>'errno' as errno, line->>'msg' as msg,
	line->>'clean' as clean, line->>'final' as final, line->>'writes' as writes,
	line->>'lost' as lost, line->>'repeats' as repeats,
	line->>'lat_p50_ns' as lat_p50_ns, line->>'lat_p99_ns' as lat_p99_ns,
	line->>'stop_p99_ns' as stop_p99_ns, line->>'dirty_pages' as dirty_pages,
	line->>'distinct_pages' as distinct_pages, line->>'unwitnessed' as unwitnessed,
	line->>'slowdown_ppm' as slowdown_ppm, line->>'rss_kb' as rss_kb,
	line->>'budget_ppm' as budget_ppm, line->>'epoch_ns' as epoch_ns,
	line->>'cold_every' as cold_every, line->>'resting' as resting,
	line->>'sync' as sync, line->>'engine' as engine, line->>'page_size' as page_size,
	line->>'granularity' as granularity, line->>'host' as host,
	line->>'kernel' as kernel, line->>'version' as version,
	line->>'base_real' as base_real, line->>'base_mono_ns' as base_mono_ns
	from trace;

create view frames as
	select line->>'id' as stack, key as depth, value as addr
	from trace, json_each(line, '$.frames')
	where line->>'ev' = 'stack';
