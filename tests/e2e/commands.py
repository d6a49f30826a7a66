"""Every subcommand once as people and programs use it: its output, its JSON, its exit codes."""

import json

from _cli import *


def small():
    """A database with five points in collection c (l2, dim 2) and payloads."""
    run("create", "a.hw", "c", "--dim", 2, "--metric", "l2", "--payload-index", "label:keyword")
    rows = [{"id": i, "vector": [i, 0], "payload": {"label": "even" if i % 2 == 0 else "odd", "n": i}}
            for i in range(5)]
    run("import", "a.hw", "c", write_jsonl("rows.jsonl", rows))
    return "a.hw"


def only(label):
    return json.dumps({"must": [{"key": "label", "match": {"value": label}}]})


def test_version_and_help():
    check(out("version").startswith("hashwood 0."))
    check(out("--version").startswith("hashwood 0."))
    same(sorted(js("version")), ["kernels", "version"])
    overview = out("--help")
    for line in overview.splitlines():
        if line.startswith("  ") and line.split()[0].islower():
            text = out(line.split()[0], "--help")
            check(text.startswith("Usage: hashwood " + line.split()[0]), text)
    same(out("help", "search"), out("search", "--help"))
    run(code=2)


def test_slips_of_the_finger_are_recognised():
    fails("serach", code=2, says="did you mean `search`?")
    for far in ("xyzzy", "nope"):
        fails(far, code=2, says="see `hashwood --help`")
    fails("search", "a", "b", "--fitler", "{}", code=2, says="did you mean --filter?")
    fails("search", "a", "b", "-k", "ten", code=2, says="expected a whole number")
    fails("search", "a", "b", "-k", code=2, says="--k needs a value")
    fails("search", "a", code=2, says="missing COLL")
    fails("count", "a", "b", "c", code=2, says="unexpected operand `c`")
    fails("create", "a", "b", "--dim", 2, "--metric", "l3", code=2, says="cosine|l2|dot|l1")
    fails("import", "a", "b", code=2, says="missing FILE")


def test_create_collections_describe_drop():
    run("create", "a.hw", "one", "--dim", 3)
    run("create", "a.hw", "two", "--field", "image:4", "--field", "text:2", "--metric", "dot",
        "--index", "kdtree", "--set", "leaf_size=50")
    same([c["name"] for c in js("collections", "a.hw")], ["one", "two"])
    same(out("collections", "a.hw", "-q").split(), ["one", "two"])
    check("one" in out("collections", "a.hw"))
    two = js("describe", "a.hw", "two")
    same(two["vectors"]["image"]["dim"], 4)
    same(two["vectors"]["text"]["metric"], "dot")
    same(two["vectors"]["text"]["index"]["kind"], "kdtree")
    same(two["vectors"]["text"]["index"]["leaf_size"], 50)
    check("leaf_size 50" in out("describe", "a.hw", "two"))
    fails("create", "a.hw", "one", "--dim", 3, says="one")
    run("drop", "a.hw", "one")
    fails("drop", "a.hw", "one", says="one")
    same([c["name"] for c in js("collections", "a.hw")], ["two"])


def test_put_get_update_delete():
    run("create", "a.hw", "c", "--dim", 2, "--metric", "l2")
    same(js("put", "a.hw", "c", "--id", 7, "--vector", "[1, 2.5]", "--payload", '{"a":  1}'), {"put": 1})
    run("put", "a.hw", "c", "--id", "x-1", "--vector", "[3, 4]")
    run("put", "a.hw", "c", "--id", "550e8400-e29b-41d4-a716-446655440000", "--vector", "[0, 0]")
    points = js("get", "a.hw", "c", 7, "x-1", "--with", "payload,vector")
    same(points, [{"id": 7, "payload": {"a": 1}, "vector": [1, 2.5]},
                  {"id": "x-1", "payload": None, "vector": [3, 4]}])
    check('{"a":  1}' in out("get", "a.hw", "c", 7), "the payload is kept byte for byte")

    run("update", "a.hw", "c", 7, "--set", '{"b": {"c": 2}}')
    same(js("get", "a.hw", "c", 7)[0]["payload"], {"a": 1, "b": {"c": 2}})
    run("update", "a.hw", "c", 7, "--set", '{"d": 3}', "--at", "b")
    run("update", "a.hw", "c", 7, "--delete-key", "a")
    same(js("get", "a.hw", "c", 7)[0]["payload"], {"b": {"c": 2, "d": 3}})
    run("update", "a.hw", "c", 7, "--overwrite", '{"e": 5}', "--vector", "[9, 9]")
    same(js("get", "a.hw", "c", 7, "--with", "payload,vector"),
         [{"id": 7, "payload": {"e": 5}, "vector": [9, 9]}])
    run("update", "a.hw", "c", 7, "--clear")
    same(js("get", "a.hw", "c", 7)[0]["payload"], None)

    same(js("delete", "a.hw", "c", 7), {"deleted": 1})
    fails("get", "a.hw", "c", 7, says="no point `7` in collection `c`")
    fails("delete", "a.hw", "c", "x-1", 7, says="no point `7`")
    same(js("count", "a.hw", "c"), {"count": 2}, "deletes by id are all or nothing:")
    fails("update", "a.hw", "c", 7, "--set", "{}", says="7")
    fails("update", "a.hw", "c", 7, code=2, says="something to change")
    fails("get", "a.hw", "c", code=2)
    fails("delete", "a.hw", "c", code=2, says="delete needs ids or --filter")
    check("put 1 point\n" == run("put", "a.hw", "c", "--id", 7, "--vector", "[1, 2]").stderr, "one")
    check(run("search", "a.hw", "c", "--id", 7, "-k", 1).stderr.startswith("1 hit in"), "one")


def test_named_vectors():
    run("create", "a.hw", "c", "--field", "image:2", "--field", "text:3", "--metric", "l2")
    run("put", "a.hw", "c", "--id", 1, "--vector", '{"image": [1, 2], "text": [3, 4, 5]}')
    run("put", "a.hw", "c", "--id", 2, "--vector", '{"image": [5, 5]}')
    same(js("get", "a.hw", "c", 1, "--with", "vector"),
         [{"id": 1, "vectors": {"image": [1, 2], "text": [3, 4, 5]}}])
    hits = js("search", "a.hw", "c", "--vector", "[1, 1]", "--using", "image")["hits"]
    same([h["id"] for h in hits], [1, 2])
    hits = js("search", "a.hw", "c", "--vector", '{"text": [0, 0, 0]}')["hits"]
    same([h["id"] for h in hits], [1])
    run("update", "a.hw", "c", 1, "--delete-vector", "text")
    same(js("get", "a.hw", "c", 1, "--with", "vector"), [{"id": 1, "vectors": {"image": [1, 2]}}])


def test_vector_fields_come_and_go():
    run("create", "a.hw", "c", "--field", "v1:2", "--metric", "l2")
    run("import", "a.hw", "c", write_jsonl("old.jsonl", [
        {"id": i, "vectors": {"v1": [i, 0]}, "payload": {"n": i}} for i in range(5)]))
    same(js("field", "a.hw", "c", "add", "v2", "--dim", 3, "--metric", "cosine"), {"added": True})
    same(js("describe", "a.hw", "c")["vectors"]["v2"]["dim"], 3)
    run("update", "a.hw", "c", 3, "--vector", '{"v2": [1, 1, 0]}')
    same([h["id"] for h in js("search", "a.hw", "c", "--using", "v2", "--vector", "[1, 0, 0]")["hits"]], [3])
    same(js("get", "a.hw", "c", 3, "--with", "vector,payload"),
         [{"id": 3, "vectors": {"v1": [3, 0], "v2": [1, 1, 0]}, "payload": {"n": 3}}])
    same(js("field", "a.hw", "c", "drop", "v1"), {"dropped": True})
    fails("search", "a.hw", "c", "--using", "v1", "--vector", "[1, 0]", says="v1")
    same(js("count", "a.hw", "c"), {"count": 5}, "points stay")
    run("field", "a.hw", "c", "add", "words", "--sparse", "--idf")
    same(js("describe", "a.hw", "c")["sparse_vectors"]["words"]["modifier"], "idf")
    run("field", "a.hw", "c", "add", "rows", "--dim", 2, "--multi")
    run("update", "a.hw", "c", 3, "--vector", '{"rows": [[1, 0], [0, 1]]}')
    check("added vector field `v3`" in run("field", "a.hw", "c", "add", "v3", "--dim", 2).stderr)
    fails("field", "a.hw", "c", "add", "v3", "--dim", 2, says="v3")
    fails("field", "a.hw", "c", "drop", "nothing", says="nothing")
    fails("field", "a.hw", "c", "add", "x", code=2, says="--dim N or --sparse")
    fails("field", "a.hw", "c", "add", "x", "--dim", 2, "--idf", code=2, says="--sparse")
    fails("field", "a.hw", "c", "add", "x", "--dim", 2, "--sparse", code=2, says="--dim")
    fails("field", "a.hw", "c", "drop", "v2", "--dim", 2, code=2, says="alone")
    fails("field", "a.hw", "c", "make", "v2", code=2, says="add or drop")


def test_import_merges_into_points():
    run("create", "a.hw", "c", "--field", "v1:2", "--field", "v2:1", "--metric", "l2")
    run("import", "a.hw", "c", write_jsonl("old.jsonl", [
        {"id": i, "vectors": {"v1": [i, 0]}, "payload": {"n": i, "s": "old"}} for i in range(3)]))
    new = write_jsonl("new.jsonl", [{"id": 0, "vector": [5]}, {"id": 1, "vector": [6], "payload": {"s": "new"}}, {"id": 7, "vector": [7]}])
    same(js("import", "a.hw", "c", new, "--merge", "--using", "v2")["imported"], 3)
    same(js("get", "a.hw", "c", 0, 1, 7, "--with", "vector,payload"), [
        {"id": 0, "vectors": {"v1": [0, 0], "v2": [5]}, "payload": {"n": 0, "s": "old"}},
        {"id": 1, "vectors": {"v1": [1, 0], "v2": [6]}, "payload": {"n": 1, "s": "new"}},
        {"id": 7, "vectors": {"v2": [7]}, "payload": None}])
    same(js("import", "a.hw", "c", write_jsonl("again.jsonl", [{"id": 0, "vector": [5]}]), "--merge", "--using", "v2")["imported"], 0)
    run("import", "a.hw", "c", new, "--using", "v2")
    same(js("get", "a.hw", "c", 0, "--with", "vector,payload"), [{"id": 0, "vectors": {"v2": [5]}, "payload": None}], "replaced without:")
    run("import", "a.hw", "c", write_jsonl("two.jsonl", [{"id": 2, "vector": [8]}]), "--merge", "--using", "v2")
    same(js("import", "a.hw", "c", "old.jsonl", "--merge")["present"], 1, "0 and 1 have other vectors, 2 has all it would get")
    same(js("import", "a.hw", "c", "old.jsonl")["imported"], 3, "without, a vector more is a difference")
    same(js("get", "a.hw", "c", 2, "--with", "vector"), [{"id": 2, "vectors": {"v1": [2, 0]}}])
    same(js("import", "a.hw", "c", "old.jsonl")["imported"], 0)
    run("import", "a.hw", "c", "two.jsonl", "--merge", "--using", "v2")
    run("import", "a.hw", "c", write_jsonl("zero.jsonl", [{"id": 0, "vector": [5]}]), "--using", "v2")
    run("import", "a.hw", "c", write_jsonl("bare.jsonl", [{"id": 0}, {"id": 9}]), "--merge")
    same([len(p.get("vectors", {})) for p in js("get", "a.hw", "c", 0, 9, "--with", "vector")], [1, 0], "a row of an id alone")


def test_aliases():
    run("create", "a.hw", "one", "--dim", 1)
    run("create", "a.hw", "two", "--dim", 1)
    run("put", "a.hw", "two", "--id", 1, "--vector", "[1]")
    same(js("alias", "a.hw", "now", "one"), {"set": True})
    same(js("count", "a.hw", "now"), {"count": 0})
    check("alias `now` is collection `two`" in run("alias", "a.hw", "now", "two").stderr, "it moves")
    same(js("count", "a.hw", "now"), {"count": 1})
    listed = js("alias", "a.hw")
    check("now" in json.dumps(listed) and "two" in json.dumps(listed), listed)
    same(js("alias", "a.hw", "now", "--remove"), {"removed": True})
    same(js("alias", "a.hw"), [])
    fails("count", "a.hw", "now", says="now")
    same(js("count", "a.hw", "two"), {"count": 1}, "the collection stays")
    fails("alias", "a.hw", "now", "three", says="three")
    fails("alias", "a.hw", "one", "two", says="one")
    fails("alias", "a.hw", "now", "--remove", says="now")
    fails("alias", "a.hw", "now", code=2, says="--remove")
    fails("alias", "a.hw", "now", "one", "--remove", code=2, says="--remove")


def test_work_by_filter():
    db = small()
    same([p["id"] for p in js("get", db, "c", "--filter", only("odd"))], [1, 3])
    same(js("count", db, "c", "--filter", only("even")), {"count": 3})
    same(out("count", db, "c", "-q").strip(), "5")
    same(js("update", db, "c", "--filter", only("odd"), "--set", '{"seen": true}'), {"updated": 2})
    same(js("get", db, "c", 3)[0]["payload"], {"label": "odd", "n": 3, "seen": True})
    same(js("delete", db, "c", "--filter", only("even")), {"deleted": 3})
    same(js("count", db, "c"), {"count": 2})
    same(js("put", db, "c", "--filter", only("odd"), "--vector", "[8, 8]"), {"put": 2})
    same(js("get", db, "c", 1, "--with", "vector,payload"), [{"id": 1, "payload": None, "vector": [8, 8]}])


def test_search():
    db = small()
    answer = js("search", db, "c", "--vector", "[3.2, 0]", "-k", 2)
    same([h["id"] for h in answer["hits"]], [3, 4])
    check(abs(answer["hits"][0]["score"] - 0.2) < 1e-5)
    check("recall" in answer and "us" in answer)
    same([h["id"] for h in js("search", db, "c", "--id", 0, "-k", 2)["hits"]], [1, 2])
    same([h["id"] for h in js("search", db, "c", "--id", 0, "-k", 2, "--filter", only("even"))["hits"]],
         [2, 4])
    same([h["id"] for h in js("search", db, "c", "--id", 0, "--threshold", 2, "--exact")["hits"]], [1, 2])
    same([h["id"] for h in js("search", db, "c", "--id", 0, "-k", 1, "--offset", 2)["hits"]], [3])
    hit = js("search", db, "c", "--id", 0, "-k", 1, "--with", "vector")["hits"][0]
    same((hit["vector"], "payload" in hit), ([1, 0], False))
    check("explain" in js("search", db, "c", "--id", 0, "--explain"))
    unindexed = json.dumps({"must": [{"key": "n", "match": {"value": 1}}]})
    check("n" in js("search", db, "c", "--id", 0, "--filter", unindexed)["warning"])
    table = out("search", db, "c", "--id", 0, "-k", 1)
    check("rank" in table and '"label":' in table.replace(" ", ""), table)
    fails("search", db, "c", code=2, says="--vector")
    fails("search", db, "c", "--id", 99, says="99")


def test_search_with_a_file_of_queries():
    db = small()
    write("q.npy", npy([[0.2, 0], [3.9, 0]]))
    answers = [json.loads(line) for line in out("search", db, "c", "--file", "q.npy", "-k", 1, "--json").splitlines()]
    same([a["hits"][0]["id"] for a in answers], [0, 4])
    same(js("search", db, "c", "--file", "q.npy", "--row", 1, "-k", 1)["hits"][0]["id"], 4)
    fails("search", db, "c", "--file", "q.npy", "--row", 2, says="no row 2")


def test_why():
    db = small()
    reason = js("why", db, "c", 4, "--vector", "[0, 0]", "-k", 2)
    same(reason["found"], False)
    same(reason["exact_rank"], 5)
    check(js("why", db, "c", 1, "--like", 0)["found"])
    check("exact_rank" in out("why", db, "c", 4, "--vector", "[0, 0]"))


def test_scroll():
    db = small()
    page = js("scroll", db, "c", "-n", 2)
    same(([p["id"] for p in page["points"]], page["next"]), ([0, 1], 2))
    page = js("scroll", db, "c", "-n", 9, "--from", 2)
    same(([p["id"] for p in page["points"]], page["next"]), ([2, 3, 4], None))
    check("--from 2" in run("scroll", db, "c", "-n", 2).stderr)


def test_payload_indexes():
    db = small()
    run("index", db, "c", "create", "n", "--type", "integer")
    same(sorted(js("describe", db, "c")["payload_indexes"]), ["label", "n"])
    run("index", db, "c", "drop", "n")
    same(sorted(js("describe", db, "c")["payload_indexes"]), ["label"])
    fails("index", db, "c", "drop", "n", says="n")
    fails("index", db, "c", "make", "n", code=2, says="create or drop")
    fails("index", db, "c", "create", "n", code=2, says="--type")


def test_build_and_stats():
    rows = vectors(3000, 8)
    write("rows.npy", npy(rows))
    same(js("import", "a.hw", "c", "rows.npy", "--create", "--metric", "l2", "--no-build")["build_s"], None)
    check(js("build", "a.hw", "c", "--threads", 2)["built"])
    stats = js("stats", "a.hw", "c")
    same(stats["points"], 3000)
    check(js("stats", "a.hw")["collections"] == 1)
    check("points: 3,000" in out("stats", "a.hw", "c"))
    hits = js("search", "a.hw", "c", "--vector", json.dumps(rows[5]), "--exact", "-k", 5)["hits"]
    same([h["id"] for h in hits], nearest(rows, rows[5], 5))


def test_pictures_are_plain_without_a_terminal():
    run("create", "a.hw", "c", "--dim", 4, "--metric", "l2")
    run("put", "a.hw", "c", "--id", 1, "--vector", "[255, 0, 0, 255]", "--payload", '{"name": "cross"}')
    picture = out("search", "a.hw", "c", "--vector", "[255, 255, 0, 0]", "--draw", "2x2", "--caption", "name")
    check("\033" not in picture and "cross" in picture, picture)
    picture = out("search", "a.hw", "c", "--vector", "[255, 255, 0, 0]", "--draw", "2x2", "--colors", "full")
    check("\033[38;2;255;255;255" in picture, picture)
    run("put", "a.hw", "c", "--id", 2, "--vector", "[0, 255, 255, 0]", "--payload", '{"name": "mirror"}')
    picture = out("search", "a.hw", "c", "--id", 1, "--draw", "2x2", "--caption", "name")
    check("cross" in picture and "mirror" in picture, "a stored query is drawn too:\n" + picture)
    same(out("search", "a.hw", "c", "--id", 1, "--draw", "3x3"), "", "nothing has 9 pixels:")
    fails("search", "a.hw", "c", "--vector", "[1, 2, 3, 4]", "--draw", "2by2", code=2, says="WIDTHxHEIGHT")


def test_stored_text_cannot_steer_the_terminal():
    run("create", "a.hw", "c", "--dim", 1, "--metric", "l2")
    run("put", "a.hw", "c", "--id", "evil\033[2J", "--vector", "[1]")
    check("\033" not in out("scroll", "a.hw", "c"))


if __name__ == "__main__":
    main(globals())
