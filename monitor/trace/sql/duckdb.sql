-- SPDX-License-Identifier: MIT
--
-- Typed views of a trace, for DuckDB 1.1 or later:
--
--	$ duckdb
--	D set variable trace = 't.ndjson.zst';
--	D .read duckdb.sql
--	D select * from writes_by_mapping;
--
-- What the columns are, pagetap-trace(5) tells.  The file is read for each question; for many
-- questions first `create table trace as from records`, and then use that.

-- A record a row, all keys of all kinds.
create or replace view records as select *
	from read_json(getvariable('trace'), format = 'newline_delimited', columns = {
		ev: 'VARCHAR', seq: 'BIGINT', ts: 'BIGINT', ts0: 'BIGINT', pid: 'BIGINT',
		mm: 'BIGINT', tid: 'BIGINT', ns_tid: 'BIGINT', kind: 'VARCHAR',
		write: 'BOOLEAN', addr: 'VARCHAR', page: 'BIGINT', npages: 'BIGINT',
		vma: 'BIGINT', act: 'VARCHAR', via: 'VARCHAR', src: 'VARCHAR',
		lat_ns: 'BIGINT', stop_ns: 'BIGINT', ip: 'VARCHAR', stack: 'BIGINT',
		epoch: 'BIGINT', id: 'BIGINT', op: 'VARCHAR', prot: 'VARCHAR',
		name: 'VARCHAR', name_hex: 'VARCHAR', off: 'BIGINT', ino: 'BIGINT',
		watch: 'BOOLEAN', why: 'VARCHAR', build_id: 'VARCHAR', comm: 'VARCHAR',
		exe: 'VARCHAR', ppid: 'BIGINT', image_pid: 'BIGINT', threads: 'BIGINT',
		vmas: 'BIGINT', mode: 'VARCHAR', child: 'BIGINT', child_mm: 'BIGINT',
		followed: 'BOOLEAN', new_mm: 'BIGINT', code: 'BIGINT', signal: 'BIGINT',
		new_addr: 'VARCHAR', new_page: 'BIGINT', reason: 'VARCHAR', n: 'BIGINT',
		faults: 'BIGINT', what: 'VARCHAR', errno: 'BIGINT', msg: 'VARCHAR',
		clean: 'BOOLEAN', final: 'BOOLEAN', writes: 'BIGINT', lost: 'BIGINT',
		repeats: 'BIGINT', lat_p50_ns: 'BIGINT', lat_p99_ns: 'BIGINT',
		stop_p99_ns: 'BIGINT', dirty_pages: 'BIGINT', distinct_pages: 'BIGINT',
		unwitnessed: 'BIGINT', slowdown_ppm: 'BIGINT', rss_kb: 'BIGINT',
		budget_ppm: 'BIGINT', epoch_ns: 'BIGINT', cold_every: 'BIGINT',
		resting: 'BOOLEAN', sync: 'BOOLEAN', engine: 'VARCHAR',
		page_size: 'BIGINT', granularity: 'BIGINT', host: 'VARCHAR',
		kernel: 'VARCHAR', version: 'VARCHAR', base_real: 'VARCHAR',
		base_mono_ns: 'BIGINT'
	});

create or replace view frames as
	select id as stack, unnest(range(len(frames))) as depth, unnest(frames) as addr
	from read_json(getvariable('trace'), format = 'newline_delimited',
		columns = { ev: 'VARCHAR', id: 'BIGINT', frames: 'VARCHAR[]' })
	where ev = 'stack';
