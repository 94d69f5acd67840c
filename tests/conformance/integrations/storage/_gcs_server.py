"""A server that speaks the part of Google Cloud Storage's XML API that the client uses."""

import itertools
import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_KEPT = ("content-type", "cache-control", "content-disposition")


@dataclass
class Kept:
    data: bytes
    headers: dict[str, str]
    generation: int
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))


class GCSServer(ThreadingHTTPServer):
    """Keeps objects in memory; every bucket of *buckets* exists."""

    daemon_threads = True

    def __init__(self, *buckets):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.buckets: dict[str, dict[str, Kept]] = {name: {} for name in buckets}
        self.uploads: dict[str, tuple[dict[str, str], dict[int, bytes]]] = {}
        self.generations = itertools.count(1_700_000_000_000_001)
        self.lock = threading.Lock()
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self.shutdown()
        self._thread.join(10)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: GCSServer

    def log_message(self, *args):
        pass

    def _handle(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        split = urlsplit(self.path)
        bucket, _, key = split.path.lstrip("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(split.query, keep_blank_values=True).items()}
        with self.server.lock:
            objects = self.server.buckets.get(bucket)
            if objects is None:
                return self._fail(404, "NoSuchBucket")
            if not key:
                return self._list(objects, query)
            act = getattr(self, f"_{self.command.lower()}_object")
            return act(objects, unquote(key), query, body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle

    # -- objects

    def _get_object(self, objects, key, query, body):
        kept = objects.get(key)
        if kept is None:
            return self._fail(404, "NoSuchKey")
        data, status, extra = kept.data, 200, {}
        if found := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", "")):
            start, stop = int(found[1]), int(found[2] or len(data) - 1) + 1
            if start >= len(data):
                return self._fail(416, "InvalidRange")
            stop = min(stop, len(data))
            extra["content-range"] = f"bytes {start}-{stop - 1}/{len(data)}"
            data, status = data[start:stop], 206
        return self._answer(status, data, {**kept.headers, **self._marks(kept), **extra})

    _head_object = _get_object

    def _put_object(self, objects, key, query, body):
        if "uploadId" in query:
            self.server.uploads[query["uploadId"]][1][int(query["partNumber"])] = body
            return self._answer(200, b"", {"etag": f'"part-{query["partNumber"]}"'})
        wanted = self.headers.get("x-goog-if-generation-match")
        present = objects[key].generation if key in objects else 0
        if wanted is not None and int(wanted) != present:
            return self._fail(412, "PreconditionFailed")
        headers = self._kept_headers()
        if source := self.headers.get("x-goog-copy-source"):
            from_bucket, _, from_key = unquote(source).lstrip("/").partition("/")
            kept = self.server.buckets.get(from_bucket, {}).get(from_key)
            if kept is None:
                return self._fail(404, "NoSuchKey")
            body, headers = kept.data, dict(kept.headers)
        return self._keep(objects, key, body, headers)

    def _post_object(self, objects, key, query, body):
        if "uploads" in query:
            upload = f"upload-{next(self.server.generations)}"
            self.server.uploads[upload] = (self._kept_headers(), {})
            return self._answer(
                200,
                f"<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>{upload}</UploadId>"
                "</InitiateMultipartUploadResult>".encode(),
            )
        headers, parts = self.server.uploads.pop(query["uploadId"])
        return self._keep(objects, key, b"".join(parts[n] for n in sorted(parts)), headers, complete=True)

    def _delete_object(self, objects, key, query, body):
        if "uploadId" in query:
            self.server.uploads.pop(query["uploadId"], None)
            return self._answer(204, b"")
        if objects.pop(key, None) is None:
            return self._fail(404, "NoSuchKey")
        return self._answer(204, b"")

    def _keep(self, objects, key, body, headers, *, complete=False):
        kept = objects[key] = Kept(body, headers, next(self.server.generations))
        text = b""
        if complete:
            text = b'<CompleteMultipartUploadResult><ETag>"whole"</ETag></CompleteMultipartUploadResult>'
        return self._answer(200, text, self._marks(kept))

    def _kept_headers(self):
        names = {name.lower(): value for name, value in self.headers.items()}
        return {n: v for n, v in names.items() if n in _KEPT or n.startswith("x-goog-meta-")}

    def _marks(self, kept):
        return {
            "etag": f'"{kept.generation:x}"',
            "x-goog-generation": str(kept.generation),
            "last-modified": format_datetime(kept.modified, usegmt=True),
        }

    # -- listings and answers

    def _list(self, objects, query):
        prefix, after = (
            query.get("prefix", ""),
            query.get("continuation-token") or query.get("start-after", ""),
        )
        keys = sorted((k for k in objects if k.startswith(prefix)), key=str.encode)
        keys = [k for k in keys if k.encode() > after.encode()]
        page, more = keys[:1000], len(keys) > 1000
        rows = "".join(
            f"<Contents><Key>{escape(k)}</Key><Size>{len(objects[k].data)}</Size>"
            f"<LastModified>{objects[k].modified.isoformat()}</LastModified>"
            f"<ETag>&quot;{objects[k].generation:x}&quot;</ETag></Contents>"
            for k in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        text = f"<ListBucketResult>{token}{rows}</ListBucketResult>"
        return self._answer(200, text.encode())

    def _fail(self, status, code):
        return self._answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())

    def _answer(self, status, data, headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
