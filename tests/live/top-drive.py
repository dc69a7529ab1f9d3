#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""top-drive: pagetap top in a terminal of our own, looked at as a person would.

    top-drive.py CASE PAGETAP PID [ARGUMENT...]

The terminal is a pty whose other end a VT interpreter (pyte) reads.  Says nothing and
exits 0 if all is as it should be.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

import pyte


class Terminal:
    def __init__(self, argv, rows=30, columns=110, term="xterm-256color", shell=False):
        self.master, slave = pty.openpty()
        self.slave = slave
        self.term = term
        self.raw = b""
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.size(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.pid = os.fork()
        if not self.pid:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for fd in 0, 1, 2:
                os.dup2(slave, fd)
            os.closerange(3, 64)
            os.environ.update(TERM=term, LC_ALL="C.UTF-8", PS1="$ ", ENV="")
            os.environ.pop("NO_COLOR", None)
            os.execvp(argv[0], argv)

    def size(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def read(self, seconds=0.0):
        end = time.monotonic() + seconds
        while True:
            left = max(0.0, end - time.monotonic())
            if not select.select([self.master], [], [], left)[0]:
                return
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            self.raw += data
            # pyte 0.8 knows no private parameters of SGR.
            self.stream.feed(re.sub(rb"\x1b\[>[0-9;]*m", b"", data))

    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def until(self, what, seconds=15.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(0.05)
            found = what(self.text()) if callable(what) else re.search(what, self.text(), re.M)
            if found:
                return found
        fail(f"not seen: {what}\n{self.text()}")

    def press(self, keys):
        os.write(self.master, keys.encode())

    def end(self, seconds=15.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(0.02)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.read(0.1)
                return status
        fail(f"has not ended\n{self.text()}")

    # As it was: the modes, the other screen left, the cursor there, colours off.
    def restored(self):
        if termios.tcgetattr(self.slave) != self.before:
            fail(f"modes {termios.tcgetattr(self.slave)} are not {self.before}")
        on, off = self.raw.rfind(b"\x1b[?1049h"), self.raw.rfind(b"\x1b[?1049l")
        if (self.term.startswith("xterm") and on < 0) or off < on:
            fail(f"the other screen was not left: {self.raw[-200:]}")
        if self.raw.rfind(b"\x1b[?25h") < self.raw.rfind(b"\x1b[?25l"):
            fail("the cursor is not there")


def fail(words):
    print(words)
    sys.exit(1)


HEAD = r"^ +PAGES/S +SIZE/S +% +PAGES  LAST [0-9.]+ [a-z]+ +MAPPING$"
TITLES = r"^ +PAGES/S +SIZE/S +% +PAGES  (LAST.*  )?(?:MAPPING|THREAD|CODE)$"
NUMBERS = r"^ +([0-9,]+) +([0-9.]+ (?:bytes|KiB|MiB|GiB)) +([0-9.]+) +([0-9,]+)$"


def number(text):
    return int(text.replace(",", ""))


def rows(text):
    """(rate, size, share, pages, strip, name) of each line of the table."""
    title = re.search(TITLES, text, re.M)
    if not title:
        return []
    strip = text[title.start():].index("PAGES  ") + 7
    name = strip + len(title.group(1) or "")
    found = []
    for line in text.split("\n"):
        m = re.match(NUMBERS, line[:strip].rstrip())
        if m:
            found.append((*m.groups(), line[strip:name], line[name:]))
    return found


def top(pagetap, pid, *more, **kinds):
    return Terminal([pagetap, "top", "-p", pid, *more], **kinds)


def steady(t, name, low, high):
    """A row of that name whose rate lies between, and its share."""
    def seen(text):
        for r in rows(text):
            if r[5].startswith(name) and low <= number(r[0]) <= high:
                return r
        return None
    return t.until(seen)


# epochs writes PAGES pages of a named memory a number of times a second.
def case_columns(pagetap, pid, pages, name):
    t = top(pagetap, pid, "-i", "0.5")
    pages = int(pages)
    t.until(HEAD)
    # Each page once in a collection of half a second.
    r = steady(t, name, pages * 2 * 0.8, pages * 2 * 1.2)
    size = r[1].split()
    unit = {"bytes": 1, "KiB": 1024, "MiB": 1 << 20}[size[1]]
    want = number(r[0]) * 4096
    if abs(float(size[0]) * unit - want) > want * 0.06:
        fail(f"{r[1]} are not {r[0]} pages")
    if not 80 <= float(r[2]) <= 100:
        fail(f"its share is {r[2]}")
    total = number(r[3])
    t.until(lambda text: any(x[5] == r[5] and number(x[3]) >= total + pages for x in rows(text)))
    shares = sum(float(x[2]) for x in rows(t.text()))
    if not 98 <= shares <= 102:
        fail(f"shares add up to {shares}\n{t.text()}")
    t.until(rf"^pagetap top  {pid} \(.*\)  async, every 500 ms")
    t.until(r"^written [0-9,]+ pages/s \([0-9.]+ [KM]iB/s\)   working set [0-9.]+ [KM]iB")
    t.until(r"lost 0 ")
    # 256 colours: the strip is blocks of them.
    if b"\x1b[48;5;" not in t.raw:
        fail("no colours")
    t.press("q")
    if t.end():
        fail(f"status {t.end()}")
    t.restored()
    if f"detached from {pid}" not in t.text():
        fail(f"no last word\n{t.text()}")


def case_keys(pagetap, pid, *_):
    t = top(pagetap, pid, "-i", "0.3", "--who", term="vt100")
    t.until(r"s sort \(rate\)")
    t.until(lambda text: len(rows(text)) > 2)
    # Without colours the strip is characters.
    if not any(set(r[4]) & set(".:-=+*#%@") for r in rows(t.text())):
        fail(f"no strip\n{t.text()}")
    t.press("s")
    t.until(r"s sort \(pages\)")
    t.press("s")
    t.until(r"s sort \(name\)")
    names = [r[5] for r in rows(t.text())]
    if names != sorted(names):
        fail(f"not by name: {names}")
    t.press("s")
    t.until(r"s sort \(rate\)")
    t.press("h")
    t.until("hold the picture")
    t.press("x")
    t.until(HEAD)
    t.press("t")
    t.until(r"  THREAD$")
    t.until(rf"/{pid}\b")
    t.press("w")
    t.until(r"  CODE$")
    t.until(r"\S+ \(\S+\)$")
    t.press("m")
    t.until(HEAD)
    t.press("+")
    t.until(r"every 600 ms")
    t.press("-")
    t.until(r"every 300 ms")
    t.press("-")
    t.read(0.3)
    if "every 300 ms" not in t.text():
        fail("an interval below the epoch")
    t.press(" ")
    t.until(r"  paused$")
    held = rows(t.text())
    t.read(0.8)
    if rows(t.text()) != held:
        fail("paused, and the picture moves")
    t.press(" ")
    t.until(lambda text: "paused" not in text and rows(text) != held)
    t.press("\x0c")
    t.read(0.3)
    t.until(HEAD)
    t.press("q")
    if t.end():
        fail("status")
    t.restored()


def case_resize(pagetap, pid, *_):
    t = top(pagetap, pid, "-i", "0.3")
    t.until(HEAD)
    t.size(12, 70)
    t.until(lambda text: text.split("\n")[-1].startswith("q quit"))
    # What has no room goes: the words over the strip first, then the strip.
    t.until(r"^ +PAGES/S +SIZE/S +% +PAGES  LAST +MAPPING$")
    t.size(12, 60)
    t.until(r"^ +PAGES/S +SIZE/S +% +PAGES  MAPPING$")
    for rows_, columns in (3, 20), (1, 1), (50, 200):
        t.size(rows_, columns)
        t.read(0.4)
    t.until(HEAD)
    t.until(lambda text: len(rows(text)) > 2 and text.split("\n")[49].startswith("q quit"))
    # More than fits is scrolled.
    t.size(9, 110)
    t.until(lambda text: len(rows(text)) == 3)
    t.press("s")
    t.press("s")
    t.until(r"sort \(name\)")
    first = rows(t.text())[0][5]
    t.press("\x1bOB")
    t.until(lambda text: rows(text) and rows(text)[0][5] != first)
    t.press("\x1bOA")
    t.until(lambda text: rows(text) and rows(text)[0][5] == first)
    t.press("q")
    t.end()
    t.restored()


def case_signals(pagetap, pid, *_):
    for sig in signal.SIGTERM, signal.SIGHUP, signal.SIGINT:
        t = top(pagetap, pid, "-i", "0.3")
        t.until(HEAD)
        if sig == signal.SIGINT:
            t.press("\x03")
        else:
            os.kill(t.pid, sig)
        status = t.end()
        if status:
            fail(f"status {status} after {sig}")
        t.restored()


def case_killed_target(pagetap, pid, *_):
    t = top(pagetap, pid, "-i", "0.3")
    t.until(HEAD)
    os.kill(int(pid), signal.SIGKILL)
    if t.end():
        fail("status")
    t.restored()
    if "was killed by SIGKILL" not in t.text():
        fail(t.text())


def case_suspend(pagetap, pid, *_):
    t = Terminal(["bash", "--norc", "-i"])
    t.until(r"\$ ?$")
    t.press(f"{pagetap} top -p {pid} -i 0.3\n")
    t.until(HEAD)
    t.press("\x1a")
    t.until(r"Stopped")
    t.press("stty -a | tr ';' '\\n' | grep -c -e ' icanon' -e ' echo '; echo here\n")
    t.until(r"^here")
    if b"\x1b[?1049l" not in t.raw:
        fail("the other screen was not left")
    drawn = t.raw.count(b"\x1b[?1049h")
    t.press("bg\n")
    t.read(0.7)
    if t.raw.count(b"\x1b[?1049h") != drawn:
        fail("it draws from the background")
    t.press("fg\n")
    t.until(HEAD)
    t.press("q")
    t.until(r"detached from ")
    t.press("exit\n")
    t.end()


def case_hostile(pagetap, pid, *_):
    t = top(pagetap, pid, "-i", "0.3")
    t.until(HEAD)
    t.press("t")
    t.read(1.0)
    t.press("q")
    t.end()
    t.restored()
    # The name has ESC c (reset), OSC, and CSI in C1: none of these came.
    for bad in b"\x1bc", b"\x1b]", b"\x9b", b"\xc2\x9b", b"\x07":
        if bad in t.raw:
            fail(f"{bad} reached the terminal")
    if b"evil" not in t.raw:
        fail("the name was not shown")


if __name__ == "__main__":
    globals()["case_" + sys.argv[1]](*sys.argv[2:])
