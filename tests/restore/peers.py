#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""peers: talk to a pager's socket as nobody should.

    peers.py SOCKET PID

Each of them says that it is process PID of the checkpoint, or another, and hands over what is
no userfaultfd.  Content if each was sent away in some seconds.
"""
import array
import os
import socket
import struct
import sys


def hand_over(peer, fds):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    peer.sendmsg([b"\0"], rights)


def main():
    path, pid = sys.argv[1], int(sys.argv[2])
    read, write = os.pipe()
    null = os.open("/dev/null", os.O_RDWR)
    told = struct.pack("=i", pid)
    peers = {
        "a pipe": lambda p: (p.send(told), hand_over(p, [read])),
        "a file": lambda p: (p.send(told), hand_over(p, [null])),
        "nothing": lambda p: (p.send(told), hand_over(p, [])),
        "250 pipes": lambda p: (p.send(told), hand_over(p, [read, write] * 125)),
        "a stranger": lambda p: (p.send(struct.pack("=i", 77)), hand_over(p, [null])),
        "no process": lambda p: (p.send(struct.pack("=i", -pid - 1))),
        "half a number": lambda p: (p.send(told[:2]), p.shutdown(socket.SHUT_WR)),
    }
    for what, talk in peers.items():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(8)
            peer.connect(path)
            try:
                talk(peer)
                if peer.recv(1):
                    sys.exit(f"{what}: an answer")
            except (BrokenPipeError, ConnectionResetError):
                pass
            except TimeoutError:
                sys.exit(f"{what}: not sent away")
        print(f"sent away: {what}", flush=True)


if __name__ == "__main__":
    main()
