# SPDX-License-Identifier: MIT
"""memcached-client: sets values that follow from their keys, and wants them back.

	python3 memcached-client.py SOCKET COUNTER STOP [SEED]

Nothing is evicted as long as the server has 64 MB: so every key that was set is
there, with its last value.
"""
import hashlib
import os
import socket
import sys
import threading

THREADS, KEYS = 3, 4000


def wrong(words):
    print("wrong:", words, flush=True)
    os._exit(1)


def value_of(key, version):
    h = hashlib.sha256(b"%d %d" % (key, version)).digest()
    return h * (1 + h[0] * 8 // 32)


class Client(threading.Thread):
    def __init__(self, me, path, seed, stop):
        super().__init__()
        self.me, self.seed, self.stop = me, seed, stop
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile("rwb")
        self.versions = {}
        self.done = 0

    def set(self, key, version):
        value = value_of(key, version)
        self.file.write(b"set %d:%d 0 0 %d\r\n%s\r\n" % (self.me, key, len(value), value))
        self.file.flush()
        answer = self.file.readline()
        if answer != b"STORED\r\n":
            wrong("set: %r" % answer)
        self.versions[key] = version

    def get(self, key):
        self.file.write(b"get %d:%d\r\n" % (self.me, key))
        self.file.flush()
        head = self.file.readline().split()
        if not head or head[0] != b"VALUE":
            wrong("key %d of client %d is gone: %r" % (key, self.me, head))
        value = self.file.read(int(head[3]) + 2)[:-2]
        if self.file.readline() != b"END\r\n" or value != value_of(key, self.versions[key]):
            wrong("key %d of client %d has another value" % (key, self.me))

    def run(self):
        try:
            self.rounds()
        except BaseException as e:
            wrong("client %d: %r" % (self.me, e))

    def rounds(self):
        state = self.seed * 104729 + self.me
        while not self.stop.is_set():
            state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
            key = state >> 33
            self.set(key % KEYS, self.done)
            for known in (key // KEYS % KEYS, key // 7 % KEYS):
                if known in self.versions:
                    self.get(known)
            self.done += 1
        for key in self.versions:
            self.get(key)


def main():
    path, counter, end = sys.argv[1:4]
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    out = os.open(counter, os.O_WRONLY | os.O_CREAT, 0o600)
    stop = threading.Event()
    clients = [Client(i, path, seed, stop) for i in range(THREADS)]
    for c in clients:
        c.start()
    print("ready pid=%d" % os.getpid(), flush=True)
    while not os.path.exists(end):
        os.pwrite(out, b"%020d\n" % sum(c.done for c in clients), 0)
        stop.wait(0.02)
    stop.set()
    for c in clients:
        c.join()
    keys = sum(len(c.versions) for c in clients)
    print("ok ops=%d keys=%d" % (sum(c.done for c in clients), keys))


main()
