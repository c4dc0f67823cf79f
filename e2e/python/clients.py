"""Clients of the server under test, for the scripts beside this file.

A script prints nothing when everything is as it should be: it asserts. The
address and the credentials come from the environment."""

import contextlib
import datetime
import http.client
import io
import os
import time
import types
import urllib.parse

import boto3
import botocore.auth
import botocore.compat
from botocore.client import Config
from botocore.exceptions import ClientError

URL = os.environ["HEADWATER_URL"]
REGION = os.environ["AWS_REGION"]
ACCOUNT = os.environ["HEADWATER_ACCOUNT"]

# boto3 signs by itself or, when it finds it, with the AWS Common Runtime (CRT):
# then bodies have to be seekable, and PutObject signs the body's hash without
# declaring it. BOTO_DISABLE_CRT chooses.
CRT = botocore.compat.HAS_CRT
signers = [botocore.auth]
if CRT:
    import botocore.crt.auth

    signers.append(botocore.crt.auth)

# Pass this as config=. boto3 holds some requests back by itself otherwise.
UNVALIDATED = Config(parameter_validation=False)


def control(**settings):
    """A client of the control plane."""
    return boto3.client("mediastore", endpoint_url=URL, **settings)


def data(endpoint, **settings):
    """A client of a container's data plane."""
    return boto3.client("mediastore-data", endpoint_url=endpoint, **settings)


def arn(name):
    return f"arn:aws:mediastore:{REGION}:{ACCOUNT}:container/{name}"


# The bounds below end a script that hangs; they say nothing about how long a thing
# should take.


def active(name):
    """Waits until a container is ACTIVE and returns its endpoint."""
    client = control()
    for _ in range(6000):
        found = client.describe_container(ContainerName=name)["Container"]
        if found["Status"] == "ACTIVE":
            return found["Endpoint"]
        time.sleep(0.01)
    raise AssertionError(f"{name} never became ACTIVE")


def gone(name):
    """Deletes a container and waits until it is gone."""
    client = control()
    client.delete_container(ContainerName=name)
    for _ in range(6000):
        try:
            client.describe_container(ContainerName=name)
        except client.exceptions.ContainerNotFoundException:
            return
        time.sleep(0.01)
    raise AssertionError(f"{name} was never deleted")


def container(name):
    """Makes a container and returns its endpoint."""
    control().create_container(ContainerName=name)
    return active(name)


def refused(code, call, **parameters):
    """Asserts that the service answers a call with the error and returns it."""
    try:
        answer = call(**parameters)
    except ClientError as error:
        got = error.response["Error"]["Code"]
        assert got == code, f"{parameters}: {error}, want {code}"
        assert error.response["ResponseMetadata"]["RequestId"], f"{code} without a request ID"
        return error
    raise AssertionError(f"{parameters}: want {code}, got {answer}")


class Unseekable:
    """A body that comes in pieces and can be read once, as from an encoder. It is
    sent chunked. The CRT takes none: there it is an io.BytesIO."""

    def __new__(cls, content):
        return io.BytesIO(content) if CRT else super().__new__(cls)

    def __init__(self, content):
        self.stream = io.BytesIO(content)

    def read(self, size=-1):
        return self.stream.read(size)

    def __iter__(self):
        return iter(lambda: self.read(1000), b"")


class Answer:
    """An answer to fetch: status, headers (http.client.HTTPMessage) and body."""

    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()
        self.code = self.headers.get("x-amzn-ErrorType")

    def __repr__(self):
        return f"{self.status} {dict(self.headers)} {self.body[:500]}"


def fetch(url, method="GET", headers=None, body=None):
    """Sends a plain request, without credentials beyond those in the URL."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    with contextlib.closing(connection):
        target = parts.path + ("?" + parts.query if parts.query else "")
        connection.request(method, target, body=body, headers=headers or {})
        return Answer(connection.getresponse())


@contextlib.contextmanager
def clock(**shift):
    """Lets botocore sign at another time: clock(minutes=-16)."""
    real = datetime.datetime
    offset = datetime.timedelta(**shift)

    class Shifted(real):
        @classmethod
        def utcnow(cls):
            return real.utcnow() + offset

    for signer in signers:
        signer.datetime = types.SimpleNamespace(datetime=Shifted, timezone=datetime.timezone)
    try:
        yield
    finally:
        for signer in signers:
            signer.datetime = datetime
