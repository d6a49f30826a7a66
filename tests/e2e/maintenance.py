"""backup, restore, compact and check, on whole and on damaged databases."""

import json
import os
import shutil

from _cli import *


def database(name="a.hw", rows=3000):
    data = vectors(rows, 8)
    write("x.npy", npy(data))
    write("p", "".join(json.dumps({"n": i}) + "\n" for i in range(rows)))
    run("import", name, "c", "x.npy", "--payload", "p", "--create", "--metric", "l2",
        "--payload-index", "n:integer")
    return data


def answers(name, data):
    return [[(h["id"], h["score"]) for h in js("search", name, "c", "--vector", json.dumps(q), "-k", 10)["hits"]]
            for q in data[:5]]


def test_backup_and_restore():
    data = database()
    before = answers("a.hw", data)
    run("backup", "a.hw", "a.backup")
    run("delete", "a.hw", "c", 1)
    run("restore", "a.backup", "b.hw")
    same(answers("b.hw", data), before)
    same(js("count", "b.hw", "c"), {"count": 3000})
    run("check", "b.hw")
    fails("restore", "a.backup", "b.hw", says="b.hw")
    same(js("backup", "a.hw", "again.backup"), {"written": "again.backup"})


def test_one_collection_is_saved_and_brought_back():
    data = database()
    before = answers("a.hw", data)
    run("backup", "a.hw", "c.snapshot", "--collection", "c")
    run("delete", "a.hw", "c", 1, 2, 3)
    fails("restore", "c.snapshot", "a.hw", "--collection", "c", says="exists")
    same(js("restore", "c.snapshot", "a.hw", "--collection", "c", "--replace"), {"written": "a.hw"})
    same(answers("a.hw", data), before)
    run("restore", "c.snapshot", "new.hw", "--collection", "other")
    same(js("count", "new.hw", "other"), {"count": 3000})
    run("check", "a.hw")
    run("check", "new.hw")
    fails("restore", "c.snapshot", "b.hw", says="one collection")
    run("backup", "a.hw", "all.backup")
    fails("restore", "all.backup", "a.hw", "--collection", "x", says="whole database")
    fails("restore", "all.backup", "b.hw", "--replace", says="--collection", code=2)


def test_a_damaged_backup_is_refused():
    database(rows=500)
    run("backup", "a.hw", "a.backup")
    data = bytearray(open("a.backup", "rb").read())
    data[len(data) // 2] ^= 1
    write("bad.backup", bytes(data))
    fails("restore", "bad.backup", "b.hw", says="bad.backup")
    check(not os.path.exists("b.hw"), "nothing half restored may stay")
    write("cut.backup", bytes(data[:len(data) // 3]))
    fails("restore", "cut.backup", "b.hw", says="cut.backup")
    check(not os.path.exists("b.hw"))


def test_compact():
    data = database()
    run("delete", "a.hw", "c", "--filter", '{"must": [{"key": "n", "range": {"lt": 2500}}]}')
    before = answers("a.hw", data)
    run("compact", "a.hw", "b.hw")
    same(answers("b.hw", data), before)
    check(os.path.getsize("b.hw/data.mdb") < os.path.getsize("a.hw/data.mdb"))
    run("check", "b.hw")
    fails("compact", "a.hw", "b.hw", says="b.hw")


def test_check_finds_damage():
    data = database()
    same(js("check", "a.hw"), {"whole": True, "damages": []})
    needle = b"".join(__import__("struct").pack("<f", x) for x in data[1234])
    with open("a.hw/data.mdb", "r+b") as f:
        raw = f.read()
        at = raw.find(needle)
        check(at > 0, "the vector lies in the file as it was given")
        while at >= 0:  # older copies of the page may lie in free pages
            f.seek(at + 5)
            f.write(bytes([raw[at + 5] ^ 0x40]))
            at = raw.find(needle, at + 1)
    p = run("check", "a.hw", "--json", code=1)
    report = json.loads(p.stdout)
    same(report["whole"], False)
    check(len(report["damages"]) > 0)
    p = run("check", "a.hw", code=1)
    check("c" in p.stdout)


if __name__ == "__main__":
    main(globals())
