"""Presigned URLs of both planes, fetched without any client library."""

import datetime
import json
import urllib.parse

from clients import clock, container, control, data, fetch

endpoint = container("presigned")
objects = data(endpoint)
body = bytes(range(256)) * 4
path = "live/a=1/b:2/c~d.ts"
objects.put_object(Path=path, Body=body, ContentType="video/mp2t")


def get_url(client=objects, path=path, **options):
    return client.generate_presigned_url("get_object", Params={"Path": path}, **options)


url = get_url()
answer = fetch(url)
assert answer.status == 200 and answer.body == body, answer
assert answer.headers["Content-Type"] == "video/mp2t", answer
for header, part in (("bytes=0-99", body[:100]), ("bytes=1000-", body[1000:]), ("bytes=-24", body[-24:])):
    answer = fetch(url, headers={"Range": header})
    assert answer.status == 206 and answer.body == part, f"{header}: {answer}"
answer = fetch(url, headers={"Range": "bytes=5000-"})
assert (answer.status, answer.code) == (416, "RequestedRangeNotSatisfiableException"), answer
# A leading slash in the path is the same object.
answer = fetch(get_url(path="/" + path))
assert answer.status == 200 and answer.body == body, answer
answer = fetch(get_url(path="live/none.ts"))
assert (answer.status, answer.code) == (404, "ObjectNotFoundException"), answer

# A Range that is signed has to be sent.
ranged = objects.generate_presigned_url("get_object", Params={"Path": path, "Range": "bytes=0-9"})
answer = fetch(ranged, headers={"Range": "bytes=0-9"})
assert answer.status == 206 and answer.body == body[:10], answer
for headers in ({}, {"Range": "bytes=0-10"}):
    answer = fetch(ranged, headers=headers)
    assert (answer.status, answer.code) == (403, "InvalidSignatureException"), answer


def expect_refused(url, code, **request):
    answer = fetch(url, **request)
    assert answer.status == 403 and answer.code == code, f"{url}: {answer}, want {code}"
    document = json.loads(answer.body)
    assert document["__type"] == code and document["Message"], document


# Time: expired, not yet valid, and within the skew that clocks may have.
with clock(hours=-2):
    expired, valid = get_url(ExpiresIn=3600), get_url(ExpiresIn=3 * 3600)
with clock(minutes=14):
    ahead = get_url()
with clock(minutes=16):
    too_far_ahead = get_url()
expect_refused(expired, "RequestExpired")
expect_refused(too_far_ahead, "RequestExpired")
assert fetch(valid).status == 200
assert fetch(ahead).status == 200
assert fetch(get_url(ExpiresIn=7 * 24 * 3600)).status == 200
expect_refused(get_url(ExpiresIn=7 * 24 * 3600 + 1), "IncompleteSignatureException")


def parameters_of(url):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


def changed(url, **parameters):
    """The URL with parameters of its query replaced, None for none."""
    query = parameters_of(url) | {f"X-Amz-{name}": value for name, value in parameters.items()}
    query = {name: value for name, value in query.items() if value is not None}
    return url.split("?")[0] + "?" + urllib.parse.urlencode(query)


# Tampering.
assert fetch(changed(url)).status == 200, "the helper spoils the URL"
query = parameters_of(url)
signature = query["X-Amz-Signature"]
flipped = ("0" if signature[0] != "0" else "1") + signature[1:]
expect_refused(url.replace("c~d", "c~e"), "InvalidSignatureException")
expect_refused(changed(url, Signature=flipped), "InvalidSignatureException")
expect_refused(changed(url, Expires="3601"), "InvalidSignatureException")
expect_refused(changed(expired, Expires="86400"), "InvalidSignatureException")
expect_refused(url + "&x=y", "InvalidSignatureException")
expect_refused(changed(url, Signature="short"), "IncompleteSignatureException")
expect_refused(changed(url, Credential=None), "IncompleteSignatureException")
expect_refused(changed(url, Expires="0"), "IncompleteSignatureException")
other_day = query["X-Amz-Credential"].split("/")
other_day[1] = (datetime.date.today() - datetime.timedelta(days=3)).strftime("%Y%m%d")
expect_refused(changed(url, Credential="/".join(other_day)), "InvalidSignatureException")
for method in ("PUT", "DELETE"):
    expect_refused(url, "InvalidSignatureException", method=method)
answer = fetch(url, method="HEAD")
assert (answer.status, answer.code, answer.body) == (403, "InvalidSignatureException", b""), answer


# Credentials.
def other(**settings):
    """The URL that a client with other settings makes."""
    return get_url(data(endpoint, **settings))


key = query["X-Amz-Credential"].split("/")[0]
expect_refused(other(aws_access_key_id="AKIDNOBODYKNOWSTHIS", aws_secret_access_key="x" * 20), "UnrecognizedClientException")
expect_refused(other(aws_access_key_id=key, aws_secret_access_key="x" * 20), "InvalidSignatureException")
expect_refused(other(region_name="eu-west-1"), "InvalidSignatureException")
temporary = other(aws_access_key_id=key, aws_secret_access_key="x" * 20, aws_session_token="never issued")
expect_refused(temporary, "UnrecognizedClientException")


# The other operations of the data plane.
def put_url(path, **parameters):
    return objects.generate_presigned_url("put_object", Params={"Path": path, "Body": b"", **parameters})


def put(url, **headers):
    """Uploads to a presigned URL, with those headers that it was signed with."""
    signed = parameters_of(url)["X-Amz-SignedHeaders"].split(";")
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
    return fetch(url, method="PUT", headers={name: headers[name] for name in signed if name != "host"}, body=body)


url = put_url("live/put.ts", ContentType="video/mp4", UploadAvailability="STREAMING")
answer = put(url, content_type="video/mp4", x_amz_upload_availability="STREAMING")
assert answer.status == 200, answer
got = objects.get_object(Path="live/put.ts")
assert got["Body"].read() == body and got["ContentType"] == "video/mp4", got
assert got["ETag"] == json.loads(answer.body)["ETag"], answer
answer = put(url.replace("put.ts", "put2.ts"), content_type="video/mp4", x_amz_upload_availability="STREAMING")
assert (answer.status, answer.code) == (403, "InvalidSignatureException"), answer
answer = put(url, content_type="video/other", x_amz_upload_availability="STREAMING")
assert (answer.status, answer.code) == (403, "InvalidSignatureException"), answer
with clock(hours=-2):
    url = put_url("live/late.ts")
answer = put(url)
assert (answer.status, answer.code) == (403, "RequestExpired"), answer

answer = fetch(objects.generate_presigned_url("describe_object", Params={"Path": path}), method="HEAD")
assert answer.status == 200 and answer.headers["Content-Length"] == str(len(body)) and answer.body == b"", answer
answer = fetch(objects.generate_presigned_url("list_items", Params={"Path": "live", "MaxResults": 10}))
assert answer.status == 200 and {i["Name"] for i in json.loads(answer.body)["Items"]} == {"a=1", "put.ts"}, answer
answer = fetch(objects.generate_presigned_url("delete_object", Params={"Path": "live/put.ts"}), method="DELETE")
assert answer.status == 200, answer
assert [i["Name"] for i in objects.list_items(Path="live")["Items"]] == ["a=1"]

# The control plane: the operation's name travels in a signed header.
client = control()
url = client.generate_presigned_url("list_containers")
headers = {"X-Amz-Target": "MediaStore_20170901.ListContainers", "Content-Type": "application/x-amz-json-1.1"}
answer = fetch(url, method="POST", headers=headers)
assert answer.status == 200 and [c["Name"] for c in json.loads(answer.body)["Containers"]] == ["presigned"], answer
expect_refused(url, "InvalidSignatureException", method="POST", headers={**headers, "X-Amz-Target": "MediaStore_20170901.DescribeContainer"})

# What a control-plane URL was signed for is in its body, so the body is signed:
# whoever has a URL for one container must not use it on another.
container("mine")
container("another")
url = client.generate_presigned_url("delete_container", Params={"ContainerName": "mine"})
headers["X-Amz-Target"] = "MediaStore_20170901.DeleteContainer"
expect_refused(url, "InvalidSignatureException", method="POST", headers=headers, body=b'{"ContainerName":"another"}')
assert client.describe_container(ContainerName="another")["Container"]["Status"] == "ACTIVE"
