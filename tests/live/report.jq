# SPDX-License-Identifier: MIT
# The same lines out of `pagetap report --json --heatmap --top 0`.
def counts: { faults, missing, wp, minor, writes, unsure, witnesses, dirty, written, pages };
{ total: (.total | counts) },
(.mappings[] | select(.faults > 0 or .dirty > 0) | { mapping: ({ kind, name } + counts) }),
(.threads[] | { thread: { pid, tid, faults, writes, unsure, stop_ns } }),
(.processes[] | { process: { mm, faults, written } }),
(.pages[] | { page: { mm, page, written, faults } }),
(.course | (.ts / .window_ns) as $first | range(.writes | length) as $i
         | select(.writes[$i] > 0)
         | { window: { i: ($first + $i), writes: .writes[$i], pages: .pages[$i] } }),
(range(53) as $i | { octave: { i: $i, latency: .latency.octaves[$i], stop: .stop.octaves[$i] } })
