#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# export-check: are exports what their formats ask for, and do they say what the trace says?
#
#	export-check.py TRACE DIR FORM...
#
# DIR/x.FORM is the export.  What the trace says is worked out here, from its lines.
import collections
import csv
import json
import os
import sys

trace, exports = sys.argv[1:3]
form, text = '', ''
here = os.path.dirname(os.path.abspath(__file__))


def check(good, words):
    if not good:
        sys.exit(f'wrong: {form}: {words}')


records, engine, page_size = [], '', 4096
for line in open(trace, 'rb'):
    r = json.loads(line)
    if r['ev'] == 'header':
        engine, page_size = r['engine'], r['page_size']
    else:
        records.append(r)
faults = [r for r in records if r['ev'] == 'fault']
dirty = [r for r in records if r['ev'] == 'dirty']
writes = sum(f['write'] is True for f in faults)
if engine == 'sync':
    written = writes
else:
    written = sum(d['npages'] for d in dirty) + sum(
        f['write'] is True and f['via'] != 'perf' for f in faults)


def chrome():
    top = json.loads(text)
    check(isinstance(top['traceEvents'], list) and top['displayTimeUnit'] in ('ms', 'ns'), 'top')
    named, open_ids, seen = set(), {}, collections.Counter()
    for e in top['traceEvents']:
        where = json.dumps(e)[:200]
        ph = e['ph']
        check(ph in 'XiMCbe', f'phase of {where}')
        check(isinstance(e['pid'], int) and isinstance(e['tid'], int), f'ids of {where}')
        check(isinstance(e['ts'], (int, float)) and e['ts'] >= 0, f'ts of {where}')
        check(isinstance(e['name'], str) and e['name'], f'name of {where}')
        check(isinstance(e.get('args', {}), dict) and isinstance(e['cat'], str), f'args of {where}')
        if ph == 'M':
            check(e['name'] in ('process_name', 'thread_name'), f'metadata {where}')
            check(isinstance(e['args']['name'], str), f'metadata {where}')
            key = (e['name'], e['pid'], e['tid'])
            check(key not in named, f'named twice: {where}')
            named.add(key)
        elif ph == 'X':
            check(isinstance(e['dur'], (int, float)) and e['dur'] >= 0, f'dur of {where}')
        elif ph == 'i':
            check(e['s'] in ('g', 'p', 't'), f'scope of {where}')
        elif ph == 'C':
            check(e['args'] and all(isinstance(v, (int, float)) for v in e['args'].values()),
                  f'counter {where}')
        elif ph == 'b':
            check(isinstance(e['id'], str) and (e['cat'], e['id']) not in open_ids, f'id of {where}')
            open_ids[e['cat'], e['id']] = e['ts']
        elif ph == 'e':
            begun = open_ids.pop((e['cat'], e['id']), None)
            check(begun is not None and begun <= e['ts'], f'end of {where}')
        if e['cat'] == 'fault':
            check(('thread_name', e['pid'], e['tid']) in named, f'no name before {where}')
        seen[ph, e['cat']] += 1
    check(not open_ids, 'a gap has no end')
    waited = sum(f['via'] == 'uffd' for f in faults)
    check(seen['X', 'fault'] == waited, f"{seen['X', 'fault']} slices, {waited} faults by uffd")
    check(seen['i', 'fault'] == len(faults) - waited, 'points')
    check(seen['b', 'gap'] == sum(r['ev'] == 'gap' for r in records), 'gaps')


def folded():
    total = 0
    for line in text.splitlines():
        stack, count = line.rsplit(' ', 1)
        check(stack and all(stack.split(';')) and int(count) > 0, f'line {line!r}')
        total += int(count)
    wanted = writes or sum(d['npages'] for d in dirty)
    check(total == wanted, f'the counts are {total}, the writes {wanted}')


def speedscope():
    import jsonschema
    schema = json.load(open(here + '/../../third_party/speedscope/file-format-schema.json'))
    top = json.loads(text)
    jsonschema.Draft7Validator(schema).validate(top)
    total, frames = 0, top['shared']['frames']
    for p in top['profiles']:
        check(len(p['samples']) == len(p['weights']), 'as many weights as samples')
        check(all(0 <= i < len(frames) for s in p['samples'] for i in s), 'frames')
        check(p['endValue'] == sum(p['weights']), 'endValue')
        total += sum(p['weights'])
    wanted = writes or sum(d['npages'] for d in dirty)
    check(total == wanted, f'the weights are {total}, the writes {wanted}')


def table():
    check(text.endswith('\r\n') and '\n' not in text.replace('\r\n', ''), 'ends of lines')
    rows = list(csv.DictReader(text.split('\r\n')[:-1], strict=True))
    wanted = [r for r in records if r['ev'] != 'stack']
    check(len(rows) == len(wanted), f'{len(rows)} rows, {len(wanted)} records')
    for row, r in zip(rows, wanted):
        check(None not in row and None not in row.values(), f'fields of {row}')
        check(int(row['seq']) == r['seq'] and row['ev'] == r['ev'], f'order at {row}')
        for key in ('pid', 'mm', 'tid', 'page', 'npages', 'stack', 'epoch'):
            if r['ev'] != 'stack' and isinstance(r.get(key), int):
                check(int(row[key] or 0) == r[key], f'{key} of {row}')
        if r['ev'] == 'fault':
            write = {True: '1', False: '0', None: ''}[r['write']]
            check(row['write'] == write and row['addr'] == r['addr'], f'fault {row}')
            check(row['ip'] == r.get('ip', '') and row['kind'] == r['kind'], f'fault {row}')
        for field in row.values():
            check(field[:1] not in '=+-@' or not field or field.lstrip('-').isdigit(),
                  f'a formula: {field!r}')


def openmetrics():
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
    sums = collections.Counter()
    for family in text_string_to_metric_families(text):
        for s in family.samples:
            sums[s.name] += s.value
    check(sums['pagetap_faults_total'] == len(faults), 'faults')
    check(sums['pagetap_written_pages_total'] == written,
          f"{sums['pagetap_written_pages_total']} pages, not {written}")
    check(sums['pagetap_thread_writes_total'] == writes, 'writes by thread')
    check(sums['pagetap_gaps_total'] == sum(r['ev'] == 'gap' for r in records), 'gaps')
    check(sums['pagetap_lost_records_total'] == sum(
        r['n'] or 0 for r in records if r['ev'] == 'lost'), 'lost')
    waited = [f for f in faults if f['lat_ns'] is not None]
    check(sums['pagetap_answer_seconds_count'] == len(waited), 'answers')
    check(abs(sums['pagetap_answer_seconds_sum'] - sum(f['lat_ns'] for f in waited) / 1e9) < 1e-6,
          'sum of answers')


def pages():
    pid_of, seen, order = {}, set(), []
    for r in records:
        pid = pid_of.get(r['mm'], r['pid'])
        if r['ev'] == 'attach':
            pid_of.setdefault(r['mm'], r.get('image_pid') or r['pid'])
        elif r['ev'] == 'fork' and r['child_mm']:
            pid_of.setdefault(r['child_mm'], r['child'] or pid)
        elif r['ev'] == 'exec' and r['new_mm']:
            pid_of.setdefault(r['new_mm'], pid)
        elif r['ev'] in ('fault', 'dirty'):
            n = r['npages']
            first = r['page'] // n * n if r['ev'] == 'fault' and n & (n - 1) == 0 else r['page']
            for page in range(first, first + n):
                if pid > 0 and (pid, page) not in seen:
                    seen.add((pid, page))
                    order.append((pid, page))
    lines = text.splitlines()
    check(lines[0] == f'# pagetap.pages/1 page_size={page_size}', 'line 1')
    told = []
    for line in lines[1:]:
        if not line.startswith('child '):
            pid, addr, n = line.split()
            told += [(int(pid), int(addr, 16) // page_size + i) for i in range(int(n))]
    check(told == order, f'{len(told)} pages, {len(order)} touched, or another order')


checks = {'chrome': chrome, 'folded': folded, 'speedscope': speedscope, 'csv': table,
          'openmetrics': openmetrics, 'pages': pages}
for form in sys.argv[3:]:
    text = open(f'{exports}/x.{form}', 'rb').read().decode('utf-8')     # or it fails here
    allowed = '\r\n' if form == 'csv' else '\n'
    for c in set(text):
        check(ord(c) >= 0x20 and not 0x7f <= ord(c) < 0xa0 or c in allowed, f'control {c!r}')
    checks[form]()
