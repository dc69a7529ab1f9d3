# SPDX-License-Identifier: MIT
"""What a record costs on its way to the file: tests/bench/trace-lines.c."""
import json
import subprocess

from harness import ROUNDS, Broken

WAYS = (("write_file", "to a file"), ("write_zst", "to a file, zstd"),
        ("format_fault", "formatting alone"), ("read_fault", "reading back"))


def run(bench):
    values = {}
    for _ in range(ROUNDS):
        p = subprocess.run([bench.program("trace-lines"), "3"], text=True, capture_output=True,
                           timeout=120, check=False)
        if p.returncode:
            raise Broken(f"trace-lines ended with {p.returncode}: {p.stderr[-200:]}")
        for key, value in json.loads(p.stdout).items():
            values.setdefault(key, []).append(value)
    for key, words in WAYS:
        bench.add("lines", words, "M records/s", values[key])
    for key, words in (("bytes_plain", "a fault, plain"), ("bytes_zst", "a fault, zstd")):
        bench.add("lines", words, "bytes", values[key])
    bench.table("fault records, by the time of one core", "lines")
    rate = bench.median("lines", "to a file")
    size = bench.median("lines", "a fault, plain")
    bench.bar("writing fault records on one core", "5 M/s, 160 bytes", f"{rate:.2f} M/s, "
              f"{size:.0f} bytes", rate >= 5 and size <= 160)
