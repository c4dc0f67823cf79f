"""Uploads in every form that boto3 gives them."""

import base64
import hashlib
import io
import os
import tempfile
import threading

from clients import CRT, Unseekable, container, data, refused

endpoint = container("uploads")
objects = data(endpoint)
sent = []  # the headers of each PutObject, as they went on the wire


def note(request, **_):
    sent.append({name.lower(): value.decode() if isinstance(value, bytes) else str(value) for name, value in request.headers.items()})


objects.meta.events.register("before-send.mediastore-data.PutObject", note)


def upload(path, body, content, **parameters):
    """Uploads a body and reads it back."""
    put = objects.put_object(Path=path, Body=body, **parameters)
    assert put["ContentSHA256"] == hashlib.sha256(content).hexdigest(), f"{path}: {put}"
    assert put["StorageClass"] == "TEMPORAL", put
    got = objects.get_object(Path=path)
    assert got["Body"].read() == content, f"{path}: other bytes come back"
    assert got["ETag"] == put["ETag"], f"{path}: ETag {got['ETag']}, was {put['ETag']}"
    assert int(got["ContentLength"]) == len(content), f"{path}: {got}"
    return got


def pipe(content):
    """A body from a pipe that a thread writes to, in small pieces."""
    reader, writer = os.pipe()

    def write():
        with os.fdopen(writer, "wb", buffering=0) as stream:
            for i in range(0, len(content), 3000):
                stream.write(content[i : i + 3000])

    threading.Thread(target=write, daemon=True).start()
    body = Unseekable(b"")
    body.stream = os.fdopen(reader, "rb")
    return body


content = os.urandom(100_000)
with tempfile.TemporaryFile() as file:
    file.write(content)
    for availability in ({}, {"UploadAvailability": "STANDARD"}, {"UploadAvailability": "STREAMING"}):
        file.seek(0)
        forms = [("bytes", content, False), ("bytearray", bytearray(content), False), ("bytesio", io.BytesIO(content), False), ("file", file, False)]
        if not CRT:
            forms += [("unseekable", Unseekable(content), True), ("pipe", pipe(content), True)]
        for name, body, chunked in forms:
            upload(f"forms/{name}", body, content, **availability)
            wire = sent[-1]
            assert ("content-length" in wire) != chunked, f"{name}: {wire}"
            assert (wire.get("transfer-encoding") == "chunked") == chunked, f"{name}: {wire}"
            assert wire.get("x-amz-content-sha256") == (None if CRT else "UNSIGNED-PAYLOAD"), wire

# A file that is not at its beginning is sent from where it is. The CRT rewinds it.
rest = io.BytesIO(content)
rest.seek(99_000)
if not CRT:
    upload("forms/rest", rest, content[99_000:])

# Nothing, and everything else at the borders of what is stored in one piece.
for availability in ("STANDARD", "STREAMING"):
    for body in (b"", io.BytesIO(), Unseekable(b"")):
        upload("empty", body, b"", UploadAvailability=availability)
    assert [(i["Name"], i["ContentLength"]) for i in objects.list_items()["Items"] if i["Type"] == "OBJECT"] == [("empty", 0)]
    for size in (1, 4095, 4096, 32767, 32768, 32769, 65535, 65536, 65537, 1 << 20):
        upload(f"sizes/{availability}-{size}", content[:size].ljust(size, b"x"), content[:size].ljust(size, b"x"), UploadAvailability=availability)
large = os.urandom(8 << 20)
upload("large/sized", io.BytesIO(large), large)
upload("large/chunked", Unseekable(large), large, UploadAvailability="STREAMING")
for first, last in ((0, 0), (65_535, 65_536), (4_000_000, 5_000_000), (len(large) - 1, len(large) - 1)):
    for path in ("large/sized", "large/chunked"):
        part = objects.get_object(Path=path, Range=f"bytes={first}-{last}")
        assert part["Body"].read() == large[first : last + 1], f"{path} bytes={first}-{last}"
        assert part["ContentRange"] == f"bytes {first}-{last}/{len(large)}", part

# What is stored beside the bytes.
for content_type in ("video/mp4", "application/vnd.apple.mpegurl", "application/dash+xml", "text/plain; charset=utf-8", 'video/mp4; codecs="avc1.4d401e, mp4a.40.2"'):
    assert upload("types/a", b"x", b"x", ContentType=content_type)["ContentType"] == content_type
    assert objects.describe_object(Path="types/a")["ContentType"] == content_type
    assert objects.list_items(Path="types")["Items"][0]["ContentType"] == content_type
for cache_control in ("max-age=2", "no-store, max-age=0", "public, max-age=31536000, immutable", 'private="x-y", s-maxage=1'):
    assert upload("cache/a", b"x", b"x", CacheControl=cache_control)["CacheControl"] == cache_control
    assert objects.describe_object(Path="cache/a")["CacheControl"] == cache_control
assert "CacheControl" not in upload("cache/a", b"x", b"x"), "the replaced version's Cache-Control stays"

# Versions of the same bytes differ, and so do their ETags.
etags = {upload("same", b"same", b"same")["ETag"] for _ in range(5)}
assert len(etags) == 5, etags


# Digests. A body that is not what the client says it is replaces nothing.
def with_headers(**headers):
    client = data(endpoint)

    def add(params, **_):
        params["headers"].update({name.replace("_", "-"): value for name, value in headers.items()})

    client.meta.events.register("before-call.mediastore-data.PutObject", add)
    return client


def md5(content):
    return base64.b64encode(hashlib.md5(content).digest()).decode()


for availability in ("STANDARD", "STREAMING"):
    kept = upload("digest", b"the first", b"the first")["ETag"]
    for body in (b"the second", Unseekable(b"the second")):
        refused("BadDigestException", with_headers(Content_MD5=md5(b"another")).put_object, Path="digest", Body=body, UploadAvailability=availability)
    refused("ValidationException", with_headers(Content_MD5="not base64").put_object, Path="digest", Body=b"x", UploadAvailability=availability)
    got = objects.get_object(Path="digest")
    assert (got["ETag"], got["Body"].read()) == (kept, b"the first"), f"{availability}: a refused upload replaced the object"
    with_headers(Content_MD5=md5(b"the second")).put_object(Path="digest", Body=b"the second", UploadAvailability=availability)
    assert objects.get_object(Path="digest")["Body"].read() == b"the second"
refused("BadDigestException", with_headers(Content_MD5=md5(b"another")).put_object, Path="never", Body=b"x")
refused("ObjectNotFoundException", objects.describe_object, Path="never")

# Conditions, which the service ignores and Headwater honours.
etag = upload("conditional", b"one", b"one")["ETag"]
refused("PreconditionFailedException", with_headers(If_None_Match="*").put_object, Path="conditional", Body=b"two")
refused("PreconditionFailedException", with_headers(If_Match="0" * 32).put_object, Path="conditional", Body=b"two")
assert objects.get_object(Path="conditional")["Body"].read() == b"one"
with_headers(If_Match=etag).put_object(Path="conditional", Body=b"two")
with_headers(If_None_Match="*").put_object(Path="conditional2", Body=b"new")


# An upload that the client breaks off leaves what was there.
class Broken(Unseekable):
    def read(self, size=-1):
        if self.stream.tell() >= 5000:
            raise RuntimeError("the encoder is gone")
        return super().read(size)


def break_off():
    kept = upload("broken", b"whole", b"whole")["ETag"]
    try:
        objects.put_object(Path="broken", Body=Broken(content), UploadAvailability="STANDARD")
    except Exception as error:  # botocore wraps it
        assert "the encoder is gone" in str(error), error
    else:
        raise AssertionError("a broken body was uploaded")
    got = objects.get_object(Path="broken")
    assert (got["ETag"], got["Body"].read()) == (kept, b"whole"), "a broken upload replaced the object"


if not CRT:
    break_off()
