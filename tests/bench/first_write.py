# SPDX-License-Identifier: MIT
"""What the first write to each page costs, every way taking its turn in each round."""
import os
import subprocess
import tempfile
import time

from harness import Bare, Broken, Pages, Pagetap, Traced, last_cpu, rounds, tool, turned

MIB, NPAGES = 256, 65536	# what is protected
SLOW = 4096			# so many of them are written where each waits for an answer

SYNC = ["--engine", "sync"]
ASYNC = ["--engine", "async"]
WHO = ["--engine", "async", "--who"]


def bare(what, cpu, n):
    def way(bench, pages, _notes):
        with Bare(bench, what, pages, cpu) as b:
            pages.wait_armed()
            ns = pages.each("write", n)
            b.end()
        return ns
    return way


def pagetap(options, cpu, n):
    def way(bench, pages, notes):
        with Pagetap(bench, pages.pid, options, cpu=cpu) as p:
            pages.wait_armed()
            ns = pages.each("write", n)
            notes.append(last_cpu(p.pid))
            p.stop()
        return ns
    return way


def alone(word, n):
    return lambda _bench, pages, _notes: pages.each(word, n)


def traced(bench, pages, _notes):
    with Traced(bench, pages, 0) as t:
        if t.words != ["ready"]:
            raise Broken("not on this architecture")
        ns = pages.each("traced", SLOW)
        if not 0 < int(t.end()[1]) <= SLOW:
            raise Broken("ptrace has not seen the writes")
    return ns


def perf_record(bench, pages, notes):
    """First touches: perf sees no write to a page that is there already."""
    with tempfile.TemporaryDirectory(dir=bench.work) as d:
        data = os.path.join(d, "data")
        with subprocess.Popen(["perf", "record", "-q", "-e", "page-faults", "-c", "1", "-d", "-g",
                               "-p", str(pages.pid), "-o", data], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as p:
            time.sleep(0.7)	# it does not say when it is ready
            try:
                ns = pages.each("touch", NPAGES)
            finally:
                p.terminate()
                p.wait(60)
        notes.append(perf_seen(data))
    return ns


def perf_seen(data):
    """(samples, lost) of a file of `perf record`."""
    text = subprocess.run(["perf", "report", "--stats", "-i", data], capture_output=True,
                          text=True, check=False, stdin=subprocess.DEVNULL, timeout=120).stdout
    # Of the event itself; what was lost is asked of the kernel at the end (PERF_FORMAT_LOST).
    seen = {"SAMPLE": 0, "LOST_SAMPLES": 0}
    for line in text.partition("page-faults stats:")[2].splitlines():
        words_of = line.replace(":", " ").split()
        if len(words_of) >= 3 and words_of[0] in seen:
            seen[words_of[0]] = int(words_of[2])
    return seen["SAMPLE"], seen["LOST_SAMPLES"]


def ways(bench, threads):
    one = threads == 1
    table = [
        ("untraced", alone("write", NPAGES)),
        ("mprotect+SIGSEGV in the process", alone("protect", SLOW)),
    ]
    if one:
        table += [
            ("bare uffd loop, same CPU", bare("sync", 0, SLOW)),
            ("bare uffd loop, other CPU", bare("sync", 1, SLOW)),
        ]
    else:
        table += [("bare uffd loop", bare("sync", -1, SLOW))]
    table += [("pagetap sync", pagetap(SYNC, -1, SLOW))]
    if one:
        table += [
            ("pagetap sync, held on the same CPU", pagetap(SYNC, 0, SLOW)),
            ("pagetap sync, held on the other CPU", pagetap(SYNC, 1, SLOW)),
        ]
    table += [("bare WP_ASYNC", bare("async", -1, NPAGES)),
              ("pagetap async", pagetap(ASYNC, -1, NPAGES) if bench.has_async else None),
              ("bare WP_ASYNC + bare perf, call chains", bare("who", -1, NPAGES)),
              ("pagetap async --who", pagetap(WHO, -1, NPAGES) if bench.has_who else None),
              ("ptrace stops, same CPU", traced),
              ("first touch, untraced", alone("touch", NPAGES)),
              ("first touch, perf record -d -g", perf_record if tool("perf") else None)]
    return table


def measure(bench, order, threads):
    group = f"first-write {order} {threads}"
    table = ways(bench, threads)
    values = {name: [] for name, _ in table}
    notes = {name: [] for name, _ in table}
    with Pages(bench, MIB, NPAGES, "window", order, threads) as pages:
        pages.each("write", NPAGES)
        for n in rounds(45):
            for name, way in turned(table, n):
                if way:
                    values[name].append(way(bench, pages, notes[name]))
        pages.end()
    for name, way in table:
        if not way:
            bench.missing(group, name, "not installed" if "perf record" in name
                          else "not in this pagetap")
        elif "perf record" in name:
            seen = sum(n for n, _ in notes[name])
            lost = sum(n for _, n in notes[name])
            bench.add(group, name, "ns a page", values[name],
                      f"saw {seen} of {NPAGES * len(values[name])}, lost {lost}", seen=seen, lost=lost)
        elif name == "pagetap sync" and threads == 1:
            same = sum(cpu == 0 for cpu in notes[name]) * 2 > len(notes[name])
            bench.add(group, name, "ns a page", values[name],
                      f"chose the {'same' if same else 'other'} CPU", same=same)
        else:
            bench.add(group, name, "ns a page", values[name])
    bench.table(f"first write to a page, {order}, {threads} thread{'s' * (threads > 1)}", group)


def worst(bench, over, under):
    """The larger ratio of the two orders, one thread."""
    found = [bench.ratio(f"first-write {o} 1", over, under) for o in ("random", "sequential")]
    found = [f for f in found if f is not None]
    return max(found) if found else None


def words(ratio):
    return None if ratio is None else f"{ratio:.2f}"


def bars(bench):
    own = "mprotect+SIGSEGV in the process"
    r = worst(bench, "pagetap sync", own)
    bench.bar("sync, one writer, against mprotect+SIGSEGV", "at most 0.95", words(r),
              r is not None and r <= 0.95)
    found = []
    for order in ("random", "sequential"):
        group = f"first-write {order} 1"
        same = next((e["same"] for e in bench.rows
                     if e["group"] == group and e["row"] == "pagetap sync"), False)
        found.append(bench.ratio(group, "pagetap sync",
                                 f"bare uffd loop, {'same' if same else 'other'} CPU"))
    r = max((f for f in found if f is not None), default=None)
    bench.bar("sync against the bare uffd loop, same placement", "at most 1.15", words(r),
              r is not None and r <= 1.15)
    r = worst(bench, "pagetap async", "bare WP_ASYNC")
    bench.bar("async census, a first write against bare WP_ASYNC", "at most 1.05", words(r),
              r is not None and r <= 1.05)
    r = worst(bench, "pagetap async --who", own)
    bench.bar("async --who against mprotect+SIGSEGV", "at most 0.30", words(r),
              r is not None and r <= 0.30)
    r = worst(bench, "pagetap async --who", "bare WP_ASYNC + bare perf, call chains")
    bench.bar("async --who against bare WP_ASYNC + bare perf", "at most 1.15", words(r),
              r is not None and r <= 1.15)


def run(bench):
    for threads in (1, 4):
        for order in ("random", "sequential"):
            measure(bench, order, threads)
    bars(bench)
