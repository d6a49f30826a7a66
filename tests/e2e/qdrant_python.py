"""The published Python client, unchanged, against the server: every call of tiers 1 and 2."""

import os
import uuid
import warnings

import _packages
from _rest import *

_packages.python("qdrant-client==1.19.1")

from qdrant_client import QdrantClient, models  # noqa: E402
from qdrant_client.http.exceptions import UnexpectedResponse  # noqa: E402

warnings.filterwarnings("ignore")
DIM = 8


def row(i, dim=DIM):
    return [round(((i * 7919 + j * 104729) % 1000) / 1000 - 0.5, 3) for j in range(dim)]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def best(count, query, k, keep=lambda i: True):
    return sorted((i for i in range(count) if keep(i)), key=lambda i: (-dot(row(i), query), i))[:k]


def refused(code, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except UnexpectedResponse as e:
        same(e.status_code, code, e.content)
        return e.content.decode()
    raise Failure(f"not refused: {args} {kwargs}")


class Client:
    """with Client() as c: a client of a server of its own, with a collection of 200 points"""

    def __init__(self, points=200):
        self.points = points

    def __enter__(self):
        self.server = Server()
        self.c = QdrantClient(url=self.server.url, timeout=60, check_compatibility=False)
        self.c.create_collection("c", vectors_config=models.VectorParams(size=DIM, distance=models.Distance.DOT))
        self.c.upsert("c", wait=True, points=[models.PointStruct(
            id=i, vector=row(i), payload={"n": i, "color": ["red", "green", "blue"][i % 3], "even": i % 2 == 0,
                                          "group": i // 10, "text": f"quick brown fox number {i}",
                                          "at": f"2024-01-{i % 28 + 1:02d}T00:00:00Z",
                                          "geo": {"lon": i / 10, "lat": i / 20}}) for i in range(self.points)])
        for field, type in [("n", "integer"), ("color", "keyword"), ("at", "datetime"), ("text", "text"), ("geo", "geo"),
                            ("even", "bool"), ("group", "integer")]:
            self.c.create_payload_index("c", field, field_schema=type, wait=True)
        return self.c

    def __exit__(self, kind, value, trace):
        self.c.close()
        self.server.__exit__(kind, value, trace)


def ids(points):
    return [p.id for p in points]


def match(key, value):
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def test_it_connects_and_knows_collections():
    with Client() as c:
        same(c.collection_exists("c"), True)
        same(c.collection_exists("nope"), False)
        same([x.name for x in c.get_collections().collections], ["c"])
        info = c.get_collection("c")
        same((info.status, info.points_count), (models.CollectionStatus.GREEN, 200))
        same(info.config.params.vectors.size, DIM)
        same(info.payload_schema["n"].data_type, models.PayloadSchemaType.INTEGER)
        same(info.payload_schema["n"].points, 200)
        same(c.update_collection("c", optimizers_config=models.OptimizersConfigDiff(indexing_threshold=123),
                                 metadata={"a": 1}), True)
        info = c.get_collection("c")
        same((info.config.optimizer_config.indexing_threshold, info.config.metadata), (123, {"a": 1}))
        refused(409, c.create_collection, "c", models.VectorParams(size=4, distance=models.Distance.DOT))
        refused(404, c.get_collection, "nope")
        same(c.get_optimizations("c").running, [])
        same(c.recreate_collection("c", vectors_config={"a": models.VectorParams(size=4, distance="Cosine")}), True)
        same(c.count("c").count, 0)
        same(c.delete_collection("c"), True)
        same(c.delete_collection("c"), False)
        check(c.info().version, "a version")
        same(c.cluster_status().status, "disabled")


def test_points():
    with Client() as c:
        found = c.retrieve("c", [3, 5, 999], with_vectors=True)
        same([(r.id, r.vector, r.payload["n"]) for r in found], [(3, row(3), 3), (5, row(5), 5)])
        id = str(uuid.uuid4())
        result = c.upsert("c", [models.PointStruct(id=id, vector=row(1), payload=None)], wait=True)
        same(result.status, models.UpdateStatus.COMPLETED)
        same(c.retrieve("c", [id])[0].payload, {})
        c.upsert("c", models.Batch(ids=[1000, 1001], vectors=[row(1), row(2)], payloads=[{"a": 1}, {"a": 2}]))
        same(c.count("c").count, 203)
        c.upsert("c", [models.PointStruct(id=1000, vector=row(9), payload={"a": 9})],
                 update_mode=models.UpdateMode.INSERT_ONLY)
        same(c.retrieve("c", [1000])[0].payload, {"a": 1})
        c.delete("c", models.PointIdsList(points=[1000, id]))
        c.delete("c", models.Filter(must=[match("a", 2)]))
        same(c.count("c").count, 200)
        c.update_vectors("c", [models.PointVectors(id=1, vector=row(77))])
        same(c.retrieve("c", [1], with_vectors=True)[0].vector, row(77))
        c.upload_points("c", (models.PointStruct(id=5000 + i, vector=row(i), payload={"up": i}) for i in range(300)),
                        batch_size=64, wait=True)
        c.upload_collection("c", vectors=[row(i) for i in range(50)], ids=range(7000, 7050), wait=True)
        same(c.count("c", exact=True).count, 550)
        refused(400, c.upsert, "c", [models.PointStruct(id=1, vector=[1.0])])


def test_payload():
    with Client() as c:
        payload = lambda i: c.retrieve("c", [i])[0].payload
        c.set_payload("c", {"x": {"y": 1}}, points=[1, 2])
        c.set_payload("c", {"z": 2}, points=[1], key="x")
        same(payload(1)["x"], {"y": 1, "z": 2})
        c.set_payload("c", {"f": 1}, points=models.Filter(must=[match("color", "red")]))
        same((payload(3).get("f"), payload(4).get("f")), (1, None))
        c.overwrite_payload("c", {"only": 1}, points=[1])
        same(payload(1), {"only": 1})
        c.delete_payload("c", ["color", "x.y"], points=[2])
        same((payload(2).get("color"), payload(2)["x"]), (None, {}))
        c.clear_payload("c", points_selector=[2])
        same(payload(2), {})
        results = c.batch_update_points("c", [
            models.UpsertOperation(upsert=models.PointsList(points=[models.PointStruct(id=900, vector=row(1))])),
            models.SetPayloadOperation(set_payload=models.SetPayload(payload={"a": 1}, points=[900])),
            models.OverwritePayloadOperation(overwrite_payload=models.SetPayload(payload={"b": 1}, points=[900])),
            models.DeletePayloadOperation(delete_payload=models.DeletePayload(keys=["b"], points=[900])),
            models.ClearPayloadOperation(clear_payload=models.PointIdsList(points=[900])),
            models.UpdateVectorsOperation(update_vectors=models.UpdateVectors(
                points=[models.PointVectors(id=900, vector=row(2))])),
            models.DeleteOperation(delete=models.PointIdsList(points=[1]))])
        same(len(results), 7)
        same(c.retrieve("c", [1, 900], with_vectors=True)[0].vector, row(2))


def test_scroll_and_count():
    with Client() as c:
        seen, offset = [], None
        while True:
            page, offset = c.scroll("c", limit=33, offset=offset, with_payload=["n"], with_vectors=False)
            seen += ids(page)
            if offset is None:
                break
        same(seen, list(range(200)))
        page, _ = c.scroll("c", scroll_filter=models.Filter(must=[match("color", "red")], must_not=[match("even", True)]),
                           limit=5)
        same(ids(page), [3, 9, 15, 21, 27])
        page, _ = c.scroll("c", order_by=models.OrderBy(key="n", direction=models.Direction.DESC, start_from=150), limit=3)
        same(ids(page), [150, 149, 148])
        same(c.count("c", count_filter=models.Filter(must=[models.FieldCondition(
            key="n", range=models.Range(gte=10, lt=20))])).count, 10)


def test_query():
    with Client() as c:
        q = row(5000)
        found = c.query_points("c", query=q, limit=7, with_payload=True, with_vectors=True).points
        same(ids(found), best(200, q, 7))
        for p in found:
            check(abs(p.score - dot(row(p.id), q)) < 1e-4, p)
            same((p.vector, p.payload["n"]), (row(p.id), p.id))
        red = models.Filter(must=[match("color", "red")])
        same(ids(c.query_points("c", query=q, query_filter=red, limit=5, offset=2).points),
             best(200, q, 7, lambda i: i % 3 == 0)[2:])
        same(ids(c.query_points("c", query=5, limit=5).points),
             [i for i in best(200, row(5), 7) if i != 5][:5])
        limit = dot(row(best(200, q, 3)[2]), q)
        same(len(c.query_points("c", query=q, score_threshold=limit - 1e-6, limit=50).points), 3)
        batch = c.query_batch_points("c", [models.QueryRequest(query=row(5000 + i), limit=3) for i in range(4)])
        same([ids(r.points) for r in batch], [best(200, row(5000 + i), 3) for i in range(4)])
        params = models.SearchParams(exact=True, hnsw_ef=64,
                                     quantization=models.QuantizationSearchParams(rescore=True))
        same(ids(c.query_points("c", query=q, limit=5, search_params=params).points), best(200, q, 5))
        same(ids(c.query_points("c", limit=3).points), [0, 1, 2])


def test_query_tier_two():
    with Client() as c:
        q = row(5000)
        fused = c.query_points("c", prefetch=[models.Prefetch(query=q, limit=10), models.Prefetch(query=row(5001), limit=10)],
                               query=models.FusionQuery(fusion=models.Fusion.RRF), limit=5).points
        ranks = {}
        for query in (q, row(5001)):
            for at, i in enumerate(best(200, query, 10)):
                ranks[i] = ranks.get(i, 0) + 1 / (at + 2)
        expected = sorted(ranks, key=lambda i: (-ranks[i], i))[:5]
        check(all(abs(p.score - ranks[p.id]) < 1e-4 for p in fused), fused)
        same(sorted(round(p.score, 4) for p in fused), sorted(round(ranks[i], 4) for i in expected))
        c.query_points("c", prefetch=models.Prefetch(query=q, limit=10), query=models.FusionQuery(fusion=models.Fusion.DBSF))
        recommended = c.query_points("c", query=models.RecommendQuery(recommend=models.RecommendInput(
            positive=[1, 2], negative=[3])), limit=5).points
        check(not {1, 2, 3} & set(ids(recommended)) and len(recommended) == 5, recommended)
        for strategy in models.RecommendStrategy:
            same(len(c.query_points("c", query=models.RecommendQuery(recommend=models.RecommendInput(
                positive=[1], negative=[q], strategy=strategy)), limit=4).points), 4)
        same(len(c.query_points("c", query=models.DiscoverQuery(discover=models.DiscoverInput(
            target=q, context=[models.ContextPair(positive=1, negative=2)])), limit=4).points), 4)
        same(len(c.query_points("c", query=models.ContextQuery(context=[models.ContextPair(positive=1, negative=2)]),
                                limit=4).points), 4)
        same(ids(c.query_points("c", query=models.OrderByQuery(order_by=models.OrderBy(
            key="n", direction=models.Direction.DESC)), limit=3).points), [199, 198, 197])
        same(len(c.query_points("c", query=models.SampleQuery(sample=models.Sample.RANDOM), limit=9).points), 9)
        groups = c.query_points_groups("c", group_by="color", query=q, limit=3, group_size=2).groups
        same({g.id: ids(g.hits) for g in groups},
             {name: best(200, q, 2, lambda i: i % 3 == n) for n, name in enumerate(["red", "green", "blue"])})
        counts = {h.value: h.count for h in c.facet("c", key="color", exact=True).hits}
        same(counts, {"red": 67, "green": 67, "blue": 66})
        pairs = c.search_matrix_pairs("c", sample=20, limit=3).pairs
        check(len(pairs) > 0 and all(p.a != p.b for p in pairs), pairs)
        offsets = c.search_matrix_offsets("c", sample=20, limit=3)
        same(len(offsets.ids), 20)


def test_filters():
    with Client() as c:
        count = lambda *must, **more: c.count("c", count_filter=models.Filter(must=list(must), **more)).count
        field = models.FieldCondition
        same(count(field(key="n", match=models.MatchAny(any=[1, 2, 500]))), 2)
        same(count(field(key="color", match=models.MatchExcept(**{"except": ["red", "green"]}))), 66)
        same(count(field(key="text", match=models.MatchText(text="fox 17"))), 1)
        same(count(field(key="at", range=models.DatetimeRange(gte="2024-01-27T00:00:00Z"))), 14)
        same(count(models.HasIdCondition(has_id=[1, 2, 3])), 3)
        same(count(models.IsEmptyCondition(is_empty=models.PayloadField(key="nope"))), 200)
        same(count(field(key="geo", geo_bounding_box=models.GeoBoundingBox(
            top_left=models.GeoPoint(lon=0, lat=1), bottom_right=models.GeoPoint(lon=1, lat=0)))), 9)
        same(count(field(key="geo", geo_radius=models.GeoRadius(center=models.GeoPoint(lon=0, lat=0), radius=100))), 1)
        same(count(field(key="color", values_count=models.ValuesCount(gt=1))), 0)
        same(count(models.Filter(should=[match("n", 1), match("n", 2)]), match("even", True)), 1)
        same(count(min_should=models.MinShould(conditions=[match("even", True), match("color", "red")], min_count=2)), 34)


def test_aliases():
    with Client() as c:
        c.update_collection_aliases([models.CreateAliasOperation(create_alias=models.CreateAlias(
            collection_name="c", alias_name="a"))])
        same(c.count("a").count, 200)
        same([a.alias_name for a in c.get_collection_aliases("c").aliases], ["a"])
        c.update_collection_aliases([models.RenameAliasOperation(rename_alias=models.RenameAlias(
            old_alias_name="a", new_alias_name="b"))])
        same([a.alias_name for a in c.get_aliases().aliases], ["b"])
        c.update_collection_aliases([models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name="b"))])
        same(c.get_aliases().aliases, [])


def test_snapshots():
    with Client() as c:
        made = c.create_snapshot("c", wait=True)
        same([x.name for x in c.list_snapshots("c")], [made.name])
        c.delete("c", models.Filter(must=[match("even", True)]))
        path = os.path.abspath(f"served.hw/snapshots/collections/c/{made.name}")
        same(c.recover_snapshot("c", location=f"file://{path}", wait=True, checksum=made.checksum), True)
        same(c.count("c").count, 200)
        same(c.delete_snapshot("c", made.name), True)
        full = c.create_full_snapshot()
        same([x.name for x in c.list_full_snapshots()], [full.name])
        same(c.delete_full_snapshot(full.name), True)
        shard = c.create_shard_snapshot("c", 0)
        same([x.name for x in c.list_shard_snapshots("c", 0)], [shard.name])


def test_named_sparse_and_multi_vectors():
    with Client(points=1) as c:
        c.create_collection("v", vectors_config={
            "image": models.VectorParams(size=4, distance=models.Distance.COSINE),
            "tokens": models.VectorParams(size=2, distance=models.Distance.DOT, multivector_config=models.MultiVectorConfig(
                comparator=models.MultiVectorComparator.MAX_SIM))},
            sparse_vectors_config={"words": models.SparseVectorParams(modifier=models.Modifier.IDF)})
        c.upsert("v", [
            models.PointStruct(id=1, vector={"image": [1, 0, 0, 0], "words": models.SparseVector(indices=[1, 5], values=[1, 2])}),
            models.PointStruct(id=2, vector={"image": [0, 1, 0, 0], "tokens": [[1, 0], [0, 1]]}),
            models.PointStruct(id=3, vector={"words": models.SparseVector(indices=[5], values=[1]), "tokens": [[3, 3]]})])
        same(ids(c.query_points("v", query=[1, 0.5, 0, 0], using="image").points), [1, 2])
        same(ids(c.query_points("v", query=models.SparseVector(indices=[1], values=[1]), using="words").points), [1])
        found = c.query_points("v", query=[[1, 0], [0, 1]], using="tokens").points
        same([(p.id, p.score) for p in found], [(3, 6.0), (2, 2.0)])
        same(c.retrieve("v", [3], with_vectors=["words"])[0].vector, {"words": models.SparseVector(indices=[5], values=[1])})
        c.delete_vectors("v", vectors=["words"], points=[3])
        same(sorted(c.retrieve("v", [3], with_vectors=True)[0].vector), ["tokens"])
        c.create_vector_name("v", "late", models.DenseVectorNameConfig(dense=models.DenseVectorConfig(
            size=2, distance=models.Distance.EUCLID)))
        c.update_vectors("v", [models.PointVectors(id=3, vector={"late": [1, 2]})])
        same(ids(c.query_points("v", query=[1, 2], using="late").points), [3])
        c.delete_vector_name("v", "late")
        same(sorted(c.retrieve("v", [3], with_vectors=True)[0].vector), ["tokens"])


main(globals())
