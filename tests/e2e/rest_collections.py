"""Collections, their settings, payload indexes, named vectors and aliases over HTTP."""

from _rest import *

C = "/collections/c"
ONE = {"vectors": {"size": 4, "distance": "Cosine"}}


def config(s, name="c"):
    return s.ok("GET", f"/collections/{name}")["config"]


def names(s):
    return [c["name"] for c in s.ok("GET", "/collections")["collections"]]


def test_create_list_and_drop():
    with Server() as s:
        same(names(s), [])
        same(s.ok("PUT", C, ONE), True)
        s.ok("PUT", "/collections/b%20%C3%BC", {"vectors": {"size": 2, "distance": "Manhattan"}})
        same(names(s), ["b ü", "c"])
        s.fails(409, "PUT", C, ONE, says="Wrong input: Collection `c` already exists!")
        same(s.ok("GET", C + "/exists"), {"exists": True})
        same(s.ok("GET", "/collections/nope/exists"), {"exists": False})
        s.fails(404, "GET", "/collections/nope", says="Not found: Collection `nope` doesn't exist!")
        same(s.ok("DELETE", C + "?timeout=10"), True)
        same(s.ok("DELETE", C), False)
        same(names(s), ["b ü"])
        s.ok("PUT", C, {"vectors": {"size": 3, "distance": "Dot"}})
        same(s.ok("GET", C)["points_count"], 0)


def test_info_has_the_defaults():
    with Server() as s:
        s.ok("PUT", C, ONE)
        info = s.ok("GET", C)
        same({k: info[k] for k in ("status", "optimizer_status", "points_count", "segments_count", "payload_schema")},
             {"status": "green", "optimizer_status": "ok", "points_count": 0, "segments_count": 1, "payload_schema": {}})
        own = info["config"].pop("hashwood")
        same(own["index"][""]["kind"], "hybrid")
        same(info["config"], {
            "params": {"vectors": {"size": 4, "distance": "Cosine"}, "shard_number": 1, "replication_factor": 1,
                       "write_consistency_factor": 1, "on_disk_payload": True},
            "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000, "max_indexing_threads": 0,
                            "on_disk": False},
            "optimizer_config": {"deleted_threshold": 0.2, "vacuum_min_vector_number": 1000,
                                 "default_segment_number": 0, "max_segment_size": None, "memmap_threshold": None,
                                 "indexing_threshold": 10000, "flush_interval_sec": 5,
                                 "max_optimization_threads": None},
            "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0, "wal_retain_closed": 1},
            "quantization_config": None, "strict_mode_config": {"enabled": False}})


def test_settings_come_back_as_given():
    given = {
        "vectors": {"a": {"size": 4, "distance": "Dot", "on_disk": True, "datatype": "float16",
                          "hnsw_config": {"m": 32}, "quantization_config": {"binary": {"always_ram": True}}},
                    "b": {"size": 8, "distance": "Euclid"}},
        "shard_number": 3, "replication_factor": 2, "write_consistency_factor": 2, "on_disk_payload": False,
        "hnsw_config": {"m": 8, "ef_construct": 64, "on_disk": True, "payload_m": 4},
        "optimizers_config": {"indexing_threshold": 5000, "max_optimization_threads": "auto", "flush_interval_sec": 1},
        "wal_config": {"wal_capacity_mb": 1, "wal_segments_ahead": 2},
        "quantization_config": {"scalar": {"type": "int8", "quantile": 0.99, "always_ram": True}},
        "strict_mode_config": {"enabled": False, "max_query_limit": 100},
        "metadata": {"owner": "me", "deep": {"list": [1, 2.5, None]}},
        "index": {"kind": "flat"}, "an unknown member": 5, "init_from": None}
    with Server() as s:
        s.ok("PUT", C, given)
        found = config(s)
        same(found["params"]["vectors"], given["vectors"])
        for key in ("shard_number", "replication_factor", "write_consistency_factor", "on_disk_payload"):
            same(found["params"][key], given[key], key)
        for key, value in given["hnsw_config"].items():
            same(found["hnsw_config"][key], value, key)
        same(found["optimizer_config"]["indexing_threshold"], 5000)
        same(found["wal_config"]["wal_segments_ahead"], 2)
        for key in ("quantization_config", "strict_mode_config", "metadata"):
            same(found[key], given[key], key)
        same(found["hashwood"]["index"]["a"]["kind"], "flat")
    with Server() as s:  # and after a restart
        found.pop("hashwood")
        again = config(s)
        again.pop("hashwood")
        same(again, found)


def test_bad_settings():
    with Server() as s:
        for more, code, says in [
            ({"vectors": {"size": 0, "distance": "Dot"}}, 422, "size: value 0 invalid"),
            ({"vectors": {"size": 65537, "distance": "Dot"}}, 422, "size: value 65537 invalid, must be from 1 to 65536"),
            ({"vectors": {"size": 4, "distance": "Nearby"}}, 400, "unknown variant `Nearby`"),
            ({"vectors": {"size": 4}}, 400, "missing field `distance`"),
            ({"vectors": {"a": {"distance": "Dot"}}}, 400, "vectors.a: missing field `size`"),
            ({"vectors": 5}, 400, "vectors"),
            ({"sparse_vectors": {"s": {"modifier": "sometimes"}}}, 400, "sparse_vectors.s.modifier"),
            ({"hnsw_config": {"ef_construct": 3}}, 422, "[hnsw_config.ef_construct: value 3 invalid, must be 4 or larger]"),
            ({"hnsw_config": {"m": "many"}}, 400, "hnsw_config.m"),
            ({"hnsw_config": 5}, 400, "hnsw_config"),
            ({"optimizers_config": {"deleted_threshold": 1.5}}, 422, "optimizers_config.deleted_threshold"),
            ({"optimizers_config": {"vacuum_min_vector_number": 99}}, 422, "must be 100 or larger"),
            ({"wal_config": {"wal_capacity_mb": 0}}, 422, "wal_config.wal_capacity_mb"),
            ({"quantization_config": {"scalar": {"type": "int4"}}}, 400, "unknown variant `int4`"),
            ({"quantization_config": {"scalar": {"type": "int8", "quantile": 0.1}}}, 422, "quantile"),
            ({"quantization_config": {}}, 400, "quantization_config"),
            ({"strict_mode_config": {"max_query_limit": 0}}, 422, "strict_mode_config.max_query_limit"),
            ({"shard_number": 0}, 422, "shard_number"),
            ({"metadata": 5}, 400, "metadata"),
            ({"index": {"kind": "magic"}}, 400, "kind"),
            ({"index": {"leaf_sise": 5}}, 400, "leaf_sise"),
        ]:
            s.fails(code, "PUT", C, ONE | more, says)
        s.fails(422, "PUT", "/collections/a%2Fb", ONE, says="collection name cannot contain")
        s.fails(422, "PUT", "/collections/a%3Ab", ONE, says='cannot contain ":" char')
        s.fails(422, "PUT", "/collections/" + "x" * 256, ONE, says="collection_name")
        s.fails(422, "PUT", C + "?timeout=0", ONE, says="timeout")
        s.fails(400, "PUT", C, says="Format error in JSON body")
        same(names(s), [])


def test_update():
    with Server() as s:
        s.ok("PUT", C, {"vectors": {"a": {"size": 4, "distance": "Dot"}}, "metadata": {"x": 1, "y": 2},
                        "hnsw_config": {"m": 8}})
        same(s.ok("PATCH", C, {}), True)
        s.ok("PATCH", C, {
            "optimizers_config": {"indexing_threshold": 77}, "hnsw_config": {"ef_construct": 50},
            "params": {"replication_factor": 3, "on_disk_payload": False}, "metadata": {"y": 3, "z": 4},
            "vectors": {"a": {"on_disk": True, "hnsw_config": {"m": 4}}},
            "quantization_config": {"scalar": {"type": "int8", "always_ram": True}},
            "strict_mode_config": {"enabled": True, "max_query_limit": 7}})
        found = config(s)
        same(found["optimizer_config"]["indexing_threshold"], 77)
        same((found["hnsw_config"]["m"], found["hnsw_config"]["ef_construct"]), (8, 50))
        same(found["params"]["replication_factor"], 3)
        same(found["params"]["on_disk_payload"], False)
        same(found["params"]["vectors"]["a"], {"size": 4, "distance": "Dot", "on_disk": True, "hnsw_config": {"m": 4}})
        same(found["metadata"], {"x": 1, "y": 3, "z": 4})
        same(found["quantization_config"], {"scalar": {"type": "int8", "always_ram": True}})
        same(found["strict_mode_config"], {"enabled": True, "max_query_limit": 7})
        s.ok("PATCH", C, {"quantization_config": {"binary": {}}, "metadata": {}})
        found = config(s)
        same(found["quantization_config"], {"binary": {}})
        same("metadata" in found, False)
        s.ok("PATCH", C, {"quantization_config": "Disabled"})
        same(config(s)["quantization_config"], None)
        s.fails(400, "PATCH", C, {"vectors": {"nope": {"on_disk": True}}}, says="Not existing vector name error: nope")
        s.fails(422, "PATCH", C, {"hnsw_config": {"ef_construct": 1}}, says="hnsw_config.ef_construct")
        s.fails(404, "PATCH", "/collections/nope", {}, says="doesn't exist")


def test_payload_indexes():
    with Server() as s:
        s.ok("PUT", C, ONE)
        s.ok("PUT", C + "/points", {"points": [
            {"id": i, "vector": [1, 0, 0, i], "payload": {"k": f"v{i % 3}", "n": i, "text": "quick brown fox"}}
            for i in range(1, 31)]})
        same(s.ok("PUT", C + "/index?wait=true", {"field_name": "k", "field_schema": "keyword"})["status"], "completed")
        params = {"type": "text", "tokenizer": "word", "min_token_len": 2, "max_token_len": 20, "lowercase": True}
        s.ok("PUT", C + "/index", {"field_name": "text", "field_schema": params})
        s.ok("PUT", C + "/index", {"field_name": "n", "field_schema": {"type": "integer", "lookup": True, "range": False}})
        same(s.ok("GET", C)["payload_schema"], {
            "k": {"data_type": "keyword", "points": 30}, "text": {"data_type": "text", "params": params, "points": 30},
            "n": {"data_type": "integer", "params": {"type": "integer", "lookup": True, "range": False}, "points": 30}})
        # Again is no mistake, and another type takes the place of the first.
        s.ok("PUT", C + "/index", {"field_name": "n", "field_schema": {"type": "float", "is_principal": True}})
        same(s.ok("GET", C)["payload_schema"]["n"],
             {"data_type": "float", "params": {"type": "float", "is_principal": True}, "points": 30})
        s.ok("DELETE", C + "/index/n?wait=true")
        s.ok("DELETE", C + "/index/n")
        same(sorted(s.ok("GET", C)["payload_schema"]), ["k", "text"])
        for type in ("integer", "float", "bool", "datetime", "geo", "uuid"):
            s.ok("PUT", C + "/index", {"field_name": f"of.{type}[].x", "field_schema": type})
        bad = lambda code, body, says: s.fails(code, "PUT", C + "/index", body, says)
        bad(400, {"field_name": "x"}, "Please specify `field_type`")
        bad(400, {"field_name": "x", "field_schema": "words"}, "unknown variant `words`")
        bad(400, {"field_name": "x", "field_schema": {"tokenizer": "word"}}, "field_schema.type: missing field")
        bad(400, {"field_name": "x", "field_schema": {"type": "text", "tokenizer": "none"}}, "tokenizer")
        bad(400, {"field_name": "a..b", "field_schema": "keyword"}, "invalid key")
        bad(400, {"field_schema": "keyword"}, "missing field `field_name`")
        bad(422, {"field_name": "x", "field_schema": {"type": "integer", "lookup": False, "range": False}},
            "can't be both disabled")


def test_vectors_come_and_go():
    with Server() as s:
        s.ok("PUT", C, {"vectors": {"a": {"size": 4, "distance": "Dot"}}})
        s.ok("PUT", C + "/points", {"points": [{"id": 1, "vector": {"a": [1, 2, 3, 4]}}]})
        s.ok("PUT", C + "/vectors/b?wait=true", {"dense": {"size": 2, "distance": "Euclid"}})
        s.ok("PUT", C + "/vectors/w", {"sparse": {"modifier": "idf"}})
        s.ok("PUT", C + "/vectors/m", {"dense": {"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}})
        found = config(s)["params"]
        same(found["vectors"]["b"], {"size": 2, "distance": "Euclid"})
        same(found["sparse_vectors"], {"w": {"modifier": "idf"}})
        s.ok("PUT", C + "/points/vectors", {"points": [
            {"id": 1, "vector": {"b": [3, 4], "w": {"indices": [1], "values": [2]}, "m": [[1, 1], [2, 2]]}}]})
        same(s.ok("GET", C + "/points/1")["vector"],
             {"a": [1, 2, 3, 4], "b": [3, 4], "w": {"indices": [1], "values": [2]}, "m": [[1, 1], [2, 2]]})
        s.ok("PUT", C + "/vectors/b", {"dense": {"size": 2, "distance": "Euclid"}})
        s.fails(400, "PUT", C + "/vectors/b", {"dense": {"size": 3, "distance": "Euclid"}},
                says="already exists with a different configuration")
        s.fails(400, "PUT", C + "/vectors/b", {"sparse": {}}, says="already exists as a dense vector")
        s.fails(422, "PUT", C + "/vectors/x", {"dense": {"size": 0, "distance": "Dot"}}, says="size")
        s.fails(400, "PUT", C + "/vectors/x", {}, says="`dense` or `sparse`")
        same(s.ok("DELETE", C + "/vectors/b?wait=true")["status"], "completed")
        s.fails(400, "DELETE", C + "/vectors/b", says="Not existing vector name error: b")
        same(sorted(s.ok("GET", C + "/points/1")["vector"]), ["a", "m", "w"])
        s.ok("PUT", C + "/vectors/b", {"dense": {"size": 3, "distance": "Dot"}})
        same(sorted(s.ok("GET", C + "/points/1")["vector"]), ["a", "m", "w"])


def test_only_sparse_vectors():
    with Server() as s:
        s.ok("PUT", C, {"sparse_vectors": {"w": {"index": {"on_disk": True}}}})
        same(config(s)["params"]["sparse_vectors"], {"w": {"index": {"on_disk": True}}})
        s.ok("PUT", C + "/points", {"points": [{"id": 1, "vector": {"w": {"indices": [5], "values": [1.5]}}}]})
        same(s.ok("GET", C + "/points/1")["vector"], {"w": {"indices": [5], "values": [1.5]}})


def test_payload_alone():
    with Server() as s:
        s.ok("PUT", C, {"vectors": {}})
        s.ok("PUT", C + "/points", {"points": [{"id": 1, "vector": {}, "payload": {"x": 1}}]})
        same(s.ok("GET", C + "/points/1"), {"id": 1, "payload": {"x": 1}, "vector": {}})


def test_aliases():
    with Server() as s:
        s.ok("PUT", C, ONE)
        s.ok("PUT", "/collections/d", ONE)
        act = lambda *actions: s.ok("POST", "/collections/aliases", {"actions": list(actions)})
        create = lambda a, c: {"create_alias": {"alias_name": a, "collection_name": c}}
        listed = lambda: {a["alias_name"]: a["collection_name"] for a in s.ok("GET", "/aliases")["aliases"]}
        act(create("x", "c"), create("y", "c"))
        same(listed(), {"x": "c", "y": "c"})
        same(s.ok("GET", "/collections/d/aliases"), {"aliases": []})
        same(len(s.ok("GET", C + "/aliases")["aliases"]), 2)
        s.ok("PUT", "/collections/x/points", {"points": [{"id": 1, "vector": [1, 0, 0, 0]}]})
        same(s.ok("GET", C)["points_count"], 1)
        # One request: the alias moves, another is renamed, a third removed before it was there.
        act(create("x", "d"), {"rename_alias": {"old_alias_name": "y", "new_alias_name": "z"}},
            {"delete_alias": {"alias_name": "nope"}})
        same(listed(), {"x": "d", "z": "c"})
        same(s.ok("GET", "/collections/x")["points_count"], 0)
        s.fails(404, "POST", "/collections/aliases", {"actions": [create("q", "c"), create("w", "nope")]},
                says="Not found: Collection `nope` doesn't exist!")
        s.fails(404, "POST", "/collections/aliases", {"actions": [
            {"delete_alias": {"alias_name": "z"}}, {"rename_alias": {"old_alias_name": "u", "new_alias_name": "v"}}]},
            says="Alias u does not exists!")
        same(listed(), {"x": "d", "z": "c"})
        s.fails(409, "POST", "/collections/aliases", {"actions": [create("d", "c")]})
        s.fails(400, "POST", "/collections/aliases", {"actions": [{"explode": {}}]}, says="actions")
        s.fails(400, "POST", "/collections/aliases", {}, says="actions")
        # Not by an alias, and the aliases go with the collection.
        same(s.ok("DELETE", "/collections/z"), False)
        s.fails(400, "PUT", "/collections/z", ONE, says="Alias with the same name already exists")
        same(s.ok("DELETE", C), True)
        same(listed(), {"x": "d"})
        s.fails(404, "GET", "/collections/z", says="doesn't exist")


def test_what_needs_a_cluster():
    with Server() as s:
        s.ok("PUT", C, ONE)
        s.ok("PUT", C + "/points", {"points": [{"id": 1, "vector": [1, 0, 0, 0]}]})
        cluster = s.ok("GET", C + "/cluster")
        same(cluster["local_shards"], [{"shard_id": 0, "points_count": 1, "state": "Active"}])
        same(cluster["remote_shards"], [])
        same(s.ok("GET", C + "/shards"), {"shard_keys": []})
        same(s.ok("GET", C + "/optimizations?with=queued,completed")["queued"], [])
        s.fails(405, "POST", C + "/cluster", {"move_shard": {}}, says="standalone mode")
        s.fails(405, "PUT", C + "/shards", {"shard_key": "a"}, says="standalone mode")
        s.fails(405, "POST", C + "/shards/delete", {"shard_key": "a"})
        s.fails(404, "GET", "/collections/nope/cluster")


main(globals())
