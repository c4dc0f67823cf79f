"""Checks calls of a webhook as a receiver would: the signature by Standard
Webhooks, the form by CloudEvents 1.0 and its HTTP binding's structured mode. It
shares no code with the server."""

import base64
import datetime
import hashlib
import hmac
import json
import os
import re
import time
import urllib.parse

REGION = os.environ["AWS_REGION"]
ACCOUNT = os.environ["HEADWATER_ACCOUNT"]
ENDPOINT = os.environ["WEBHOOK_ENDPOINT"]
SECRET = os.environ["WEBHOOK_SECRET"]
CONTAINER = f"arn:aws:mediastore:{REGION}:{ACCOUNT}:container/live"
PATH = "a/b=1:c~.ts"

key = SECRET.encode()
if SECRET.startswith("whsec_"):
    key = base64.b64decode(SECRET.removeprefix("whsec_"))


def verify(headers, body):
    stamp = headers["webhook-timestamp"]
    if not re.fullmatch("[0-9]+", stamp) or abs(time.time() - int(stamp)) > 300:
        return False
    signed = ".".join([headers["webhook-id"], stamp, body]).encode()
    want = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = headers["webhook-signature"].split(" ")
    return any(hmac.compare_digest(s, "v1," + want) for s in given)


def check(call):
    headers, body = call["Headers"], call["Body"]
    assert verify(headers, body), call
    assert not verify(headers, body + " ")
    assert not verify(headers | {"webhook-id": "x"}, body)
    assert not verify(headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)}, body)
    media, _, charset = headers["content-type"].partition(";")
    assert (media, charset.strip().lower()) == ("application/cloudevents+json", "charset=utf-8"), headers

    event = json.loads(body)
    assert event["specversion"] == "1.0"
    assert event["id"] == headers["webhook-id"] == event["data"]["id"]
    assert event["source"] == CONTAINER and urllib.parse.urlsplit(event["source"]).scheme
    assert re.fullmatch(r"com\.amazonaws\.mediastore\.(object|container)\.(updated|removed|created)", event["type"])
    assert event["datacontenttype"] == "application/json"
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in event), event
    at = datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
    assert abs(at.timestamp() - time.time()) < 300 and at.utcoffset() == datetime.timedelta(0)
    told = datetime.datetime.strptime(event["data"]["time"], "%Y-%m-%dT%H:%M:%SZ")
    assert told.replace(tzinfo=datetime.timezone.utc) == at.replace(microsecond=0)
    return event


def envelope(detail_type, resource, detail):
    return {
        "version": "1",
        "detail-type": detail_type,
        "source": "aws.mediastore",
        "account": ACCOUNT,
        "region": REGION,
        "resources": [resource],
        "detail": {"ContainerName": "live"} | detail,
    }


with open(os.environ["WEBHOOK_CALLS"], encoding="utf-8") as f:
    events = {}
    for call in json.load(f):
        event = check(call)
        events[event["type"].removeprefix("com.amazonaws.mediastore.")] = event

assert len(events) == 4 and len({e["id"] for e in events.values()}) == 4, events
OBJECT, STATE = "MediaStore Object State Change", "MediaStore Container State Change"
url = ENDPOINT + "/" + PATH
want = {
    "object.updated": envelope(OBJECT, CONTAINER + "/" + PATH, {"Operation": "UPDATE", "Path": PATH, "ObjectSize": 5, "URL": url}),
    "object.removed": envelope(OBJECT, CONTAINER + "/" + PATH, {"Operation": "REMOVE", "Path": PATH, "URL": url}),
    "container.created": envelope(STATE, CONTAINER, {"Operation": "CREATE", "Endpoint": ENDPOINT}),
    "container.removed": envelope(STATE, CONTAINER, {"Operation": "REMOVE"}),
}
for name, event in events.items():
    assert event.get("subject") == (PATH if name.startswith("object") else None), event
    data = {k: v for k, v in event["data"].items() if k not in ("id", "time")}
    assert data == want[name], (data, want[name])
