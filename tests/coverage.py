# SPDX-License-Identifier: MIT
"""
Lines that the tests reach, by room, of what `llvm-cov export -format=lcov` gives.

	python3 tests/coverage.py FOLDER	that holds lines.info

The rooms are those of ARCHITECTURE.md: a file belongs to the longest name in its folder that
its own name is, or begins with and goes on with a dash.  Pure is what has a * behind it.
Lines without a word, such as a brace, are not counted.

Leaves rooms.txt (all rooms) and missed.txt (FILE:LINE: text) in FOLDER.  Fails below the
percentages of WANTED.
"""
import collections
import os
import re
import sys

WANTED = {'pure rooms': 90, 'all': 80}
FOLDERS = ('inject', 'monitor', 'monitor/watch', 'monitor/trace', 'monitor/restore',
           'monitor/report')


def rooms():
    """{folder: {name: pure?}}, from the table."""
    ret = {f: {} for f in FOLDERS}
    folder = None
    for line in open('ARCHITECTURE.md', encoding='utf-8'):
        if not line.startswith('| '):
            continue
        cell = line.split('|')[1]
        top = re.match(r' `([a-z/]+)/`', cell)
        if top:
            folder = top.group(1)
            continue
        for words, star in re.findall(r'`([^`]+)`(\*?)', cell):
            for name in words.split():
                if folder in ret:
                    ret[folder][name.rstrip('*').rstrip('-')] = star == '*'
    return ret


def room_of(path, table):
    folder, base = os.path.split(path)
    base = os.path.splitext(base)[0]
    while base:
        if base in table.get(folder, {}):
            return folder + '/' + base, table[folder][base]
        base = base.rpartition('-')[0]
    return folder + '/?', False


def lines_of(info):
    """{path: {line: reached?}}, of our own files."""
    here = os.getcwd() + '/'
    ret = collections.defaultdict(dict)
    path = None
    for row in open(info, encoding='utf-8'):
        key, _, value = row.rstrip('\n').partition(':')
        if key == 'SF':
            path = value[len(here):] if value.startswith(here) else value
        elif key == 'DA' and path.startswith(('inject/', 'monitor/')):
            line, count = value.split(',')[:2]
            ret[path][int(line)] = ret[path].get(int(line), False) or int(count) > 0
    return ret


def percent(pair):
    return 100.0 * pair[0] / pair[1] if pair[1] else 100.0


def main(folder):
    table = rooms()
    sums = collections.defaultdict(lambda: [0, 0])
    pure_rooms = set()
    with open(folder + '/missed.txt', 'w', encoding='utf-8') as missed:
        for path, lines in sorted(lines_of(folder + '/lines.info').items()):
            text = open(path, encoding='utf-8').read().split('\n')
            room, pure = room_of(path, table)
            if pure:
                pure_rooms.add(room)
            kinds = [room, os.path.dirname(path) + '/', 'all'] + (['pure rooms'] if pure else [])
            for line, reached in sorted(lines.items()):
                if not re.search(r'^\s*[^#]*\w', text[line - 1]):
                    continue
                for kind in kinds:
                    sums[kind][0] += reached
                    sums[kind][1] += 1
                if not reached:
                    print(f'{path}:{line}: {text[line - 1].strip()}', file=missed)

    row = '{:<42} {:>6} of {:>6} lines {:>6.1f} %'.format
    with open(folder + '/rooms.txt', 'w', encoding='utf-8') as out:
        for kind in sorted(sums):
            mark = '*' if kind in pure_rooms else ''
            print(row(kind + mark, *sums[kind], percent(sums[kind])), file=out)
    for kind in sorted(pure_rooms, key=lambda k: (os.path.dirname(k), k)):
        print(row(kind + '*', *sums[kind], percent(sums[kind])))
    for kind in [f + '/' for f in FOLDERS] + ['pure rooms', 'all']:
        print(row(kind, *sums[kind], percent(sums[kind])))
    print(f'every room: {folder}/rooms.txt; what was not reached: {folder}/missed.txt')
    low = [k for k, least in WANTED.items() if percent(sums[k]) < least]
    for kind in low:
        print(f'coverage: {kind}: {WANTED[kind]} % are wanted')
    return 1 if low else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
