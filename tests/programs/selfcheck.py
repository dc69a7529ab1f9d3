# SPDX-License-Identifier: MIT
"""selfcheck: threads that hash and keep memory while their process forks.

	python3 selfcheck.py COUNTER STOP [SEED]

A child checks what it inherited, writes to it, and says so by its exit status; the
parent's own memory must not have changed with the child's.
"""
import hashlib
import mmap
import os
import sys
import threading

THREADS, KEYS, KEPT = 4, 6, 100


def wrong(words):
    print("wrong:", words, flush=True)
    os._exit(1)


def work(key):
    """Depends on its key alone."""
    h = hashlib.sha256(b"%d" % key)
    table = {}
    for i in range(300):
        block = bytearray(h.digest() * 64)
        block[i] ^= key & 255
        h.update(block)
        table[h.hexdigest()] = [i] * (i % 50)
    h.update(repr(sorted((k, len(v)) for k, v in table.items())).encode())
    return h.hexdigest()


def pattern(key):
    return hashlib.sha256(b"block %d" % key).digest() * 512


class Worker(threading.Thread):
    def __init__(self, me, seed, expected, stop):
        super().__init__()
        self.me, self.seed, self.expected, self.stop = me, seed, expected, stop
        self.done = 0
        self.failed = None

    def run(self):
        try:
            self.rounds()
        except BaseException as e:  # told by the main thread
            self.failed = repr(e)

    def rounds(self):
        kept = [None] * KEPT
        memory = mmap.mmap(-1, 1 << 20)
        state, key = self.seed * 7919 + self.me, None
        while not self.stop.is_set():
            state = int.from_bytes(hashlib.sha256(b"%d" % state).digest()[:6], "big")
            k = state % KEYS
            if work(self.seed * 100 + k) != self.expected[k]:
                wrong("digest of key %d in thread %d" % (k, self.me))
            slot = state // KEYS % KEPT
            if kept[slot] and bytes(kept[slot][1]) != pattern(kept[slot][0]):
                wrong("kept block %d" % slot)
            kept[slot] = (state, bytearray(pattern(state)))
            if key is not None and memory[:16384] != pattern(key):
                wrong("anonymous memory of thread %d" % self.me)
            key = state
            memory[:16384] = pattern(key)
            self.done += 1
        for entry in kept:
            if entry and bytes(entry[1]) != pattern(entry[0]):
                wrong("a kept block, at the end")


def fork_once(shared, n):
    before = pattern(n)
    shared[:len(before)] = before
    pid = os.fork()
    if pid == 0:
        good = shared[:len(before)] == before
        shared[:len(before)] = pattern(n + 1)
        good = good and shared[:len(before)] == pattern(n + 1)
        os._exit(17 if good else 18)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status != 17:
        wrong("a child ended with %d" % status)
    if shared[:len(before)] != before:
        wrong("the child wrote into its parent")


def main():
    counter = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o600)
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    expected = [work(seed * 100 + k) for k in range(KEYS)]
    stop = threading.Event()
    workers = [Worker(i, seed, expected, stop) for i in range(THREADS)]
    private = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    forks = 0
    for w in workers:
        w.start()
    print("ready pid=%d" % os.getpid(), flush=True)
    while not os.path.exists(sys.argv[2]):
        fork_once(private, forks)
        forks += 1
        done = sum(w.done for w in workers)
        os.pwrite(counter, b"%020d\n" % done, 0)
        stop.wait(0.02)
        for w in workers:
            if w.failed:
                wrong("thread %d: %s" % (w.me, w.failed))
    stop.set()
    for w in workers:
        w.join()
        if w.failed or not w.done:
            wrong("thread %d: %s" % (w.me, w.failed))
    print("ok ops=%d forks=%d" % (sum(w.done for w in workers), forks))


main()
