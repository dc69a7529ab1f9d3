#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# event-seeds: makes tests/data/event/, what the fuzzer of events begins with.
#
#	python3 tests/fuzz/event-seeds.py tests/data/event
#
# Rows of struct uffd_msg (32 bytes, linux/userfaultfd.h) as the kernel writes them, about
# the two mappings of tests/fuzz/fuzz-event.c, and some that it would never write.
import os
import struct
import sys

PAGE = 4096
BASE = 0x10000000
END = BASE + 4096 * PAGE		# of the first mapping
NEXT = END + 16 * PAGE			# the second, of 48 pages
FAULT, FORK, REMAP, REMOVE, UNMAP = range(0x12, 0x17)
WRITE, WP, MINOR = 1, 2, 4


def message(event, *words):
    return struct.pack('<BBHI3Q', event, 0, 0, 0, *words, *[0] * (3 - len(words)))


def fault(page, flags=WRITE | WP, tid=4711, offset=0):
    return message(FAULT, flags, BASE + page * PAGE + offset, tid)


def fork(fd):
    return message(FORK, fd)


def remap(at, to, pages):
    return message(REMAP, at, to, pages * PAGE)


def remove(at, pages):
    return message(REMOVE, at, at + pages * PAGE)


def unmap(at, pages):
    return message(UNMAP, at, at + pages * PAGE)


seeds = {
    'fault': [fault(0), fault(1, WRITE, 0, 123), fault(4095, MINOR), fault(7, 0, 1)],
    'fork': [fork(17), fault(3), fork(0xffffffff)],
    'remove': [remove(BASE, 1), remove(BASE + 8 * PAGE, 60), fault(9), remove(BASE, 0)],
    'unmap': [unmap(BASE + 5 * PAGE, 3), unmap(BASE, 1), unmap(END - PAGE, 1), unmap(NEXT, 48)],
    # Into the hole between the mappings, over both, and back; what grew is told too short.
    'remap': [remap(BASE, END + 2 * PAGE, 8), unmap(BASE, 8), remap(NEXT + PAGE, BASE, 5),
              remap(END - 4 * PAGE, END + 12 * PAGE, 8)],
    # MREMAP_DONTUNMAP: no unmap follows, and the old place is used again.
    'remap-stays': [remap(BASE + 64 * PAGE, NEXT + 64 * PAGE, 16), fault(64),
                    remove(NEXT + 64 * PAGE, 16), unmap(NEXT + 60 * PAGE, 24)],
    'holes': [unmap(BASE + 2 * i * PAGE, 1) for i in range(1, 64)],
    # malloc and free with large blocks, in a process that forks.
    'work': [fault(100), remove(BASE + 100 * PAGE, 32), fork(9), fault(101), unmap(BASE + 96 * PAGE, 40),
             remap(BASE + 200 * PAGE, BASE + 96 * PAGE, 40), unmap(BASE + 200 * PAGE, 40),
             fault(97), remove(BASE + 98 * PAGE, 2)],
    'refused': [message(0), message(0x11, 1, 2, 3), message(0x17, 1, 2, 3), message(0xff),
                message(REMOVE, BASE + PAGE, BASE), message(UNMAP, 2 ** 64 - PAGE, 0),
                message(REMAP, 2 ** 64 - PAGE, BASE, 2 * PAGE), message(REMAP, BASE, 2 ** 64 - 1, PAGE),
                message(REMAP, BASE + 1, END + 1, 4095), message(REMAP, BASE, BASE + PAGE, 2 * PAGE)],
    'cut': [fault(2), fork(3)[:31]],
}

os.makedirs(sys.argv[1], exist_ok=True)
for name, row in seeds.items():
    with open(os.path.join(sys.argv[1], name + '.bin'), 'wb') as f:
        f.write(b''.join(row))
