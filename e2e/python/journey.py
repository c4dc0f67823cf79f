"""Every operation of both planes, in the order of the boto3 reference, with the
types that its "Response Syntax" gives."""

import hashlib
import json
from datetime import datetime

from clients import ACCOUNT, UNVALIDATED, active, arn, container, control, data

NAME = "movies"
client = control()


def take(response):
    """Checks what every response has and returns the rest."""
    metadata = response.pop("ResponseMetadata")
    assert metadata["HTTPStatusCode"] in (200, 206), metadata
    assert metadata["RequestId"], metadata
    return response


def void(response):
    rest = take(response)
    assert rest == {}, rest


def check_container(found, status, **want):
    types = {"CreationTime": datetime, "ARN": str, "Name": str, "Status": str, "AccessLoggingEnabled": bool}
    if status == "ACTIVE":
        types["Endpoint"] = str
    got = {name: type(value) for name, value in found.items()}
    assert got == types, f"{got} where the reference has {types}"
    assert found["CreationTime"].tzinfo is not None, found
    assert found["Status"] == status, found
    assert found["ARN"] == arn(found["Name"]), found
    for name, value in want.items():
        assert found[name] == value, f"{name}: {found[name]!r}, want {value!r}"


# can_paginate
operations = client.meta.service_model.operation_names
assert len(operations) == 21, operations
methods = client.meta.method_to_api_mapping
assert [m for m in methods if client.can_paginate(m)] == ["list_containers"]

# create_container
TAGS = [{"Key": "customer", "Value": "CompanyA"}, {"Key": "priority", "Value": "High"}]
created = take(client.create_container(ContainerName=NAME, Tags=TAGS))
assert list(created) == ["Container"], created
check_container(created["Container"], "CREATING", Name=NAME, AccessLoggingEnabled=False)
endpoint = active(NAME)

# delete_container: another one, the first is needed
container("short-lived")
void(client.delete_container(ContainerName="short-lived"))

# delete_container_policy
void(client.delete_container_policy(ContainerName=NAME))

# delete_cors_policy
CORS = [
    {
        "AllowedOrigins": ["https://www.example.com", "http://*.example.org"],
        "AllowedMethods": ["PUT", "GET", "DELETE", "HEAD"],
        "AllowedHeaders": ["Range", "*"],
        "MaxAgeSeconds": 123,
        "ExposeHeaders": ["ETag"],
    },
    {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "AllowedHeaders": []},
]
void(client.put_cors_policy(ContainerName=NAME, CorsPolicy=CORS))
void(client.delete_cors_policy(ContainerName=NAME))

# delete_lifecycle_policy
SHORT_LIVED = {"path": [{"wildcard": "live/*.ts"}], "seconds_since_create": [{"numeric": [">", 300]}]}
LIFECYCLE = json.dumps({"rules": [{"definition": SHORT_LIVED, "action": "EXPIRE"}]}, indent=1)
void(client.put_lifecycle_policy(ContainerName=NAME, LifecyclePolicy=LIFECYCLE))
void(client.delete_lifecycle_policy(ContainerName=NAME))

# delete_metric_policy
METRICS = {
    "ContainerLevelMetrics": "ENABLED",
    "MetricPolicyRules": [{"ObjectGroup": "live/*", "ObjectGroupName": "live_group"}],
}
void(client.put_metric_policy(ContainerName=NAME, MetricPolicy=METRICS))
void(client.delete_metric_policy(ContainerName=NAME))

# describe_container
described = take(client.describe_container(ContainerName=NAME))
assert list(described) == ["Container"], described
check_container(described["Container"], "ACTIVE", Name=NAME, Endpoint=endpoint, CreationTime=created["Container"]["CreationTime"])

# generate_presigned_url has a script of its own: presigned.py

# put_container_policy comes before get_container_policy here
STATEMENT = {
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    "Action": "mediastore:*",
    "Resource": arn(NAME) + "/*",
}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT]}, indent=2)
void(client.put_container_policy(ContainerName=NAME, Policy=POLICY))
assert take(client.get_container_policy(ContainerName=NAME)) == {"Policy": POLICY}
SECOND = POLICY.replace("mediastore:*", "mediastore:Get*")
void(client.put_container_policy(ContainerName=NAME, Policy=SECOND))
assert take(client.get_container_policy(ContainerName=NAME)) == {"Policy": SECOND}, "the second put does not replace the first"

# get_cors_policy, put_cors_policy
void(client.put_cors_policy(ContainerName=NAME, CorsPolicy=CORS[1:]))
void(client.put_cors_policy(ContainerName=NAME, CorsPolicy=CORS))
got = take(client.get_cors_policy(ContainerName=NAME))
assert got == {"CorsPolicy": CORS}, got

# get_lifecycle_policy, put_lifecycle_policy
void(client.put_lifecycle_policy(ContainerName=NAME, LifecyclePolicy=LIFECYCLE))
got = take(client.get_lifecycle_policy(ContainerName=NAME))
assert got == {"LifecyclePolicy": LIFECYCLE}, got
void(client.delete_lifecycle_policy(ContainerName=NAME))

# get_metric_policy, put_metric_policy
for metrics in (METRICS, {"ContainerLevelMetrics": "DISABLED"}):
    void(client.put_metric_policy(ContainerName=NAME, MetricPolicy=metrics))
    got = take(client.get_metric_policy(ContainerName=NAME))
    assert got == {"MetricPolicy": metrics}, got

# get_paginator, get_waiter: there are no waiters
assert client.get_paginator("list_containers")
assert client.waiter_names == [], client.waiter_names

# list_containers
for parameters in ({}, {"MaxResults": 100}):
    listed = take(client.list_containers(**parameters))
    assert list(listed) == ["Containers"], listed  # and no NextToken
    movies = [c for c in listed["Containers"] if c["Name"] == NAME]
    assert len(movies) == 1, listed
    check_container(movies[0], "ACTIVE", Endpoint=endpoint)

# list_tags_for_resource, tag_resource, untag_resource: the reference's example
def tags():
    got = take(client.list_tags_for_resource(Resource=arn(NAME)))
    return {tag["Key"]: tag["Value"] for tag in got.get("Tags", [])}


assert tags() == {"customer": "CompanyA", "priority": "High"}, tags()
void(client.tag_resource(Resource=arn(NAME), Tags=[{"Key": "priority", "Value": "Medium"}, {"Key": "type", "Value": "Contract"}]))
assert tags() == {"customer": "CompanyA", "priority": "Medium", "type": "Contract"}, tags()
void(client.untag_resource(Resource=arn(NAME), TagKeys=["priority"]))
assert tags() == {"customer": "CompanyA", "type": "Contract"}, tags()
void(client.tag_resource(Resource=arn(NAME), Tags=[{"Key": "ключ é 鍵", "Value": "значение 価値 ü+-=._:/@"}]))
assert tags()["ключ é 鍵"] == "значение 価値 ü+-=._:/@", tags()
void(client.untag_resource(Resource=arn(NAME), TagKeys=list(tags())))
assert tags() == {}, tags()
void(client.tag_resource(Resource=arn(NAME), Tags=[{"Key": f"k{i}", "Value": ""} for i in range(50)]))
assert len(tags()) == 50, tags()

# start_access_logging, stop_access_logging
for call, want in ((client.start_access_logging, True), (client.stop_access_logging, False)):
    void(call(ContainerName=NAME))
    check_container(client.describe_container(ContainerName=NAME)["Container"], "ACTIVE", AccessLoggingEnabled=want)

# The data plane.
objects = data(endpoint)
body = b"a segment, or what passes for one"
put = take(
    objects.put_object(
        Path="live/one.ts",
        Body=body,
        ContentType="video/mp2t",
        CacheControl="max-age=6",
        StorageClass="TEMPORAL",
        UploadAvailability="STANDARD",
    )
)
assert put == {"ContentSHA256": hashlib.sha256(body).hexdigest(), "ETag": put["ETag"], "StorageClass": "TEMPORAL"}, put
WHOLE = {"CacheControl": "max-age=6", "ContentType": "video/mp2t", "ETag": put["ETag"]}


def check_object(got, length, **want):
    assert type(got.pop("LastModified")) is datetime
    # This botocore leaves numbers that come in a header as they are.
    assert int(got.pop("ContentLength")) == length
    assert got == {**WHOLE, **want}, got


check_object(take(objects.describe_object(Path="live/one.ts")), len(body))
got = take(objects.get_object(Path="live/one.ts"))
assert got.pop("Body").read() == body
check_object(got, len(body), StatusCode=200)
got = take(objects.get_object(Path="live/one.ts", Range="bytes=2-8"))
assert got.pop("Body").read() == body[2:9]
check_object(got, 7, StatusCode=206, ContentRange=f"bytes 2-8/{len(body)}")

listed = take(objects.list_items(Path="live"))
(item,) = listed.pop("Items")
assert listed == {}, listed
assert type(item.pop("LastModified")) is datetime
want = {"Name": "one.ts", "Type": "OBJECT", "ETag": put["ETag"], "ContentType": "video/mp2t", "ContentLength": len(body)}
assert item == want, item
assert take(objects.list_items()) == {"Items": [{"Name": "live", "Type": "FOLDER"}]}
void(objects.delete_object(Path="live/one.ts"))
assert take(objects.list_items()) == {"Items": []}, "an empty folder is still listed"

# A client that validates nothing sends the same.
assert take(control(config=UNVALIDATED).describe_container(ContainerName=NAME))["Container"]["Name"] == NAME
