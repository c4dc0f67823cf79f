"""The two paginators, over several pages of each."""

from concurrent.futures import ThreadPoolExecutor

from clients import UNVALIDATED, container, control, data, refused

client = control()

# Containers: more than the server fetches at a time, which is 100.
names = [f"c{i:03}" for i in range(105)]
with ThreadPoolExecutor(4) as pool:
    list(pool.map(lambda name: client.create_container(ContainerName=name), names))


def listed(pages):
    return [c["Name"] for page in pages for c in page["Containers"]]


paginator = client.get_paginator("list_containers")
assert listed(paginator.paginate()) == names
whole = client.list_containers()
assert listed([whole]) == names, "without MaxResults a part comes"
assert "NextToken" not in whole
for size in (1, 5, 7, 100):
    pages = list(paginator.paginate(PaginationConfig={"PageSize": size}))
    assert listed(pages) == names, f"PageSize {size}"
    assert {len(page["Containers"]) for page in pages[:-1]} <= {size}, f"PageSize {size}"
    assert ["NextToken" in page for page in pages] == [True] * (len(pages) - 1) + [False], f"PageSize {size}"
    assert len(pages) == -(-len(names) // size), f"PageSize {size} has {len(pages)} pages"

result = paginator.paginate(PaginationConfig={"MaxItems": 12, "PageSize": 5}).build_full_result()
assert listed([result]) == names[:12]
result = paginator.paginate(PaginationConfig={"StartingToken": result["NextToken"], "PageSize": 5}).build_full_result()
assert listed([result]) == names[12:]
assert "NextToken" not in result

# A token stays good when the container that it was made after is gone.
first = client.list_containers(MaxResults=3)
container("c002x")
client.delete_container(ContainerName="c002x")
second = client.list_containers(MaxResults=3, NextToken=first["NextToken"])
assert [n for n in listed([first, second]) if n != "c002x"][:5] == names[:5]

unvalidated = control(config=UNVALIDATED)
for limit in (0, 101, -1):
    refused("ValidationException", unvalidated.list_containers, MaxResults=limit)
for token in ("", "bm90IGEgdG9rZW4=", "***", "a" * 1025):
    refused("ValidationException", unvalidated.list_containers, MaxResults=1, NextToken=token)

# Items: three pages of the default size, folders among them.
objects = data(container("items"))
paths = [f"live/s{i:04}.ts" for i in range(2490)] + [f"live/t{i}/x.ts" for i in range(10)]
with ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda path: objects.put_object(Path=path, Body=b"x"), paths))
names = [path.split("/")[1] for path in paths]


def items(pages):
    return [item["Name"] for page in pages for item in page["Items"]]


assert objects.can_paginate("list_items")
paginator = objects.get_paginator("list_items")
pages = list(paginator.paginate(Path="live"))
assert [len(page["Items"]) for page in pages] == [1000, 1000, 500]
assert ["NextToken" in page for page in pages] == [True, True, False]
assert items(pages) == names
for folder in pages[-1]["Items"][-10:]:
    assert folder == {"Name": folder["Name"], "Type": "FOLDER"}, folder
for size in (300, 499, 1000):
    pages = list(paginator.paginate(Path="/live/", PaginationConfig={"PageSize": size}))
    assert items(pages) == names, f"PageSize {size}"
    assert len(pages) == -(-len(names) // size), f"PageSize {size} has {len(pages)} pages"
    assert {len(page["Items"]) for page in pages[:-1]} == {size}, f"PageSize {size}"

result = paginator.paginate(Path="live", PaginationConfig={"MaxItems": 1234, "PageSize": 500}).build_full_result()
assert items([result]) == names[:1234]
result = paginator.paginate(Path="live", PaginationConfig={"StartingToken": result["NextToken"], "PageSize": 500}).build_full_result()
assert items([result]) == names[1234:]

# The item that a token was made after may go, and new ones may come.
first = objects.list_items(Path="live", MaxResults=10)
objects.delete_object(Path="live/s0009.ts")
objects.put_object(Path="live/s0009a.ts", Body=b"x")
second = objects.list_items(Path="live", MaxResults=2, NextToken=first["NextToken"])
assert items([second]) == ["s0009a.ts", "s0010.ts"], second

unvalidated = data(objects.meta.endpoint_url, config=UNVALIDATED)
for limit in (0, 1001, -1):
    refused("ValidationException", unvalidated.list_items, MaxResults=limit)
for token in ("bm90IGEgdG9rZW4=", "***", "a" * 3000):
    refused("ValidationException", unvalidated.list_items, NextToken=token)
