"""Every command takes http://host:port as its database. The same commands on a folder and on a server that serves
another folder print the same."""
import json
import os

from _cli import check, fails, js, main, out, run, same, vectors, write, write_jsonl
from _rest import Server


def rows(count=300, dim=8):
    return [{"id": i, "vector": v, "payload": {"n": i, "tag": ["red", "green", "blue"][i % 3]}}
            for i, v in enumerate(vectors(count, dim, seed=5))]


def strip(answer):
    """What may differ: times, and explanations of them."""
    if isinstance(answer, dict):
        return {k: strip(v) for k, v in answer.items() if k not in ("ms", "us", "seconds", "time", "explain")}
    return [strip(v) for v in answer] if isinstance(answer, list) else answer


def test_commands_answer_alike_on_a_folder_and_on_a_server():
    write_jsonl("rows.jsonl", rows())
    query = json.dumps(vectors(1, 8, seed=9)[0])
    green = '{"must": {"key": "tag", "match": {"value": "green"}}}'
    with Server("far.hw") as server:
        for db in ("near.hw", server.url):
            run("import", db, "c", "rows.jsonl", "--create", "--metric", "l2", "--payload-index", "tag:keyword")
            run("put", db, "c", "--id", "1000", "--vector", query, "--payload", '{"n": -1}')
            run("update", db, "c", "7", "--set", '{"seen": true}')
            run("delete", db, "c", "8")
        both = []
        for command in (
                ["collections", "DB"], ["count", "DB", "c"], ["count", "DB", "c", "--filter", green],
                ["get", "DB", "c", "7", "1000", "--with", "payload,vector"],
                ["search", "DB", "c", "--vector", query, "-k", "5"],
                ["search", "DB", "c", "--id", "3", "-k", "5", "--filter", green, "--with", "payload,vector"],
                ["search", "DB", "c", "--vector", query, "--exact", "--threshold", "20"],
                ["scroll", "DB", "c", "--filter", green, "--limit", "20"],
                ["why", "DB", "c", "5", "--vector", query],
                ["describe", "DB", "c"]):
            answers = [strip(js(*[db if word == "DB" else word for word in command])) for db in ("near.hw", server.url)]
            if command[0] == "describe":
                for a in answers:
                    a.pop("version"), a.pop("extra", None)
            same(answers[1], answers[0], " ".join(command))
            both.append(answers)
        check(len(both) == 10)


def test_texts_are_ids_on_a_server_unless_the_collection_says_no():
    rows = write_jsonl("texts.jsonl", [{"id": "photos/1.jpg", "vector": [1, 2]}, {"id": 2, "vector": [3, 4]}])
    run("import", "made-here.hw", "here", rows, "--create")
    with Server("made-here.hw") as server:
        run("import", server.url, "there", rows, "--create")
        run("create", server.url, "numbers", "--config", '{"dim": 2, "metric": "l2", "string_ids": false}')
        for c in ("here", "there"):
            run("put", server.url, c, "--id", "photos/3.jpg", "--vector", "[5, 6]")
            same(js("get", server.url, c, "photos/1.jpg", "--with", "vector")[0]["vector"], [1, 2], c)
            same(len(js("search", server.url, c, "--id", "photos/3.jpg", "-k", 5)["hits"]), 2, c)
            same(server.ok("GET", f"/collections/{c}/points/photos%2F3.jpg")["id"], "photos/3.jpg")
            run("delete", server.url, c, "photos/1.jpg")
            same(js("count", server.url, c), {"count": 2}, c)
        fails("put", server.url, "numbers", "--id", "photos/3.jpg", "--vector", "[5, 6]",
              code=2, says="not a valid point ID")


def test_an_export_an_import_and_a_backup_cross_over():
    write_jsonl("rows.jsonl", rows(100))
    with Server("far.hw") as server:
        run("import", server.url, "c", "rows.jsonl", "--create")
        run("export", server.url, "c", "back.jsonl")
        run("import", "near.hw", "c", "back.jsonl", "--create")
        same(js("get", "near.hw", "c", "42", "--with", "payload,vector"),
             js("get", server.url, "c", "42", "--with", "payload,vector"))
        run("backup", server.url, "far.backup")
        run("backup", server.url, "c.backup", "--collection", "c")
        run("delete", server.url, "c", "42")
        fails("restore", "c.backup", server.url, "--collection", "c", says="collection `c` exists")
        same(js("count", server.url, "c"), {"count": 99}, "nothing is replaced unasked")
        run("restore", "c.backup", server.url, "--collection", "c", "--replace")
        same(js("count", server.url, "c"), {"count": 100})
        run("restore", "c.backup", server.url, "--collection", "d")
        same(js("count", server.url, "d"), {"count": 100})
    run("restore", "far.backup", "again.hw")
    same(js("count", "again.hw", "c"), js("count", "near.hw", "c"))
    run("check", "again.hw")


def test_fields_and_aliases_of_a_servers_collection():
    with Server("far.hw") as server:
        run("create", server.url, "c", "--field", "v1:2", "--metric", "l2")
        run("import", server.url, "c", write_jsonl("old.jsonl", [{"id": 1, "vectors": {"v1": [1, 2]}, "payload": {"a": 1}}]))
        for options in (["v2", "--dim", 3, "--metric", "l1"], ["words", "--sparse", "--idf"], ["rows", "--dim", 2, "--multi"]):
            same(js("field", server.url, "c", "add", *options), {"added": True})
        found = js("describe", server.url, "c")
        same((found["vectors"]["v2"]["dim"], found["vectors"]["v2"]["metric"]), (3, "l1"))
        same(found["sparse_vectors"]["words"]["modifier"], "idf")
        new = write_jsonl("new.jsonl", [{"id": 1, "vector": [1, 2, 3]}, {"id": 9, "vector": [0, 0, 1]}])
        run("import", server.url, "c", new, "--merge", "--using", "v2")
        same(js("get", server.url, "c", 1, "--with", "vector,payload"),
             [{"id": 1, "vectors": {"v1": [1, 2], "v2": [1, 2, 3]}, "payload": {"a": 1}}])
        fails("field", server.url, "c", "add", "v2", "--dim", 3, says="v2")
        run("field", server.url, "c", "drop", "v1")
        fails("field", server.url, "c", "drop", "v1", says="v1")
        fails("search", server.url, "c", "--id", 1, "--using", "v1", says="v1")
        fails("drop", server.url, "d", says="no collection `d`")
        run("alias", server.url, "now", "c")
        same(js("count", server.url, "now"), {"count": 2})
        run("alias", server.url, "now", "--remove")
        fails("alias", server.url, "now", "--remove", says="no alias `now`")


def test_what_is_so_already_is_refused_as_on_a_folder():
    with Server("far.hw") as server:
        for db in ("near.hw", server.url):
            run("create", db, "c", "--dim", 2, "--metric", "l2", "--payload-index", "tag:keyword")
            run("index", db, "c", "create", "tag", "--type", "keyword")
            fails("index", db, "c", "create", "tag", "--type", "integer", says="index of type keyword")
            run("index", db, "c", "drop", "tag")
            fails("index", db, "c", "drop", "tag", says="`tag` has no index")
            fails("create", db, "c", "--dim", 2, says="`c`")
            run("field", db, "c", "add", "v2", "--dim", 3)
            fails("field", db, "c", "add", "v2", "--dim", 3, says="there is a vector of")
            fails("field", db, "c", "add", "v2", "--sparse", says="there is a vector of")


def test_named_vectors_beside_the_unnamed_one():
    with Server("far.hw") as server:
        for db in ("near.hw", server.url):
            run("create", db, "c", "--dim", 2, "--metric", "l2")
            run("field", db, "c", "add", "v2", "--dim", 3, "--metric", "l2")
            run("put", db, "c", "--id", 1, "--vector", '{"": [1, 2], "v2": [3, 4, 5]}')
            same(js("get", db, "c", 1, "--with", "vector"), [{"id": 1, "vector": [1, 2], "vectors": {"v2": [3, 4, 5]}}])
            same(json.loads(out("export", db, "c", "-", "--format", "jsonl")), {"id": 1, "vector": [1, 2], "vectors": {"v2": [3, 4, 5]}})


def test_failures_are_told_in_the_servers_words():
    with Server("far.hw", env={"HASHWOOD__SERVICE__API_KEY": "secret"}) as server:
        fails("collections", server.url, says="key")
        os.environ["HASHWOOD_API_KEY"] = "secret"
        try:
            run("create", server.url, "c", "--dim", "3")
            fails("create", server.url, "c", "--dim", "3", says="already exists")
            fails("search", server.url, "c", "--vector", "[1, 2]", code=2, says="expected dim: 3, got 2")
            fails("count", server.url, "nothing", says="doesn't exist")
            fails("compact", server.url, "to.hw", says="not for one on a server")
        finally:
            del os.environ["HASHWOOD_API_KEY"]
    fails("collections", "http://127.0.0.1:1", says="127.0.0.1:1")


def test_a_batch_that_fails_leaves_nothing_behind():
    write("bad.jsonl", json.dumps({"id": 1, "vector": [1, 2, 3]}) + "\n" + json.dumps({"id": 2, "vector": [1, 2]}) + "\n")
    with Server("far.hw") as server:
        run("create", server.url, "c", "--dim", "3")
        fails("import", server.url, "c", "bad.jsonl")
        same(out("count", server.url, "c").strip(), "0")


if __name__ == "__main__":
    main(globals())
