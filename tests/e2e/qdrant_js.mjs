// A tour of the published JavaScript client: node tour.mjs URL SNAPSHOTS
import assert from "node:assert/strict";
import { QdrantClient } from "@qdrant/js-client-rest";

const [url, snapshots] = process.argv.slice(2);
const client = new QdrantClient({ url, checkCompatibility: false });
const DIM = 8;
const row = (i) => Array.from({ length: DIM }, (_, j) => ((i * 7919 + j * 104729) % 1000) / 1000 - 0.5);
const dot = (a, b) => a.reduce((sum, x, j) => sum + x * b[j], 0);
const best = (count, q, k, keep = () => true) =>
  [...Array(count).keys()].filter(keep).sort((a, b) => dot(row(b), q) - dot(row(a), q) || a - b).slice(0, k);
const ids = (points) => points.map((p) => p.id);
const match = (key, value) => ({ key, match: { value } });
const refused = (status, promise) => assert.rejects(promise, (e) => e.status === status);

async function collections() {
  assert.equal(await client.createCollection("c", { vectors: { size: DIM, distance: "Dot" } }), true);
  assert.deepEqual((await client.getCollections()).collections, [{ name: "c" }]);
  assert.equal((await client.collectionExists("c")).exists, true);
  const info = await client.getCollection("c");
  assert.equal(info.status, "green");
  assert.equal(info.config.params.vectors.size, DIM);
  await client.updateCollection("c", { optimizers_config: { indexing_threshold: 99 } });
  assert.equal((await client.getCollection("c")).config.optimizer_config.indexing_threshold, 99);
  await refused(409, client.createCollection("c", { vectors: { size: 4, distance: "Dot" } }));
  await refused(404, client.getCollection("nope"));
}

async function points() {
  const result = await client.upsert("c", {
    wait: true,
    points: [...Array(100).keys()].map((i) => ({
      id: i, vector: row(i), payload: { n: i, color: ["red", "green", "blue"][i % 3] },
    })),
  });
  assert.equal(result.status, "completed");
  const id = "5c56c793-69f3-4fbf-87e6-c4bf54c28c26";
  await client.upsert("c", { batch: { ids: [id], vectors: [row(500)], payloads: [{ u: 1 }] } });
  assert.deepEqual((await client.retrieve("c", { ids: [id] }))[0].payload, { u: 1 });
  assert.equal((await client.count("c", { exact: true })).count, 101);
  await client.delete("c", { points: [id] });
  for (const [field_name, field_schema] of [["n", "integer"], ["color", { type: "keyword" }]]) {
    await client.createPayloadIndex("c", { field_name, field_schema, wait: true });
  }
  const page = await client.scroll("c", { limit: 3, filter: { must: [match("color", "red")] }, with_vector: true });
  assert.deepEqual(ids(page.points), [0, 3, 6]);
  assert.equal(page.next_page_offset, 9);
  assert.deepEqual(ids((await client.scroll("c", { order_by: { key: "n", direction: "desc" }, limit: 2 })).points), [99, 98]);
  await client.updateVectors("c", { points: [{ id: 5, vector: row(5) }] });
  await refused(400, client.upsert("c", { points: [{ id: 1, vector: [1] }] }));
}

async function payload() {
  const of = async (id) => (await client.retrieve("c", { ids: [id] }))[0].payload;
  await client.setPayload("c", { payload: { x: { y: 1 } }, points: [1] });
  await client.setPayload("c", { payload: { z: 2 }, points: [1], key: "x" });
  assert.deepEqual((await of(1)).x, { y: 1, z: 2 });
  await client.deletePayload("c", { keys: ["x.y"], points: [1] });
  assert.deepEqual((await of(1)).x, { z: 2 });
  await client.overwritePayload("c", { payload: { only: 1 }, points: [2] });
  assert.deepEqual(await of(2), { only: 1 });
  await client.clearPayload("c", { points: [2] });
  assert.deepEqual(await of(2), {});
  const results = await client.batchUpdate("c", {
    operations: [
      { upsert: { points: [{ id: 2, vector: row(2), payload: { n: 2, color: "blue" } }] } },
      { delete_payload: { keys: ["x"], points: [1] } },
      { delete: { points: [777] } },
    ],
  });
  assert.equal(results.length, 3);
}

async function queries() {
  const q = row(5000);
  const found = (await client.query("c", { query: q, limit: 5, with_payload: true, with_vector: true })).points;
  assert.deepEqual(ids(found), best(100, q, 5));
  for (const p of found) assert.ok(Math.abs(p.score - dot(row(p.id), q)) < 1e-4);
  const green = { must: [match("color", "green")] };
  const greenest = best(100, q, 4, (i) => i % 3 === 1);
  assert.deepEqual(ids((await client.query("c", { query: q, limit: 4, filter: green })).points), greenest);
  const batch = await client.queryBatch("c", { searches: [{ query: q, limit: 2 }, { query: row(6000), limit: 2 }] });
  assert.deepEqual(batch.map((b) => ids(b.points)), [best(100, q, 2), best(100, row(6000), 2)]);
  const recommended = await client.query("c", { query: { recommend: { positive: [1], negative: [2] } }, limit: 3 });
  assert.equal(recommended.points.length, 3);
  if (client.search) { // clients before 1.19 have the old calls
    assert.deepEqual(ids(await client.search("c", { vector: q, limit: 4, filter: green })), greenest);
    assert.equal((await client.searchBatch("c", { searches: [{ vector: q, limit: 2 }] }))[0].length, 2);
    assert.deepEqual(ids(await client.recommend("c", { positive: [1], negative: [2], limit: 3 })), ids(recommended.points));
    assert.equal((await client.searchPointGroups("c", { vector: q, group_by: "color", limit: 3, group_size: 1 })).groups.length, 3);
  }
  const fused = await client.query("c", { prefetch: [{ query: q }, { query: row(6000) }], query: { fusion: "rrf" }, limit: 3 });
  assert.equal(fused.points.length, 3);
  const groups = (await client.queryGroups("c", { query: q, group_by: "color", limit: 3, group_size: 1 })).groups;
  assert.equal(groups.length, 3);
  const facet = await client.facet("c", { key: "color", exact: true });
  assert.equal(facet.hits.reduce((sum, h) => sum + h.count, 0), 100);
}

async function aliases() {
  await client.updateCollectionAliases({ actions: [{ create_alias: { collection_name: "c", alias_name: "a" } }] });
  assert.deepEqual((await client.getAliases()).aliases, [{ alias_name: "a", collection_name: "c" }]);
  assert.equal((await client.getCollectionAliases("c")).aliases.length, 1);
  assert.equal((await client.count("a")).count, 100);
  await client.updateCollectionAliases({ actions: [{ delete_alias: { alias_name: "a" } }] });
}

async function snapshotsOf() {
  const made = await client.createSnapshot("c");
  assert.deepEqual((await client.listSnapshots("c")).map((s) => s.name), [made.name]);
  await client.delete("c", { filter: { must: [match("color", "red")] } });
  await client.recoverSnapshot("c", { location: `file://${snapshots}/collections/c/${made.name}` });
  assert.equal((await client.count("c")).count, 100);
  assert.equal(await client.deleteSnapshot("c", made.name), true);
  const full = await client.createFullSnapshot();
  assert.deepEqual((await client.listFullSnapshots()).map((s) => s.name), [full.name]);
  assert.equal(await client.deleteFullSnapshot(full.name), true);
}

async function ending() {
  assert.equal(await client.deletePayloadIndex("c", "n").then((r) => r.status), "completed");
  assert.equal(await client.deleteCollection("c"), true);
  assert.deepEqual((await client.getCollections()).collections, []);
}

for (const part of [collections, points, payload, queries, aliases, snapshotsOf, ending]) {
  await part();
  console.log("ok     ", part.name);
}
