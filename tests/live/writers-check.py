#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# writers-check: is the function that a report names the one that nm(1) has there?
#
#	writers-check.py TRACE REPORT MODULE
#
# MODULE is a file without debug information: of each write in it, the function is worked out
# here from its table of dynamic names and its program headers, and the sums compared.
import bisect
import collections
import json
import subprocess
import sys

trace, report, module = sys.argv[1:4]


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def table(path):
    """[(begin, end, names)] and [(offset, filesize, address)] of a file."""
    names = collections.defaultdict(set)
    for line in run('nm', '-D', '-S', '--defined-only', path).splitlines():
        word = line.split()
        if len(word) == 4 and word[2] in 'TtWwi':
            names[int(word[0], 16), int(word[0], 16) + int(word[1], 16)].add(word[3].split('@')[0])
    loads = []
    for line in run('readelf', '-lW', path).splitlines():
        word = line.split()
        if word[:1] == ['LOAD']:
            loads.append((int(word[1], 16), int(word[4], 16), int(word[2], 16)))
    return sorted((lo, hi, n) for (lo, hi), n in names.items()), loads


code, tables, wanted, all_writes = {}, {}, collections.Counter(), 0
for line in open(trace):
    r = json.loads(line)
    if r['ev'] == 'vma' and 'x' in r['prot']:
        code[r['id']] = r
    elif r['ev'] == 'fault' and r['write'] and 'ip' in r:
        all_writes += 1
        ip = int(r['ip'], 16)
        for v in code.values():
            lo = int(v['addr'], 16)
            if lo <= ip < lo + v['npages'] * 4096 and v['name'].split('/')[-1] == module:
                break
        else:
            continue
        path, offset = v['name'], ip - lo + v['off']
        if path not in tables:
            tables[path] = table(path)
        names, loads = tables[path]
        address = next(a + offset - o for o, size, a in loads if o <= offset < o + size)
        i = bisect.bisect(names, (address, 1 << 62)) - 1
        inside = [n for n in names[max(i - 15, 0):i + 1] if n[0] <= address < n[1]]
        wanted[frozenset(inside[-1][2]) if inside else frozenset([module])] += 1

told = {f['name']: f['writes'] for f in json.load(open(report))['functions']
        if f['module'] == module and f['writes']}
total = sum(wanted.values())
named = sum(n for names, n in wanted.items() if names != frozenset([module]))
print(f'{all_writes} writes, {total} of them by {module}, {named} in functions with a name, '
      f'{len(told)} functions')
for names, n in wanted.items():
    got = sum(told.get(name, 0) for name in names)
    if abs(got - n) * 100 > total:
        sys.exit(f'wrong: {"/".join(sorted(names))} wrote {n}, the report says {got}')
if sum(told.values()) != total:
    sys.exit(f'wrong: {total} writes, the report says {sum(told.values())}')
if not named:
    sys.exit('wrong: nothing has a name')
