"""Near-duplicates in a collection: `hashwood duplicates` finds the groups that comparing all pairs finds."""
import math
import random

from _cli import check, fails, js, main, out, run, same, write_jsonl


def unit(v):
    length = math.sqrt(sum(x * x for x in v))
    return [x / length for x in v]


def points(copies, singles, dim=16, seed=5):
    """Rows in shuffled order: a point with a number of slightly changed copies each, and points that stand alone."""
    rng = random.Random(seed)
    rows = []
    for family, count in enumerate(copies + [1] * singles):
        base = [rng.gauss(0, 1) for _ in range(dim)]
        rows += [(family, unit([x + rng.gauss(0, 0.02) for x in base])) for _ in range(count)]
    rng.shuffle(rows)
    return [{"id": i, "vector": v, "payload": {"family": family, "path": f"f{family}/{i}"}} for i, (family, v) in enumerate(rows)]


def by_all_pairs(rows, near):
    """Groups of ids, by comparing every pair."""
    group = list(range(len(rows)))
    for i, a in enumerate(rows):
        for j, b in enumerate(rows[:i]):
            if near(a["vector"], b["vector"]) and group[i] != group[j]:
                old, new = max(group[i], group[j]), min(group[i], group[j])
                group = [new if g == old else g for g in group]
    found = {}
    for i, g in enumerate(group):
        found.setdefault(g, []).append(rows[i]["id"])
    return sorted(g for g in found.values() if len(g) > 1)


def stored(rows, metric="cosine"):
    write_jsonl("rows.jsonl", rows)
    run("import", "a.hw", "c", "rows.jsonl", "--create", "--metric", metric)


def groups(*options):
    return [[p["id"] for p in g] for g in js("duplicates", "a.hw", "c", *options)["groups"]]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def test_groups_are_those_of_all_pairs():
    rows = points([2, 2, 3, 5, 9], 300)
    stored(rows)
    found = groups("--threshold", "0.98")
    same(sorted(found), by_all_pairs(rows, lambda a, b: dot(a, b) >= 0.98))
    same([len(g) for g in found], [9, 5, 3, 2, 2], "the largest come first")
    family = {r["id"]: r["payload"]["family"] for r in rows}
    check(all(len({family[i] for i in g}) == 1 for g in found))


def test_with_distances_the_threshold_is_the_most():
    rows = points([2, 4], 50)
    stored(rows, "l2")
    same(sorted(groups("--threshold", "0.2", "--exact")), by_all_pairs(rows, lambda a, b: math.dist(a, b) <= 0.2))


def test_a_group_may_be_larger_than_k_and_is_linked_through_others():
    stored(points([40], 20))
    same(len(groups("--threshold", "0.98", "-k", "5")[0]), 40)
    chain = [{"id": f"p{i}", "vector": [math.cos(i / 20), math.sin(i / 20)]} for i in range(20)]
    run("drop", "a.hw", "c")
    stored(chain)
    found = groups("--threshold", str(math.cos(1 / 20) - 1e-4))
    same([sorted(g) for g in found], [sorted(r["id"] for r in chain)], "neighbours link the ends")


def test_only_points_that_match_a_filter_count():
    stored(points([2, 3], 10))
    only = '{"must": {"key": "family", "match": {"value": 1}}}'
    same([len(g) for g in groups("--threshold", "0.98", "--filter", only)], [3])


def test_people_see_a_table_and_a_field_of_their_choice():
    stored(points([3], 10))
    table = out("duplicates", "a.hw", "c", "-t", "0.98")
    check(table.count("f0/") == 3 and "group" in table and "path" in table, table)
    check("family" in out("duplicates", "a.hw", "c", "-t", "0.98", "--field", "family"))
    check(all(p["family"] == 0 and p["score"] > 0.98 for p in js("duplicates", "a.hw", "c", "-t", "0.98", "--field", "family")["groups"][0]))


def test_nothing_near_is_no_group():
    stored(points([], 30))
    same(js("duplicates", "a.hw", "c", "--threshold", "0.99"), {"groups": [], "points": 30})


def test_points_without_the_named_vector_are_left_out():
    run("create", "a.hw", "c", "--field", "image:2", "--field", "text:2")
    vectors = {"image": [1, 0]}, {"image": [1, 0.01], "text": [1, 0]}, {"text": [1, 0]}
    write_jsonl("rows.jsonl", [{"id": i, "vector": v} for i, v in enumerate(vectors)])
    run("import", "a.hw", "c", "rows.jsonl")
    same(groups("--threshold", "0.99", "--using", "image"), [[0, 1]])
    same(groups("--threshold", "0.99", "--using", "text"), [[1, 2]])


def test_wrong_use_is_told():
    stored(points([], 3))
    fails("duplicates", "a.hw", "c", code=2, says="--threshold")
    fails("duplicates", "a.hw", "c", "-t", "0.9", "--using", "none", code=2, says="no vector `none`")
    fails("duplicates", "a.hw", "nowhere", "-t", "0.9", says="nowhere")


if __name__ == "__main__":
    main(globals())
