#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""store: a web server as an object store is one, that can lie.

	store.py FOLDER PORT LIES

Gives files and ranges of them to whoever signs his requests (AWS Signature Version 4,
checked here from its definition alone) with STORE_KEY, STORE_SECRET, STORE_SESSION and
STORE_REGION.  LIES is a file with a word on each line: the first range of a pages file
gets the first of them, and so on; who asks after that gets the truth.  Prints one line a
request, and `refused` with the reason where a signature is wrong.
"""

import hashlib
import hmac
import os
import re
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

FOLDER, PORT, LIES = sys.argv[1], int(sys.argv[2]), sys.argv[3]
KEY, SECRET = os.environ["STORE_KEY"], os.environ["STORE_SECRET"]
SESSION, REGION = os.environ["STORE_SESSION"], os.environ["STORE_REGION"]
NEEDED = {"host", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"}
lock = Lock()
with open(LIES, encoding="ascii") as f:
    lies = f.read().split()


def digest(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def wrong_signature(request):
    """None, or what is wrong with it."""
    given = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?"
        r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})",
        request.headers.get("Authorization", ""))
    if not given:
        return "no signature"
    key, day, region, names, signature = given.groups()
    when = request.headers.get("x-amz-date", "")
    payload = request.headers.get("x-amz-content-sha256", "")
    if key != KEY or region != REGION or not when.startswith(day):
        return "another key, region or day"
    if not NEEDED <= set(names.split(";")) or names.split(";") != sorted(names.split(";")):
        return "not signed: " + names
    if request.headers["x-amz-security-token"] != SESSION:
        return "another session"
    if payload != hashlib.sha256(b"").hexdigest():
        return "another payload"
    path, _, query = request.path.partition("?")
    path = urllib.parse.quote(urllib.parse.unquote(path), safe="/~")
    headers = "".join(f"{n}:{' '.join(request.headers[n].split())}\n" for n in names.split(";"))
    canonical = "\n".join([request.command, path, query, headers, names, payload])
    scope = f"{day}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", when, scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    k = digest(("AWS4" + SECRET).encode(), day)
    for part in (region, "s3", "aws4_request"):
        k = digest(k, part)
    right = hmac.new(k, text.encode(), hashlib.sha256).hexdigest()
    return None if hmac.compare_digest(right, signature) else "another signature"


class Store(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):
        with lock:
            print(format % args, flush=True)

    def give(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def lie(self, what, data, lo, hi, etag):
        total = len(data)
        head = {"ETag": etag, "Content_Range": f"bytes {lo}-{hi - 1}/{total}"}
        body = data[lo:hi]
        if what == "whole":
            self.give(200, data, ETag=etag)
        elif what == "other":
            self.give(206, data[:hi - lo], ETag=etag, Content_Range=f"bytes 0-{hi - lo - 1}/{total}")
        elif what == "silent":
            self.give(206, body, ETag=etag)
        elif what == "short":
            self.give(206, body[:-1], Content_Length=str(hi - lo), **head)
            self.close_connection = True
        elif what == "fewer":
            self.give(206, body[:-4096], **head)
        elif what == "more":
            head["Connection"] = "close"
            self.send_response(206)
            for name, value in head.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body + b"x" * 4096)
            self.close_connection = True
        elif what == "etag":
            self.give(206, body, ETag='"another"', Content_Range=head["Content_Range"])
        elif what == "length":
            self.give(206, body, ETag=etag, Content_Range=f"bytes {lo}-{hi - 1}/{total + 4096}")
        elif what == "gzip":
            self.give(206, body, Content_Encoding="gzip", **head)
        elif what == "busy":
            self.give(503, b"later", Retry_After="1")
        elif what == "elsewhere":
            self.give(302, Location="file:///etc/hostname")
        elif what == "reset":
            self.close_connection = True
        else:
            sys.exit(f"store.py: no such lie: {what}")

    def do_GET(self):
        refused = wrong_signature(self)
        path = os.path.join(FOLDER, self.path.lstrip("/"))
        if refused:
            self.log_message("refused %s: %s", self.path, refused)
            return self.give(403)
        if not os.path.isfile(path):
            return self.give(404)
        with open(path, "rb") as file:
            data = file.read()
        etag = f'"{os.stat(path).st_mtime_ns:x}"'
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if self.headers.get("If-Match", etag) != etag:
            return self.give(412)
        if not wanted:
            return self.give(200, data, ETag=etag, Accept_Ranges="bytes")
        lo, hi = int(wanted[1]), min(int(wanted[2]) + 1, len(data))
        with lock:
            what = lies.pop(0) if lies and hi - lo >= 8192 else None
        if what:
            self.log_message("lie %s", what)
            return self.lie(what, data, lo, hi, etag)
        return self.give(206, data[lo:hi], ETag=etag, Content_Range=f"bytes {lo}-{hi - 1}/{len(data)}")

    do_HEAD = do_GET


class Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A whole line, as all others: whoever was lied to hangs up in the middle."""
        with lock:
            print(f"{client_address[1]}: {sys.exc_info()[1]!r}", flush=True)


Server(("127.0.0.1", PORT), Store).serve_forever()
