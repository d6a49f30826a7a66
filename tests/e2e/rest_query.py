"""Every call that searches, once each way it can be asked; what is refused, and in which words.

Whether the answers are right at large is shown by rest_random.py."""

import http.client
import json
import math
import threading
import time

from _rest import Server, check, main, same

POINTS = [
    {"id": 1, "vector": [1, 0, 0, 0], "payload": {"n": 1, "city": "Rome", "tags": ["a", "b"], "at": "2024-01-01T00:00:00Z"}},
    {"id": 2, "vector": [0.9, 0.1, 0, 0], "payload": {"n": 2, "city": "Rome", "tags": ["b"]}},
    {"id": 3, "vector": [0.8, 0.3, 0, 0], "payload": {"n": 3, "city": "Oslo", "tags": ["c", 7]}},
    {"id": 4, "vector": [0, 1, 0, 0], "payload": {"n": 4, "city": "Oslo", "tags": "c"}},
    {"id": 5, "vector": [0, 0, 1, 0], "payload": {"n": 5, "city": "Bern", "at": "2023-05-05"}},
    {"id": "0b0b0b0b-0000-4000-8000-000000000001", "vector": [0, 0, 0, 1], "payload": {"n": -6}},
]
UUID = POINTS[5]["id"]


class Small(Server):
    """A collection `c` of six points, dot product; indexes on n, city and at."""

    def __enter__(self):
        super().__enter__()
        self.ok("PUT", "/collections/c", {"vectors": {"size": 4, "distance": "Dot"}})
        self.ok("PUT", "/collections/c/points?wait=true", {"points": POINTS})
        for field, kind in {"n": "integer", "city": "keyword", "at": "datetime"}.items():
            self.ok("PUT", "/collections/c/index?wait=true", {"field_name": field, "field_schema": kind})
        return self

    def query(self, body, call="points/query"):
        return self.ok("POST", "/collections/c/" + call, body)

    def ids(self, body):
        return [p["id"] for p in self.query(body)["points"]]

    def refuse(self, code, body, says, call="points/query"):
        return self.fails(code, "POST", "/collections/c/" + call, body, says)


def test_nearest_by_vector_id_and_object():
    with Small() as s:
        found = s.query({"query": [1, 0, 0, 0], "limit": 3})["points"]
        same([p["id"] for p in found], [1, 2, 3])
        check(abs(found[1]["score"] - 0.9) < 1e-6 and "payload" not in found[0] and "vector" not in found[0], found)
        same(s.ids({"query": {"nearest": [0, 0, 1, 0]}, "limit": 1}), [5])
        same(s.ids({"query": 1, "limit": 2}), [2, 3])  # itself left out
        same(s.ids({"query": UUID, "limit": 1}), [1])
        same(s.ids({"query": [1, 0, 0, 0], "limit": 2, "offset": 1}), [2, 3])
        same(s.ids({"query": [1, 0, 0, 0], "offset": 100}), [])
        same(s.ids({"query": [1, 0, 0, 0], "limit": 1000000}), [1, 2, 3, 4, 5, UUID])
        same(s.ids({"query": [1, 0, 0, 0], "score_threshold": 0.85}), [1, 2])
        same(s.ids({"query": [1, 0, 0, 0], "filter": {"must": [{"key": "city", "match": {"value": "Oslo"}}]}}), [3, 4])
        same(s.ids({}), [1, 2, 3, 4, 5, UUID])
        same(s.ids({"limit": 2, "offset": 1}), [2, 3])
        same(s.ids({"query": None, "filter": None, "prefetch": None, "using": None, "params": None, "limit": None,
                    "offset": None, "with_payload": None, "with_vector": None, "score_threshold": None, "lookup_from": None}),
             [1, 2, 3, 4, 5, UUID])


def test_selectors_choose_what_is_shown():
    with Small() as s:
        one = lambda **more: s.query(dict({"query": [1, 0, 0, 0], "limit": 1}, **more))["points"][0]
        same(one(with_payload=True)["payload"], POINTS[0]["payload"])
        same(one(with_payload=["city"])["payload"], {"city": "Rome"})
        same(one(with_payload={"exclude": ["tags", "at", "n"]})["payload"], {"city": "Rome"})
        same(one(with_vector=True)["vector"], [1, 0, 0, 0])
        fused = {"prefetch": [{"query": [1, 0, 0, 0], "limit": 1}], "query": {"fusion": "rrf"}}
        same(one(**fused, with_payload=["n"], with_vector=True),
             {"id": 1, "version": one()["version"], "score": 0.5, "payload": {"n": 1}, "vector": [1, 0, 0, 0]})


def test_params_are_taken_and_recall_is_told():
    with Small() as s:
        ask = {"query": [1, 0, 0, 0], "limit": 2}
        same(s.ids(dict(ask, params={"hnsw_ef": 64, "exact": False, "indexed_only": True, "acorn": {"enable": True},
                                     "quantization": {"ignore": True, "rescore": True, "oversampling": 2.0}})), [1, 2])
        check("recall" not in s.query(ask), "recall was not asked for")
        same(s.query(dict(ask, params={"recall": 0.9}))["recall"], 1.0)
        check("recall" in s.query(dict(ask, params={"time_budget_ms": 1000})), "budget without recall")
        s.refuse(422, dict(ask, params={"recall": 1.5}), "params.recall")
        s.refuse(422, dict(ask, params={"hnsw_ef": 0}), "hnsw_ef")
        s.refuse(422, dict(ask, params={"quantization": {"oversampling": 0.5}}), "oversampling")
        s.refuse(400, dict(ask, params={"exact": "yes"}), "exact")
        s.refuse(400, dict(ask, params=7), "params")


def test_explain_adds_the_plan():
    with Small() as s:
        explain = s.query({"query": [1, 0, 0, 0], "explain": True})["explain"]
        check("plan" in explain and "microseconds" in explain, explain)
        tree = s.query({"prefetch": [{"query": [1, 0, 0, 0]}, {"query": {"order_by": "n"}}],
                        "query": [0, 1, 0, 0], "explain": True})["explain"]
        check("plan" in tree["query"] and "plan" in tree["prefetch"][0] and tree["prefetch"][1] is None, tree)
        why = s.query({"query": [1, 0, 0, 0], "id": 4, "limit": 2}, "points/why")
        same((why["found"], why["exact_rank"]), (False, 4))
        s.refuse(400, {"query": [1, 0, 0, 0]}, "id", "points/why")
        s.refuse(400, {"query": {"sample": "random"}, "id": 1}, "explained", "points/why")


def test_prefetch_and_fusion():
    with Small() as s:
        one, other = {"query": [1, 0, 0, 0], "limit": 2}, {"query": [0, 1, 0, 0], "limit": 3}
        same(s.ids({"prefetch": [one, other], "query": {"fusion": "rrf"}, "limit": 4}), [2, 1, 4, 3])
        found = s.query({"prefetch": [one, other], "query": {"rrf": {"k": 1, "weights": [1, 0]}}})["points"]
        same([(p["id"], p["score"]) for p in found], [(1, 1), (2, 0.5), (3, 0), (4, 0)])
        same(s.ids({"prefetch": [one, other], "query": {"fusion": "dbsf"}, "limit": 2}), [2, 4])
        same(s.ids({"prefetch": [one, other], "query": {"fusion": "rrf"}, "score_threshold": 0.4}), [2, 1, 4])
        same(s.ids({"prefetch": one, "query": [0, 1, 0, 0], "limit": 1}), [2])  # one, not a list
        # A filter above reaches down to where points are found, and ids named anywhere are left out.
        same(s.ids({"prefetch": [{"query": 1, "limit": 3}, other], "query": {"fusion": "rrf"},
                    "filter": {"must_not": [{"has_id": [4]}]}}), [2, 3, 5])
        deep = {"query": [1, 0, 0, 0], "limit": 4}
        for _ in range(30):
            deep = {"prefetch": [deep], "query": [1, 0, 0, 0], "limit": 4}
        same(s.ids(deep), [1, 2, 3, 4])
        s.refuse(400, {"prefetch": [{"prefetch": [deep], "query": 1}], "query": 1}, "nested deeper")
        deep = {"query": 1}
        for _ in range(33):
            deep = {"prefetch": deep, "query": 1}
        s.refuse(400, deep, "prefetches depth 33 exceeds max depth 32")


def test_recommend_discover_context():
    with Small() as s:
        ask = lambda **q: s.ids({"query": q, "limit": 2})
        same(ask(recommend={"positive": [1]}), [2, 3])
        same(ask(recommend={"positive": [1], "negative": [2]}), [3, 5])
        same(ask(recommend={"positive": [[1, 0, 0, 0], 4], "strategy": "average_vector"}), [3, 1])
        same(ask(recommend={"positive": [1], "negative": [], "strategy": "best_score"}), [2, 3])
        same(ask(recommend={"negative": [4], "strategy": "best_score"}), [1, 5])
        same(ask(recommend={"positive": [1], "negative": [2], "strategy": "sum_scores"}), [3, 5])
        same(ask(discover={"target": [1, 0, 0, 0], "context": [{"positive": 4, "negative": 5}]}), [2, 3])
        same(ask(discover={"target": 1, "context": {"positive": 4, "negative": 5}}), [2, 3])
        same(ask(discover={"target": 1, "context": None}), [2, 3])
        found = s.query({"query": {"context": {"positive": 1, "negative": 4}}})["points"]
        same([(p["id"], p["score"] <= 0) for p in found][:2], [(2, True), (3, True)])
        s.refuse(422, {"query": {"recommend": {"positive": [], "negative": []}}}, "At least one positive or negative")
        s.refuse(400, {"query": {"recommend": {"negative": [1]}}}, "Positive vectors should not be empty")
        s.refuse(400, {"query": {"recommend": {"positive": [1], "strategy": "worst"}}}, "strategy")
        s.refuse(404, {"query": {"recommend": {"positive": [99]}}}, "No point with id 99 found")
        s.refuse(400, {"query": {"discover": {"target": 1}}}, "context")
        s.refuse(400, {"query": {"context": [{"positive": 1}]}}, "negative")


def test_order_by_and_sample():
    with Small() as s:
        found = s.query({"query": {"order_by": "n"}, "with_payload": ["n"]})["points"]
        same([p["id"] for p in found], [UUID, 1, 2, 3, 4, 5])
        same([p["order_value"] for p in found], [-6, 1, 2, 3, 4, 5])
        same(s.ids({"query": {"order_by": {"key": "n", "direction": "desc", "start_from": 4}}, "limit": 2, "offset": 1}), [3, 2])
        same(s.ids({"query": {"order_by": {"key": "at"}}}), [5, 1])
        same(s.ids({"query": {"order_by": {"key": "at", "start_from": "2023-06-01"}}}), [1])
        same(s.ids({"prefetch": [{"query": [1, 0, 0, 0], "limit": 3}], "query": {"order_by": {"key": "n", "direction": "desc"}}}), [3, 2, 1])
        same(len(s.ids({"query": {"sample": "random"}, "limit": 4})), 4)
        same(set(s.ids({"prefetch": {"query": [1, 0, 0, 0], "limit": 2}, "query": {"sample": "random"}})), {1, 2})
        same(len(s.ids({"query": {"sample": "random"}, "limit": 10, "offset": 4})), 2)
        same(len(s.ids({"prefetch": {"query": [1, 0, 0, 0], "limit": 2}, "query": {"sample": "random"}, "offset": 1})), 1)
        s.refuse(400, {"query": {"order_by": "tags"}}, "No range index for `order_by` key: `tags`")
        s.refuse(400, {"query": {"order_by": {"key": "n", "direction": "up"}}}, "direction")
        s.refuse(400, {"query": {"order_by": {}}}, "key")
        s.refuse(400, {"query": {"order_by": "n"}, "score_threshold": 1}, "order_by")
        s.refuse(400, {"query": {"sample": "fair"}}, "sample")


def test_formula():
    with Small() as s:
        below = {"query": [1, 0, 0, 0], "limit": 3}
        found = s.query({"prefetch": below, "query": {"formula": {"sum": [
            "$score", {"mult": [0.5, {"key": "city", "match": {"value": "Oslo"}}]}]}}})["points"]
        same([p["id"] for p in found], [3, 1, 2])
        check(abs(found[0]["score"] - 1.3) < 1e-6, found)
        # Also points without a payload key, as long as there is a default.
        body = {"prefetch": {"query": [0, 0, 0, 1], "limit": 6}, "query": {
            "formula": {"gauss_decay": {"x": {"datetime_key": "at"}, "target": {"datetime": "2024-01-01"}, "scale": 1e6}},
            "defaults": {"at": "2024-01-12T13:46:40Z"}}, "limit": 2}
        found = s.query(body)["points"]
        same(found[0]["id"], 1)
        check(abs(found[1]["score"] - 0.5) < 1e-3, found)
        same(s.ids(dict(body, score_threshold=0.9)), [1])
        del body["query"]["defaults"]
        s.refuse(400, body, "No value found in a payload nor defaults")
        s.ok("POST", "/collections/c/points/payload?wait=true", {"payload": {"x": [None]}, "points": [1]})
        found = s.query({"prefetch": below, "query": {"formula": "x", "defaults": {"x": 7}}, "limit": 1})["points"]
        same([(p["id"], p["score"]) for p in found], [(1, 7)])  # null is as good as nothing
        s.refuse(400, {"query": {"formula": "$score"}}, "prefetch")
        s.refuse(400, {"prefetch": below, "query": {"formula": {"div": {"left": 1, "right": {"mult": [0, "n"]}}}}}, "non-finite")


def test_variety():
    with Small() as s:
        near = lambda diversity: s.ids({"query": {"nearest": [1, 0.2, 0, 0], "mmr": {"diversity": diversity, "candidates_limit": 6}}, "limit": 3})
        same(near(0.0), [1, 2, 3])
        same(len(set(near(0.9))), 3)
        check(near(0.9) != near(0.0), near(0.9))
        same(len(s.ids({"query": {"nearest": 1, "mmr": {}}, "limit": 2})), 2)
        s.refuse(422, {"query": {"nearest": 1, "mmr": {"diversity": 2}}}, "diversity")
        s.refuse(422, {"query": {"nearest": 1, "mmr": {"candidates_limit": 20000}}}, "candidates_limit")


def test_relevance_feedback():
    with Small() as s:
        ask = {"target": [1, 0, 0, 0], "feedback": [{"example": 4, "score": 0.9}, {"example": 2, "score": 0.1}],
               "strategy": {"naive": {"a": 1, "b": 1, "c": 1}}}
        found = s.query({"query": {"relevance_feedback": ask}, "limit": 2})["points"]
        # target + 0.8 * (point 4 - point 2) = [0.28, 0.72]
        same([p["id"] for p in found], [3, 1])
        check(abs(found[0]["score"] - (0.8 * 0.28 + 0.3 * 0.72)) < 1e-5, found)
        s.refuse(422, {"query": {"relevance_feedback": dict(ask, feedback=[])}}, "non-empty")
        s.refuse(400, {"query": {"relevance_feedback": dict(ask, strategy={})}}, "naive")
        s.refuse(422, {"query": {"relevance_feedback": dict(ask, strategy={"naive": {"a": 1, "b": -1, "c": 1}})}}, "naive.b")


def test_groups():
    with Small() as s:
        groups = s.query({"query": [1, 0, 0, 0], "group_by": "city", "group_size": 1, "with_payload": ["n"]}, "points/query/groups")["groups"]
        same([(g["id"], [h["id"] for h in g["hits"]]) for g in groups], [("Rome", [1]), ("Oslo", [3]), ("Bern", [5])])
        same(groups[0]["hits"][0]["payload"], {"n": 1})
        groups = s.query({"query": [1, 0, 0, 0], "group_by": "tags", "limit": 2, "group_size": 2}, "points/query/groups")["groups"]
        same([(g["id"], [h["id"] for h in g["hits"]]) for g in groups], [("a", [1]), ("b", [1, 2])])
        groups = s.query({"query": {"order_by": "n"}, "group_by": "n", "limit": 2}, "points/query/groups")["groups"]
        same([g["id"] for g in groups], [-6, 1])
        s.ok("PUT", "/collections/cities", {"vectors": {"size": 1, "distance": "Dot"}})
        s.ok("PUT", "/collections/cities/points?wait=true", {"points": [
            {"id": 1, "vector": [1], "payload": {"name": "one"}}, {"id": 3, "vector": [1], "payload": {"name": "three"}}]})
        ask = {"query": [1, 0, 0, 0], "group_by": "n", "limit": 3, "with_lookup": "cities"}
        groups = s.query(ask, "points/query/groups")["groups"]
        same([g.get("lookup", {}).get("payload") for g in groups], [{"name": "one"}, None, {"name": "three"}])
        groups = s.query(dict(ask, with_lookup={"collection": "cities", "with_payload": False, "with_vectors": True}), "points/query/groups")["groups"]
        same(groups[0]["lookup"], {"id": 1, "vector": [1]})
        s.refuse(404, dict(ask, with_lookup="nowhere"), "nowhere", "points/query/groups")
        s.refuse(400, {"query": [1, 0, 0, 0]}, "group_by", "points/query/groups")
        s.refuse(422, {"query": [1, 0, 0, 0], "group_by": "n", "group_size": 0}, "group_size", "points/query/groups")
        s.refuse(400, {"query": [1, 0, 0, 0], "group_by": "a..b"}, "group_by", "points/query/groups")


def test_a_large_group_does_not_hide_the_others():
    with Server() as s:
        s.ok("PUT", "/collections/c", {"vectors": {"size": 2, "distance": "Euclid"}})
        points = [{"id": i, "vector": [i / 1000, 0], "payload": {"g": "large" if i < 900 else f"g{i % 9}"}} for i in range(1000)]
        s.ok("PUT", "/collections/c/points?wait=true", {"points": points})
        groups = s.ok("POST", "/collections/c/points/query/groups", {"query": [0, 0], "group_by": "g", "limit": 5, "group_size": 4})["groups"]
        expected = {}
        for p in points:
            expected.setdefault(p["payload"]["g"], []).append(p["id"])
        same([(g["id"], [h["id"] for h in g["hits"]]) for g in groups], [(k, v[:4]) for k, v in list(expected.items())[:5]])
        fused = s.ok("POST", "/collections/c/points/query/groups", {
            "prefetch": [{"query": [0, 0], "limit": 10}, {"query": [1, 0], "limit": 10}], "query": {"fusion": "rrf"},
            "group_by": "g", "limit": 3, "group_size": 2})["groups"]
        same([len(g["hits"]) for g in fused], [2, 2, 2])


def test_facet():
    with Small() as s:
        same(s.query({"key": "city"}, "facet")["hits"], [{"value": "Oslo", "count": 2}, {"value": "Rome", "count": 2}, {"value": "Bern", "count": 1}])
        same(s.query({"key": "city", "limit": 1, "exact": True, "filter": {"must": [{"key": "n", "range": {"gt": 2}}]}}, "facet")["hits"],
             [{"value": "Oslo", "count": 2}])
        same(s.query({"key": "n", "limit": 1}, "facet")["hits"], [{"value": -6, "count": 1}])
        s.refuse(400, {"key": "tags"}, "No appropriate index for faceting: `tags`", "facet")
        s.refuse(400, {}, "key", "facet")
        s.refuse(422, {"key": "n", "limit": 0}, "limit", "facet")


def test_matrix():
    with Small() as s:
        pairs = s.query({"sample": 6, "limit": 1}, "points/search/matrix/pairs")["pairs"]
        same(sorted(map(json.dumps, (p["a"] for p in pairs))), sorted(json.dumps(p["id"]) for p in POINTS))
        check(all(p["a"] != p["b"] for p in pairs), pairs)
        m = s.query({"sample": 3, "limit": 5, "filter": {"must": [{"has_id": [1, 2, 4]}]}}, "points/search/matrix/offsets")
        same((m["ids"], m["offsets_row"], m["offsets_col"]), ([1, 2, 4], [0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 1, 0]))
        same(len(m["scores"]), 6)
        same(s.query({"filter": {"must": [{"has_id": [1]}]}}, "points/search/matrix/pairs")["pairs"], [])
        s.refuse(422, {"sample": 1}, "sample", "points/search/matrix/pairs")
        s.refuse(400, {"using": "other"}, "Not existing vector name error: other", "points/search/matrix/pairs")


def test_batches():
    with Small() as s:
        found = s.query({"searches": [{"query": [1, 0, 0, 0], "limit": 1}, {"query": {"order_by": "n"}, "limit": 1},
                                      {"prefetch": {"query": 1}, "query": {"fusion": "rrf"}, "limit": 1}]}, "points/query/batch")
        same([[p["id"] for p in f["points"]] for f in found], [[1], [UUID], [2]])
        same(s.query({"searches": []}, "points/query/batch"), [])
        # One that fails takes all with it.
        s.refuse(404, {"searches": [{"query": [1, 0, 0, 0]}, {"query": 99}]}, "No point with id 99 found", "points/query/batch")
        s.refuse(400, {"searches": [{}] * 2000}, "1024", "points/query/batch")
        s.refuse(400, {}, "searches", "points/query/batch")


def test_old_calls():
    with Small() as s:
        found = s.query({"vector": [1, 0, 0, 0], "top": 2, "with_payload": ["n"], "with_vectors": True}, "points/search")
        same([(p["id"], p["payload"], p["vector"]) for p in found], [(i, {"n": i}, POINTS[i - 1]["vector"]) for i in (1, 2)])
        same([p["id"] for p in s.query({"vector": [1, 0, 0, 0], "limit": 2, "offset": 1}, "points/search")], [2, 3])
        same([p["id"] for p in s.query({"vector": {"name": "", "vector": [1, 0, 0, 0]}, "limit": 1}, "points/search")], [1])
        same([p["id"] for p in s.query({"positive": [1], "negative": [], "limit": 2}, "points/recommend")], [2, 3])
        same([p["id"] for p in s.query({"target": 1, "context": [{"positive": 4, "negative": 5}], "limit": 1}, "points/discover")], [2])
        same([p["id"] for p in s.query({"context": [{"positive": 1, "negative": 4}], "limit": 1}, "points/discover")], [2])
        same([[p["id"] for p in b] for b in s.query({"searches": [{"vector": [1, 0, 0, 0], "limit": 1}] * 2}, "points/search/batch")], [[1], [1]])
        same([[p["id"] for p in b] for b in s.query({"searches": [{"positive": [1], "limit": 1}]}, "points/recommend/batch")], [[2]])
        same([[p["id"] for p in b] for b in s.query({"searches": [{"target": 1, "limit": 1}]}, "points/discover/batch")], [[2]])
        groups = s.query({"vector": [1, 0, 0, 0], "group_by": "city", "group_size": 1, "limit": 2}, "points/search/groups")["groups"]
        same([g["id"] for g in groups], ["Rome", "Oslo"])
        groups = s.query({"positive": [1], "group_by": "city", "group_size": 2, "limit": 1}, "points/recommend/groups")["groups"]
        same([[h["id"] for h in g["hits"]] for g in groups], [[2]])
        s.refuse(400, {"vector": [1, 0, 0, 0]}, "missing field `limit`", "points/search")
        s.refuse(400, {"limit": 1}, "missing field `vector`", "points/search")
        s.refuse(422, {"vector": [1, 0, 0, 0], "limit": 0}, "limit", "points/search")
        s.refuse(400, {"vector": [1, 0, 0, 0], "group_by": "city", "limit": 2}, "group_size", "points/search/groups")


def test_lookup_from():
    with Small() as s:
        s.ok("PUT", "/collections/other", {"vectors": {"v": {"size": 4, "distance": "Dot"}, "w": {"size": 3, "distance": "Dot"}}})
        s.ok("PUT", "/collections/other/points?wait=true", {"points": [
            {"id": 1, "vector": {"v": [0, 0, 1, 0], "w": [1, 1, 1]}}, {"id": 2, "vector": {"w": [1, 1, 1]}}]})
        ask = {"query": 1, "lookup_from": {"collection": "other", "vector": "v"}, "limit": 2}
        same(s.ids(ask), [5, 1])  # point 1 of this collection is another, so not left out
        same(s.ids({"query": {"recommend": {"positive": [1]}}, "lookup_from": ask["lookup_from"], "limit": 1}), [5])
        same([p["id"] for p in s.query({"positive": [1], "lookup_from": ask["lookup_from"], "limit": 1}, "points/recommend")], [5])
        both = {"ids": [1], "with_vectors": ["v", "w"]}
        same(set(s.ok("POST", "/collections/other/points", both)[0]["vector"]), {"v", "w"})
        for call, body in [("", both), ("/scroll", {}), ("/query", {})]:
            s.fails(400, "POST", "/collections/other/points" + call, body | {"with_vectors": ["v", "x"]},
                    "Not existing vector name error: x")
        s.refuse(404, dict(ask, query=7), "No point with id 7 found")
        s.refuse(404, dict(ask, query=2), "Vector with name \"v\" for point")
        s.refuse(404, dict(ask, lookup_from={"collection": "nowhere"}), "Collection nowhere not found")
        s.refuse(404, dict(ask, query=[1, 0, 0, 0], lookup_from={"collection": "nowhere"}), "Collection nowhere not found")
        s.refuse(400, dict(ask, lookup_from={"collection": "other", "vector": "w"}), "expected dim: 4, got 3")
        s.refuse(400, dict(ask, lookup_from={"collection": "other", "vector": "x"}), "Not existing vector name error: x")
        s.refuse(400, dict(ask, lookup_from={}), "collection")


def test_named_sparse_and_multi_vectors():
    with Server() as s:
        s.ok("PUT", "/collections/c", {
            "vectors": {"a": {"size": 2, "distance": "Cosine"}, "m": {"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}},
            "sparse_vectors": {"s": {}, "i": {"modifier": "idf"}}})
        s.ok("PUT", "/collections/c/points?wait=true", {"points": [
            {"id": 1, "vector": {"a": [1, 0], "m": [[1, 0], [0, 1]], "s": {"indices": [1, 5], "values": [1, 2]}, "i": {"indices": [1, 2], "values": [1, 1]}}},
            {"id": 2, "vector": {"a": [0, 1], "m": [[1, 1]], "s": {"indices": [5], "values": [1]}, "i": {"indices": [1], "values": [1]}}},
            {"id": 3, "vector": {"s": {"indices": [9], "values": [1]}}}]})
        ask = lambda **q: [(p["id"], p["score"]) for p in s.ok("POST", "/collections/c/points/query", q)["points"]]
        same([i for i, _ in ask(query=[1, 0], using="a")], [1, 2])
        same(ask(query={"indices": [5], "values": [2]}, using="s"), [(1, 4), (2, 2)])
        same(ask(query=3, using="s"), [])
        same(ask(query=[[1, 0], [1, 2]], using="m"), [(2, 4), (1, 3)])
        same(ask(query=[1, 0], using="m"), [(1, 1), (2, 1)])
        idf = ask(query={"indices": [1, 2], "values": [1, 1]}, using="i")
        same([i for i, _ in idf], [1, 2])
        check(abs(idf[1][1] - math.log(1 + (2 - 2 + 0.5) / (2 + 0.5))) < 1e-5, idf)
        found = s.ok("POST", "/collections/c/points/query", {
            "prefetch": [{"query": [1, 0], "using": "a"}, {"query": {"indices": [5, 9], "values": [1, 3]}, "using": "s"}],
            "query": {"fusion": "rrf"}, "with_vector": ["s"]})["points"]
        same({p["id"] for p in found}, {1, 2, 3})
        same(found[0]["vector"].keys(), {"s"})
        s.fails(400, "POST", "/collections/c/points/query", {"query": [1, 0]}, "Not existing vector name error")
        s.fails(400, "POST", "/collections/c/points/query", {"query": [1, 0], "using": "x"}, "Not existing vector name error: x")
        s.fails(400, "POST", "/collections/c/points/query", {"query": [1, 0], "using": "s"})
        s.fails(400, "POST", "/collections/c/points/query", {"query": {"indices": [1], "values": [1]}, "using": "a"})
        s.fails(422, "POST", "/collections/c/points/query", {"query": {"indices": [1, 1], "values": [1, 1]}, "using": "s"})
        s.fails(404, "POST", "/collections/c/points/query", {"query": 3, "using": "a"})


def test_slow_searches_are_logged_with_what_they_did():
    with Server("slow.hw", env={"HASHWOOD__SERVICE__SLOW_QUERY_SECS": "0.001"}) as s:
        s.ok("PUT", "/collections/c", {"vectors": {"size": 64, "distance": "Dot"}})
        s.ok("PUT", "/collections/c/points?wait=true", {"batch": {"ids": list(range(1500)), "vectors": [[i % 7 + j for j in range(64)] for i in range(1500)]}})
        one = {"query": [1] * 64, "params": {"exact": True}}
        s.ok("POST", "/collections/c/points/query/batch", {"searches": [one] * 200})
        slow = [line for line in s.log_until(lambda log: "slow search" in log).splitlines() if "slow search" in line]
        check(any("200" in line and "300000" in line for line in slow), slow)  # searches, rows scanned


def test_mistakes_are_told():
    with Small() as s:
        s.fails(404, "POST", "/collections/nowhere/points/query", {}, "Collection `nowhere` doesn't exist!")
        s.refuse(400, {"query": [1, 0, 0]}, "expected dim: 4, got 3")
        s.refuse(400, {"query": [1, 0, 0, "x"]}, "Format error in JSON body")
        s.refuse(400, {"query": 1.5}, "Format error in JSON body")
        s.refuse(400, {"query": "no-uuid"}, "Format error in JSON body")
        s.refuse(400, {"query": {"best": 1}}, "Format error in JSON body")
        s.refuse(400, {"query": {"text": "words", "model": "some"}}, "InferenceService")
        s.refuse(404, {"query": 99}, "Not found: No point with id 99 found")
        s.refuse(422, {"query": [1, 0, 0, 0], "limit": 0}, "Validation error in JSON body: [limit: value 0 invalid, must be 1 or larger]")
        s.refuse(400, {"query": [1, 0, 0, 0], "limit": -1}, "limit")
        s.refuse(400, {"query": [1, 0, 0, 0], "offset": "x"}, "offset")
        s.refuse(400, {"query": [1, 0, 0, 0], "filter": {"must": [{"key": "n"}]}}, "")
        s.refuse(400, {"query": [1, 0, 0, 0], "filter": []}, "filter")
        s.refuse(400, {"prefetch": [{"query": 1}]}, "A query is needed to merge the prefetches")
        s.refuse(400, {"score_threshold": 1}, "A query is needed to use the score_threshold")
        s.refuse(400, {"query": {"fusion": "rrf"}}, "without prefetch")
        s.refuse(400, {"prefetch": {"query": 1}, "query": {"fusion": "rrf"}, "using": "x"}, "cannot be combined with the 'using' field")
        s.refuse(400, {"prefetch": {"query": 1}, "query": {"fusion": "best"}}, "fusion")
        s.refuse(400, {"prefetch": {"query": 1}, "query": {"rrf": {"weights": [1, 2]}}}, "Number of weights")
        s.refuse(422, {"prefetch": {"query": 1}, "query": {"rrf": {"k": 0}}}, "k")
        s.refuse(400, {"prefetch": [7], "query": 1}, "prefetch")
        s.refuse(400, {"prefetch": [{"query": 1}] * 3000, "query": 1}, "1024")
        s.refuse(400, {"query": {"recommend": {"positive": [1] * 3000}}}, "1024")
        wide = {"must": {"key": "n", "match": {"any": list(range(100000, 200000))}}}
        own = {"must": {"key": "n", "range": {"gte": 0}}}
        s.refuse(400, {"prefetch": [{"query": 1, "filter": own}] * 100, "query": 1, "filter": wide}, "filters of all steps")
        for body in ("[]", "7", "null", "{", "", '{"query": [1e400, 0, 0, 0]}', '{"query": [NaN, 0, 0, 0]}'):
            for call in ("points/query", "points/query/batch", "points/query/groups", "points/search", "points/recommend",
                         "points/discover", "facet", "points/search/matrix/pairs", "points/why"):
                status, _, data = s.raw("POST", "/collections/c/" + call, body)
                check(status in (400, 422), (call, body, status, data))


def test_a_request_reads_one_snapshot_while_writes_go_on():
    """A point's vector and its payload change together; what a formula makes of both is always 0."""
    with Server() as s:
        s.ok("PUT", "/collections/moving", {"vectors": {"size": 1, "distance": "Dot"}})
        ended = threading.Event()

        def write():
            connection = http.client.HTTPConnection("127.0.0.1", s.port)
            n = 1
            while not ended.is_set():
                n += 1
                points = [{"id": i, "vector": [n + i], "payload": {"n": n + i}} for i in range(8)]
                connection.request("PUT", "/collections/moving/points", json.dumps({"points": points}),
                                   {"Content-Type": "application/json"})
                connection.getresponse().read()

        writer = threading.Thread(target=write)
        writer.start()
        try:
            asked = {"prefetch": {"query": [1], "limit": 5}, "limit": 5, "with_payload": True, "with_vector": True,
                     "query": {"formula": {"sum": ["$score", {"neg": "n"}]}, "defaults": {"n": 0}}}
            seen = set()
            begin = time.monotonic()
            while time.monotonic() < begin + (2 if len(seen) > 20 else 60):
                for p in s.ok("POST", "/collections/moving/points/query", asked)["points"]:
                    same((p["score"], p["vector"]), (0, [p["payload"]["n"]]), "score, vector")
                    seen.add(p["payload"]["n"])
        finally:
            ended.set()
            writer.join()
        check(len(seen) > 20, f"too few writes to tell: {len(seen)}")


main(globals())
