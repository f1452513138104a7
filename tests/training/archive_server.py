"""A file server on this machine that behaves like the archive, and misbehaves when told to."""

import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from drizzlewb.training.archive import ArchiveFile


class Archive:
    """Files by path, and what goes wrong with the next requests: a list of faults, used up in order."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.faults: list[str] = []
        self.ranges = True
        self.requests: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                outer.answer(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_address[1]}/{path}"

    def item(self, name, **changes):
        body = self.files[name]
        item = ArchiveFile(name, self.url(name), len(body), hashlib.md5(body).hexdigest())
        return item._replace(**changes)

    def answer(self, request):
        name = request.path.strip("/")
        wanted = request.headers.get("Range")
        self.requests.append((name, wanted))
        fault = self.faults.pop(0) if self.faults else ""
        body = self.files.get(name)
        if body is None:
            request.send_error(404)
            return
        if fault.isdigit():
            request.send_error(int(fault))
            return
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        start = 0
        resumed = wanted and self.ranges and request.headers.get("If-Range", etag) == etag
        if resumed:
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            if start >= len(body):
                request.send_error(416)
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            request.send_response(200)
        request.send_header("ETag", etag)
        request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        payload = body[start:]
        if fault == "break":
            payload = payload[: max(1, len(payload) // 3)]
        if fault == "spoil":
            payload = bytes(len(payload))
        if fault == "stall":
            request.wfile.write(payload[: len(payload) // 2])
            request.wfile.flush()
            time.sleep(0.8)
            request.close_connection = True
            return
        request.wfile.write(payload)
        if fault == "break":
            request.wfile.flush()
            request.close_connection = True

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
