"""Wrong input is refused with a line that says what is wrong and where, and nothing is lost."""

import json
import os
import struct
import subprocess
import time

from _cli import *


def db(metric="l2", dim=3):
    run("create", "a.hw", "c", "--dim", dim, "--metric", metric)
    run("put", "a.hw", "c", "--id", 1, "--vector", json.dumps([1.0] * dim), "--payload", '{"a": 1}')
    return "a.hw"


def untouched():
    same(js("count", "a.hw", "c"), {"count": 1})
    run("check", "a.hw")


def test_a_wrong_dimension_names_both_sizes():
    db()
    fails("put", "a.hw", "c", "--id", 2, "--vector", "[1, 2]", code=2, says=["2", "3"])
    fails("search", "a.hw", "c", "--vector", "[1, 2, 3, 4]", code=2, says=["4", "3"])
    write("q.npy", npy([[1, 2]]))
    fails("import", "a.hw", "c", "q.npy", says=["q.npy: row 0", "2", "3"])
    untouched()


def test_values_that_are_no_numbers():
    db()
    fails("put", "a.hw", "c", "--id", 2, "--vector", "[1, 2, NaN]", code=2, says="--vector")
    fails("put", "a.hw", "c", "--id", 2, "--vector", "[1, 2, 1e99]", code=2)
    fails("put", "a.hw", "c", "--id", 2, "--vector", '"abc"', code=2)
    write("q.npy", npy([[1, 2, 3], [1, float("nan"), 3]]))
    fails("import", "a.hw", "c", "q.npy", says="q.npy: row 1")
    write("q.npy", npy([[1, 2, 3], [1, float("inf"), 3]]))
    fails("import", "a.hw", "c", "q.npy", says="q.npy: row 1")
    untouched()


def test_a_zero_vector_under_cosine():
    db("cosine")
    fails("put", "a.hw", "c", "--id", 2, "--vector", "[0, 0, 0]", code=2, says="zero")
    untouched()


def test_malformed_json_names_the_place():
    db()
    fails("put", "a.hw", "c", "--id", 2, "--vector", "[1, 2", code=2, says=["--vector", "byte"])
    fails("put", "a.hw", "c", "--id", 2, "--vector", "[1,2,3]", "--payload", "{a: 1}", code=2,
          says=["--payload", "byte 1"])
    fails("put", "a.hw", "c", "--id", 2, "--vector", "[1,2,3]", "--payload", "[1]", code=2, says="object")
    untouched()


def test_a_malformed_filter_names_the_position():
    db()
    fails("count", "a.hw", "c", "--filter", '{"must": [', code=2, says="byte")
    fails("count", "a.hw", "c", "--filter",
          '{"must": [{"key": "a", "match": {"value": 1}}, {"key": "a", "range": {"gte": "x"}}]}', code=2,
          says="must[1]")
    fails("search", "a.hw", "c", "--vector", "[1,2,3]", "--filter", '{"mist": []}', code=2, says="mist")
    fails("delete", "a.hw", "c", "--filter", '{"must": 1}', code=2, says="must")
    untouched()


def test_things_that_are_not_there():
    fails("collections", "none.hw", says="none.hw")
    check(not os.path.exists("none.hw"), "reading must not create a database")
    db()
    for command in (["count"], ["describe"], ["drop"], ["build"], ["stats"], ["scroll"]):
        fails(command[0], "a.hw", "nope", says="nope")
    fails("search", "a.hw", "nope", "--vector", "[1]", says="nope")
    fails("import", "a.hw", "nope", write("q.npy", npy([[1, 2, 3]])), says="nope")
    fails("import", "a.hw", "c", "absent.npy", says="absent.npy")
    fails("search", "a.hw", "c", "--vector", "[1,2,3]", "--using", "image", says="image")
    fails("restore", "absent.backup", "b.hw", says="absent.backup")
    os.mkdir("empty")
    fails("collections", "empty", says="empty")
    os.mkdir("other")
    write("other/data.mdb", b"this is no database" * 1000)
    fails("collections", "other", says="other")


def test_damaged_files():
    good = {"x.npy": npy(vectors(50, 3)), "x.fvecs": fvecs(vectors(50, 3)),
            "x-idx2-ubyte": idx([[1, 2, 3]] * 50)}
    db()
    for name, data in good.items():
        write(name, data[:-5])
        fails("import", "a.hw", "c", name, says=[name, "truncated"])
    write("x.fvecs", struct.pack("<I", 2**31 - 1) + b"\0" * 100)
    fails("import", "a.hw", "c", "x.fvecs", says=["x.fvecs", "65536"])
    write("x-idx2-ubyte", bytes([0, 0, 8, 3]) + b"\xff" * 12)
    fails("import", "a.hw", "c", "x-idx2-ubyte", says="x-idx2-ubyte")
    write("x.jsonl", '{"id": 2, "vector": [1, 2, 3]}\n{"id": 3, "vector": [1, 2,\n')
    fails("import", "a.hw", "c", "x.jsonl", says="x.jsonl: line 2")
    write("x.csv", "id,v0,v1,v2\n2,1,2,3\n3,1,x,3\n")
    fails("import", "a.hw", "c", "x.csv", says=["x.csv: line 3", "`v1` is `x`"])
    write("x.bin", "who knows")
    fails("import", "a.hw", "c", "x.bin", says="cannot tell the format")
    untouched()


def test_duplicate_ids_in_a_batch():
    db()
    write_jsonl("x.jsonl", [{"id": 7, "vector": [1, 2, 3]}, {"id": 8, "vector": [1, 2, 3]},
                            {"id": 7, "vector": [4, 5, 6]}])
    fails("import", "a.hw", "c", "x.jsonl", says=["x.jsonl: row 2", "id `7`"])
    untouched()


def test_files_beside_that_do_not_fit():
    db()
    write("x.npy", npy(vectors(5, 3)))
    write("ids", "10\n11\n12\n")
    fails("import", "a.hw", "c", "x.npy", "--ids", "ids", says=["ids has 3 rows"])
    write("ids", "".join(f"{i}\n" for i in range(10, 16)))
    write("payload", '{"a":1}\n' * 6)
    fails("import", "a.hw", "c", "x.npy", "--payload", "payload", says="payload has more lines")
    fails("import", "a.hw", "c", "x.npy", "--labels", "x.npy", says="expected one label a row")


def test_a_wrong_command_line_of_an_import():
    write("x.npy", npy(vectors(5, 3)))
    create = ["import", "a.hw", "c", "x.npy", "--create"]
    fails(*create, "--payload", "p", "--labels", "l", code=2, says="one of --payload and --labels")
    fails(*create, "--set", "leaf_size", code=2, says="--set")
    fails(*create, "--set", "leaf_size=7", code=2, says="leaf_size")
    fails(*create, "--payload-index", "label", code=2, says="--payload-index")
    db()
    fails("import", "a.hw", "c", "x.npy", "--payload-index", "label:name", code=2, says="index type `name`")
    untouched()


def test_a_file_that_gives_no_text():
    db()
    fails("put", "a.hw", "c", "--id", 2, "--vector", "@nowhere", says="--vector: cannot open nowhere")
    fails("put", "a.hw", "c", "--id", 2, "--vector", "@.", says="--vector: cannot read .")
    with open("long", "wb") as f:
        f.truncate((64 << 20) + 1)
    fails("count", "a.hw", "c", "--filter", "@long", code=2, says="--filter: long is above the maximum")
    os.truncate("long", 64 << 20)
    check("filter of 67108864 bytes" in run("count", "a.hw", "c", "--filter", "@long", code=None).stderr, "read whole")
    untouched()


def test_a_limit_that_is_exceeded():
    db()
    fails("search", "a.hw", "c", "--vector", "[1,2,3]", "-k", 10001, code=2, says="10000")
    fails("search", "a.hw", "c", "--vector", "[1,2,3]", "-k", 0, code=2)
    fails("search", "a.hw", "c", "--vector", "[1,2,3]", "--recall", 2, code=2, says="recall")
    fails("create", "a.hw", "d", "--dim", 100000, code=2, says="65536")
    fails("create", "a.hw", "x" * 300, "--dim", 2, code=2, says="255")
    fails("create", "a.hw", "a/b", "--dim", 2, code=2)
    fails("put", "a.hw", "c", "--id", "y" * 300, "--vector", "[1,2,3]", code=2, says="255")


def test_a_folder_that_cannot_be_written():
    db()
    if os.geteuid() == 0:  # root writes everywhere; a file where a folder should be stops root too
        write("file", "x")
        fails("create", "file/a.hw", "c", "--dim", 2, says="file/a.hw")
        return
    os.chmod("a.hw", 0o500)
    for name in os.listdir("a.hw"):
        os.chmod(os.path.join("a.hw", name), 0o400)
    try:
        fails("put", "a.hw", "c", "--id", 2, "--vector", "[1,2,3]", says="a.hw")
        same(js("count", "a.hw", "c"), {"count": 1})
    finally:
        os.chmod("a.hw", 0o700)


def test_a_second_writer_is_told_that_the_database_is_busy():
    """A shell holds the database open for writing; while it only holds it, others may write."""
    db()
    write("big.npy", npy(vectors(60000, 32)))
    run("create", "a.hw", "big", "--dim", 32, "--metric", "l2")
    writer = subprocess.Popen([HASHWOOD, "import", "a.hw", "big", "big.npy"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    seen_busy = written = 0
    while writer.poll() is None:
        p = subprocess.run([HASHWOOD, "put", "a.hw", "c", "--id", str(100 + written), "--vector", "[1,2,3]",
                            "--busy-timeout", "0"], capture_output=True, text=True)
        if p.returncode == 0:
            written += 1
        else:
            same(p.returncode, 1)
            check("writ" in p.stderr or "busy" in p.stderr, p.stderr)
            seen_busy += 1
    same(writer.returncode, 0)
    same(js("count", "a.hw", "c"), {"count": 1 + written})
    same(js("count", "a.hw", "big"), {"count": 60000})
    run("check", "a.hw")


def test_reading_goes_on_beside_a_writer():
    db()
    write("big.npy", npy(vectors(30000, 16)))
    run("create", "a.hw", "big", "--dim", 16, "--metric", "l2")
    writer = subprocess.Popen([HASHWOOD, "import", "a.hw", "big", "big.npy"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    reads = last = 0
    while writer.poll() is None:
        count = js("count", "a.hw", "big")["count"]
        check(count >= last, "counts never go back")
        last = count
        reads += 1
    same(writer.returncode, 0)
    check(reads > 0)


def test_output_that_cannot_be_written():
    db()
    if not os.path.exists("/dev/full"):
        return
    with open("/dev/full", "w") as full:
        p = subprocess.run([HASHWOOD, "collections", "a.hw"], stdout=full, stderr=subprocess.PIPE, text=True)
    same(p.returncode, 1)
    check("standard output" in p.stderr)
    fails("export", "a.hw", "c", "no/such/folder/x.jsonl", says="no/such/folder")


if __name__ == "__main__":
    main(globals())
