# SPDX-License-Identifier: MIT
"""Lazy restores, CRIU's daemon and ours in turns on the same images: tests/restore.

Two things are measured of each: how long it takes from the first instruction after the
restore until every page is there, while the process sleeps; and how long a touch takes
that had to wait for its page, while the process touches every page once, in no order.
A touch of more than 5 us counts as one that had to wait.  `bare` is what the kernel takes
for the same where nothing is kept account of: nobody can be quicker on this machine.

Then both again with the pages at a server on this machine: CRIU's is the checkpoint itself,
held after `dump --lazy-pages`, ours a page-server on the images.
"""
import contextlib
import os
import shutil
import struct
import subprocess
import time

from harness import Broken, children, figure, rounds, turned

SRC = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SIZES = [int(mib) for mib in os.environ.get("MIB", "256 1024").split()]
SLOW = 5000	# ns
PATIENCE = 120
PORT = 20000 + os.getpid() % 10000
PIPE_MAX = "/proc/sys/fs/pipe-max-size"


def poll(seconds, what, done):
    until = time.monotonic() + seconds
    while not (found := done()):
        if time.monotonic() > until:
            raise Broken(f"{what} after {seconds} s")
        time.sleep(0.001)
    return found


def tail(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read().strip()[-300:]
    except OSError:
        return ""


class Rig:
    """What tests/restore/rig.sh is for the shell."""

    def __init__(self, bench):
        self.bench = bench
        self.criu = os.environ.get("CRIU") or os.path.join(bench.out, "criu", "criu")
        self.known = os.path.join(bench.out, "tests", "restore", "known")
        self.work = bench.scratch("restore")
        self.env = {**os.environ, "CRIU": self.criu, "KNOWN": self.known}
        os.makedirs(self.work, exist_ok=True)

    def inside(self, *arguments, **popen):
        """A pid namespace, which ends with the process that this returns."""
        return subprocess.Popen(
            ["unshare", "-p", "-f", "-m", "--kill-child", "--mount-proc", "bash",
             os.path.join(SRC, "tests", "restore", "inside.sh"), *arguments],
            env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, **popen)

    def ask(self, control, *words):
        p = subprocess.run([self.known, control, *words], capture_output=True, text=True,
                           timeout=PATIENCE + 30, check=False)
        if p.returncode:
            raise Broken(f"known {' '.join(words)}: {p.stderr}{p.stdout}"[:400])
        return p.stdout

    def checkpoint(self, mib):
        folder = os.path.join(self.work, f"plain-{mib}")
        if not os.path.exists(os.path.join(folder, "images", "inventory.img")):
            os.makedirs(folder, exist_ok=True)
            if self.inside("dump", folder, "plain", str(mib)).wait(PATIENCE):
                raise Broken(f"no checkpoint: {tail(folder + '/images/dump.log')}")
        return folder


    @contextlib.contextmanager
    def pages(self, way, mib, remote):
        """A checkpoint, and what the pager must be told of where its pages are."""
        server, folder = None, self.checkpoint(mib)
        listens = os.path.join(self.work, "source")
        options = ("--page-server", "--address", "127.0.0.1", "--port", str(PORT))
        with open(listens, "wb") as status:
            options = (*options, "--status-fd", str(status.fileno()))
            if remote and way == "criu":
                folder = os.path.join(self.work, "held")
                shutil.rmtree(folder, ignore_errors=True)
                os.makedirs(folder)
                server = self.inside("dump", folder, "plain", str(mib), "--lazy-pages",
                                     *options[1:], pass_fds=[status.fileno()])
            elif remote:
                server = subprocess.Popen(
                    [self.bench.pagetap, "page-server", "--images-dir",
                     os.path.join(folder, "images"), *options[1:]],
                    pass_fds=[status.fileno()], stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            if remote:
                poll(60, "no page server", lambda: os.path.getsize(listens))
            yield folder, options[:-2] if remote else ()
        finally:
            if server:
                server.kill()
                server.wait()


@contextlib.contextmanager
def large_pipes():
    """CRIU's source wants pipes of 4 MiB, and does not look whether it got them."""
    with open(PIPE_MAX, encoding="ascii") as f:
        was = f.read()
    try:
        with open(PIPE_MAX, "w", encoding="ascii") as f:
            f.write(str(max(int(was), 4 << 20)))
    except OSError as e:
        raise Broken(f"{PIPE_MAX}: {e.strerror}") from e
    try:
        yield
    finally:
        with open(PIPE_MAX, "w", encoding="ascii") as f:
            f.write(was)


class Restore:
    """One restore: the daemon, CRIU, and the restored process, until it is closed."""

    def __init__(self, rig, way, where, verb):
        folder, self.options = where
        self.way = way
        self.rig, self.folder = rig, folder
        self.run = os.path.join(rig.work, "run")
        self.control = os.path.join(self.run, "seat", "control")
        self.processes = []
        self.where = None
        shutil.rmtree(self.run, ignore_errors=True)
        os.makedirs(os.path.join(self.run, "seat"))
        subprocess.run(["cp", "--sparse=always", os.path.join(folder, "seat", "control"),
                        self.control], check=True)
        self.warm()
        try:
            self.start(rig.criu if way == "criu" else rig.bench.pagetap, verb)
        except BaseException:
            self.close()
            raise

    def warm(self):
        """The kernel may have dropped some of it meanwhile."""
        images = os.path.join(self.folder, "images")
        for name in os.listdir(images):
            if name.startswith("pages-"):
                with open(os.path.join(images, name), "rb", buffering=0) as f:
                    while f.read(1 << 20):
                        pass

    def start(self, program, verb):
        listens = os.path.join(self.run, "listens")
        with open(listens, "wb") as status:
            self.pager = subprocess.Popen(
                [program, "lazy-pages", "--no-default-config", "--log-file", "pager.log",
                 "--images-dir", os.path.join(self.folder, "images"), "--work-dir", self.run,
                 "--status-fd", str(status.fileno()), *self.options],
                pass_fds=[status.fileno()], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.processes.append(self.pager)
        poll(10, "the pager does not listen", lambda: os.path.getsize(listens))
        self.where = [int(word) for word in self.rig.ask(self.control, "where").split()]
        self.rig.ask(self.control, "tell", verb)
        self.processes.append(self.rig.inside("restore", self.folder, self.run, "--lazy-pages"))

    def resumed(self):
        """Waits until the first thing is done; ms from the command to the first instruction,
        and what known(1) says."""
        words = self.rig.ask(self.control, "wait", str(PATIENCE)).split()
        facts = {words[i]: words[i + 1] for i in range(0, len(words) - 1, 2)}
        self.at = int(facts["resumed"])
        begun = int(tail(os.path.join(self.run, "begun")))
        return (self.at - begun) / 1e6, facts

    def filled(self):
        """ms from the first instruction until every page is there.

        One word is looked at, each millisecond: who fills has all CPUs, or should have.
        """
        address, pages = self.where
        # While criu ends its children have no parent that tells of them.
        pid = poll(10, "no restored process",
                   lambda: next((p for p in children(self.processes[-1].pid)
                                 if tail(f"/proc/{p}/comm") == "known"), None))
        with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
            at, until, n = 0, time.monotonic() + PATIENCE, 1
            while at < pages:
                # Bit 63: present.  What is known to be there is not looked at again.
                words = struct.unpack(f"{n}Q", os.pread(pagemap.fileno(), n * 8,
                                                        (address // 4096 + at) * 8))
                there = next((i for i, word in enumerate(words) if not word >> 63), n)
                at += there
                if there < n:
                    n = 1
                    if time.monotonic() > until:
                        raise Broken(f"{pages - at} pages missing")
                    time.sleep(0.001)
                else:
                    n = min(2 * n, 4096, pages - at)
        return (time.time_ns() - self.at) / 1e6

    def ends(self):
        """Waits for the daemon, which must be content; its CPU time in s."""
        poll(PATIENCE, "the pager has not ended",
             lambda: os.waitid(os.P_PID, self.pager.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG))
        _, status, used = os.wait4(self.pager.pid, 0)
        self.pager.returncode = os.waitstatus_to_exitcode(status)
        if status:
            raise Broken(f"the pager ended with {self.pager.returncode}: "
                         + tail(os.path.join(self.run, "pager.log")))
        return used.ru_utime + used.ru_stime

    def close(self):
        for p in reversed(self.processes):
            if p.returncode is None:
                p.kill()
                p.wait()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()
        if kind is Broken:
            logs = "".join(f"\n{name}: {tail(os.path.join(self.run, name))}"
                           for name in ("restore.log", "pager.log", "status"))
            raise Broken(f"{self.way}: {error}{logs}") from error


def idle(rig, way, mib, remote):
    with rig.pages(way, mib, remote) as where, Restore(rig, way, where, "idle") as r:
        resume, _ = r.resumed()
        full = r.filled()
        cpu = r.ends()
        rig.ask(r.control, "tell", "check")
        rig.ask(r.control, "wait", str(PATIENCE))	# every byte
        return {"resume": resume, "all": full, "rate": mib / full * 1000, "cpu": cpu}


def random(rig, way, mib, remote):
    with rig.pages(way, mib, remote) as where, Restore(rig, way, where, "random") as r:
        resume, facts = r.resumed()
        cpu = r.ends()
        touches = [int(ns) for ns in rig.ask(r.control, "touches").split()]
        slow = sorted(ns for ns in touches if ns > SLOW) or [0]
        rig.ask(r.control, "tell", "check")
        rig.ask(r.control, "wait", str(PATIENCE))
        return {"walk resume": resume, "walk": (int(facts["ended"]) - r.at) / 1e6,
                "waits": len(slow), "p50": slow[len(slow) // 2] / 1000,
                "p99": slow[len(slow) * 99 // 100] / 1000, "max": slow[-1] / 1000,
                "walk cpu": cpu}


def bare(bench, rig, mib, remote):
    """What the kernel itself takes for it, when nobody keeps a book: tests/bench/bare-copy.c.

    From afar: nothing fills, everybody stays on his CPU, as many pages come as with ours.
    """
    images = os.path.join(rig.checkpoint(mib), "images")
    pages = max((os.path.join(images, name) for name in os.listdir(images)
                 if name.startswith("pages-")), key=os.path.getsize)

    def ask(what, threads):
        done = subprocess.run([bench.program("bare-copy"), pages, what, str(threads)],
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        if done.returncode:
            raise Broken(f"bare-copy: {done.stderr}")
        return [int(word) for word in done.stdout.split()]

    if remote:
        _, waits, p50, p99, longest = ask("ask", 16)
        return {"waits": waits, "p50": p50 / 1000, "p99": p99 / 1000, "max": longest / 1000}
    cpus = len(os.sched_getaffinity(0))
    _, waits, p50, p99, longest = ask("walk", max(1, cpus - 1))
    return {"all": ask("fill", cpus)[0] / 1e6, "waits": waits, "p50": p50 / 1000,
            "p99": p99 / 1000, "max": longest / 1000}


ROWS = (("resume", "ms", "command to first instruction"),
        ("all", "ms", "then until every page is there, asleep"),
        ("rate", "MiB/s", "that is"),
        ("cpu", "s", "CPU time of the daemon"),
        ("walk", "ms", "every page touched once, in no order"),
        ("waits", "touches", "of these waited"),
        ("p50", "us", "a wait, p50"), ("p99", "us", "a wait, p99"), ("max", "us", "a wait, longest"),
        ("walk cpu", "s", "CPU time of the daemon, walking"))
BARS = (("all", 0.5, "all pages"), ("p50", 0.5, "p50 of a fault"), ("p99", 0.5, "p99 of a fault"),
        ("max", 0.25, "longest fault"), ("resume", 1.0, "time to resume"))
REMOTE_BARS = (("all", 0.5, "all pages"), ("p50", 0.6, "p50 of a fault"))


def measure(bench, rig, ways, mib, remote=False):
    group = f"restore {mib} MiB{' from a server' if remote else ''}"
    values = {(way, key): [] for way in ways for key, _, _ in ROWS}
    for n in rounds(240):
        for way in turned(list(ways), n):
            for what in (idle, random):
                for key, value in what(rig, way, mib, remote).items():
                    values.setdefault((way, key), []).append(value)
        for key, value in bare(bench, rig, mib, remote).items():
            values.setdefault(("bare", key), []).append(value)
    for key, unit, words in ROWS:
        for way in (*ways, "bare"):
            if (way, key) in values:
                bench.add(group, f"{words}: {way}", unit, values[way, key])
    print(f"{group:<44}{'':>12}  {'min - max':>21}{'ratio':>9}")
    for key, unit, words in ROWS:
        base = bench.median(group, f"{words}: {ways[0]}")
        for way in (*ways, "bare"):
            row = next((r for r in bench.rows
                        if r["group"] == group and r["row"] == f"{words}: {way}"), None)
            if not row:
                continue
            ratio = f"{row['median'] / base:.3g}" if base and way != ways[0] else ""
            print(f"  {row['row']:<52}{figure(row['median']):>10} {unit:<8}"
                  f"{figure(row['min'])} - {figure(row['max'])}  {ratio}")
    print(flush=True)
    for key, most, words in REMOTE_BARS if remote else BARS:
        row = next(w for k, _, w in ROWS if k == key)
        ratio = bench.ratio(group, f"{row}: pagetap", f"{row}: criu")
        bench.bar(f"{group}: {words}", f"<= {most} of CRIU's",
                  f"{ratio:.2f}" if ratio else None, ratio and ratio <= most)


def run(bench):
    rig = Rig(bench)
    if not os.access(rig.criu, os.X_OK):
        bench.missing("restore", "lazy restores", "no CRIU: make bench-deps")
        return
    ways = ["criu", "pagetap"]
    if subprocess.run([bench.pagetap, "lazy-pages", "--help"], capture_output=True,
                      check=False).returncode:
        ways.remove("pagetap")
    for mib in SIZES:
        measure(bench, rig, ways, mib)
    if subprocess.run([bench.pagetap, "page-server", "--help"], capture_output=True,
                      check=False).returncode:
        ways = ["criu"]
    with large_pipes():
        measure(bench, rig, ways, SIZES[0], remote=True)
