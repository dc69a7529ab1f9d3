#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench: what watching costs, side by side with not watching and with other tools.

    run.py [GROUP...]

Prints a table for each group and the bars at the end.  The same figures are in
$O/bench/results.ndjson, a row a line, and all of them with the machine in results.json.
Take ratios: absolute figures are those of this machine, today.
"""
import json
import os
import platform
import shutil
import sys
import tempfile
import time
import traceback

import apps
import attach
import first_write
import lines
import report
import restore
import scale
from harness import Bench, Broken

GROUPS = {
    "first-write": first_write.run,
    "attach": attach.run,
    "apps": apps.run,
    "lines": lines.run,
    "report": report.run,
    "census": scale.run_census,
    "growth": scale.run_growth,
    "storm": scale.storm,
    "restore": restore.run,
}


def machine():
    model = memory = ""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((line.split(":", 1)[1].strip() for line in f
                      if line.startswith("model name")), platform.machine())
    with open("/proc/meminfo", encoding="ascii") as f:
        memory = round(int(f.readline().split()[1]) / 2 ** 20)
    return {"arch": platform.machine(), "cpu": model, "cpus": os.cpu_count(),
            "memory_gib": memory, "kernel": platform.release(),
            "load": os.getloadavg(), "time": time.strftime("%FT%TZ", time.gmtime())}


def print_bars(bars):
    if not bars:
        return
    print(f"{'bar':<56}{'wanted':>26}  {'measured':<34}met")
    for b in bars:
        met = "?" if b["met"] is None else "yes" if b["met"] else "NO"
        print(f"{b['what']:<56}{b['bar']:>26}  {b['measured'] or 'not measured':<34}{met}")


def main():
    wanted = sys.argv[1:] or list(GROUPS)
    for name in wanted:
        if name not in GROUPS:
            sys.exit(f"bench: no group {name}: {' '.join(GROUPS)}")
    out = os.path.abspath(os.environ.get("O", "build"))
    os.makedirs(os.path.join(out, "bench"), exist_ok=True)
    work = tempfile.mkdtemp(prefix="bench-")
    bench = Bench(out, work)
    about = machine()
    print(f"{about['cpu']}, {about['cpus']} CPUs, {about['memory_gib']} GiB, "
          f"Linux {about['kernel']}, load {about['load'][0]:.1f}\n", flush=True)
    try:
        for name in wanted:
            begin = time.monotonic()
            try:
                GROUPS[name](bench)
            except Broken as e:
                bench.broken.append(f"{name}: {e}")
            except (OSError, ValueError, LookupError, StopIteration):
                bench.broken.append(f"{name}: {traceback.format_exc()}")
            print(f"({name}: {time.monotonic() - begin:.0f} s)\n", flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print_bars(bench.bars)
    results = os.path.join(out, "bench", "results.json")
    with open(results, "w", encoding="utf-8") as f:
        json.dump({"machine": about, "rows": bench.rows, "bars": bench.bars,
                   "broken": bench.broken}, f, indent=1)
    print(f"\nas JSON: {results}")
    for b in bench.broken:
        print(f"bench: broken: {b}", file=sys.stderr)
    return 1 if bench.broken else 0


if __name__ == "__main__":
    sys.exit(main())
