#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# who-check: are the writes that penmen says it made those of the trace?
#
#	who-check.py TRACE SAYS PROGRAM EPOCH_MS
#
# Each write must be told once an epoch with its thread, its address, an instruction and
# a chain that leads through the function that was on the stack; nothing else may be.
import bisect
import json
import subprocess
import sys

trace, says, program, epoch = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]) * 10 ** 6
PAGE = 4096
problems = []


def wrong(text):
    if len(problems) < 8:
        print('wrong:', text)
    problems.append(text)


writes, area = [], []
for line in open(says):
    word = line.split()
    if word[0] == 'ready':
        value = dict(w.split('=') for w in word[1:])
        size = int(value['pages']) * PAGE
        area = [(int(value[k], 16), int(value[k], 16) + size) for k in ('memory', 'shared')]
    elif word[0] == 'wrote':
        writes.append((int(word[1]), int(word[2], 16), word[3], int(word[4]), int(word[5])))

symbols = {}
for line in subprocess.run(['nm', '-S', program], capture_output=True, text=True).stdout.splitlines():
    word = line.split()
    if len(word) == 4:
        symbols[word[3]] = int(word[0], 16), int(word[1], 16)

names = {}
base, stacks, faults, code, text, base_ns = None, {}, [], None, [], 0
for line in open(trace):
    r = json.loads(line)
    if r['ev'] == 'header':
        base_ns = r['base_mono_ns']
    elif r['ev'] == 'stack':
        stacks[r['id']] = [int(f, 16) for f in r['frames']]
    elif r['ev'] == 'vma' and 'x' in r['prot']:
        lo = int(r['addr'], 16)
        text.append((lo, lo + r['npages'] * PAGE))
        if r['name'].endswith('/penmen'):
            # The linker puts code where it stands in the file, as readelf -l shows.
            base, code = lo - r['off'], r
    elif r['ev'] == 'thread':
        names[r['tid']] = r['comm']
    elif r['ev'] == 'fault':
        r['comm'] = names.get(r['tid'])
        a = int(r['addr'], 16)
        if any(lo <= a < hi for lo, hi in area):
            faults.append((a, r))

build = subprocess.run(['readelf', '-n', program], capture_output=True, text=True).stdout
if code is None or ('Build ID: ' in build and code.get('build_id', '?') not in build):
    wrong('no build id of the program')

by_page = {}
for a, r in faults:
    by_page.setdefault(a // PAGE, []).append((r['ts0'] + base_ns, a, r))
for v in by_page.values():
    v.sort(key=lambda f: f[0])

told = early = 0
for tid, addr, name, t0, t1 in writes:
    v = by_page.get(addr // PAGE, [])
    i = bisect.bisect_left([f[0] for f in v], t0)
    if i == len(v) or v[i][0] > t1:
        wrong(f'the write of {addr:#x} by {name} is not told')
        continue
    told += 1
    _, a, r = v.pop(i)
    if r['tid'] != tid or not r['write']:
        wrong(f'{addr:#x} by {name}: thread {r["tid"]}, write {r["write"]}, it was thread {tid}')
    # The first ones of a thread may be told before the word of its name has come.
    early += r['comm'] == 'penmen'
    if r['comm'] not in (name, 'penmen'):
        wrong(f'{addr:#x} by {name}: thread {tid} is called {r["comm"]}')
    if a != addr:
        wrong(f'{addr:#x} by {name}: told at {a:#x}')
    frames = stacks.get(r.get('stack'), [])
    lo, size = symbols[f'hand_{name}']
    lo += base or 0
    if name == 'stray':
        if frames[1:]:
            wrong(f'{addr:#x}: a chain that leads astray {[hex(f) for f in frames]}')
    elif not any(lo < f <= lo + size for f in frames):
        wrong(f'{addr:#x} by {name}: hand_{name} is not in its chain {[hex(f) for f in frames]}')
    if not frames or frames[0] != int(r.get('ip', '0'), 16):
        wrong(f'{addr:#x} by {name}: its chain does not begin with its instruction')
    lo, size = symbols[f'pen_{name}']
    lo += base or 0
    if name != 'call' and not lo <= int(r.get('ip', '0'), 16) < lo + size and name != 'copy':
        wrong(f'{addr:#x} by {name}: written by {r.get("ip")}')

for frames in stacks.values():
    for f in frames[1:]:
        if not any(lo < f <= hi for lo, hi in text):
            wrong(f'{f:#x} is not in code {[hex(f) for f in frames]}')

if early > told / 10:
    wrong(f'{early} of {told} are told without the name of their thread')
rest = sum(len(v) for v in by_page.values())
if rest:
    wrong(f'{rest} faults of what nobody wrote')
print(f'{len(writes)} writes, {told} told, {len(stacks)} stacks, {len(problems)} problems')
sys.exit(bool(problems) or not writes)
