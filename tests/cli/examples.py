#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# examples: the commands of the EXAMPLES of a manual page, and of a text in Markdown, a line
# each: PAGE, a tab, the command as it stands there.
#
#	examples.py FILE...
#
# A command begins with "$ "; it goes on in the next line after "|" or "\".  What stands
# below it is what it prints.  After "&" the next command is part of it, and so is what
# needs the daemon that -d has left.

import re
import sys


def mdoc(text):
    """The literal lines of section EXAMPLES, as mandoc(1) would show them."""
    inside = literal = False
    for line in text.splitlines():
        if line.startswith('.Sh '):
            inside = line == '.Sh EXAMPLES'
        elif not inside:
            continue
        elif line.startswith('.Bd -literal'):
            literal = True
        elif line.startswith('.Ed'):
            literal = False
            yield None
        elif line.startswith('.Dl '):
            yield plain(line[4:])
        elif literal and not line.startswith('.\\"'):
            yield plain(line)


def plain(line):
    for escape, char in (('\\(dq', '"'), ('\\-', '-'), ('\\e', '\\'), ('\\(aq', "'"), ('\\&', '')):
        line = line.replace(escape, char)
    return line


def markdown(text):
    inside = False
    for line in text.splitlines():
        if line.startswith('```'):
            inside = line == '```console'
            yield None
        elif inside:
            yield line


def commands(lines):
    begun = ''          # by commands that are still running
    held = None
    for line in lines:
        if line is None:
            if begun:
                yield begun.strip()
            begun = ''
            continue
        if held is not None:
            held += ' ' + line.strip()
        elif line.startswith('$ '):
            # A remark for the reader goes.
            held = re.sub(r'\s+# .*$', '', line[2:]).strip()
        if held is None:
            continue
        if held.endswith('\\'):
            held = held[:-1].strip()
        elif held.endswith('&') or ' -d --pidfile ' in held:
            begun += held + (' ' if held.endswith('&') else '; ')
            held = None
        elif not held.endswith('|'):
            yield begun + held
            begun, held = '', None


for path in sys.argv[1:]:
    with open(path, encoding='utf-8') as f:
        read = mdoc if re.search(r'\.[1-9]$', path) else markdown
        for command in commands(read(f.read())):
            print(path.rsplit('/', 1)[-1], command, sep='\t')
