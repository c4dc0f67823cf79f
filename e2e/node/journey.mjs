// The core journey with the AWS SDK for JavaScript v3: every operation of both
// planes, and errors by their names. It ends with exit code 0 when all went as
// it should.
//
//   usage: node journey.mjs
//   environment: HEADWATER_URL and the SDK's own variables
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import * as control from '@aws-sdk/client-mediastore';
import * as data from '@aws-sdk/client-mediastore-data';

const endpoint = process.env.HEADWATER_URL;
const mediastore = new control.MediaStore({ endpoint });

const ContainerName = 'journey_js';
const megabyte = Buffer.alloc(1 << 20, 'headwater ');

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

async function collect(pages, member) {
  const all = [];
  for await (const page of pages) all.push(...(page[member] ?? []));
  return all;
}

const fails = (promise, name, status) =>
  assert.rejects(promise, (err) => {
    assert.equal(err.name, name);
    assert.equal(err.$metadata.httpStatusCode, status);
    assert.ok(err.message, `${name} has no message`);
    assert.ok(err.$metadata.requestId, `${name} has no request ID`);
    return true;
  });

async function created() {
  const { Container } = await mediastore.createContainer({
    ContainerName,
    Tags: [{ Key: 'team', Value: 'live' }, { Key: 'empty' }],
  });
  assert.equal(Container.Status, 'CREATING');
  assert.equal(Container.Endpoint, undefined);
  assert.ok(Container.CreationTime instanceof Date && Container.CreationTime.getTime() > 0);
  return Container.ARN;
}

async function active() {
  for (;;) {
    const { Container } = await mediastore.describeContainer({ ContainerName });
    if (Container.Status === 'ACTIVE') return Container;
    await sleep(10);
  }
}

async function lists() {
  for (const name of ['js_a', 'js_b', 'js_c']) await mediastore.createContainer({ ContainerName: name });
  const found = await collect(control.paginateListContainers({ client: mediastore, pageSize: 2 }, {}), 'Containers');
  assert.deepEqual(found.map((c) => c.Name), [ContainerName, 'js_a', 'js_b', 'js_c']);
}

async function tags(Resource) {
  const get = async () => (await mediastore.listTagsForResource({ Resource })).Tags;
  assert.deepEqual(await get(), [{ Key: 'empty', Value: '' }, { Key: 'team', Value: 'live' }]);
  await mediastore.tagResource({ Resource, Tags: [{ Key: 'team', Value: 'news' }] });
  await mediastore.untagResource({ Resource, TagKeys: ['empty'] });
  assert.deepEqual(await get(), [{ Key: 'team', Value: 'news' }]);
}

async function accessLogging() {
  await mediastore.startAccessLogging({ ContainerName });
  assert.equal((await active()).AccessLoggingEnabled, true);
  await mediastore.stopAccessLogging({ ContainerName });
  assert.equal((await active()).AccessLoggingEnabled, false);
}

// document puts, gets and deletes one of the four documents, after which there
// is none.
async function document(kind, member, value, absent) {
  await mediastore[`put${kind}`]({ ContainerName, [member]: value });
  assert.deepEqual((await mediastore[`get${kind}`]({ ContainerName }))[member], value);
  await mediastore[`delete${kind}`]({ ContainerName });
  await fails(mediastore[`get${kind}`]({ ContainerName }), absent, 400);
}

async function documents(arn) {
  const policy = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: '*', Action: 'mediastore:GetObject', Resource: `${arn}/*` }] };
  const lifecycle = { rules: [{ definition: { path: [{ prefix: 'old/' }], days_since_create: [{ numeric: ['>', 30] }] }, action: 'EXPIRE' }] };
  await document('ContainerPolicy', 'Policy', JSON.stringify(policy, null, 2), 'PolicyNotFoundException');
  await document('LifecyclePolicy', 'LifecyclePolicy', JSON.stringify(lifecycle, null, 2), 'PolicyNotFoundException');
  await document('CorsPolicy', 'CorsPolicy', [
    { AllowedOrigins: ['https://*.example.com'], AllowedMethods: ['GET', 'HEAD'], AllowedHeaders: ['*'], MaxAgeSeconds: 60, ExposeHeaders: ['ETag'] },
  ], 'CorsPolicyNotFoundException');
  await document('MetricPolicy', 'MetricPolicy', {
    ContainerLevelMetrics: 'ENABLED', MetricPolicyRules: [{ ObjectGroup: 'live/*', ObjectGroupName: 'live' }],
  }, 'PolicyNotFoundException');
}

async function controlErrors() {
  await fails(mediastore.createContainer({ ContainerName }), 'ContainerInUseException', 400);
  await fails(mediastore.createContainer({ ContainerName: 'no spaces' }), 'ValidationException', 400);
  await fails(mediastore.describeContainer({ ContainerName: 'nowhere' }), 'ContainerNotFoundException', 400);
  await fails(mediastore.putContainerPolicy({ ContainerName, Policy: '{}' }), 'ValidationException', 400);
  const stranger = new control.MediaStore({ endpoint, credentials: { accessKeyId: 'AKIDSTRANGER', secretAccessKey: 'x' } });
  await fails(stranger.listContainers({}), 'UnrecognizedClientException', 403);
  const impostor = new control.MediaStore({ endpoint, credentials: { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: 'x' } });
  await fails(impostor.listContainers({}), 'InvalidSignatureException', 403);
}

// whole puts a Buffer, and reads, describes and reads parts of it.
async function whole(store) {
  const Path = 'movies/a=b:c~1.ts';
  const put = await store.putObject({ Path, Body: megabyte, ContentType: 'video/mp2t', CacheControl: 'max-age=6', StorageClass: 'TEMPORAL' });
  assert.equal(put.ContentSHA256, sha256(megabyte));
  assert.equal(put.StorageClass, 'TEMPORAL');

  const got = await store.getObject({ Path });
  assert.equal(got.StatusCode, 200);
  assert.equal(got.ContentType, 'video/mp2t');
  assert.equal(got.CacheControl, 'max-age=6');
  assert.equal(got.ContentLength, megabyte.length);
  assert.ok(megabyte.equals(await got.Body.transformToByteArray()));

  const described = await store.describeObject({ Path: `/${Path}` });
  assert.equal(described.ETag.replaceAll('"', ''), put.ETag.replaceAll('"', ''));
  assert.equal(described.ContentLength, megabyte.length);
  assert.ok(described.LastModified instanceof Date);
  await ranges(store, Path);
}

async function ranges(store, Path) {
  for (const [Range, from, to] of [['bytes=10-19', 10, 20], ['bytes=-5', megabyte.length - 5, megabyte.length], ['bytes=1048570-', 1048570, megabyte.length]]) {
    const got = await store.getObject({ Path, Range });
    assert.equal(got.StatusCode, 206);
    assert.equal(got.ContentRange, `bytes ${from}-${to - 1}/${megabyte.length}`);
    assert.equal(await got.Body.transformToString(), megabyte.toString('utf8', from, to));
  }
  await fails(store.getObject({ Path, Range: `bytes=${megabyte.length}-` }), 'RequestedRangeNotSatisfiableException', 416);
}

// streamed puts a stream of unknown length, and reads its first half before the
// second was sent.
async function streamed(store) {
  const Path = '/live/segment.ts';
  let finish;
  const halfway = new Promise((resolve) => { finish = resolve; });
  async function* halves() {
    yield megabyte;
    await halfway;
    yield megabyte;
  }
  const put = store.putObject({ Path, Body: Readable.from(halves(), { objectMode: false }), UploadAvailability: 'STREAMING' });
  const reader = await follow(store, Path);
  const received = [];
  let size = 0;
  for await (const chunk of reader.Body) {
    received.push(chunk);
    size += chunk.length;
    if (size >= megabyte.length) finish();
  }
  const both = Buffer.concat([megabyte, megabyte]);
  assert.ok(both.equals(Buffer.concat(received)));
  assert.equal((await put).ContentSHA256, sha256(both));
  assert.equal((await store.describeObject({ Path })).ContentLength, both.length);
}

// brokenOff gives an upload up half-way: whoever reads it must not take what came
// for all of it, and later readers get what was there before.
async function brokenOff(store) {
  const Path = 'live/index.m3u8';
  await store.putObject({ Path, Body: 'before' });
  const abort = new AbortController();
  async function* half() {
    yield megabyte;
    await new Promise(() => {}); // the rest never comes
  }
  const put = store.putObject({ Path, Body: Readable.from(half(), { objectMode: false }), UploadAvailability: 'STREAMING' }, { abortSignal: abort.signal });
  const putFails = assert.rejects(put, { name: 'AbortError' });
  let reader = await store.getObject({ Path });
  while (reader.ContentLength !== undefined) { // the length of an upload is not known
    await reader.Body.transformToByteArray(); // an answer that nobody reads keeps its connection
    reader = await store.getObject({ Path });
  }
  setTimeout(() => abort.abort(), 50);
  await assert.rejects(reader.Body.transformToByteArray());
  await putFails;
  assert.equal(await (await store.getObject({ Path })).Body.transformToString(), 'before');
}

// follow opens an object that somebody has begun to upload.
async function follow(store, Path) {
  for (;;) {
    try {
      return await store.getObject({ Path });
    } catch (err) {
      if (err.name !== 'ObjectNotFoundException') throw err;
      await sleep(10);
    }
  }
}

async function listsItems(store) {
  for (let i = 0; i < 5; i++) await store.putObject({ Path: `list/o${i}`, Body: `${i}` });
  await store.putObject({ Path: 'list/folder/below', Body: Readable.from([Buffer.from('streamed')]) });
  const items = await collect(data.paginateListItems({ client: store, pageSize: 2 }, { Path: '/list' }), 'Items');
  assert.deepEqual(items.map((i) => `${i.Type} ${i.Name} ${i.ContentLength}`), [
    'FOLDER folder undefined', 'OBJECT o0 1', 'OBJECT o1 1', 'OBJECT o2 1', 'OBJECT o3 1', 'OBJECT o4 1',
  ]);
  const root = await store.listItems({});
  assert.deepEqual(root.Items.map((i) => i.Name), ['list', 'live', 'movies']);
}

async function dataErrors(store) {
  await fails(store.getObject({ Path: 'nowhere' }), 'ObjectNotFoundException', 404);
  await fails(store.deleteObject({ Path: 'nowhere' }), 'ObjectNotFoundException', 404);
  await fails(store.putObject({ Path: 'a b', Body: 'x' }), 'ValidationException', 400);
  await fails(store.listItems({ NextToken: 'made up' }), 'ValidationException', 400);
  const elsewhere = new data.MediaStoreData({ endpoint: `${endpoint}/aaaaaaaaaaaaaa` });
  await fails(elsewhere.getObject({ Path: 'x' }), 'ContainerNotFoundException', 404);
  await fails(store.describeObject({ Path: 'nowhere' }), 'ObjectNotFoundException', 404);
}

async function emptied(store) {
  for (const folder of ['list', 'list/folder', 'live', 'movies']) {
    for (const { Name, Type } of (await store.listItems({ Path: folder })).Items) {
      if (Type === 'OBJECT') await store.deleteObject({ Path: `${folder}/${Name}` });
    }
  }
  assert.deepEqual((await store.listItems({})).Items, []);
}

async function gone() {
  await mediastore.deleteContainer({ ContainerName });
  for (;;) {
    try {
      const { Container } = await mediastore.describeContainer({ ContainerName });
      assert.equal(Container.Status, 'DELETING');
      await sleep(10);
    } catch (err) {
      assert.equal(err.name, 'ContainerNotFoundException');
      return;
    }
  }
}

const arn = await created();
const store = new data.MediaStoreData({ endpoint: (await active()).Endpoint });
await lists();
await tags(arn);
await accessLogging();
await documents(arn);
await controlErrors();
await whole(store);
await streamed(store);
await brokenOff(store);
await listsItems(store);
await dataErrors(store);
await fails(mediastore.deleteContainer({ ContainerName }), 'ContainerInUseException', 400);
await emptied(store);
await gone();
