#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# image-seeds: makes tests/fuzz/corpus/image/, what the fuzzer of checkpoints begins with.
#
#	python3 tests/fuzz/image-seeds.py tests/fuzz/corpus/image
#
# The checkpoints of tests/data/checkpoint as tests/fuzz/fuzz-image.c takes them, and two
# that no CRIU has written: one with parents, and what a parser hands over.
import glob
import os
import re
import struct
import sys

KINDS = ['inventory', 'pstree', 'mm', 'pagemap', 'pages']
COMMON = 0x54564319
MAGIC = [0x58313116, 0x50273030, 0x57492820, 0x56084025]
PARENT, LAZY, PRESENT = 1, 2, 4
ANON = 0x22


def packed(kind, number, data, level=0):
    return struct.pack('<BBHI', KINDS.index(kind), level, len(data), number) + data


def pages(number, count, level=0):
    return packed('pages', number, struct.pack('<Q', 4096 * count), level)


def from_folder(folder, count):
    out = b'\0'
    for path in sorted(glob.glob(folder + '/*.img')):
        kind, _, number = re.match(r'([a-z]+)(-(\d+))?\.img', os.path.basename(path)).groups()
        with open(path, 'rb') as f:
            out += packed(kind, int(number or 0), f.read())
    return out + pages(2, count) + pages(3, count)


def varint(n):
    out = b''
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def numbers(*fields):
    return b''.join(varint(tag << 3) + varint(n) for tag, n in fields)


def image(kind, *records):
    magic = [] if kind == 'inventory' else [COMMON]
    words = magic + [MAGIC[KINDS.index(kind)]]
    return struct.pack('<%dI' % len(words), *words) + b''.join(
        struct.pack('<I', len(r)) + r for r in records)


def pagemap(pid, level, pages_id, *entries):
    records = [numbers((1, pages_id))]
    for vaddr, count, flags, wide in entries:
        length = [(2, 0), (4, flags), (5, count)] if wide else [(2, count), (4, flags)]
        records.append(numbers((1, vaddr), *length))
    return packed('pagemap', pid, image('pagemap', *records), level)


def with_parents():
    vma = numbers((1, 0x10000), (2, 0x90000), (3, 0), (4, 0), (5, 3), (6, ANON), (7, 0x201), (8, 1))
    mm = numbers(*[(i, 0) for i in range(1, 13)]) + varint(14 << 3 | 2) + varint(len(vma)) + vma
    tree = numbers((1, 5), (2, 0), (3, 5), (4, 5), (5, 5))
    return (b'\2' + packed('inventory', 0, image('inventory', numbers((1, 2))))
            + packed('pstree', 0, image('pstree', tree)) + packed('mm', 5, image('mm', mm))
            + pagemap(5, 0, 1, (0x10000, 16, PARENT | LAZY, 0), (0x20000, 8, LAZY, 1))
            + pages(1, 0)
            + pagemap(5, 1, 2, (0x10000, 4, PRESENT, 0), (0x14000, 32, PARENT, 1))
            + pages(2, 4, 1)
            + pagemap(5, 2, 3, (0x10000, 64, PRESENT | LAZY, 1)) + pages(3, 64, 2))


# As of monitor/restore/image-parts.h.
def handed_over():
    return (b'\xff' + struct.pack('<5Q', 1, 1, 1, 2, 0) + struct.pack('<IIQ', 7, 0, 16 << 12)
            + struct.pack('<iiQQQ', 5, 0, 1, 1, 2)
            + struct.pack('<3Q4I', 0x10000, 0x90000, 0, 3, ANON, 0x201, 0)
            + struct.pack('<3QIB3x', 0x10000, 8, 0, 0, 1)
            + struct.pack('<3QIB3x', 0x20000, 8, 0, 0xffffffff, 1))


def main(folder):
    data = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../data/checkpoint')
    os.makedirs(folder, exist_ok=True)
    seeds = {
        'criu-4.1': from_folder(data + '/criu-4.1', 32),
        'criu-4.2': from_folder(data + '/criu-4.2', 33),
        'parents': with_parents(),
        'handed-over': handed_over(),
    }
    for name, seed in seeds.items():
        with open(os.path.join(folder, name), 'wb') as f:
            f.write(seed)


main(sys.argv[1])
