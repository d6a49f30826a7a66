"""Thousands of random writes over HTTP, each also done to a model in Python; the two must agree."""

import copy
import random

from _rest import *

P = "/collections/c/points"
DIM = 3
UUIDS = [f"00000000-0000-0000-0000-{i:012x}" for i in range(20)]
IDS = list(range(60)) + UUIDS
KEYS = ["a", "b", "c", "deep"]


class Model:
    """Points by id as the server must show them."""

    def __init__(self):
        self.points = {}

    def matching(self, key, value):
        def has(p):
            found = p["payload"].get(key)
            return any(exact(x) == exact(value) for x in (found if isinstance(found, list) else [found]))
        return [i for i, p in self.points.items() if has(p)]

    def upsert(self, points, mode, only):
        keep = None if only is None else set(self.matching(*only))
        known = set(self.points)
        for p in points:
            if p["id"] in known and (mode == "insert_only" or (keep is not None and p["id"] not in keep)):
                continue
            if p["id"] not in known and mode == "update_only":
                continue
            self.points[p["id"]] = {"vector": p["vector"], "payload": copy.deepcopy(p["payload"] or {})}

    def missing(self, ids):
        return next((i for i in ids if i not in self.points), None)


def some_ids(rng, most=4):
    return rng.sample(IDS, rng.randint(1, most))


def value(rng, depth=0):
    kind = rng.randint(0, 7 if depth < 2 else 4)
    if kind == 0:
        return rng.randint(-5, 5)
    if kind == 1:
        return rng.choice(["x", "y", "ü \"quoted\" \\ \n", ""])
    if kind == 2:
        return rng.randint(-1000, 1000) / 8
    if kind == 3:
        return rng.choice([True, False])
    if kind == 4:
        return rng.choice([2**53, -2**60, 18446744073709551615, 0])
    if kind == 5:
        return [value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {rng.choice(KEYS): value(rng, depth + 1) for _ in range(rng.randint(0, 3))}


def payload(rng):
    return {k: value(rng) for k in rng.sample(KEYS, rng.randint(0, 4))}


def vector(rng):
    return [rng.randint(-64, 64) / 8 for _ in range(DIM)]


def where(rng):
    key, wanted = rng.choice(KEYS), rng.choice([rng.randint(-5, 5), "x", True, False])
    return (key, wanted), {"must": [{"key": key, "match": {"value": wanted}}]}


def delete_path(o, path):
    *way, last = path.split(".")
    for key in way:
        o = o.get(key) if isinstance(o, dict) else None
    if isinstance(o, dict):
        o.pop(last, None)


def set_at(p, at, new):
    """Sets the keys of `new` at a path of the payload; null removes."""
    o = p
    for key in at.split(".") if at else []:
        if not isinstance(o.get(key), dict):
            o[key] = {}
        o = o[key]
    for k, v in new.items():
        if v is None:
            o.pop(k, None)
        else:
            o[k] = copy.deepcopy(v)


def operation(rng, model):
    """(name as in a batch, method and path of its own call, body, what it does to the model or None
    when it must be refused with 404)"""
    what = rng.randint(0, 9)
    if what <= 2:
        points = [{"id": i, "vector": vector(rng), "payload": rng.choice([None, payload(rng)])} for i in some_ids(rng)]
        body, only, mode = {"points": points}, None, None
        if rng.random() < 0.3:
            mode = body["update_mode"] = rng.choice(["upsert", "insert_only", "update_only"])
        if rng.random() < 0.2:
            only, body["update_filter"] = where(rng)
        if rng.random() < 0.3:
            columns = body.pop("points")
            body["batch"] = {"ids": [p["id"] for p in columns], "vectors": [p["vector"] for p in columns],
                             "payloads": [p["payload"] for p in columns]}
        return "upsert", ("PUT", P), body, lambda: model.upsert(points, mode, only)
    if what == 3:
        points = [{"id": i, "vector": vector(rng)} for i in some_ids(rng, 2)]

        def update():
            for p in points:
                model.points[p["id"]]["vector"] = p["vector"]
        return "update_vectors", ("PUT", P + "/vectors"), {"points": points}, \
            update if model.missing(p["id"] for p in points) is None else None
    if rng.random() < 0.4:
        found, chosen = where(rng)
        ids, selector = model.matching(*found), {"filter": chosen}
    else:
        ids = some_ids(rng, 3)
        if rng.random() < 0.8 and model.points:
            ids = rng.sample(list(model.points), min(len(model.points), len(ids)))
        selector = {"points": ids}
    if what == 4:
        def delete():
            for i in ids:
                model.points.pop(i, None)
        return "delete", ("POST", P + "/delete"), selector, delete
    refused = "points" in selector and model.missing(ids) is not None

    def each(change):
        def run():
            for i in ids:
                change(model.points[i])
        return None if refused else run
    if what in (5, 6):
        new, at = payload(rng), None
        if rng.random() < 0.3:
            new[rng.choice(KEYS)] = None
        body = selector | {"payload": new}
        if rng.random() < 0.3:
            at = body["key"] = rng.choice(["deep", "deep.er", "a"])
        return "set_payload", ("POST", P + "/payload"), body, each(lambda p: set_at(p["payload"], at, new))
    if what == 7:
        new = payload(rng)

        def overwrite(p):
            p["payload"] = copy.deepcopy(new)
        return "overwrite_payload", ("PUT", P + "/payload"), selector | {"payload": new}, each(overwrite)
    if what == 8:
        keys = rng.sample(KEYS + ["deep.a", "deep.er", "a.b", "nope"], rng.randint(1, 3))
        return "delete_payload", ("POST", P + "/payload/delete"), selector | {"keys": keys}, \
            each(lambda p: [delete_path(p["payload"], k) for k in keys])

    def clear(p):
        p["payload"] = {}
    return "clear_payload", ("POST", P + "/payload/clear"), selector, each(clear)


def exact(v):
    """1, 1.0 and True are different here."""
    if isinstance(v, dict):
        return {k: exact(x) for k, x in v.items()}
    if isinstance(v, list):
        return [exact(x) for x in v]
    return (type(v).__name__, v)


def compare(s, model, seed):
    order = lambda i: (isinstance(i, str), i)
    found = s.ok("POST", P + "/scroll", {"limit": 1000, "with_vector": True})["points"]
    same([r["id"] for r in found], sorted(model.points, key=order), f"seed {seed}: ids")
    for r in found:
        expected = model.points[r["id"]]
        same(exact(r["payload"]), exact(expected["payload"]), f"seed {seed}: payload of {r['id']}")
        same([float(x) for x in r["vector"]], expected["vector"], f"seed {seed}: vector of {r['id']}")


def step(s, rng, model, seed):
    if rng.random() < 0.85:
        name, (method, path), body, change = operation(rng, model)
        if change is None:
            s.fails(404, method, path, body, says="No point with id")
        else:
            s.ok(method, path, body)
            change()
        return
    # A batch: operations see what those before them did, and one refusal undoes them all.
    trial, operations = copy.deepcopy(model), []
    for _ in range(rng.randint(1, 4)):
        name, _, body, change = operation(rng, trial)
        operations.append({name: body})
        if change is None:
            s.fails(404, "POST", P + "/batch", {"operations": operations})
            return
        change()
    s.ok("POST", P + "/batch", {"operations": operations})
    model.points = trial.points


def run(seed, steps, indexed):
    rng = random.Random(seed)
    print(f"seed {seed}, {steps} operations{', indexed' if indexed else ''}")
    with Server() as s:
        s.ok("PUT", "/collections/c", {"vectors": {"size": DIM, "distance": "Euclid"}})
        for field, type in [("a", "keyword"), ("b", "integer"), ("c", "bool")] if indexed else []:
            s.ok("PUT", "/collections/c/index", {"field_name": field, "field_schema": type})
        model = Model()
        for n in range(1, steps + 1):
            step(s, rng, model, seed)
            if n % 50 == 0:
                compare(s, model, seed)
                found, chosen = where(rng)
                same(s.ok("POST", P + "/count", {"filter": chosen})["count"], len(model.matching(*found)),
                     f"seed {seed}: points where {found}")
        s.stop()
    with Server() as s:
        compare(s, model, seed)


def test_random_writes_agree_with_the_model():
    run(SEED, 2500, False)


def test_random_writes_agree_with_the_model_indexed():
    run(SEED + 1, 3500, True)


SEED = seed()
main(globals())
