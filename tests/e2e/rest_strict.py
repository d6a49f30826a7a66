"""Strict mode over HTTP: each limit, and rates."""

from _rest import *

P = "/collections/c/points"


def make(s, **strict):
    s.ok("PUT", "/collections/c", {"vectors": {"size": 4, "distance": "Dot"},
                                   "strict_mode_config": {"enabled": True, **strict}})


def points(*ids):
    return {"points": [{"id": i, "vector": [i, 0, 0, 0], "payload": {"k": "v", "n": i}} for i in ids]}


def where(key="k", value="v"):
    return {"must": [{"key": key, "match": {"value": value}}]}


def test_limits_of_reads():
    with Server() as s:
        make(s, max_query_limit=5, max_timeout=10, search_allow_exact=False, filter_max_conditions=2,
             condition_max_size=3)
        s.ok("PUT", P, points(1, 2, 3))
        s.ok("POST", P + "/scroll", {"limit": 5})
        s.fails(400, "POST", P + "/scroll", {"limit": 6},
                says='Bad request: Limit exceeded 6 > 5 for "limit". Help: Reduce the "limit" parameter to or below 5.')
        s.fails(400, "POST", P + "/scroll", {}, says="Limit exceeded 10 > 5")
        by_k = {"query": [1, 0, 0, 0], "group_by": "k", "limit": 2, "group_size": 2}
        s.ok("POST", P + "/query/groups", by_k)
        s.fails(400, "POST", P + "/query/groups", by_k | {"limit": 3}, says='Limit exceeded 6 > 5 for "limit"')
        s.ok("POST", P + "/search/matrix/pairs", {"sample": 2, "limit": 2})
        s.fails(400, "POST", P + "/search/matrix/pairs", {"sample": 3, "limit": 2}, says='Limit exceeded 6 > 5 for "limit"')
        s.ok("POST", P + "/scroll?timeout=10", {"limit": 1})
        s.fails(400, "POST", P + "/scroll?timeout=11", {"limit": 1}, says='Limit exceeded 11 > 10 for "timeout"')
        s.fails(400, "GET", P + "/1?timeout=11", says="timeout")
        s.fails(400, "POST", P + "/count", {"exact": True}, says="Exact search disabled!")
        s.ok("POST", P + "/count", {"exact": False})
        s.fails(400, "POST", "/collections/c/facet", {"key": "k", "limit": 5, "exact": True}, says="Exact search disabled!")
        three = {"must": [where()["must"][0]] * 2, "should": [{"must_not": where()["must"]}]}
        s.fails(400, "POST", P + "/count", {"exact": False, "filter": three},
                says="Filter condition limit reached (3 > 2)")
        s.fails(400, "POST", P + "/count", {"exact": False, "filter": {"must": [{"has_id": [1, 2, 3, 4]}]}},
                says="Condition size limit reached (4 > 3)")


def test_unindexed_filters():
    with Server() as s:
        make(s, unindexed_filtering_retrieve=False, unindexed_filtering_update=False)
        s.ok("PUT", P, points(1, 2, 3))
        s.fails(400, "POST", P + "/count", {"filter": where()},
                says='Index required but not found for "k" of one of the following types: [keyword]')
        s.fails(400, "POST", P + "/scroll", {"filter": {"must": [{"key": "n", "range": {"gt": 1}}]}}, says='"n"')
        s.fails(400, "POST", P + "/delete", {"filter": where()}, says="Index required")
        s.fails(400, "POST", P + "/payload", {"filter": where(), "payload": {"x": 1}}, says="Index required")
        s.fails(400, "POST", P + "/count", {"filter": {"must": [
            {"nested": {"key": "a.b", "filter": {"must": [{"key": "c", "match": {"value": 1}}]}}}]}}, says='"a.b[].c"')
        s.ok("PUT", "/collections/c/index", {"field_name": "k", "field_schema": "keyword"})
        s.ok("PUT", "/collections/c/index", {"field_name": "n", "field_schema": "integer"})
        same(s.ok("POST", P + "/count", {"filter": where()})["count"], 3)
        s.ok("POST", P + "/scroll", {"filter": {"must": [{"key": "n", "range": {"gt": 1}}]}})
        s.fails(400, "POST", P + "/count", {"filter": where("k", 5)}, says="Index required")
        s.ok("POST", P + "/count", {"filter": {"must": [{"has_id": [1]}, {"is_empty": {"key": "k"}}]}})
        formula = lambda x: {"prefetch": {"query": [1, 0, 0, 0]}, "query": {"formula": x}}
        s.ok("POST", P + "/query", formula({"sum": ["$score", "n", {"key": "k", "match": {"value": "v"}}]}))
        s.fails(400, "POST", P + "/query", formula({"mult": [2, {"neg": "price"}]}),
                says='"price" of one of the following types: [float, integer]. Help: Create an index for this key or use a different formula')
        s.fails(400, "POST", P + "/query", formula({"sum": ["$score", {"key": "other", "match": {"value": "v"}}]}), says='"other"')
        s.fails(400, "POST", P + "/query", {"prefetch": formula("n") | {"filter": where("other")}, "query": {"fusion": "rrf"}}, says='"other"')
        s.fails(400, "POST", P + "/query", formula({"geo_distance": {"origin": {"lat": 1, "lon": 2}, "to": "k"}}), says="[geo]")
        s.fails(400, "POST", P + "/query", formula({"datetime_key": "k"}), says="[datetime]")
        # What may be changed by id needs no filter.
        s.ok("PUT", P, points(4) | {"update_filter": where("other", "x")})
        s.ok("POST", P + "/delete", {"filter": where()})
        same(s.ok("POST", P + "/count", {})["count"], 0)


def test_growth():
    with Server() as s:
        make(s, upsert_max_batchsize=3, max_points_count=4, max_payload_index_count=1)
        s.fails(400, "PUT", P, points(1, 2, 3, 4), says='Limit exceeded 4 > 3 for "upsert limit"')
        s.ok("PUT", P, points(1, 2, 3))
        s.ok("PUT", P, points(4))
        s.fails(400, "PUT", P, points(5), says="Max points count limit of 4 reached!")
        s.ok("POST", P + "/delete", {"points": [1]})
        s.ok("PUT", P, points(5))
        s.ok("PUT", "/collections/c/index", {"field_name": "k", "field_schema": "keyword"})
        s.fails(400, "PUT", "/collections/c/index", {"field_name": "n", "field_schema": "integer"},
                says="maximum number of payload indices (1)")
        s.ok("PATCH", "/collections/c", {"strict_mode_config": {"max_points_count": 100,
                                                                "max_collection_vector_size_bytes": 64}})
        s.fails(400, "PUT", P, points(6), says="Max vector storage size limit of")
        s.ok("PATCH", "/collections/c", {"strict_mode_config": {"max_collection_vector_size_bytes": 100000,
                                                                "max_collection_payload_size_bytes": 10}})
        s.fails(400, "PUT", P, points(6), says="Max payload storage size limit of")
        s.fails(400, "POST", P + "/payload", {"points": [5], "payload": {"x": 1}}, says="Max payload storage size")
        s.ok("PATCH", "/collections/c", {"strict_mode_config": {"enabled": False}})
        s.ok("PUT", P, points(6, 7, 8, 9))


def test_sizes_of_sparse_and_multi_vectors():
    with Server() as s:
        s.ok("PUT", "/collections/c", {
            "vectors": {"m": {"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}},
            "sparse_vectors": {"w": {}},
            "strict_mode_config": {"enabled": True, "multivector_config": {"m": {"max_vectors": 2}},
                                   "sparse_config": {"w": {"max_length": 1}}}})
        one = lambda v: {"points": [{"id": 1, "vector": v}]}
        s.ok("PUT", P, one({"m": [[1, 2], [3, 4]], "w": {"indices": [1], "values": [1]}}))
        s.fails(400, "PUT", P, one({"m": [[1, 2]] * 3}), says="limit of 2 vectors, but 3 were provided")
        s.fails(400, "PUT", P + "/vectors", one({"w": {"indices": [1, 2], "values": [1, 1]}}),
                says="limit of 1 indices, but 2 were provided")


def test_rates():
    with Server() as s:
        make(s, read_rate_limit=3, write_rate_limit=2)
        s.ok("PUT", P, points(1))
        s.ok("POST", P + "/payload", {"points": [1], "payload": {"x": 1}})
        status, headers, data = s.raw("PUT", P, points(2))
        same(status, 429, data)
        check(1 <= int(headers["Retry-After"]) <= 60, headers)
        s.fails(429, "PUT", P, points(2), says="Rate limiting exceeded: Write rate limit exceeded: Operation requires 1 tokens")
        s.ok("POST", P + "/scroll", {"filter": where()})  # costs two
        s.ok("GET", P + "/1")
        s.fails(429, "GET", P + "/1", says="Read rate limit exceeded")
        s.fails(429, "POST", P + "/count", {"filter": {"must": where()["must"] * 3}},
                says="request larger than rate limiter capacity")
        s.ok("GET", "/collections/c")
        s.ok("PATCH", "/collections/c", {"strict_mode_config": {"read_rate_limit": 1}})  # begins anew
        s.ok("GET", P + "/1")
        s.fails(429, "GET", P + "/1", says="Read rate limit exceeded")
        s.ok("DELETE", "/collections/c")
        make(s, read_rate_limit=2, write_rate_limit=4)  # tokens are points
        s.fails(429, "PUT", P, points(*range(5)), says="request larger than rate limiter capacity")
        s.ok("PUT", P, points(1, 2))
        s.fails(429, "POST", P + "/batch", {"operations": [{"delete": {"points": [1]}}, {"delete": {"filter": where()}}]},
                says="Operation requires 3 tokens but only 2.")
        s.ok("POST", P + "/delete", {"filter": where()})
        s.fails(429, "POST", P + "/delete", {"points": [1]}, says="Operation requires 1 tokens")
        s.fails(429, "POST", P, {"ids": [1, 2, 3]}, says="request larger than rate limiter capacity")
        s.ok("POST", P, {"ids": [1, 2]})
        s.fails(429, "GET", P + "/1", says="Read rate limit exceeded")
        s.ok("DELETE", "/collections/c")
        make(s, read_rate_limit=1)
        s.ok("POST", P + "/count", {"exact": False})
        s.fails(429, "GET", P + "/1", says="Read rate limit exceeded")
        s.ok("PATCH", "/collections/c", {"strict_mode_config": {"enabled": False}})
        s.fails(404, "GET", P + "/1")


main(globals())
