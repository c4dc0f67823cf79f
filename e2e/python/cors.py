"""CORS, as a browser asks for it."""

import json

from clients import arn, container, control, data, fetch

NAME = "cors"
client = control()
endpoint = container(NAME)
data(endpoint).put_object(Path="live/a.ts", Body=b"0123456789", ContentType="video/mp2t")
PUBLIC = {"Effect": "Allow", "Principal": "*", "Action": "mediastore:GetObject", "Resource": arn(NAME) + "/live/*"}
OBJECT = endpoint + "/live/a.ts"
HEADERS = ("Allow-Origin", "Allow-Methods", "Allow-Headers", "Allow-Credentials", "Max-Age", "Expose-Headers")


def cors(answer):
    """The CORS headers of an answer, without the Access-Control- of their names."""
    found = {name: answer.headers.get_all("Access-Control-" + name, []) for name in HEADERS}
    assert all(len(values) <= 1 for values in found.values()), answer
    return {name: values[0] for name, values in found.items() if values}


def names(value):
    return sorted(name.strip().lower() for name in (value or "").split(","))


def varies(answer):
    return names(",".join(answer.headers.get_all("Vary", [])))


def preflight(origin, method, *headers, url=OBJECT):
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        asked["Access-Control-Request-Headers"] = ", ".join(headers)
    return fetch(url, method="OPTIONS", headers=asked)


# Without a CORS policy there is no CORS answer, and nothing varies.
client.put_container_policy(ContainerName=NAME, Policy=json.dumps({"Version": "2012-10-17", "Statement": [PUBLIC]}))
answer = fetch(OBJECT, headers={"Origin": "https://a.example.com"})
assert answer.status == 200 and cors(answer) == {} and varies(answer) == [""], answer
answer = preflight("https://a.example.com", "GET")
assert answer.status == 403 and cors(answer) == {}, answer

client.put_cors_policy(
    ContainerName=NAME,
    CorsPolicy=[
        {
            "AllowedOrigins": ["https://a.example.com", "http://*.example.org:8080"],
            "AllowedMethods": ["GET"],
            "AllowedHeaders": ["Range", "X-Player-*"],
            "MaxAgeSeconds": 3000,
            "ExposeHeaders": ["Content-Range", "ETag"],
        },
        {"AllowedOrigins": ["https://a.example.com"], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["*"], "MaxAgeSeconds": 1},
        {"AllowedOrigins": ["*"], "AllowedMethods": ["HEAD"], "AllowedHeaders": []},
    ],
)

# Simple requests: the first rule that has the origin and the method.
FIRST = {"Allow-Origin": "https://a.example.com", "Expose-Headers": "Content-Range, ETag"}
answer = fetch(OBJECT, headers={"Origin": "https://a.example.com"})
assert answer.status == 200 and answer.body == b"0123456789" and cors(answer) == FIRST, answer
answer = fetch(OBJECT, headers={"Origin": "https://a.example.com", "Range": "bytes=2-4"})
assert answer.status == 206 and answer.body == b"234" and cors(answer) == FIRST, answer
answer = fetch(OBJECT, headers={"Origin": "http://player.example.org:8080"})
assert cors(answer) == {**FIRST, "Allow-Origin": "http://player.example.org:8080"}, answer
for origin in (
    "http://a.example.com",
    "https://a.example.com:8443",
    "https://A.example.com",
    "https://a.example.com.evil.net",
    "https://evil-a.example.com",
    "http://player.example.org",
    "http://player.example.org:80801",
    "https://player.example.org:8080",
    "null",
    "*",
    "",
):
    answer = fetch(OBJECT, headers={"Origin": origin})
    assert answer.status == 200 and cors(answer) == {}, f"{origin}: {answer}"
    assert "origin" in varies(answer), f"{origin}: {answer}"
answer = fetch(OBJECT)
assert answer.status == 200 and cors(answer) == {}, "no Origin, no CORS"

# Preflights need no credentials, and echo only what was asked for.
answer = preflight("https://a.example.com", "GET", "range", "x-player-id")
assert answer.status in (200, 204) and answer.body == b"", answer
got = cors(answer)
assert got.pop("Allow-Origin") == "https://a.example.com" and got.pop("Max-Age") == "3000", answer
assert names(got.pop("Allow-Methods")) == ["get"] and names(got.pop("Allow-Headers")) == ["range", "x-player-id"] and got == {}, answer
answer = preflight("https://a.example.com", "GET")
assert answer.status in (200, 204) and "Allow-Headers" not in cors(answer), answer
# The first rule does not have the header, the second has.
answer = preflight("https://a.example.com", "GET", "Range", "Authorization")
assert cors(answer)["Max-Age"] == "1" and names(cors(answer)["Allow-Headers"]) == ["authorization", "range"], answer
answer = preflight("https://a.example.com", "PUT", "content-type", url=endpoint + "/live/new.ts")
assert names(cors(answer)["Allow-Methods"]) == ["get", "put"], answer
answer = preflight("https://anywhere.example.net", "HEAD", url=endpoint + "/private/none")
assert answer.status in (200, 204) and "Max-Age" not in cors(answer), answer
assert cors(answer)["Allow-Origin"] == "*", answer
for origin, method, headers in (
    ("https://a.example.com", "DELETE", ()),
    ("https://b.example.com", "GET", ()),
    ("http://x.example.org:8080", "GET", ("x-other",)),
    ("http://x.example.org:8080", "PUT", ()),
    ("https://anywhere.example.net", "HEAD", ("range",)),
    ("https://a.example.com", "get", ()),
):
    answer = preflight(origin, method, *headers)
    assert answer.status == 403 and cors(answer) == {}, f"{origin} {method} {headers}: {answer}"
    assert "origin" in varies(answer), answer
answer = fetch(OBJECT, method="OPTIONS")  # not a preflight
assert answer.status in (200, 204) and cors(answer) == {} and "GET" in answer.headers["Allow"], answer
assert "origin" in varies(answer), answer

# Every answer says that it varies, with an Origin and without, errors included;
# and a page that may read the answer may read the error.
tagged = data(endpoint).describe_object(Path="live/a.ts")["ETag"]
for status, method, url, headers in (
    (200, "GET", OBJECT, {}),
    (206, "GET", OBJECT, {"Range": "bytes=0-0"}),
    (304, "GET", OBJECT, {"If-None-Match": f'"{tagged}"'}),
    (412, "GET", OBJECT, {"If-Match": '"0"'}),
    (416, "GET", OBJECT, {"Range": "bytes=10-"}),
    (404, "GET", endpoint + "/live/none", {}),
    (400, "GET", endpoint + "/live//none", {}),
    (403, "GET", endpoint + "/private/none", {}),
    (403, "GET", endpoint + "/", {}),
    (403, "GET", OBJECT, {"Authorization": "Basic bm9ib2R5Om5vdGhpbmc="}),
    (403, "PUT", OBJECT, {}),
    (403, "HEAD", OBJECT, {}),
    (403, "DELETE", OBJECT, {}),
    (405, "PATCH", OBJECT, {}),
):
    for origin, allowed in (
        (None, False),
        ("https://a.example.com", method not in ("DELETE", "PATCH")),
        ("https://other.example.net", method == "HEAD"),
    ):
        sent = {**headers, "Origin": origin} if origin else headers
        answer = fetch(url, method=method, headers=sent, body=b"x" if method == "PUT" else None)
        assert answer.status == status, f"{method} {url} {headers}: {answer}"
        assert "origin" in varies(answer), f"{method} {url} {headers} {origin}: {answer}"
        assert ("Allow-Origin" in cors(answer)) == allowed, f"{method} {url} {headers} {origin}: {answer}"
        assert "Allow-Credentials" not in cors(answer), answer

# From one request to the next.
client.put_cors_policy(ContainerName=NAME, CorsPolicy=[{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "AllowedHeaders": ["*"]}])
answer = fetch(OBJECT, headers={"Origin": "https://b.example.com"})
assert cors(answer) == {"Allow-Origin": "*"}, answer
assert preflight("https://b.example.com", "GET", "a", "b").status in (200, 204)
client.delete_cors_policy(ContainerName=NAME)
answer = fetch(OBJECT, headers={"Origin": "https://b.example.com"})
assert cors(answer) == {} and varies(answer) == [""], answer
