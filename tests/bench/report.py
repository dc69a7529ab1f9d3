# SPDX-License-Identifier: MIT
"""How fast `report` reads traces of RECORDS records, and in how much memory."""
import os
import subprocess

from harness import ROUNDS, Broken

RECORDS = int(os.environ.get("RECORDS", "10000000"))
KINDS = (("sync", "", "synchronous"), ("async", ".zst", "asynchronous, zstd"),
         ("who", ".zst", "--who, zstd"), ("churn", ".zst", "short-lived processes, zstd"))


def read_once(bench, path):
    """CPU seconds and MiB of one report."""
    with subprocess.Popen([bench.pagetap, "report", "--json", path],
                          stdout=subprocess.DEVNULL) as p:
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode:
        raise Broken(f"report of {path} ended with {p.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def run(bench):
    slowest, largest = None, 0
    for kind, suffix, words in KINDS:
        path = os.path.join(bench.work, f"big-{kind}.ndjson{suffix}")
        made = subprocess.run([bench.program("trace-maker"), kind, str(RECORDS), path],
                              timeout=600, check=False)
        if made.returncode:
            raise Broken(f"trace-maker ended with {made.returncode}")
        rates, sizes = [], []
        for _ in range(min(ROUNDS, 3)):
            seconds, mib = read_once(bench, path)
            rates.append(RECORDS / seconds / 1e6)
            sizes.append(mib)
        os.unlink(path)
        bench.add("report", words, "M records/s", rates)
        bench.add("report", f"{words}: memory", "MiB", sizes)
        rate = bench.median("report", words)
        slowest = rate if slowest is None else min(slowest, rate)
        largest = max(largest, *sizes)
    bench.table(f"report of {RECORDS / 1e6:g} M records, by the time of one core", "report")
    bench.bar("report reads on one core", "1 M records/s", f"{slowest:.2f} M/s", slowest >= 1)
    bench.bar(f"memory of report, {RECORDS / 1e6:g} M records", "512 MiB", f"{largest:.0f} MiB", largest <= 512)
