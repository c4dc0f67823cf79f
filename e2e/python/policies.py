"""Container policies are carried out, from the request after they are put."""

import itertools
import json

from botocore import UNSIGNED
from botocore.client import Config
from botocore.exceptions import ClientError
from clients import ACCOUNT, arn, container, control, data, fetch, refused

NAME = "policies"
client = control()
endpoint = container(NAME)
root = data(endpoint)
BASE = arn(NAME)
ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
for path in ("live/a.ts", "live/deep/b.ts", "vod/c.mp4", "top"):
    root.put_object(Path=path, Body=path.encode())


def statement(effect="Allow", **elements):
    defaults = {"Effect": effect, "Principal": "*", "Action": "mediastore:GetObject", "Resource": f"{BASE}/*"}
    for name in list(elements):
        if name.startswith("Not"):
            del defaults[name[3:]]
    return {**defaults, **elements}


def put(*statements):
    client.put_container_policy(ContainerName=NAME, Policy=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


def check(allowed, path="live/a.ts", **headers):
    """What somebody without credentials gets, who sends these headers."""
    answer = fetch(f"{endpoint}/{path}", headers={name.replace("_", "-"): value for name, value in headers.items()})
    want = (200, None) if allowed else (403, "AccessDeniedException")
    assert (answer.status, answer.code) == want, f"{path} {headers}: {answer}, want {want}"
    assert answer.body == path.encode() if allowed else b"AccessDenied" in answer.body, answer


everyone = data(endpoint, config=Config(signature_version=UNSIGNED))


def anonymous_put():
    """boto3 insists on signing PutObject."""
    answer = fetch(f"{endpoint}/live/new", method="PUT", body=b"x")
    metadata = {"HTTPStatusCode": answer.status, "RequestId": answer.headers["x-amzn-RequestId"]}
    response = {"Error": {"Code": answer.code}, "ResponseMetadata": metadata}
    if answer.code:
        raise ClientError(response, "PutObject")
    return response


def may(**want):
    """Which of the five operations somebody without credentials may do."""
    calls = {
        "get": lambda: everyone.get_object(Path="live/a.ts"),
        "describe": lambda: everyone.describe_object(Path="live/a.ts"),
        "list": lambda: everyone.list_items(Path="live"),
        "put": anonymous_put,
        "delete": lambda: everyone.delete_object(Path="live/new"),
    }
    root.put_object(Path="live/new", Body=b"x")
    for name, call in calls.items():
        if want.get(name):
            assert call()["ResponseMetadata"]["HTTPStatusCode"] == 200
        else:
            refused("AccessDeniedException", call)
    root.put_object(Path="live/new", Body=b"x")
    root.delete_object(Path="live/new")


# A new container is the account's alone, and needs no policy to be.
may()
client.delete_container_policy(ContainerName=NAME)
may()
assert root.get_object(Path="top")["Body"].read() == b"top"

# Actions.
put(statement())
may(get=True)
put(statement(Action="mediastore:*"))
may(get=True, describe=True, list=True, put=True, delete=True)
put(statement(Action="*"))
may(get=True, describe=True, list=True, put=True, delete=True)
put(statement(Action="MEDIASTORE:getobject"))
may(get=True)
put(statement(Action=["mediastore:Get*", "mediastore:Desc?ibeObject"]))
may(get=True, describe=True)
put(statement(NotAction=["mediastore:PutObject", "mediastore:DeleteObject"]))
may(get=True, describe=True, list=True)
put(statement(Action="s3:*"))
may()
stranger = {"AWS": "999999999999"}
put(statement(Action="mediastore:*"), statement("Deny", Action=["mediastore:Put*", "mediastore:Delete*"], Principal=stranger))
may(get=True, describe=True, list=True, put=True, delete=True)

# Resources.
put(statement(Resource=f"{BASE}/live/*"))
for path, allowed in (("live/a.ts", True), ("live/deep/b.ts", True), ("vod/c.mp4", False), ("top", False)):
    check(allowed, path)
put(statement(Resource=[f"{BASE}/*.ts", f"{BASE}/to?"]))
for path, allowed in (("live/a.ts", True), ("live/deep/b.ts", True), ("vod/c.mp4", False), ("top", True)):
    check(allowed, path)
put(statement(NotResource=f"{BASE}/vod/*"))
for path, allowed in (("live/a.ts", True), ("vod/c.mp4", False), ("top", True)):
    check(allowed, path)
for other in (f"{BASE}x/*", BASE.replace(ACCOUNT, "999999999999") + "/*", f"{BASE}/LIVE/*", f"{BASE}"):
    put(statement(Resource=other))
    check(False)

# Principals.
put(statement(Principal=ROOT))
check(False)
put(statement(Principal={"AWS": "*"}))
check(True)
put(statement(NotPrincipal=ROOT))
check(True)

# Addresses. The server trusts the watcher to say who sent a request.
put(statement(Condition={"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:db8::/32"]}}))
check(False)
check(True, X_Forwarded_For="203.0.113.9")
check(True, X_Forwarded_For="198.51.100.1, 203.0.113.9")
check(False, X_Forwarded_For="203.0.113.9, 198.51.100.1")  # the client wrote the first itself
check(True, X_Forwarded_For="2001:db8::1")
check(False, X_Forwarded_For="2001:db9::1")
check(False, X_Forwarded_For="nonsense")
network, host = {"aws:SourceIp": "203.0.113.0/24"}, {"aws:SourceIp": "203.0.113.7/32"}
put(statement(Condition={"IpAddress": network, "NotIpAddress": host}))
check(True, X_Forwarded_For="203.0.113.9")
check(False, X_Forwarded_For="203.0.113.7")
put(statement(Condition={"IpAddress": {"aws:SourceIp": "127.0.0.1/32"}}))
check(True)

# The CDN's secret, as the service's guide has it.
put(statement(Condition={"StringEquals": {"aws:Referer": "the-secret"}}))
check(True, Referer="the-secret")
for headers in ({}, {"Referer": "The-Secret"}, {"Referer": "the-secre"}, {"Referer": "https://the-secret/"}):
    check(False, **headers)
put(statement(Condition={"StringLike": {"aws:UserAgent": "Encoder/*"}}))
check(True, User_Agent="Encoder/2.1")
check(False, User_Agent="Player/2.1")
# All conditions have to hold, and one value of each.
put(statement(Condition={"StringEquals": {"aws:Referer": ["one", "two"], "aws:UserAgent": "cdn"}}))
for referer, agent in itertools.product(("one", "two", "three"), ("cdn", "other")):
    check(referer != "three" and agent == "cdn", Referer=referer, User_Agent=agent)

# Transport.
put(statement(Condition={"Bool": {"aws:SecureTransport": "true"}}))
check(False)
check(True, X_Forwarded_Proto="https")
put(statement(Condition={"Bool": {"aws:SecureTransport": ["true", "false"]}}))
check(True)
check(True, X_Forwarded_Proto="https")
put(statement("Deny", Principal="*", Action="*", Condition={"Bool": {"aws:SecureTransport": "false"}}), statement())
check(False)
check(True, X_Forwarded_Proto="https")

# Time, and keys that a request does not have.
put(statement(Condition={"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}))
check(True)
put(statement(Condition={"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}))
check(False)
put(statement(Condition={"Null": {"aws:Referer": "true"}}))
check(True)
check(False, Referer="any")
put(statement(Condition={"StringEqualsIfExists": {"aws:Referer": "one"}}))
check(True)
check(True, Referer="one")
check(False, Referer="two")

# A Deny wins, whatever the order, and over the account's root user too.
deny = statement("Deny", Action=["mediastore:GetObject", "mediastore:PutObject"], Resource=f"{BASE}/vod/*")
for statements in ((statement(Action="*"), deny), (deny, statement(Action="*"))):
    put(*statements)
    check(True)
    check(False, "vod/c.mp4")
    refused("AccessDeniedException", root.get_object, Path="vod/c.mp4")
    refused("AccessDeniedException", root.put_object, Path="vod/new", Body=b"x")
    refused("AccessDeniedException", root.put_object, Path="vod/new", Body=b"x", UploadAvailability="STREAMING")
    assert root.describe_object(Path="vod/c.mp4")["ETag"]
    assert root.get_object(Path="live/a.ts")["Body"].read() == b"live/a.ts"
assert [i["Name"] for i in root.list_items(Path="vod")["Items"]] == ["c.mp4"]
put(statement("Deny", NotAction=["mediastore:GetObject", "mediastore:DescribeObject"], Principal="*"))
assert root.get_object(Path="top")["Body"].read() == b"top"
refused("AccessDeniedException", root.put_object, Path="x", Body=b"x")
refused("AccessDeniedException", root.delete_object, Path="top")
refused("AccessDeniedException", root.list_items)
# One that spares the root user.
put(statement("Deny", NotPrincipal=ROOT, Action="*"), statement(Action="*"))
may()
assert root.get_object(Path="top")["Body"].read() == b"top"

# Nobody locks the account out of the control plane.
put(statement("Deny", Action="*", Resource="*"))
refused("AccessDeniedException", root.get_object, Path="top")
assert client.describe_container(ContainerName=NAME)["Container"]["Status"] == "ACTIVE"
assert json.loads(client.get_container_policy(ContainerName=NAME)["Policy"])["Statement"][0]["Effect"] == "Deny"
client.tag_resource(Resource=BASE, Tags=[{"Key": "a", "Value": "b"}])
client.delete_container_policy(ContainerName=NAME)
assert root.get_object(Path="top")["Body"].read() == b"top"

# A policy that is refused leaves the one that is in force.
put(statement())
for bad in (
    statement(Effect="Perhaps"),
    statement(Action="GetObject"),
    statement(Resource="everything"),
    statement(Condition={"IpAddress": {"aws:SourceIp": "300.0.0.0/8"}}),
    statement(Conditions={}),
    {k: v for k, v in statement().items() if k != "Principal"},
):
    document = json.dumps({"Version": "2012-10-17", "Statement": bad})
    refused("ValidationException", client.put_container_policy, ContainerName=NAME, Policy=document)
check(True)

# A policy is about its own container only.
second = container("second")
data(second).put_object(Path="top", Body=b"second")
put(statement(Resource="*"))
check(True, "top")
assert fetch(f"{second}/top").status == 403
