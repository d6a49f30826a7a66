"""Points, payload and vectors over HTTP: every call, every refusal."""

from _rest import *

P = "/collections/c/points"
U1, U2 = "5c56c793-69f3-4fbf-87e6-c4bf54c28c26", "00000000-0000-0000-0000-000000000001"


def make(s, name="c", size=4, distance="Dot", **more):
    same(s.ok("PUT", f"/collections/{name}", {"vectors": {"size": size, "distance": distance}, **more}), True)


def fill(s):
    s.ok("PUT", P + "?wait=true", {"points": [
        {"id": 1, "vector": [1, 2, 3, 4], "payload": {"city": "Berlin", "n": 1}},
        {"id": 2, "vector": [0.05, 0.61, 0.76, 0.74], "payload": {"city": ["Berlin", "London"], "n": 2}},
        {"id": U1, "vector": [4, 3, 2, 1], "payload": {"a": {"b": [{"c": 1, "d": 2}, {"c": 3}]}}},
        {"id": 18446744073709551615, "vector": [0, 0, 0, 1]}]})


def ids(records):
    return [r["id"] for r in records]


def scroll(s, **body):
    return s.ok("POST", P + "/scroll", body)


def payload(s, id):
    return s.ok("GET", f"{P}/{id}")["payload"]


def test_upsert_get_and_delete():
    with Server() as s:
        make(s)
        fill(s)
        same(s.ok("GET", P + "/2"), {"id": 2, "payload": {"city": ["Berlin", "London"], "n": 2},
                                     "vector": [0.05, 0.61, 0.76, 0.74]})
        same(s.ok("GET", P + "/18446744073709551615"),
             {"id": 18446744073709551615, "payload": {}, "vector": [0, 0, 0, 1]})
        same(s.ok("GET", f"{P}/{U1}")["id"], U1)
        same(s.ok("POST", P, {"ids": [2, 77, 1]}), [
            {"id": 2, "payload": {"city": ["Berlin", "London"], "n": 2}},
            {"id": 1, "payload": {"city": "Berlin", "n": 1}}])
        same(s.ok("POST", P, {"ids": [1], "with_payload": False, "with_vector": True}),
             [{"id": 1, "vector": [1, 2, 3, 4]}])
        same(s.ok("POST", P, {"ids": []}), [])
        # The same id again replaces vector and payload.
        s.ok("PUT", P, {"points": [{"id": 1, "vector": [9, 9, 9, 9], "payload": {"x": None}}]})
        same(s.ok("GET", P + "/1"), {"id": 1, "payload": {"x": None}, "vector": [9, 9, 9, 9]})
        s.ok("POST", P + "/delete", {"points": [1, 999]})
        s.fails(404, "GET", P + "/1", says="Not found: Point with id 1 does not exists!")
        s.ok("POST", P + "/delete", {"filter": {"must": {"key": "n", "match": {"value": 2}}}})
        same(ids(scroll(s)["points"]), [18446744073709551615, U1])


def test_columns():
    with Server() as s:
        make(s)
        s.ok("PUT", P, {"batch": {"ids": [1, 2], "vectors": [[1, 1, 1, 1], [2, 2, 2, 2]],
                                  "payloads": [{"a": 1}, None]}})
        same(payload(s, 1), {"a": 1})
        same(payload(s, 2), {})
        s.fails(422, "PUT", P, {"batch": {"ids": [1], "vectors": [[1, 1, 1, 1], [2, 2, 2, 2]]}},
                says="[batch: number of ids and vectors must be equal (1 != 2)]")
        s.fails(422, "PUT", P, {"batch": {"ids": [1], "vectors": [[1, 1, 1, 1]], "payloads": []}},
                says="number of ids and payloads must be equal (1 != 0)")


def test_update_results():
    with Server() as s:
        make(s)
        first = s.ok("PUT", P + "?wait=true", {"points": [{"id": 1, "vector": [1, 1, 1, 1]}]})
        same(first["status"], "completed")
        second = s.ok("PUT", P + "?wait=false&ordering=strong&timeout=5", {"points": [{"id": 1, "vector": [1, 1, 1, 1]}]})
        same(second["status"], "acknowledged")
        check(second["operation_id"] > first["operation_id"], "operation ids grow")
        s.fails(400, "PUT", P + "?ordering=perhaps", {"points": []}, says="ordering")
        s.fails(400, "PUT", P + "?wait=perhaps", {"points": []}, says="wait")
        s.fails(422, "PUT", P + "?timeout=0", {"points": []}, says="[timeout: value 0 invalid, must be 1 or larger]")
        s.ok("GET", P + "/1?consistency=majority")
        s.ok("GET", P + "/1?consistency=2")
        s.fails(400, "GET", P + "/1?consistency=most", says="consistency")


def test_bad_points():
    with Server() as s:
        make(s)
        make(s, "named")
        v = [1, 1, 1, 1]
        for body, code, says in [
            ({"points": [{"id": 1, "vector": [1, 2, 3]}]}, 400,
             "Wrong input: Vector dimension error: expected dim: 4, got 3"),
            ({"points": [{"id": 1, "vector": {"nope": v}}]}, 400, "Wrong input: Not existing vector name error: nope"),
            ({"points": [{"id": -1, "vector": v}]}, 400, "Format error in JSON body: value -1 is not a valid point ID"),
            ({"points": [{"id": 1.5, "vector": v}]}, 400, "not a valid point ID"),
            ({"points": [{"id": "abc", "vector": v}]}, 400, "not a valid point ID"),
            ({"points": [{"id": 18446744073709551616, "vector": v}]}, 400, "Format error in JSON body"),
            ({"points": [{"vector": v}]}, 400, "missing field `id`"),
            ({"points": [{"id": 1}]}, 400, "missing field `vector`"),
            ({"points": [{"id": 1, "vector": [1, 2, "3", 4]}]}, 400, "Format error in JSON body"),
            ({"points": [{"id": 1, "vector": [1, 2, 3, 1e39]}]}, 400, "out of range"),
            ({"points": [{"id": 1, "vector": []}]}, 422, "vector: must not be empty"),
            ({"points": [{"id": 1, "vector": v, "payload": [1]}]}, 400, "payload: expected an object"),
            ({"points": [{"id": 1, "vector": [v]}]}, 400, "Conversion between multi and regular vectors failed"),
            ({"points": [{"id": 1, "vector": {"": {"indices": [1], "values": [1]}}}]}, 400,
             "Conversion between sparse and regular vectors failed"),
            ({"points": [{"id": 1, "vector": {"text": "hello", "model": "m"}}]}, 400, "Inference"),
            ({"points": {}}, 400, "expected an array"),
            ({"points": [5]}, 400, "expected a point"),
            ({}, 400, "`points` or `batch`"),
            ([], 400, "expected an object"),
            ({"points": [], "update_mode": "sometimes"}, 400, "unknown variant `sometimes`"),
            ({"points": [], "update_filter": 5}, 400, "update_filter"),
            ({"points": [{"id": 1, "vector": v}], "shard_key": "a"}, 400, "Shard key"),
            ("{", 400, "Format error in JSON body"),
            ('{"points": [{"id": 1, "vector": [1,1,1,NaN]}]}', 400, "Format error in JSON body"),
        ]:
            s.fails(code, "PUT", P, body, says)
        same(s.ok("POST", P + "/count", {})["count"], 0)
        s.fails(404, "PUT", "/collections/nope/points", {"points": []},
                says="Not found: Collection `nope` doesn't exist!")
        s.fails(400, "PUT", P, says="Format error in JSON body")
        s.fails(400, "GET", P + "/abc", says='Wrong input: Can not recognize "abc" as point id')
        s.fails(400, "POST", P, {"ids": 5}, says="Format error")
        s.fails(400, "POST", P, {"ids": [1], "with_payload": {"only": ["a"]}}, says="with_payload")
        s.fails(400, "POST", P, {"ids": [1], "with_payload": ["a..b"]}, says="invalid key")


def test_a_failing_batch_leaves_nothing_behind():
    with Server() as s:
        make(s)
        fill(s)
        before = scroll(s, with_vector=True)
        s.fails(404, "POST", P + "/batch", {"operations": [
            {"delete": {"points": [1]}},
            {"upsert": {"points": [{"id": 50, "vector": [1, 1, 1, 1]}]}},
            {"set_payload": {"points": [777], "payload": {"x": 1}}}]}, says="No point with id 777 found")
        s.fails(400, "PUT", P, {"points": [{"id": 60, "vector": [1, 1, 1, 1]}, {"id": 61, "vector": [1]}]})
        same(scroll(s, with_vector=True), before)


def test_batch():
    with Server() as s:
        make(s)
        results = s.ok("POST", P + "/batch?wait=true", {"operations": [
            {"upsert": {"points": [{"id": i, "vector": [i, 0, 0, 0], "payload": {"n": i}} for i in range(1, 7)]}},
            {"delete": {"points": [1]}},
            {"set_payload": {"points": [2], "payload": {"x": 1}}},
            {"overwrite_payload": {"points": [3], "payload": {"y": 2}}},
            {"delete_payload": {"points": [4], "keys": ["n"]}},
            {"clear_payload": {"filter": {"must": [{"key": "n", "match": {"value": 5}}]}}},
            {"update_vectors": {"points": [{"id": 6, "vector": [7, 7, 7, 7]}]}},
            {"delete_vectors": {"points": [2], "vector": [""]}}]})
        same([r["status"] for r in results], ["completed"] * 8)
        check(all(a["operation_id"] < b["operation_id"] for a, b in zip(results, results[1:])))
        same([(r["id"], r["payload"], r["vector"]) for r in scroll(s, with_vector=True)["points"]],
             [(2, {"n": 2, "x": 1}, {}), (3, {"y": 2}, [3, 0, 0, 0]), (4, {}, [4, 0, 0, 0]),
              (5, {}, [5, 0, 0, 0]), (6, {"n": 6}, [7, 7, 7, 7])])
        s.fails(400, "POST", P + "/batch", {"operations": [{"explode": {}}]}, says="unknown operation `explode`")
        s.fails(400, "POST", P + "/batch", {}, says="operations")
        same(s.ok("POST", P + "/batch", {"operations": []}), [])


def test_update_modes_and_filter():
    with Server() as s:
        make(s)
        s.ok("PUT", P, {"points": [{"id": 1, "vector": [1, 0, 0, 0], "payload": {"v": 1}},
                                   {"id": 2, "vector": [2, 0, 0, 0], "payload": {"v": 2}}]})
        new = [{"id": i, "vector": [9, 0, 0, 0], "payload": {"v": 9}} for i in (1, 2, 3)]
        state = lambda: {r["id"]: r["payload"]["v"] for r in scroll(s)["points"]}
        s.ok("PUT", P, {"points": new, "update_mode": "insert_only"})
        same(state(), {1: 1, 2: 2, 3: 9})
        s.ok("PUT", P, {"points": [dict(p, payload={"v": 5}) for p in new + [dict(new[0], id=4)]],
                        "update_mode": "update_only",
                        "update_filter": {"must": [{"key": "v", "range": {"lt": 5}}]}})
        same(state(), {1: 5, 2: 5, 3: 9})
        # Without a mode new points are inserted whatever the filter says of them.
        s.ok("PUT", P, {"points": [dict(p, payload={"v": 7}) for p in new + [dict(new[0], id=4)]],
                        "update_filter": {"must": [{"key": "v", "match": {"value": 9}}]}})
        same(state(), {1: 5, 2: 5, 3: 7, 4: 7})
        s.ok("PUT", P + "/vectors", {"points": [{"id": 1, "vector": [3, 3, 3, 3]}, {"id": 3, "vector": [3, 3, 3, 3]}],
                                     "update_filter": {"must": [{"key": "v", "match": {"value": 7}}]}})
        same(s.ok("GET", P + "/1")["vector"], [9, 0, 0, 0])
        same(s.ok("GET", P + "/3")["vector"], [3, 3, 3, 3])


def test_payload_operations():
    with Server() as s:
        make(s)
        fill(s)
        s.ok("POST", P + "/payload", {"points": [1], "payload": {"x": {"y": 1}, "n": 5}})
        same(payload(s, 1), {"city": "Berlin", "n": 5, "x": {"y": 1}})
        s.ok("POST", P + "/payload", {"points": [1], "payload": {"z": [1, 2]}, "key": "x"})
        same(payload(s, 1), {"city": "Berlin", "n": 5, "x": {"y": 1, "z": [1, 2]}})
        # null removes
        s.ok("POST", P + "/payload", {"points": [1], "payload": {"n": None, "nope": None}})
        same(payload(s, 1), {"city": "Berlin", "x": {"y": 1, "z": [1, 2]}})
        s.ok("POST", P + "/payload", {"points": [1], "payload": {"y": None}, "key": "x"})
        same(payload(s, 1), {"city": "Berlin", "x": {"z": [1, 2]}})
        s.ok("POST", P + "/payload", {"filter": {"must": [{"key": "city", "match": {"value": "Berlin"}}]},
                                      "payload": {"f": 1}})
        same(payload(s, 2)["f"], 1)
        s.ok("PUT", P + "/payload", {"points": [1], "payload": {"only": 1}})
        same(payload(s, 1), {"only": 1})
        s.ok("POST", P + "/payload/delete", {"points": [2], "keys": ["city", "nope"]})
        same(payload(s, 2), {"n": 2, "f": 1})
        s.ok("POST", P + "/payload/delete", {"points": [U1], "keys": ["a.b[].c"]})
        same(payload(s, U1), {"a": {"b": [{"d": 2}, {}]}})
        s.ok("POST", P + "/payload/clear", {"points": [1]})
        same(payload(s, 1), {})
        s.ok("POST", P + "/payload/clear", {"filter": {}})
        same(payload(s, 2), {})
        missing = {"points": [404], "payload": {"a": 1}, "keys": ["a"]}
        for method, path in [("POST", "/payload"), ("PUT", "/payload"), ("POST", "/payload/delete"),
                             ("POST", "/payload/clear")]:
            s.fails(404, method, P + path, missing, says="Not found: No point with id 404 found")
        s.fails(400, "POST", P + "/payload", {"payload": {"a": 1}}, says="Either list of point ids or filter")
        s.fails(400, "POST", P + "/payload", {"points": [1]}, says="missing field `payload`")
        s.fails(400, "POST", P + "/payload", {"points": [1], "payload": {}, "key": "a..b"}, says="key")
        s.fails(400, "POST", P + "/payload/delete", {"points": [1]}, says="missing field `keys`")
        s.fails(400, "POST", P + "/payload/delete", {"points": [1], "keys": ["."]}, says="invalid key")


def test_payload_selectors():
    with Server() as s:
        make(s)
        s.ok("PUT", P, {"points": [{"id": 1, "vector": [1, 1, 1, 1], "payload": {
            "a": {"b": 1, "c": {"d": 2, "e": 3}}, "list": [{"x": 1, "y": 2}, {"x": 3}], "a.b": 5, "z": None}}]})
        chosen = lambda how: s.ok("POST", P, {"ids": [1], "with_payload": how})[0]["payload"]
        same(chosen(["a.c.d"]), {"a": {"c": {"d": 2}}})
        same(chosen({"include": ["a.b", "z"]}), {"a": {"b": 1}, "z": None})
        same(chosen(['"a.b"']), {"a.b": 5})
        same(chosen(["list[].x"]), {"list": [{"x": 1}, {"x": 3}]})
        same(chosen(["list"]), {"list": [{"x": 1, "y": 2}, {"x": 3}]})
        same(chosen([]), {})
        same(chosen({"exclude": ["a", "list[].x"]}), {"list": [{"y": 2}, {}], "a.b": 5, "z": None})
        same(chosen({"exclude": ["a.c.d", "list", "z"]}), {"a": {"b": 1, "c": {"e": 3}}, "a.b": 5})


def test_scroll_and_count():
    with Server() as s:
        make(s)
        s.ok("PUT", P, {"points": [{"id": i, "vector": [i, 0, 0, 0], "payload": {"n": i % 10, "t": i}}
                                   for i in range(1, 101)]})
        page, seen = {"next_page_offset": None}, []
        while True:
            page = scroll(s, limit=7, offset=page["next_page_offset"], with_payload=False)
            seen += ids(page["points"])
            if page["next_page_offset"] is None:
                break
        same(seen, list(range(1, 101)))
        same(ids(scroll(s)["points"]), list(range(1, 11)))
        same(ids(scroll(s, filter={"must": [{"key": "n", "match": {"any": [3, 4]}}]}, limit=5)["points"]),
             [3, 4, 13, 14, 23])
        count = lambda **body: s.ok("POST", P + "/count", body)["count"]
        same(count(), 100)
        same(count(filter={"must_not": [{"key": "n", "match": {"value": 0}}]}), 90)
        same(count(exact=False, filter={"should": [{"has_id": [1, 2, 555]}]}), 2)
        s.fails(422, "POST", P + "/scroll", {"limit": 0}, says="Validation error in JSON body: [limit: value 0 invalid, must be 1 or larger]")
        s.fails(400, "POST", P + "/scroll", {"limit": -1}, says="Format error in JSON body")
        s.fails(400, "POST", P + "/scroll", {"filter": {"must": [{"key": "n", "march": 1}]}})
        s.fails(400, "POST", P + "/scroll", {"offset": "abc"}, says="not a valid point ID")
        s.fails(400, "POST", P + "/scroll", {"order_by": "t"}, says="No range index for `order_by` key: `t`")
        s.ok("PUT", "/collections/c/index", {"field_name": "t", "field_schema": "integer"})
        found = scroll(s, order_by={"key": "t", "direction": "desc", "start_from": 50}, limit=3)
        same([(r["id"], r["order_value"]) for r in found["points"]], [(50, 50), (49, 49), (48, 48)])
        same(found["next_page_offset"], None)
        same(ids(scroll(s, order_by="t", limit=2)["points"]), [1, 2])
        s.fails(400, "POST", P + "/scroll", {"order_by": "t", "offset": 5}, says="Cannot use an `offset`")
        s.fails(400, "POST", P + "/scroll", {"order_by": {"key": "t", "direction": "up"}}, says="direction")


def test_order_by_date_shows_microseconds():
    with Server() as s:
        make(s)
        s.ok("PUT", "/collections/c/index", {"field_name": "at", "field_schema": "datetime"})
        s.ok("PUT", P, {"points": [
            {"id": 1, "vector": [1, 0, 0, 0], "payload": {"at": "2024-01-02T03:04:05.25Z"}},
            {"id": 2, "vector": [1, 0, 0, 0], "payload": {"at": "2024-01-02T04:04:05+02:00"}},
            {"id": 3, "vector": [1, 0, 0, 0], "payload": {"at": "2023-01-01"}}]})
        same([(r["id"], r["order_value"]) for r in scroll(s, order_by="at")["points"]],
             [(3, 1672531200000000), (2, 1704161045000000), (1, 1704164645250000)])
        same(ids(scroll(s, order_by={"key": "at", "start_from": "2024-01-01T00:00:00Z"})["points"]), [2, 1])


def test_named_sparse_and_multi_vectors():
    with Server() as s:
        s.ok("PUT", "/collections/c", {
            "vectors": {"image": {"size": 4, "distance": "Dot"}, "text": {"size": 2, "distance": "Cosine"},
                        "tokens": {"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}},
            "sparse_vectors": {"words": {"modifier": "idf"}}})
        s.ok("PUT", P, {"points": [
            {"id": 1, "vector": {"image": [1, 2, 3, 4], "words": {"indices": [7, 3], "values": [0.5, 1.5]}}},
            {"id": 2, "vector": {"text": [1, 0], "tokens": [[1, 2], [3, 4], [5, 6]]}},
            {"id": 3, "vector": {}}, {"id": 4, "vector": {"tokens": [1, 2]}}]})
        first = s.ok("GET", P + "/1")["vector"]
        same(first["image"], [1, 2, 3, 4])
        same(dict(zip(first["words"]["indices"], first["words"]["values"])), {7: 0.5, 3: 1.5})
        same(sorted(first), ["image", "words"])
        same(s.ok("GET", P + "/2")["vector"], {"text": [1, 0], "tokens": [[1, 2], [3, 4], [5, 6]]})
        same(s.ok("GET", P + "/3")["vector"], {})
        same(s.ok("GET", P + "/4")["vector"], {"tokens": [[1, 2]]})
        same(s.ok("POST", P, {"ids": [2], "with_payload": False, "with_vector": ["text"]}),
             [{"id": 2, "vector": {"text": [1, 0]}}])
        s.ok("PUT", P + "/vectors", {"points": [{"id": 1, "vector": {"text": [0, 1]}}]})
        same(sorted(s.ok("GET", P + "/1")["vector"]), ["image", "text", "words"])
        s.ok("POST", P + "/vectors/delete", {"points": [1], "vector": ["image", "words"]})
        same(s.ok("GET", P + "/1")["vector"], {"text": [0, 1]})
        s.ok("POST", P + "/vectors/delete", {"filter": {"must": [{"has_id": [2]}]}, "vector": ["tokens"]})
        same(s.ok("GET", P + "/2")["vector"], {"text": [1, 0]})
        # as columns
        s.ok("PUT", P, {"batch": {"ids": [8, 9], "vectors": {
            "image": [[1, 1, 1, 1], [2, 2, 2, 2]],
            "words": [{"indices": [1], "values": [1]}, {"indices": [], "values": []}]}}})
        same(s.ok("GET", P + "/8")["vector"], {"image": [1, 1, 1, 1], "words": {"indices": [1], "values": [1]}})
        bad = lambda vector: {"points": [{"id": 1, "vector": vector}]}
        s.fails(422, "PUT", P, bad({"words": {"indices": [1, 1], "values": [1, 2]}}), says="must be unique")
        s.fails(422, "PUT", P, bad({"words": {"indices": [1], "values": [1, 2]}}), says="must be the same length as indices")
        s.fails(400, "PUT", P, bad({"words": {"indices": [-1], "values": [1]}}), says="index of a sparse vector")
        s.fails(400, "PUT", P, bad({"words": [1, 2]}), says="Conversion between sparse and regular vectors failed")
        s.fails(422, "PUT", P, bad({"tokens": [[1, 2], [1]]}), says="all vectors must have the same dimension")
        s.fails(422, "PUT", P, bad({"tokens": [[], []]}), says="all vectors must be non-empty")
        s.fails(400, "PUT", P, bad([1, 2]), says="Not existing vector name error: ")
        s.fails(400, "PUT", P, {"points": []} | bad({"tokens": [[1, 2, 3]]}), says="expected dim: 2, got 3")
        s.fails(404, "PUT", P + "/vectors", {"points": [{"id": 99, "vector": {"text": [1, 1]}}]},
                says="No point with id 99 found")
        s.fails(422, "PUT", P + "/vectors", {"points": []}, says="points")
        s.fails(422, "PUT", P + "/vectors", bad({}), says="must specify vectors to update for point")
        s.fails(422, "POST", P + "/vectors/delete", {"points": [1], "vector": []}, says="vector")
        s.fails(400, "POST", P + "/vectors/delete", {"points": [1], "vector": ["nope"]}, says="Not existing vector name error: nope")


def test_the_unnamed_vector_beside_a_sparse_one():
    with Server() as s:
        s.ok("PUT", "/collections/c", {"vectors": {"size": 2, "distance": "Dot"}, "sparse_vectors": {"w": {}}})
        s.ok("PUT", P, {"points": [{"id": 1, "vector": [1, 2]}, {"id": 2, "vector": {
            "": [3, 4], "w": {"indices": [1], "values": [1]}}}]})
        same(s.ok("GET", P + "/1")["vector"], [1, 2])
        same(s.ok("GET", P + "/2")["vector"], {"": [3, 4], "w": {"indices": [1], "values": [1]}})
        same(s.ok("POST", P, {"ids": [2], "with_vector": [""]})[0]["vector"], [3, 4])


def test_text_ids_when_the_collection_says_so():
    with Server() as s:
        make(s, string_ids=True)
        same(s.ok("GET", "/collections/c")["config"]["hashwood"]["string_ids"], True)
        for id in ["photo/1", "7", "ü", U2, 7]:
            s.ok("PUT", P, {"points": [{"id": id, "vector": [1, 0, 0, 0]}]})
        same(ids(scroll(s)["points"]), [7, U2, "7", "photo/1", "ü"])
        same(s.ok("GET", f"{P}/{quote('photo/1')}")["id"], "photo/1")
        s.ok("POST", P + "/delete", {"points": ["photo/1", "ü"]})
        same(ids(scroll(s, offset="7")["points"]), ["7"])


def test_paths_are_normalised_and_methods_known():
    with Server() as s:
        make(s)
        fill(s)
        same(s.ok("GET", "//collections//c//points/1/")["id"], 1)
        s.fails(404, "PATCH", P, {}, says="takes POST, PUT")
        s.fails(404, "GET", "/collections/c/nope")


main(globals())
