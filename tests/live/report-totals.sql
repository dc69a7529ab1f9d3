-- SPDX-License-Identifier: MIT
--
-- What `pagetap report --json --top 0` must say of a trace, computed from its lines by
-- somebody else.  Parameters: :since, :until (ns), :window (ns).  One JSON object a line.
create table t (line text);
.mode ascii
.separator "\037" "\n"
.import t.ndjson t
.mode list

create table header as
  select line->>'engine' as engine, line->>'page_size' as page_size,
         exists (select 1 from json_each(line->'modes') where value = 'write') as writes
    from t where line->>'ev' = 'header';
create table vma as
  select line->>'seq' as seq, line->>'id' as id, line->>'name' as name, line->>'kind' as kind
    from t where line->>'ev' = 'vma' and line->>'op' <> 'gone';
create index vma_ids on vma (id, seq);

create table event as
  select line->>'ev' as ev, line->>'seq' as seq, line->>'ts' as ts, line->>'pid' as pid,
         line->>'mm' as mm, line->>'tid' as tid, line->>'kind' as kind,
         line->>'page' as page, line->>'npages' as npages, line->>'vma' as vma,
         line->>'write' as write, line->>'via' as via, line->>'lat_ns' as lat,
         line->>'stop_ns' as stop, '' as name, 'unknown' as label
    from t
   where line->>'ev' in ('fault', 'dirty')
     and line->>'ts' >= :since and line->>'ts' < :until;
update event set (name, label) = (v.name, v.kind)
  from vma v
 where v.id = event.vma
   and v.seq = (select max(seq) from vma w where w.id = event.vma and w.seq < event.seq);
alter table event add column witness;
update event set witness = ev = 'fault' and via = 'perf' and engine <> 'sync' from header;

-- One row for each page that was written, or, where writes are not watched, touched.
create table mark as
  select e.seq, e.ts, e.mm, e.page, e.name, e.label from event e, header
   where e.ev = 'fault' and (not writes or (write and not witness))
  union all
  select e.seq, e.ts, e.mm, s.value, e.name, e.label
    from event e, generate_series(e.page, e.page + e.npages - 1) s where e.ev = 'dirty';
create table first as
  select mm, page, name, label, min(seq) as seq from mark group by mm, page;

create view counts as
  select label, name,
         sum(ev = 'fault') as faults,
         sum(ev = 'fault' and kind = 'missing') as missing,
         sum(ev = 'fault' and kind = 'wp') as wp,
         sum(ev = 'fault' and kind = 'minor') as minor,
         sum(ev = 'fault' and coalesce(write, 0)) as writes,
         sum(ev = 'fault' and write is null) as unsure,
         sum(ev = 'fault' and witness and coalesce(write, 0)) as witnesses,
         sum(iif(ev = 'dirty', npages, 0)) as dirty,
         sum(iif(ev = 'dirty', npages, coalesce(write, 0) and not witness)) as written
    from event group by label, name;

select json_object('total', json_object(
  'faults', ifnull(sum(faults), 0), 'missing', ifnull(sum(missing), 0),
  'wp', ifnull(sum(wp), 0), 'minor', ifnull(sum(minor), 0),
  'writes', ifnull(sum(writes), 0), 'unsure', ifnull(sum(unsure), 0),
  'witnesses', ifnull(sum(witnesses), 0),
  'dirty', ifnull(sum(dirty), 0), 'written', ifnull(sum(written), 0),
  'pages', (select count(*) from first)))
  from counts;
select json_object('mapping', json_object(
  'kind', label, 'name', name, 'faults', faults, 'missing', missing, 'wp', wp,
  'minor', minor, 'writes', writes, 'unsure', unsure, 'witnesses', witnesses,
  'dirty', dirty, 'written', written,
  'pages', (select count(*) from first f where f.label = counts.label and f.name = counts.name)))
  from counts;
select json_object('thread', json_object(
  'pid', pid, 'tid', tid, 'faults', count(*), 'writes', sum(coalesce(write, 0)),
  'unsure', sum(write is null), 'stop_ns', sum(coalesce(stop, 0))))
  from event where ev = 'fault' group by pid, tid;
select json_object('process', json_object('mm', mm, 'faults', sum(ev = 'fault'),
  'written', sum(iif(ev = 'dirty', npages, coalesce(write, 0) and not witness))))
  from event group by mm;
select json_object('page', json_object('mm', mm, 'page', page, 'written', sum(w), 'faults', sum(f)))
  from (select mm, page, 1 as w, 0 as f from mark
        union all select mm, page, 0, 1 from event where ev = 'fault')
 group by mm, page;
select json_object('window', json_object('i', ts / :window, 'writes', count(*),
  'pages', count(distinct mm || '/' || page)))
  from mark group by ts / :window;
select json_object('octave', json_object('i', s.value, 'latency',
  (select count(*) from event where via = 'uffd' and lat >= iif(s.value, 1 << s.value, 0)
                              and lat < 1 << s.value + 1), 'stop',
  (select count(*) from event where via = 'uffd' and stop >= iif(s.value, 1 << s.value, 0)
                              and stop < 1 << s.value + 1)))
  from generate_series(0, 52) s;
