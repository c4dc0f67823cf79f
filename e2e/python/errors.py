"""Every error that the models declare, as the client's own exception classes, and
those that all services share."""

import json

from botocore import UNSIGNED
from botocore.client import Config
from clients import ACCOUNT, UNVALIDATED, Unseekable, arn, clock, container, control, data, fetch, gone, refused

client = control()
provoked = set()

# The exceptions that cannot be provoked here: a defect or a broken disk, and a
# container that is CREATING or DELETING, which is over before anybody can ask.
IN_USE = {"CreateContainer", "DeleteContainer"}


def raises(name, call, **parameters):
    """Asserts that a call raises the client's exception of that name."""
    owner = call.__self__
    try:
        call(**parameters)
    except getattr(owner.exceptions, name) as error:
        response = error.response
        assert response["Error"]["Code"] == name, response
        assert response["Error"]["Message"] or error.operation_name == "DescribeObject", response  # a HEAD has no body
        status = owner.meta.service_model.shape_for(name).metadata.get("error", {}).get("httpStatusCode", 400)
        assert response["ResponseMetadata"]["HTTPStatusCode"] == status, response
        provoked.add((error.operation_name, name))
        return
    raise AssertionError(f"{call} {parameters} did not raise {name}")


CORS = [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "AllowedHeaders": ["*"]}]
METRICS = {"ContainerLevelMetrics": "ENABLED"}
OLD = {"path": [{"prefix": ""}], "days_since_create": [{"numeric": [">", 1]}]}
LIFECYCLE = json.dumps({"rules": [{"definition": OLD, "action": "EXPIRE"}]})


def policy(name, **statement):
    base = {"Effect": "Allow", "Principal": "*", "Action": "mediastore:*", "Resource": arn(name) + "/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**base, **statement}]})


# Where there is no container.
for call in (
    client.describe_container,
    client.delete_container,
    client.start_access_logging,
    client.stop_access_logging,
    client.get_container_policy,
    client.delete_container_policy,
    client.get_cors_policy,
    client.delete_cors_policy,
    client.get_lifecycle_policy,
    client.delete_lifecycle_policy,
    client.get_metric_policy,
    client.delete_metric_policy,
):
    raises("ContainerNotFoundException", call, ContainerName="missing")
raises("ContainerNotFoundException", client.put_container_policy, ContainerName="missing", Policy=policy("missing"))
raises("ContainerNotFoundException", client.put_cors_policy, ContainerName="missing", CorsPolicy=CORS)
raises("ContainerNotFoundException", client.put_lifecycle_policy, ContainerName="missing", LifecyclePolicy=LIFECYCLE)
raises("ContainerNotFoundException", client.put_metric_policy, ContainerName="missing", MetricPolicy=METRICS)
for missing in (
    arn("missing"),
    arn("errors").replace(ACCOUNT, "999999999999"),  # another account's
    arn("errors").replace("us-west-2", "eu-west-1"),
):
    raises("ContainerNotFoundException", client.list_tags_for_resource, Resource=missing)
    raises("ContainerNotFoundException", client.tag_resource, Resource=missing, Tags=[{"Key": "a", "Value": "b"}])
    raises("ContainerNotFoundException", client.untag_resource, Resource=missing, TagKeys=["a"])
nowhere = data(client.meta.endpoint_url + "/missing0000000")
raises("ContainerNotFoundException", nowhere.put_object, Path="a", Body=b"x")
raises("ContainerNotFoundException", nowhere.get_object, Path="a")
raises("ContainerNotFoundException", nowhere.describe_object, Path="a")
raises("ContainerNotFoundException", nowhere.delete_object, Path="a")
raises("ContainerNotFoundException", nowhere.list_items)

# Where there is one.
endpoint = container("errors")
objects = data(endpoint)
raises("ContainerInUseException", client.create_container, ContainerName="errors")
raises("ContainerNotFoundException", client.describe_container, ContainerName="Errors")  # names have a case
for call in (client.get_lifecycle_policy, client.delete_lifecycle_policy, client.get_metric_policy, client.delete_metric_policy):
    raises("PolicyNotFoundException", call, ContainerName="errors")
for call in (client.get_cors_policy, client.delete_cors_policy):
    raises("CorsPolicyNotFoundException", call, ContainerName="errors")
client.delete_container_policy(ContainerName="errors")
for call in (client.get_container_policy, client.delete_container_policy):
    raises("PolicyNotFoundException", call, ContainerName="errors")
for call in (objects.get_object, objects.describe_object, objects.delete_object):
    raises("ObjectNotFoundException", call, Path="none")
objects.put_object(Path="folder/one", Body=b"0123456789")
raises("ObjectNotFoundException", objects.get_object, Path="folder")
raises("ContainerInUseException", client.delete_container, ContainerName="errors")
for spec in ("bytes=10-", "bytes=10-20", "bytes=-0", "bytes=5-4"):
    raises("RequestedRangeNotSatisfiableException", objects.get_object, Path="folder/one", Range=spec)

# As many containers as there may be.
for i in range(3):
    container(f"more{i}")
raises("LimitExceededException", client.create_container, ContainerName="more3")
gone("more2")  # it is counted until then
container("more3")

for service in (client, objects):
    model = service.meta.service_model
    for operation in model.operation_names:
        for shape in model.operation_model(operation).error_shapes:
            expected = shape.name != "InternalServerError" and (shape.name != "ContainerInUseException" or operation in IN_USE)
            assert ((operation, shape.name) in provoked) == expected, f"{operation} {shape.name}"

# Values that break the models' rules or the documents' languages.
unvalidated = control(config=UNVALIDATED)
loose = data(endpoint, config=UNVALIDATED)
for call, parameters in (
    (unvalidated.create_container, {}),
    (unvalidated.create_container, {"ContainerName": ""}),
    (unvalidated.create_container, {"ContainerName": "n" * 256}),
    (unvalidated.create_container, {"ContainerName": "a.b"}),
    (unvalidated.create_container, {"ContainerName": "é"}),
    (unvalidated.create_container, {"ContainerName": "a", "Tags": []}),
    (unvalidated.create_container, {"ContainerName": "a", "Tags": [{"Value": "no key"}]}),
    (unvalidated.create_container, {"ContainerName": "a", "Tags": [{"Key": "k" * 129, "Value": ""}]}),
    (unvalidated.create_container, {"ContainerName": "a", "Tags": [{"Key": "k", "Value": "v" * 257}]}),
    (unvalidated.create_container, {"ContainerName": "a", "Tags": [{"Key": "aws:k", "Value": ""}]}),
    (unvalidated.create_container, {"ContainerName": "a", "Tags": [{"Key": f"k{i}"} for i in range(51)]}),
    (unvalidated.describe_container, {}),
    (unvalidated.tag_resource, {"Resource": "errors", "Tags": [{"Key": "a"}]}),
    (unvalidated.tag_resource, {"Resource": arn("errors")}),
    (unvalidated.untag_resource, {"Resource": arn("errors")}),
    (unvalidated.put_container_policy, {"ContainerName": "errors"}),
    (unvalidated.put_container_policy, {"ContainerName": "errors", "Policy": ""}),
    (unvalidated.put_container_policy, {"ContainerName": "errors", "Policy": "not JSON"}),
    (unvalidated.put_container_policy, {"ContainerName": "errors", "Policy": policy("errors", Effect="Perhaps")}),
    (unvalidated.put_container_policy, {"ContainerName": "errors", "Policy": policy("errors", Condition={"Sometimes": {"aws:SourceIp": "::/0"}})}),
    (unvalidated.put_container_policy, {"ContainerName": "errors", "Policy": policy("errors", Principal={"AWS": "arn:aws:iam::1:user/*"})}),
    (unvalidated.put_container_policy, {"ContainerName": "errors", "Policy": policy("errors", Sid="x").replace("x", "é")}),
    (unvalidated.put_container_policy, {"ContainerName": "errors", "Policy": policy("errors") + " " * 8192}),
    (unvalidated.put_cors_policy, {"ContainerName": "errors", "CorsPolicy": []}),
    (unvalidated.put_cors_policy, {"ContainerName": "errors", "CorsPolicy": CORS * 101}),
    (unvalidated.put_cors_policy, {"ContainerName": "errors", "CorsPolicy": [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]}),
    (unvalidated.put_cors_policy, {"ContainerName": "errors", "CorsPolicy": [{"AllowedMethods": ["GET"], "AllowedHeaders": []}]}),
    (unvalidated.put_cors_policy, {"ContainerName": "errors", "CorsPolicy": [{**CORS[0], "MaxAgeSeconds": -1}]}),
    (unvalidated.put_cors_policy, {"ContainerName": "errors", "CorsPolicy": [{**CORS[0], "AllowedOrigins": ["http://*.*"]}]}),
    (unvalidated.put_lifecycle_policy, {"ContainerName": "errors", "LifecyclePolicy": "{}"}),
    (unvalidated.put_lifecycle_policy, {"ContainerName": "errors", "LifecyclePolicy": LIFECYCLE.replace("EXPIRE", "KEEP")}),
    (unvalidated.put_metric_policy, {"ContainerName": "errors", "MetricPolicy": {}}),
    (unvalidated.put_metric_policy, {"ContainerName": "errors", "MetricPolicy": {**METRICS, "MetricPolicyRules": []}}),
    (unvalidated.put_metric_policy, {"ContainerName": "errors", "MetricPolicy": {**METRICS, "MetricPolicyRules": [{"ObjectGroup": "a", "ObjectGroupName": f"g{i}"} for i in range(6)]}}),
    (unvalidated.put_metric_policy, {"ContainerName": "errors", "MetricPolicy": {**METRICS, "MetricPolicyRules": [{"ObjectGroup": "a b", "ObjectGroupName": "g"}]}}),
    (loose.put_object, {"Path": "a", "Body": b"x", "StorageClass": "GLACIER"}),
    (loose.put_object, {"Path": "a", "Body": b"x", "UploadAvailability": "SOON"}),
    (loose.put_object, {"Path": "a", "Body": b"x", "ContentType": "no type at all"}),
    (loose.put_object, {"Path": "a", "Body": b"x", "ContentType": "a" * 256}),
    (loose.list_items, {"MaxResults": 0}),
):
    error = refused("ValidationException", call, **parameters)
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400, error.response
    assert 0 < len(error.response["Error"]["Message"]) <= 255, error.response
for call in (client.get_container_policy, client.get_lifecycle_policy, client.get_metric_policy):
    raises("PolicyNotFoundException", call, ContainerName="errors")  # what was refused is not stored
for parameters in ({"ContainerName": 5}, {"ContainerName": ["errors"]}, {"ContainerName": {"a": "b"}}):
    refused("SerializationException", unvalidated.describe_container, **parameters)
refused("SerializationException", unvalidated.list_containers, MaxResults="many")

# Sizes.
for availability, limit in (("STANDARD", 100_000), ("STREAMING", 50_000)):
    objects.put_object(Path="size", Body=b"x" * limit, UploadAvailability=availability)
    for body in (b"x" * (limit + 1), Unseekable(b"x" * (limit + 1))):
        error = refused("RequestEntityTooLargeException", objects.put_object, Path="size", Body=body, UploadAvailability=availability)
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 413, error.response
    assert int(objects.describe_object(Path="size")["ContentLength"]) == limit
objects.delete_object(Path="size")


# Credentials. Each pair is a client of the control and of the data plane.
def everywhere(code, status=403, **settings):
    """Every kind of request is refused on both planes, and changes nothing."""
    c, d = control(**settings), data(endpoint, **settings)
    for call, parameters in (
        (c.list_containers, {}),
        (c.delete_container, {"ContainerName": "more0"}),
        (d.get_object, {"Path": "folder/one"}),
        (d.get_object, {"Path": "none"}),  # nobody learns what there is
        (d.describe_object, {"Path": "folder/one"}),
        (d.delete_object, {"Path": "folder/one"}),
        (d.put_object, {"Path": "folder/one", "Body": b"replaced"}),
        (d.put_object, {"Path": "folder/one", "Body": b"replaced", "UploadAvailability": "STREAMING"}),
        (d.list_items, {}),
    ):
        error = refused(code, call, **parameters)
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == status, error.response
    assert client.describe_container(ContainerName="more0")["Container"]["Status"] == "ACTIVE"
    assert objects.get_object(Path="folder/one")["Body"].read() == b"0123456789"


key = client._request_signer._credentials
pair = {"aws_access_key_id": key.access_key, "aws_secret_access_key": key.secret_key}
everywhere("UnrecognizedClientException", **pair | {"aws_access_key_id": "AKIDNOBODYKNOWSTHIS"})
everywhere("UnrecognizedClientException", **pair | {"aws_access_key_id": key.access_key.lower()})
everywhere("UnrecognizedClientException", **pair | {"aws_session_token": "never issued"})
everywhere("InvalidSignatureException", **pair | {"aws_secret_access_key": key.secret_key + "x"})
everywhere("InvalidSignatureException", region_name="eu-west-1")

for minutes in (-14, 14):
    with clock(minutes=minutes):
        assert client.list_containers()["Containers"]
        assert objects.get_object(Path="folder/one")["Body"].read() == b"0123456789"
for shift in ({"minutes": -16}, {"minutes": 16}, {"days": -2}, {"days": 400}):
    with clock(**shift):
        for call, parameters in (
            (client.list_containers, {}),
            (objects.get_object, {"Path": "folder/one"}),
            (objects.put_object, {"Path": "folder/one", "Body": b"x"}),
        ):
            error = refused("RequestExpired", call, **parameters)
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403, error.response

# Nobody in particular.
anonymous = Config(signature_version=UNSIGNED)
refused("MissingAuthenticationTokenException", control(config=anonymous).list_containers)
refused("MissingAuthenticationTokenException", control(config=anonymous).create_container, ContainerName="anybody")
everyone = data(endpoint, config=anonymous)


def refused_put():
    """boto3 insists on signing PutObject."""
    answer = fetch(endpoint + "/folder/one", method="PUT", body=b"x")
    assert (answer.status, answer.code) == (403, "AccessDeniedException"), answer


for _ in range(2):
    for call in (everyone.get_object, everyone.describe_object, everyone.delete_object):
        refused("AccessDeniedException", call, Path="folder/one")
    refused_put()
    refused("AccessDeniedException", everyone.get_object, Path="none")
    refused("AccessDeniedException", everyone.list_items)
    # Spoofed addresses do not count: nobody said that there is a proxy.
    proxied = policy("errors", Condition={"IpAddress": {"aws:SourceIp": "203.0.113.9"}})
    client.put_container_policy(ContainerName="errors", Policy=proxied)
    answer = fetch(endpoint + "/folder/one", headers={"X-Forwarded-For": "203.0.113.9"})
    assert (answer.status, answer.code) == (403, "AccessDeniedException"), answer
readable = policy("errors", Action=["mediastore:GetObject", "mediastore:DescribeObject"])
client.put_container_policy(ContainerName="errors", Policy=readable)
assert everyone.get_object(Path="folder/one")["Body"].read() == b"0123456789"
assert everyone.describe_object(Path="folder/one")["ETag"]
raises("ObjectNotFoundException", everyone.get_object, Path="none")
refused("AccessDeniedException", everyone.delete_object, Path="folder/one")
refused_put()
refused("AccessDeniedException", everyone.list_items)
# Who shows credentials that are not right is refused where nobody would not be.
wrong = data(endpoint, aws_access_key_id=key.access_key, aws_secret_access_key="wrong" * 4)
refused("InvalidSignatureException", wrong.get_object, Path="folder/one")
client.delete_container_policy(ContainerName="errors")
refused("AccessDeniedException", everyone.get_object, Path="folder/one")
