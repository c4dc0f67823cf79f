"""What a path may be, and that its spellings on the wire are one object."""

import json

from clients import UNVALIDATED, container, control, data, fetch, refused

name = "paths"
endpoint = container(name)
objects = data(endpoint)
unvalidated = data(endpoint, config=UNVALIDATED)


def check(path, *spellings):
    """Stores under one spelling, reads under every one, and deletes again."""
    for client, written in ((objects, path), *((objects, s) for s in spellings)):
        etag = client.put_object(Path=written, Body=written.encode())["ETag"]
        for read in (path, *spellings):
            assert objects.describe_object(Path=read)["ETag"] == etag, f"{read} is not {written}"
            assert objects.get_object(Path=read)["Body"].read() == written.encode(), f"{read} is not {written}"
        folder, _, last = path.rpartition("/")
        for listed in (folder, "/" + folder, folder + "/" if folder else "/"):
            items = objects.list_items(Path=listed)["Items"]
            assert [i["Name"] for i in items] == [last], f"{listed!r} has {items}"
        objects.delete_object(Path=spellings[0] if spellings else path)
        for read in (path, *spellings):
            refused("ObjectNotFoundException", objects.describe_object, Path=read)
    assert objects.list_items()["Items"] == [], "folders outlive their objects"


for path in ("a", "live/a.ts", "a=1/b:2/c~d.ts", "=", ":", "~", "-", "_", "a.b-c_d~e=f:g/=/~~/...ts", "..a", "a..", "...", "AZaz09"):
    check(path, "/" + path)

# Upper and lower case are two objects.
objects.put_object(Path="Case", Body=b"upper")
objects.put_object(Path="case", Body=b"lower")
assert objects.get_object(Path="Case")["Body"].read() == b"upper"
for path in ("Case", "case"):
    objects.delete_object(Path=path)

# 900 characters, the leading slash not counted, and ten folders.
check("n" * 900, "/" + "n" * 900)
check("/".join(["f" * 81] * 10) + "/" + "n" * 80, "/" + "/".join(["f" * 81] * 10) + "/" + "n" * 80)
check("/".join("0123456789") + "/object", "/" + "/".join("0123456789") + "/object")

BAD = [
    "n" * 901,
    "/".join("0123456789a") + "/object",
    "two words",
    "a//b",
    "///a",
    "a/",
    "ä",
    "鍵",
    "a+b",
    "a%b",
    "a%2Fb",
    "a?b",
    "a#b",
    "a&b",
    "a*b",
    "a\\b",
    'a"b',
    "a\nb",
    "a\x00b",
    "a\x7fb",
    "",
]
for path in BAD:
    refused("ValidationException", unvalidated.put_object, Path=path, Body=b"x")
    refused("ValidationException", unvalidated.delete_object, Path=path)
    refused("ValidationException", unvalidated.describe_object, Path=path)
    if path:  # without one it is ListItems
        refused("ValidationException", unvalidated.get_object, Path=path)
for path in (*BAD[:3], "a//b", "ä", "a%b", "a\x00b"):
    refused("ValidationException", unvalidated.list_items, Path=path)
assert objects.list_items()["Items"] == []

# Dot segments, which clients resolve before they send. Sent as they are, they
# are refused and reach nothing outside of the container.
public = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
policy = json.dumps({"Version": "2012-10-17", "Statement": public})
control().put_container_policy(ContainerName=name, Policy=policy)
other = container("other")
data(other).put_object(Path="secret", Body=b"secret")
for path in ("../" + other.rsplit("/", 1)[1] + "/secret", "a/../b", "./a", "a/.", "..", "%2e%2e/a", "a/%2E%2E/b", "a%2F..%2Fb"):
    for method in ("PUT", "GET", "HEAD", "DELETE"):
        answer = fetch(endpoint + "/" + path, method=method, body=b"x" if method == "PUT" else None)
        assert (answer.status, answer.code) == (400, "ValidationException"), f"{method} {path}: {answer}"

# A slash may come percent-encoded: it is one all the same.
assert fetch(endpoint + "/a%2Fb", method="PUT", body=b"x").status == 200
assert fetch(endpoint + "/a/b").body == b"x"
assert fetch(endpoint + "/%61/b").body == b"x"
for path in ("a%", "a%2", "a%zz"):
    answer = fetch(endpoint + "/" + path)
    assert answer.status == 400, f"{path}: {answer}"
