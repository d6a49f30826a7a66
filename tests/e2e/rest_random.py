"""Thousands of random searches, compared with brute force in numpy (_brute.py).

HASHWOOD_SEED chooses other requests ("random": ever new ones), HASHWOOD_ROUNDS makes the run longer."""

import json
import os
import random
import time

import _packages
from _rest import Failure, Server, check, main, same, seed

try:
    import numpy as np
except ImportError:
    _packages.python("numpy")
    import numpy as np

from _brute import Ambiguous, Brute, Field, close

SEED = seed()
ROUNDS = int(os.environ.get("HASHWOOD_ROUNDS", 1))
DIM, ROW_DIM = 12, 6
COLORS = ["red", "green", "blue", "white", "black", "grey"]


# ---- Data

def payload(rng):
    p = {}
    if rng.random() < 0.95:
        p["a"] = rng.randrange(30)
    if rng.random() < 0.9:
        p["f"] = round(rng.uniform(-5, 5), 3)
    if rng.random() < 0.9:
        p["color"] = rng.choice(COLORS) if rng.random() < 0.7 else rng.sample(COLORS, rng.randint(0, 3))
    p["group"] = rng.randrange(12) if rng.random() < 0.5 else f"g{rng.randrange(12)}"
    p["n"] = {"x": round(rng.uniform(0.1, 4), 3)}
    p["place"] = {"lat": round(rng.uniform(-80, 80), 4), "lon": round(rng.uniform(-170, 170), 4)}
    return p


def dense(rng, dim=DIM):
    return [round(rng.gauss(0, 1), 4) for _ in range(dim)]


def sparse(rng):
    indices = rng.sample(range(40), rng.randint(1, 8))
    return {"indices": indices, "values": [round(rng.uniform(0.1, 2), 3) for _ in indices]}


def multi(rng):
    return [dense(rng, ROW_DIM) for _ in range(rng.randint(1, 4))]


class Set:
    """A collection on the server and the same in memory."""

    def __init__(self, server, name, count, metric, rng, kinds=("dense", "multi", "words"), lacking=0.05):
        self.server, self.name, self.metric, self.rng = server, name, metric, rng
        config = {"vectors": {}}
        if "dense" in kinds:
            config["vectors"]["dense"] = {"size": DIM, "distance": metric}
        if "multi" in kinds:
            config["vectors"]["multi"] = {"size": ROW_DIM, "distance": metric,
                                          "multivector_config": {"comparator": "max_sim"}}
        if "words" in kinds:
            config["sparse_vectors"] = {"words": {}}
        server.ok("PUT", f"/collections/{name}", config)
        ids = [i * 3 + 1 if i % 7 else f"00000000-0000-4000-8000-{i:012x}" for i in range(count)]
        payloads = [payload(rng) for _ in range(count)]
        make = {"dense": dense, "multi": multi, "words": sparse}
        vectors = {k: [make[k](rng) if rng.random() >= lacking else None for _ in range(count)] for k in kinds}
        for at in range(0, count, 500):
            server.ok("PUT", f"/collections/{name}/points?wait=true", {"points": [
                {"id": ids[i], "payload": payloads[i],
                 "vector": {k: vectors[k][i] for k in kinds if vectors[k][i] is not None}}
                for i in range(at, min(at + 500, count))]})
        for field, kind in {"a": "integer", "f": "float", "color": "keyword"}.items():
            server.ok("PUT", f"/collections/{name}/index?wait=true", {"field_name": field, "field_schema": kind})
        fields = {k: Field({"words": "sparse"}.get(k, k), metric if k != "words" else "Dot", v)
                  for k, v in vectors.items()}
        self.brute = Brute(ids, payloads, fields)
        self.kinds = kinds

    def post(self, call, body):
        return self.server.ok("POST", f"/collections/{self.name}/{call}", body)

    # ---- Random requests

    def filter(self, depth=0):
        rng = self.rng
        if depth == 0 and rng.random() < 0.4:
            return None

        def condition():
            kind = rng.randrange(9)
            if kind == 0:
                return {"key": "a", "match": {"value": rng.randrange(30)}}
            if kind == 1:
                return {"key": "a", "range": {"gte": rng.randrange(15), "lt": rng.randrange(12, 30)}}
            if kind == 2:
                return {"key": "f", "range": {"gt": rng.uniform(-5, 2)}}
            if kind == 3:
                return {"key": "color", "match": {"any": rng.sample(COLORS, 3)}}
            if kind == 4:
                return {"key": "color", "match": {"except": rng.sample(COLORS, 2)}}
            if kind == 5:
                return {"is_empty": {"key": rng.choice(["a", "f", "color"])}}
            if kind == 6:
                return {"has_id": rng.sample(self.brute.ids, min(40, self.brute.count))}
            if kind == 7 and depth < 2:
                return self.filter(depth + 1)
            return {"key": "n.x", "range": {"lte": rng.uniform(0.5, 4)}}
        f = {}
        for clause in ("must", "should", "must_not"):
            if rng.random() < 0.45:
                f[clause] = [condition() for _ in range(rng.randint(1, 2))]
        return f or {"must": [condition()]}

    def stored(self, field):
        """The id of a point that has the vector."""
        return self.brute.ids[self.rng.choice(np.flatnonzero(self.brute.fields[field].there).tolist())]

    def example(self, field, ids=0.5):
        if self.rng.random() < ids:
            return self.stored(field)
        # A vector given to a mean under cosine counts with its length in it; stored ones have length 1.
        v = {"dense": dense, "multi": multi, "words": sparse}[field](self.rng)
        if field == "dense":
            v = [round(float(x), 6) for x in np.asarray(v) / np.linalg.norm(v)]
        return v

    def several(self, field, low=0):
        return [self.example(field) for _ in range(self.rng.randint(low, 3))]

    def by_vector(self, kinds=None):
        """(query, using) that compares vectors."""
        rng = self.rng
        field = rng.choice(kinds or self.kinds)
        kind = rng.choice(["vector", "vector", "id", "average", "best_score", "sum_scores", "discover",
                           "context", "feedback"])
        if field == "words" or field == "multi" and kind in ("average", "feedback"):
            kind = rng.choice(["vector", "id"])
        if kind == "feedback" and self.metric == "Manhattan":
            kind = "discover"
        if kind == "vector":
            v = self.example(field, 0)
            return rng.choice([v, {"nearest": v}]), field
        if kind == "id":
            return self.stored(field), field
        if kind in ("average", "best_score", "sum_scores"):
            r = {"positive": self.several(field, 1), "negative": self.several(field)}
            if kind != "average" or rng.random() < 0.3:
                r["strategy"] = "average_vector" if kind == "average" else kind
            return {"recommend": r}, field
        if kind == "feedback":
            return {"relevance_feedback": {
                "target": self.example(field),
                "feedback": [{"example": self.example(field), "score": round(rng.random(), 2)} for _ in range(rng.randint(1, 4))],
                "strategy": {"naive": {"a": 1.5, "b": round(rng.uniform(0, 2), 2), "c": round(rng.uniform(-.4, .4), 2)}}}}, field
        pairs = [{"positive": self.example(field), "negative": self.example(field)} for _ in range(rng.randint(1, 3))]
        if kind == "discover":
            return {"discover": {"target": self.example(field), "context": pairs}}, field
        return {"context": pairs}, field

    def expression(self, depth=0):
        rng = self.rng
        if depth > 2 or rng.random() < 0.3:
            return rng.choice([round(rng.uniform(-2, 2), 2), "$score", "$score", "n.x", "$score[1]",
                               {"key": "color", "match": {"any": rng.sample(COLORS, 2)}}, "a", "f"])
        sub = lambda: self.expression(depth + 1)
        return rng.choice([
            lambda: {"sum": [sub() for _ in range(rng.randint(1, 3))]},
            lambda: {"mult": [sub() for _ in range(rng.randint(1, 3))]},
            lambda: {"neg": sub()},
            lambda: {"abs": sub()},
            lambda: {"sqrt": {"abs": sub()}},
            lambda: {"exp": {"neg": {"abs": sub()}}},
            lambda: {"ln": {"sum": [1.5, {"abs": sub()}]}},
            lambda: {"log10": {"sum": [1.5, {"abs": sub()}]}},
            lambda: {"div": {"left": sub(), "right": "n.x", "by_zero_default": 1}},
            lambda: {"pow": {"base": "n.x", "exponent": rng.choice([0.5, 2, -1])}},
            lambda: {"gauss_decay": {"x": sub(), "target": rng.choice([0, 1.5]), "scale": 2}},
            lambda: {"exp_decay": {"x": sub(), "midpoint": 0.3}},
            lambda: {"lin_decay": {"x": sub(), "scale": 5, "midpoint": 0.6}},
            lambda: {"exp_decay": {"x": {"geo_distance": {"origin": {"lat": 10, "lon": 20}, "to": "place"}}, "scale": 5e6}},
        ])()

    def order(self):
        rng = self.rng
        key = rng.choice(["a", "f"])
        if rng.random() < 0.3:
            return key
        o = {"key": key, "direction": rng.choice(["asc", "desc"])}
        if rng.random() < 0.4:
            o["start_from"] = rng.randrange(20) if key == "a" else round(rng.uniform(-4, 4), 2)
        return o

    def node(self, depth):
        """A prefetch, or the root without what only roots have."""
        rng = self.rng
        n = {"limit": rng.choice([1, 3, 10, 25])}
        kind = rng.random()
        if depth < 2 and kind < (0.6 if depth == 0 else 0.25):
            n["prefetch"] = [self.node(depth + 1) for _ in range(rng.randint(1, 3))]
            for p in n["prefetch"]:
                p["limit"] = rng.choice([5, 20, 40])
            if len(n["prefetch"]) == 1 and rng.random() < 0.5:
                n["prefetch"] = n["prefetch"][0]
        f = self.filter()
        if f:
            n["filter"] = f
        if "prefetch" not in n and kind > 0.93:
            return n
        if "prefetch" not in n and kind > 0.85 or "prefetch" in n and rng.random() < 0.1:
            n["query"] = {"order_by": self.order()}
            return n
        if "prefetch" in n and rng.random() < 0.65:
            count = len(n["prefetch"]) if isinstance(n["prefetch"], list) else 1
            n["query"] = rng.choice([
                lambda: {"fusion": "rrf"},
                lambda: {"fusion": "dbsf"},
                lambda: {"rrf": {"k": rng.randint(1, 60)}},
                lambda: {"rrf": {"weights": [rng.choice([0, 0.5, 1, 3]) for _ in range(count)]}},
                lambda: {"formula": self.expression(), "defaults": {"a": 3, "f": 0.5, "$score": 0.25}},
                lambda: {"formula": self.expression(), "defaults": {"a": 3, "f": 0.5}},
            ])()
        else:
            n["query"], n["using"] = self.by_vector()
        return n

    def request(self):
        rng = self.rng
        r = self.node(0)
        if rng.random() < 0.3:
            r["offset"] = rng.randrange(12)
        if rng.random() < 0.3:
            r["with_payload"] = True
        if rng.random() < 0.2:
            r["with_vector"] = rng.choice([True, list(self.kinds)])
        return r

    # ---- Comparing

    def compare(self, found, expected, known, ranked_by=None):
        """Same number of points, in the same order but for ties; same scores. known: the points that might
        be among them, with scores, which are more where an offset cut through a tie."""
        same(len(found), len(expected), "number of points")
        shown = [p["score"] for p in found]
        for at, (point, (row, score)) in enumerate(zip(found, expected)):
            check(close(shown[at], score), f"score {shown[at]} at {at}, expected {score}")
            mine = self.brute.row[point["id"]]
            if mine != row:  # only points that are as good may change places
                check(mine in known and close(known[mine], score) or at == len(found) - 1,
                      f"point {point['id']} at {at}, expected {self.brute.ids[row]} with {score}")
        same(len({p["id"] for p in found}) if ranked_by != "order" else 0, len(found) if ranked_by != "order" else 0, "distinct")

    def check_extras(self, request, found):
        for p in found:
            row = self.brute.row[p["id"]]
            same(p.get("payload"), self.brute.payloads[row] if request.get("with_payload") else None, "payload")
            if request.get("with_vector"):
                same(set(p["vector"]), {k for k in self.kinds if self.brute.fields[k].there[row]}, "vectors")

    def once(self, request):
        """False where the answer is a matter of rounding."""
        try:
            ranked = self.brute.query(request)
        except Ambiguous:
            return False
        found = self.post("points/query", request)["points"]
        q = request.get("query")
        self.compare(found, ranked[request.get("offset", 0):], dict(ranked), "order" if isinstance(q, dict) and "order_by" in q else None)
        self.check_extras(request, found)
        return True


def rounds(what, count, one):
    """`one` until `count` were compared; a failure shows what was asked."""
    compared = skipped = 0
    started = time.time()
    while compared < count * ROUNDS:
        if one():
            compared += 1
        else:
            skipped += 1
        check(skipped < 20 * count * ROUNDS, f"{what}: too many requests depend on rounding")
    print(f"        {what}: {compared} compared, {skipped} left out for rounding, {time.time() - started:.1f} s")


def shown(request, error):
    return Failure(f"seed {SEED}: {json.dumps(request)}\n{error}")


def guarded(request, go):
    try:
        return go(request)
    except Failure as e:
        raise shown(request, e) from None


def all_sets(count=280):
    def run(body):
        with Server() as server:
            for metric in ("Cosine", "Dot", "Euclid", "Manhattan"):
                rng = random.Random(f"{SEED} {metric}")
                body(Set(server, metric.lower(), count, metric, rng))
    return run


# ---- Tests

def test_plain_searches_equal_brute_force():
    def body(s):
        def one():
            q, using = s.by_vector()
            r = {"query": q, "using": using, "limit": s.rng.choice([1, 5, 20, 400])}
            f = s.filter()
            if f:
                r["filter"] = f
            if s.rng.random() < 0.3:
                r["score_threshold"] = round(s.rng.uniform(-1, 6), 2)
            if s.rng.random() < 0.3:
                r["offset"] = s.rng.randrange(20)
            return guarded(r, s.once)
        rounds(f"plain {s.metric}", 300, one)
    all_sets()(body)


def test_nested_requests_equal_brute_force():
    def body(s):
        rounds(f"nested {s.metric}", 250, lambda: guarded(s.request(), s.once))
    all_sets()(body)


def test_variety_equals_brute_force():
    def body(s):
        def one():
            field = s.rng.choice(s.kinds)
            r = {"query": {"nearest": s.example(field), "mmr": {"diversity": round(s.rng.random(), 2)}},
                 "using": field, "limit": s.rng.choice([3, 10])}
            if s.rng.random() < 0.7:
                r["query"]["mmr"]["candidates_limit"] = s.rng.choice([10, 40])
            f = s.filter()
            if f:
                r["filter"] = f
            return guarded(r, s.once)
        rounds(f"variety {s.metric}", 60, one)
    all_sets()(body)


def test_groups_equal_brute_force():
    def body(s):
        def compare(r):
            try:
                expected = s.brute.groups(r)
            except Ambiguous:
                return False
            found = s.post("points/query/groups", r)["groups"]
            same([(g["id"], len(g["hits"])) for g in found], [(v, len(h)) for v, h in expected], "groups")
            for g, (_, hits) in zip(found, expected):
                s.compare(g["hits"], hits, dict(hits))
            return True

        def one():
            q, using = s.by_vector()
            if isinstance(q, dict) and "context" in q:  # many points tie at 0
                return False
            r = {"query": q, "using": using, "group_by": s.rng.choice(["group", "color", "a"]),
                 "limit": s.rng.choice([1, 4, 10]), "group_size": s.rng.choice([1, 3, 8])}
            f = s.filter()
            if f:
                r["filter"] = f
            return guarded(r, compare)
        rounds(f"groups {s.metric}", 80, one)
    all_sets()(body)


def test_facets_equal_brute_force():
    def body(s):
        def one():
            key = s.rng.choice(["color", "a"])
            r = {"key": key, "limit": s.rng.choice([2, 10, 50]), "exact": True}
            f = s.filter()
            if f:
                r["filter"] = f
            counts = {}
            for i in np.flatnonzero(s.brute.mask(f)):
                for v in set(s.brute.values(i, key)):
                    counts[v] = counts.get(v, 0) + 1
            expected = sorted(counts.items(), key=lambda c: (-c[1], c[0]))[:r["limit"]]
            found = guarded(r, lambda body: s.post("facet", body)["hits"])
            guarded(r, lambda _: same([(h["value"], h["count"]) for h in found], expected, "facet"))
            return True
        rounds(f"facets {s.metric}", 60, one)
    all_sets()(body)


def test_old_calls_equal_the_new_ones():
    def body(s):
        def one():
            field = s.rng.choice(s.kinds)
            common = {"limit": 8, "with_payload": True}
            f = s.filter()
            if f:
                common["filter"] = f
            kind = s.rng.randrange(3)
            if kind == 0:
                v = s.example(field, 0)
                old = ("search", dict(common, vector={"name": field, "vector": v}))
                new = dict(common, query=v, using=field)
            elif kind == 1 and field == "dense":
                reco = {"positive": s.several(field, 1), "negative": s.several(field), "strategy": s.rng.choice(
                    ["average_vector", "best_score", "sum_scores"])}
                old, new = ("recommend", dict(common, using=field, **reco)), dict(common, query={"recommend": reco}, using=field)
            elif field == "dense":
                pairs = [{"positive": s.example(field), "negative": s.example(field)} for _ in range(2)]
                target = s.example(field)
                old = ("discover", dict(common, using=field, target=target, context=pairs))
                new = dict(common, query={"discover": {"target": target, "context": pairs}}, using=field)
            else:
                return False
            call, body_ = old
            guarded(body_, lambda b: same(s.post("points/" + call, b), s.post("points/query", new)["points"], call))
            guarded(body_, lambda b: same(s.post(f"points/{call}/batch", {"searches": [b, b]}),
                                          [s.post("points/query", new)["points"]] * 2, call + " batch"))
            return True
        rounds(f"old calls {s.metric}", 60, one)
    all_sets()(body)


def test_batches_equal_single_requests():
    def body(s):
        def one():
            requests = [s.request() for _ in range(4)]
            for r in requests:
                if "sample" in json.dumps(r):
                    return False
            alone = [s.post("points/query", r)["points"] for r in requests]
            together = s.post("points/query/batch", {"searches": requests})
            guarded(requests, lambda _: same([t["points"] for t in together], alone, "batch"))
            return True
        rounds(f"batches {s.metric}", 30, one)
    all_sets()(body)


def test_lookups_in_another_collection_equal_brute_force():
    """A nearest search by the vector of a point elsewhere is one by that vector."""
    with Server() as server:
        rng = random.Random(f"{SEED} lookup")
        a = Set(server, "a", 200, "Cosine", rng, kinds=("dense",))
        b = Set(server, "b", 150, "Cosine", rng, kinds=("dense",), lacking=0)

        def one():
            id_ = b.stored("dense")
            limit = {"limit": 7, "using": "dense", "filter": a.filter() or {}}
            by_id = a.post("points/query", dict(limit, query=id_, lookup_from={"collection": "b", "vector": "dense"}))
            by_vector = a.post("points/query", dict(limit, query=b.brute.fields["dense"].vectors[b.brute.row[id_]]))
            guarded(limit, lambda _: same([p["id"] for p in by_id["points"]], [p["id"] for p in by_vector["points"]], "lookup"))
            return True
        rounds("lookup", 60, one)


def test_samples_are_matching_points_without_repetition():
    with Server() as server:
        s = Set(server, "s", 200, "Dot", random.Random(f"{SEED} sample"))
        for _ in range(60):
            f, limit = s.filter(), s.rng.choice([1, 10, 300])
            found = s.post("points/query", {"query": {"sample": "random"}, "limit": limit, "filter": f})["points"]
            matching = {s.brute.ids[i] for i in np.flatnonzero(s.brute.mask(f))}
            same(len(found), min(limit, len(matching)), "sampled")
            check({p["id"] for p in found} <= matching and len({p["id"] for p in found}) == len(found), found)


def test_matrix_has_the_nearest_of_each_sampled_point():
    with Server() as server:
        s = Set(server, "m", 60, "Euclid", random.Random(f"{SEED} matrix"), kinds=("dense",))
        for _ in range(10):
            found = s.post("points/search/matrix/offsets", {"sample": 20, "limit": 4, "using": "dense"})
            rows = [s.brute.row[i] for i in found["ids"]]
            same(len(rows), 20, "sampled")
            field = s.brute.fields["dense"]
            expected = []
            for at, row in enumerate(rows):
                d = field.shown(field.similarity(field.vectors[row]))[rows]
                expected += [(at, j, d[j]) for j in sorted(range(20), key=lambda j: d[j]) if j != at][:4]
            for row, col, score, (at, j, d) in zip(found["offsets_row"], found["offsets_col"], found["scores"], expected):
                check(row == at and close(score, d), (row, col, score, at, j, d))
            pairs = s.post("points/search/matrix/pairs", {"sample": 60, "limit": 2, "using": "dense"})["pairs"]
            same(len(pairs), 2 * int(field.there.sum()), "pairs")


def mangled(rng, x, depth=0):
    """The request with something wrong in it, or not."""
    odd = [None, True, -1, 0, 1e308, 2**64, 2**70, "", "x", "$score", "a..b", [], {}, [[]], [1, "x"], {"indices": [1], "values": []},
           {"key": "a"}, "00000000-0000-4000-8000-000000000000", 4294967296, 0.5, [None], {"nearest": {"nearest": 1}}]
    if rng.random() < 0.04:
        return rng.choice(odd)
    if isinstance(x, dict):
        out = {k: mangled(rng, v, depth + 1) for k, v in x.items() if rng.random() > 0.02}
        if rng.random() < 0.05:
            out[rng.choice(["query", "prefetch", "using", "filter", "limit", "offset", "params", "lookup_from", "mmr", "weights",
                            "score_threshold", "group_by", "group_size", "with_payload", "with_vector", "defaults"])] = rng.choice(odd)
        return out
    if isinstance(x, list):
        out = [mangled(rng, v, depth + 1) if rng.random() < 0.5 else v for v in x]
        return out * 3 if rng.random() < 0.02 else out
    return x


def test_mangled_requests_are_answered_or_refused():
    with Server() as server:
        rng = random.Random(f"{SEED} mangled")
        s = Set(server, "c", 120, "Cosine", rng)
        codes = {}
        for _ in range(1500 * ROUNDS):
            call = rng.choice(["points/query", "points/query/batch", "points/query/groups", "points/search", "points/recommend",
                               "points/discover", "points/search/groups", "facet", "points/search/matrix/pairs", "points/why"])
            body = s.request()
            if call == "points/query/batch":
                body = {"searches": [body, s.request()]}
            elif call in ("points/recommend", "points/discover"):
                body = dict(next(iter(body.get("query", {}).values()), {}) if isinstance(body.get("query"), dict) and
                            ("recommend" in body["query"] or "discover" in body["query"]) else {"positive": [1], "target": 1}, limit=5, using="dense")
            elif "search" in call and "matrix" not in call:
                body = {"vector": {"name": "dense", "vector": dense(rng)}, "limit": 3, "filter": s.filter()}
            body = dict(body, group_by="group", key="a", id=1, group_size=2)
            body = mangled(rng, body)
            status, _, data = server.raw("POST", f"/collections/c/{call}", json.dumps(body))
            codes[status] = codes.get(status, 0) + 1
            check(status in (200, 400, 404, 422), f"seed {SEED}: {call} {json.dumps(body)[:2000]}: {status} {data[:500]}")
        print("        answers by status:", codes)
        check(codes.get(200, 0) > 100 and codes.get(400, 0) > 100, codes)


def big_set(server, metric, rng):
    """Clustered, so that an index has something to find."""
    count, dim, clusters = 5000, 32, 40
    centres = np.array([[rng.gauss(0, 3) for _ in range(dim)] for _ in range(clusters)])
    np_rng = np.random.default_rng(rng.randrange(2**32))
    vectors = centres[np_rng.integers(0, clusters, count)] + np_rng.normal(0, 1, (count, dim))
    vectors = vectors.astype(np.float32)
    server.ok("PUT", "/collections/big", {"vectors": {"size": dim, "distance": metric}})
    payloads = [{"a": i % 50} for i in range(count)]
    for at in range(0, count, 1000):
        server.ok("PUT", "/collections/big/points?wait=true", {"batch": {
            "ids": list(range(at, at + 1000)), "vectors": [[float(x) for x in v] for v in vectors[at:at + 1000]],
            "payloads": payloads[at:at + 1000]}})
    server.ok("PUT", "/collections/big/index?wait=true", {"field_name": "a", "field_schema": "integer"})
    queries = (centres[np_rng.integers(0, clusters, 150)] + np_rng.normal(0, 1, (150, dim))).astype(np.float32)
    return Brute(list(range(count)), payloads, {"": Field("dense", metric, [v for v in vectors])}), queries


def test_recall_asked_is_recall_found():
    for metric in ("Cosine", "Euclid"):
        with Server(f"{metric}.hw") as server:
            brute, queries = big_set(server, metric, random.Random(f"{SEED} {metric} big"))
            for filter_ in (None, {"must": [{"key": "a", "range": {"lt": 20}}]}):
                mask = brute.mask(filter_)
                hit = {0.8: 0, 0.95: 0, "exact": 0}
                for q in queries:
                    scores, lower = brute.scores({"query": q, "using": ""})
                    best = {i for i, _ in brute.rank(scores, lower, mask)[:10]}
                    for asked in hit:
                        params = {"exact": True} if asked == "exact" else {"recall": asked}
                        body = {"query": [float(x) for x in q], "params": params, "filter": filter_}
                        found = server.ok("POST", "/collections/big/points/query", body)["points"]
                        hit[asked] += len(best & {p["id"] for p in found})
                recall = {asked: n / (10 * len(queries)) for asked, n in hit.items()}
                print(f"        {metric} {'filtered' if filter_ else 'all'}: recall {recall}")
                check(recall["exact"] > 0.999, f"seed {SEED}: {recall}")
                check(recall[0.8] >= 0.75 and recall[0.95] >= 0.92, f"seed {SEED}: {recall}")


main(globals())
