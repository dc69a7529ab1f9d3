#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""images: another checkpoint that says the same, or nearly.

    images.py show FOLDER			every entry of every pagemap, a line each
    images.py wide FROM TO			page counts of 64 bits, as newer CRIUs write them
    images.py single FROM TO			an entry for each page
    images.py history FROM TO [N]		in a chain of N, as after pre-dumps: what is in a
    						parent is not lazy
    images.py parents FROM TO [N]		the same, lazy
    images.py blank FROM TO			zeroes for what is lazy: that is at a page server
    images.py lie FROM TO KIND			a pagemap that no CRIU would write: see LIES

FROM is a checkpoint by CRIU; TO a new folder, for a pager.  CRIU itself restores from FROM,
but for `history`, which it could have written.  The file formats: u32 magic numbers, then records, each a u32 length
and a message of protocol buffers; all numbers little-endian.
"""
import os
import shutil
import struct
import sys

COMMON, PAGEMAP = 0x54564319, 0x56084025
PARENT, LAZY, PRESENT = 1, 2, 4
VADDR, COUNT, FLAGS, WIDE_COUNT = 1, 2, 4, 5
PAGES_ID = 1
PAGE = 4096


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def message(fields):
    """Numbers only: pagemaps have nothing else."""
    return b"".join(varint(key << 3) + varint(value) for key, value in fields.items())


def fields_of(data):
    fields, at = {}, 0

    def number():
        nonlocal at
        n = shift = 0
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return n
    while at < len(data):
        tag = number()
        if tag & 7:
            raise ValueError(f"field {tag >> 3} is no number")
        fields[tag >> 3] = number()
    return fields


class Pagemap:
    """pagemap-PID.img and its pages; entries are [address, pages, flags, offset]."""

    def __init__(self, folder, name):
        self.name = name
        with open(os.path.join(folder, name), "rb") as f:
            data = f.read()
        if struct.unpack_from("<II", data) != (COMMON, PAGEMAP):
            raise ValueError(f"{name} is no pagemap")
        records, at = [], 8
        while at < len(data):
            size, = struct.unpack_from("<I", data, at)
            records.append(fields_of(data[at + 4:at + 4 + size]))
            at += 4 + size
        self.pages_id = records[0][PAGES_ID]
        self.pages = os.path.join(folder, f"pages-{self.pages_id}.img")
        self.entries, offset = [], 0
        for r in records[1:]:
            n = r.get(WIDE_COUNT) or r[COUNT]
            flags = r.get(FLAGS, PRESENT)
            self.entries.append([r[VADDR], n, flags, offset])
            offset += n * PAGE if flags & PRESENT else 0

    def write(self, folder, wide=False):
        def record(fields):
            data = message(fields)
            return struct.pack("<I", len(data)) + data
        with open(os.path.join(folder, self.name), "wb") as f:
            f.write(struct.pack("<II", COMMON, PAGEMAP) + record({PAGES_ID: self.pages_id}))
            for address, n, flags, _ in self.entries:
                count = {COUNT: 0, FLAGS: flags, WIDE_COUNT: n} if wide \
                    else {COUNT: n, FLAGS: flags}
                f.write(record({VADDR: address, **count}))

    def singles(self):
        return [[address + i * PAGE, 1, flags, offset + i * PAGE if flags & PRESENT else offset]
                for address, n, flags, offset in self.entries for i in range(n)]


def joined(entries):
    """Neighbours of one kind are one entry; their pages follow one another."""
    out = []
    for address, n, flags, offset in entries:
        last = out[-1] if out else None
        if last and last[2] == flags and last[0] + last[1] * PAGE == address:
            last[1] += n
        else:
            out.append([address, n, flags, offset])
    return out


def pagemaps(folder):
    return [Pagemap(folder, name) for name in sorted(os.listdir(folder))
            if name.startswith("pagemap-") and "shmem" not in name]


def copy_pages(pagemap, entries, to):
    """The pages of these entries, in their order, and nothing else."""
    with open(pagemap.pages, "rb") as source, \
            open(os.path.join(to, f"pages-{pagemap.pages_id}.img"), "wb") as out:
        for _, n, flags, offset in entries:
            if flags & PRESENT:
                source.seek(offset)
                out.write(source.read(n * PAGE))


def parents(source, to, n, keep):
    """Page k is in parent k % n of the chain; 0 is the checkpoint itself."""
    at = to
    for level in range(n):
        if level:
            os.makedirs(os.path.join(at, "..", f"parent-{level}"))
            os.symlink(f"../parent-{level}", os.path.join(at, "parent"))
            at = os.path.join(at, "..", f"parent-{level}")
            shutil.copy(os.path.join(source, "inventory.img"), at)
        for pagemap in pagemaps(source):
            entries = []
            for k, (address, one, flags, offset) in enumerate(pagemap.singles()):
                if not flags & PRESENT:
                    entries += [[address, one, flags, offset]] if not level else []
                elif k // 7 % n == level:
                    entries.append([address, one, flags, offset])
                elif k // 7 % n > level:
                    entries.append([address, one, flags & keep | PARENT, 0])
            copy_pages(pagemap, entries, at)
            pagemap.entries = joined(entries)
            pagemap.write(at)


LIES = {
    "overlap": lambda e: e[1].__setitem__(0, e[0][0]),
    "backwards": lambda e: e.reverse(),
    "kernel": lambda e: e[-1].__setitem__(0, 0xffff800000000000),
    "wrap": lambda e: e[-1].__setitem__(1, 2 ** 52 - 1),
    "huge": lambda e: e[-1].__setitem__(1, 2 ** 63),
    "many": lambda e: e[-1].__setitem__(1, 2 ** 32 - 1),
    "odd": lambda e: e[0].__setitem__(0, e[0][0] + 1),
    "flags": lambda e: e[0].__setitem__(2, 0x80),
    "parentless": lambda e: e[0].__setitem__(2, PARENT | LAZY),
    "elsewhere": lambda e: e[-1].__setitem__(0, 0x10000),
}


def change(verb, source, to, rest):
    shutil.copytree(source, to, symlinks=True)
    if verb in ("history", "parents"):
        parents(source, to, int(rest[0]) if rest else 2, LAZY if verb == "parents" else 0)
        return
    for pagemap in pagemaps(source):
        if verb == "single":
            pagemap.entries = pagemap.singles()
        if verb == "blank":
            with open(os.path.join(to, os.path.basename(pagemap.pages)), "r+b") as f:
                for _, n, flags, offset in pagemap.entries:
                    if flags & LAZY and flags & PRESENT:
                        f.seek(offset)
                        f.write(bytes(n * PAGE))
            continue
        if verb == "lie":
            LIES[rest[0]](pagemap.entries)
        pagemap.write(to, wide=verb in ("wide", "lie"))


def main():
    verb, *rest = sys.argv[1:] or [""]
    if verb == "show" and rest:
        for pagemap in pagemaps(rest[0]):
            for address, n, flags, offset in pagemap.entries:
                print(pagemap.name, hex(address), n, flags, offset)
    elif verb in ("wide", "single", "history", "parents", "blank", "lie") and len(rest) >= 2:
        change(verb, rest[0], rest[1], rest[2:])
    elif verb == "lies":
        print(" ".join(LIES))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
