#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What zsh completes: types a line and two tabs at a terminal of its own.

    ask-zsh.py DIRECTORY LINE WORD

DIRECTORY holds _pagetap.  Prints what zsh shows until it has shown WORD; at most 30 s.
"""
import os
import pty
import select
import sys
import tempfile
import time

directory, line, word = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3]


def read_until(fd, mark, seconds):
    seen, end = b"", time.monotonic() + seconds
    while mark not in seen and time.monotonic() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                seen += os.read(fd, 4096)
            except OSError:
                break
    return seen


with tempfile.TemporaryDirectory() as home:
    env = {"HOME": home, "ZDOTDIR": home, "TERM": "dumb", "PATH": os.environ["PATH"],
           "LC_ALL": "C", "COLUMNS": "200", "LINES": "100"}
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe("zsh", ["zsh", "-f", "-i"], env)
    try:
        os.write(fd, f"PS1='ready>'; LISTMAX=10000; fpath=({directory} $fpath); autoload -U "
                     f"compinit; compinit -u -d {home}/dump\n".encode())
        # Once as typed, once as a prompt.
        read_until(fd, b"\nready>", 15) or sys.exit("no prompt")
        os.write(fd, line.encode() + b"\t\t")
        print(read_until(fd, word.encode(), 15).decode(errors="replace"))
    finally:
        os.close(fd)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
