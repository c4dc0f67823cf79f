"""Objects that a lifecycle rule has archived, for a client that does not know of
that: it finds nothing that it does not know, and misses nothing."""

import os
from datetime import datetime

from clients import data

client = data(os.environ["HEADWATER_ENDPOINT"])
types = {"Name": str, "Type": str, "ETag": str, "LastModified": datetime, "ContentType": str, "ContentLength": int}
archived = 0
for item in client.list_items(Path="old")["Items"]:
    got = {name: type(value) for name, value in item.items()}
    assert got == types, f"{got} where the reference has {types}"
    path = "old/" + item["Name"]
    described = client.describe_object(Path=path)
    whole = client.get_object(Path=path)
    part = client.get_object(Path=path, Range="bytes=-100")
    body = whole["Body"].read()
    for answer in (described, whole, part):
        for name in ("ETag", "LastModified", "ContentType"):
            same = answer[name].replace(microsecond=0) if name == "LastModified" else answer[name]
            want = item[name].replace(microsecond=0) if name == "LastModified" else item[name]
            assert same == want, f"{path}: {name} is {same}, in the list {want}"
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        archived += headers.get("x-amz-storage-class") == "INFREQUENT_ACCESS"
    assert len(body) == item["ContentLength"] == described["ContentLength"], path
    assert part["StatusCode"] == 206 and part["Body"].read() == body[-100:], path
assert archived == 3 * 9, f"{archived} answers were about archived objects"
