"""Thousands of requests with something wrong in them: never a 500, never an end of the server."""

import copy
import random

from _rest import *

C = "/collections/c"
P = C + "/points"
WHERE = {"must": [{"key": "a", "match": {"value": 1}}], "should": {"has_id": [1]},
         "must_not": [{"nested": {"key": "n", "filter": {"must": [{"is_null": {"key": "x"}}]}}}],
         "min_should": {"conditions": [{"key": "a", "range": {"gt": 0}}], "min_count": 1}}
POINT = {"id": 1, "vector": {"d": [1, 2, 3], "m": [[1, 2], [3, 4]], "s": {"indices": [1, 2], "values": [1, 2]}},
         "payload": {"a": 1, "n": [{"x": None}], "t": "words"}}
REQUESTS = [
    ("PUT", "/collections/new", {"vectors": {"x": {"size": 2, "distance": "Dot", "hnsw_config": {"m": 1},
                                                   "multivector_config": {"comparator": "max_sim"}}},
                                 "sparse_vectors": {"w": {"modifier": "idf", "index": {"on_disk": True}}},
                                 "hnsw_config": {"m": 1}, "optimizers_config": {"flush_interval_sec": 1},
                                 "wal_config": {"wal_capacity_mb": 1}, "quantization_config": {"scalar": {"type": "int8"}},
                                 "strict_mode_config": {"enabled": False, "sparse_config": {"w": {"max_length": 9}}},
                                 "metadata": {"a": [1]}, "index": {"kind": "flat"}, "payload_indexes": {"a": "integer"}}),
    ("PATCH", C, {"hnsw_config": {"m": 2}, "vectors": {"d": {"on_disk": True, "quantization_config": "Disabled"}},
                  "params": {"on_disk_payload": False}, "quantization_config": {"binary": {}}, "metadata": {"b": 1},
                  "optimizers_config": {"max_optimization_threads": "auto"}, "strict_mode_config": {"enabled": False}}),
    ("PUT", P, {"points": [POINT], "update_mode": "upsert", "update_filter": WHERE}),
    ("PUT", P, {"batch": {"ids": [1, 2], "vectors": {"d": [[1, 2, 3], [4, 5, 6]]}, "payloads": [{"a": 1}, None]}}),
    ("POST", P, {"ids": [1, 2], "with_payload": {"include": ["a", "n[].x"]}, "with_vector": ["d", "s"]}),
    ("POST", P + "/delete", {"points": [5]}),
    ("POST", P + "/delete", {"filter": WHERE}),
    ("PUT", P + "/vectors", {"points": [{"id": 1, "vector": {"d": [3, 2, 1]}}]}),
    ("POST", P + "/vectors/delete", {"points": [1], "vector": ["m"]}),
    ("POST", P + "/payload", {"points": [1], "payload": {"b": {"c": 1}, "z": None}, "key": "deep.er"}),
    ("PUT", P + "/payload", {"filter": WHERE, "payload": {"a": 1}}),
    ("POST", P + "/payload/delete", {"points": [1], "keys": ["b.c", "n[].x"]}),
    ("POST", P + "/payload/clear", {"points": [2]}),
    ("POST", P + "/batch", {"operations": [{"upsert": {"points": [POINT]}}, {"set_payload": {"points": [1], "payload": {"q": 1}}},
                                           {"delete_vectors": {"filter": WHERE, "vector": ["s"]}}]}),
    ("POST", P + "/scroll", {"filter": WHERE, "limit": 5, "offset": 1, "with_payload": {"exclude": ["a"]}, "with_vector": True}),
    ("POST", P + "/scroll", {"order_by": {"key": "a", "direction": "desc", "start_from": 3}, "limit": 5}),
    ("POST", P + "/count", {"filter": WHERE, "exact": True}),
    ("PUT", C + "/index", {"field_name": "t", "field_schema": {"type": "text", "tokenizer": "word", "min_token_len": 1}}),
    ("PUT", C + "/vectors/later", {"dense": {"size": 2, "distance": "Dot"}}),
    ("POST", "/collections/aliases", {"actions": [{"create_alias": {"collection_name": "c", "alias_name": "a"}},
                                                  {"rename_alias": {"old_alias_name": "a", "new_alias_name": "b"}},
                                                  {"delete_alias": {"alias_name": "b"}}]}),
    ("PUT", "/collections/r/snapshots/recover", {"location": "file:///etc/passwd", "priority": "snapshot", "checksum": "0" * 64}),
]
ODD = [None, True, False, 0, -1, 1, 2, 3.5, 1e300, -1e-300, 2**63, 2**64 - 1, 2**64, 10**40, "", "x", "a" * 300, "a.b[].c", "é\u0000",
       "00000000-0000-0000-0000-000000000000", [], {}, [[]], [{}], {"": {}}, [None], {"key": None}, [1, "a", None]]


def places(value, at=()):
    yield at
    if isinstance(value, dict):
        for k in value:
            yield from places(value[k], at + (k,))
    elif isinstance(value, list):
        for i in range(len(value)):
            yield from places(value[i], at + (i,))


def mutate(rng, body):
    body = copy.deepcopy(body)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        at = rng.choice(list(places(body)))
        if not at:
            if rng.random() < 0.1:
                return rng.choice(ODD)
            continue
        parent = body
        for step in at[:-1]:
            parent = parent[step]
        how = rng.random()
        if how < 0.15 and isinstance(parent, dict):
            parent[rng.choice(["", "key", "must", "x" * 200, "points"])] = parent.pop(at[-1])
        elif how < 0.3:
            del parent[at[-1]]
        elif how < 0.4 and isinstance(parent, list):
            parent.extend(parent * rng.choice([1, 5]))
        else:
            parent[at[-1]] = copy.deepcopy(rng.choice(ODD))
    return body


def spoil(rng, text):
    """Bytes that are no JSON any more, most of the time."""
    data = bytearray(text.encode())
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data))
        data[at:at + rng.choice([0, 1, 5])] = bytes(rng.choice([b'"', b"{", b"[" * 70, b"\xff", b"\x00", b"\\u d", b"1e999", b","]))
    return bytes(data)


def send(s, rng, method, path, body):
    if rng.random() < 0.1:
        path += "?" + rng.choice(["wait=2", "timeout=-1", "timeout=99999999999999999999", "ordering=", "consistency=0", "wait", "&&=%zz"])
    text = json.dumps(body)
    data = spoil(rng, text) if rng.random() < 0.2 else text
    status, _, answer = s.raw(method, path, data)
    check(status < 500, f"{method} {path} {data!r}: {status} {answer!r}")
    if rng.random() < 0.2 and status >= 400 and answer[:1] == b"{":
        check("error" in json.loads(answer)["status"], answer)


def rounds(seed, count):
    rng = random.Random(seed)
    print(f"seed {seed}, {count} requests")
    with Server() as s:
        s.ok("PUT", C, {"vectors": {"d": {"size": 3, "distance": "Cosine"},
                                    "m": {"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}},
                        "sparse_vectors": {"s": {}}})
        for n in range(count):
            if n % 20 == 0:  # something to work on
                s.raw("PUT", P, {"points": [dict(POINT, id=i) for i in (1, 2, 3)]})
                s.raw("PUT", C + "/index", {"field_name": "a", "field_schema": "integer"})
            method, path, body = rng.choice(REQUESTS)
            send(s, rng, method, path, mutate(rng, body))
        s.call("GET", C)
        for c in s.ok("GET", "/collections")["collections"]:
            s.ok("GET", "/collections/" + quote(c["name"]))
    from _cli import run
    run("check", "served.hw")


def test_what_is_nearly_right():
    rounds(SEED, 4000)


SEED = seed()


main(globals())
