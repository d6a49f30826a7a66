"""import and export: every format, ids, payloads and labels beside, and the way back."""

import csv
import gzip
import json
import os
import struct
import subprocess

from _cli import *


def imported(file, *options):
    """Imports a file into a fresh database and gives its points."""
    os.system("rm -rf a.hw")
    run("import", "a.hw", "c", file, "--create", "--metric", "l2", *options)
    return js("scroll", "a.hw", "c", "-n", 1000, "--with", "payload,vector")["points"]


def test_formats_of_numbers():
    rows = vectors(20, 4)
    small = [[(i * 7 + j) % 256 for j in range(4)] for i in range(20)]
    files = {"x.npy": (npy(rows), rows), "x.fvecs": (fvecs(rows), rows),
             "x.bvecs": (b"".join(struct.pack("<I", 4) + bytes(r) for r in small), small),
             "x-idx2-ubyte": (idx(small), small),
             "y-idx2-ubyte.gz": (gzip.compress(idx(small)), small),
             "x.npy.gz": (gzip.compress(npy(rows)), rows)}
    for name, (data, expected) in files.items():
        points = imported(write(name, data))
        same([p["vector"] for p in points], expected, name)
        same([p["id"] for p in points], list(range(20)), name)


def test_hdf5():
    """The sample of the fuzz corpus, as ann-benchmarks lays files out."""
    data = open(os.path.join(SOURCE, "tests/fuzz/corpus/hdf5/ann"), "rb").read()
    write("ann.hdf5", data)
    p = subprocess.run([HASHWOOD, "import", "a.hw", "c", "ann.hdf5", "--create", "--metric", "l2"],
                       capture_output=True, text=True)
    if "reads no HDF5" in p.stderr:
        return
    same(p.returncode, 0, p.stderr)
    points = js("scroll", "a.hw", "c", "--with", "vector")["points"]
    same([p["vector"] for p in points], [[1, 2], [3, 4], [5, 6]])
    same(js("import", "a.hw", "d", "ann.hdf5:test", "--create")["imported"], 2)
    fails("import", "a.hw", "d", "ann.hdf5:nope", says="no dataset `nope`")
    write("cut.hdf5", data[:900])
    fails("import", "a.hw", "d", "cut.hdf5", says="cut.hdf5")
    result = js("bench", "--base", "ann.hdf5", "--queries", "ann.hdf5", "--truth", "ann.hdf5", "-k", 2,
                "--recall", "1", "--passes", 1)
    same((result["n"], result["results"][0]["recall"]), (3, 1.0))


def test_jsonl():
    rows = [{"id": 3, "vector": [1, 2], "payload": {"a": [1, {"b": None}]}},
            {"id": "x", "vector": [3, 4]}]
    points = imported(write_jsonl("x.jsonl", rows))
    same(points[0], rows[0])
    same(points[1], {"id": "x", "vector": [3, 4], "payload": None})
    points = imported(write("y.jsonl", '{"vector":[1,2],"title":"hi"}\n\n'), "--first-id", 100)
    same(points, [{"id": 100, "vector": [1, 2], "payload": {"title": "hi"}}])
    p = run("import", "b.hw", "c", "-", "--format", "jsonl", "--create",
            stdin='{"id":1,"vector":[1,2]}\n')
    same(js("count", "b.hw", "c"), {"count": 1})


def test_named_vectors_of_jsonl():
    rows = [{"id": 1, "vectors": {"image": [1, 2], "text": [3, 4, 5]}, "payload": None},
            {"id": 2, "vectors": {"image": [6, 7]}, "payload": None}]
    same(imported(write_jsonl("x.jsonl", rows)), rows)


def test_vectors_of_every_kind_in_jsonl():
    rows = [{"id": 1, "vectors": {"tokens": [[1, 2], [3, 4]], "words": {"indices": [3, 70000],
                                                                       "values": [0.5, 2]}},
             "payload": None},
            {"id": 2, "vectors": {"tokens": [[5, 6]], "words": {"indices": [], "values": []}},
             "payload": None}]
    same(imported(write_jsonl("x.jsonl", rows)), rows)
    run("export", "a.hw", "c", "y.jsonl")
    same(imported("y.jsonl"), rows)
    settings = js("describe", "a.hw", "c")
    same(settings["vectors"]["tokens"]["multivector_config"], {"comparator": "max_sim"})
    same(settings["sparse_vectors"], {"words": {"modifier": "none"}})
    hits = js("search", "a.hw", "c", "--using", "words", "--vector",
              '{"indices": [9, 3], "values": [7, 4]}')
    same([(h["id"], h["score"]) for h in hits["hits"]], [(1, 2)])
    hits = js("search", "a.hw", "c", "--using", "tokens", "--vector", "[[5, 7], [3, 4]]")
    same([h["id"] for h in hits["hits"]], [2, 1])
    fails("export", "a.hw", "c", "y.npy", "--using", "words", code=2, says="use jsonl")
    write("z.jsonl", '{"id":1,"vectors":{"words":{"indices":[1],"values":[1,2]}}}\n')
    fails("import", "a.hw", "c", "z.jsonl", says="1 indices and 2 values")
    write("z.jsonl", '{"id":1,"vectors":{"tokens":[[1,2],[3]]}}\n')
    fails("import", "a.hw", "c", "z.jsonl", says="row 1 has 1 values")


def test_csv():
    write("x.csv", 'id,v0,v1,label,price\n7,1,2.5,"a, ""b""",12.5\nz,3,4,,\n')
    points = imported("x.csv")
    same(points, [{"id": 7, "vector": [1, 2.5], "payload": {"label": 'a, "b"', "price": 12.5}},
                  {"id": "z", "vector": [3, 4], "payload": None}])


def test_ids_payloads_and_labels_beside():
    rows = vectors(3, 2)
    write("x.npy", npy(rows))
    write("ids", "a\nb\n9\n")
    write("payload", '{"n": 1}\nnull\n{"n": 3}\n')
    points = imported("x.npy", "--ids", "ids", "--payload", "payload")
    same({p["id"]: p["payload"] for p in points}, {9: {"n": 3}, "a": {"n": 1}, "b": None})
    write("l-idx1-ubyte", bytes([0, 0, 8, 1]) + struct.pack(">I", 3) + bytes([1, 0, 7]))
    points = imported("x.npy", "--labels", "l-idx1-ubyte", "--label-names", "zero,one",
                      "--payload-index", "name:keyword")
    same([p["payload"] for p in points], [{"label": 1, "name": "one"}, {"label": 0, "name": "zero"}, {"label": 7}])
    same(js("describe", "a.hw", "c")["payload_indexes"]["name"]["type"], "keyword")


def test_several_files_continue_the_numbers():
    rows = vectors(6, 2)
    write("x.npy", npy(rows[:4]))
    write("y.fvecs", fvecs(rows[4:]))
    run("import", "a.hw", "c", "x.npy", "y.fvecs", "--create", "--metric", "l2")
    points = js("scroll", "a.hw", "c", "--with", "vector")["points"]
    same([p["vector"] for p in points], rows)
    same(js("import", "b.hw", "c", "x.npy", "y.fvecs", "--create", "--limit", 5)["imported"], 5)


def test_what_is_exported_can_be_imported():
    rows = [{"id": i if i % 2 else f"p{i}", "vector": v, "payload": {"i": i, "t": 'say "x", é'} if i % 3 else None}
            for i, v in enumerate(vectors(40, 3))]
    imported(write_jsonl("x.jsonl", rows))
    before = js("scroll", "a.hw", "c", "-n", 100, "--with", "payload,vector")
    for name in ("out.jsonl", "out.csv"):
        same(js("export", "a.hw", "c", name), {"exported": 40})
        run("import", f"{name}.hw", "c", name, "--create", "--metric", "l2")
        same(js("scroll", f"{name}.hw", "c", "-n", 100, "--with", "payload,vector"), before, name)
    for name in ("out.npy", "out.fvecs"):
        run("export", "a.hw", "c", name, "--ids", "ids", "--payload", "payloads")
        run("import", f"{name}.hw", "c", name, "--create", "--metric", "l2", "--ids", "ids", "--payload", "payloads")
        same(js("scroll", f"{name}.hw", "c", "-n", 100, "--with", "payload,vector"), before, name)
    lines = out("export", "a.hw", "c", "-", "--format", "jsonl", "--filter",
                '{"must": [{"key": "i", "range": {"gte": 38}}]}').splitlines()
    same([json.loads(line)["id"] for line in lines], ["p38"])
    check(not any(name.endswith(".part") for name in os.listdir(".")))


def test_a_second_import_changes_only_what_differs():
    rows = [{"id": i, "vector": v, "payload": {"i": i}} for i, v in enumerate(vectors(50, 3))]
    imported(write_jsonl("x.jsonl", rows))
    again = js("import", "a.hw", "c", "x.jsonl")
    same((again["imported"], again["present"]), (0, 50))
    rows[7]["payload"] = {"i": -1}
    rows[9]["vector"] = [1, 1, 1]
    write_jsonl("x.jsonl", rows)
    again = js("import", "a.hw", "c", "x.jsonl")
    same((again["imported"], again["present"]), (2, 48))
    same(js("get", "a.hw", "c", 7)[0]["payload"], {"i": -1})
    run("check", "a.hw")


def test_the_index_is_built_when_it_is_missing_or_much_is_new():
    rows = vectors(3300, 4)
    generation = lambda: js("stats", "a.hw", "c")["vectors"][""]["generation"]
    write("x.npy", npy(rows[:3000]))
    write("y.npy", npy(rows[:3100]))
    write("z.npy", npy(rows))
    run("import", "a.hw", "c", "x.npy", "--create", "--metric", "l2")
    first = generation()
    check(first > 0)
    same(js("import", "a.hw", "c", "x.npy")["build_s"], None, "nothing is new:")
    same(js("import", "a.hw", "c", "y.npy")["build_s"], None, "100 of 3,100 are new:")
    same(generation(), first)
    run("delete", "a.hw", "c", *range(0, 250))
    check(js("import", "a.hw", "c", "z.npy")["build_s"] is not None, "450 of 3,300 are new")
    check(generation() > first)
    run("check", "a.hw")


def test_efforts_without_a_width_are_told_in_json():
    write("x.npy", npy(vectors(3000, 4)))
    run("import", "b.hw", "c", "x.npy", "--create", "--metric", "l2")
    efforts = js("stats", "b.hw", "c")["vectors"][""]["calibration"]["efforts"]
    check(any(e["eps"] is None for e in efforts), "codes of four dimensions do not tell rows apart:")
    check(all(e["eps"] is None or e["eps"] > 0 for e in efforts), efforts)


if __name__ == "__main__":
    main(globals())
