"""Databases in FoundationDB, by command: over the stand-in of tests/support/fdb_standin, which keeps a cluster in a file
that processes share."""

import threading

from _cli import *
from _rest import Server

LIBRARY = os.path.join(os.environ.get("HASHWOOD_BUILD", "build"), "tests", "libfdb_c_standin.so")
ENV = {"HASHWOOD_FDB_LIBRARY": os.path.abspath(LIBRARY)}
os.environ.update(ENV)
FAULTS = "conflict=.05,unknown=.05,timeout=.02,old=.01,behind=.01,future=.01,slow=.05,slow_us=300,short=.1"


def cluster(name="a.cluster"):
    write(name, "standin_log:x@127.0.0.1:1\n")
    return f"fdb:{os.path.abspath(name)}"


def rows_of(first, count):
    return [{"id": first + i, "vector": v, "payload": {"n": first + i}}
            for i, v in enumerate(vectors(count, 8, first + 1))]


def filled(db, count=600):
    run("create", db, "c", "--dim", 8, "--metric", "l2")
    run("import", db, "c", write_jsonl("rows.jsonl", rows_of(0, count)))


def answer(db):
    return js("search", db, "c", "--id", 7, "-k", 5, "--exact")["hits"]


def test_commands_work_there_as_in_a_folder():
    db = cluster()
    filled(db)
    filled("folder.hw")
    same(answer(db), answer("folder.hw"))
    run("update", db, "c", "--id", "3", "--set", '{"n": 5000}')
    same(js("count", db, "c", "--filter", '{"must": [{"key": "n", "range": {"gte": 5000}}]}')["count"], 1)
    run("delete", db, "c", "--id", "3")
    same(js("count", db, "c")["count"], 599)
    run("build", db, "c")
    run("check", db)
    same(js("stats", db)["store"], "fdb")


def test_prefixes_are_databases_of_their_own():
    db = cluster()
    filled(db)
    filled(db + "?prefix=two", 50)
    same(js("count", db, "c")["count"], 600)
    same(js("count", db + "?prefix=two", "c")["count"], 50)
    run("drop", db, "c")
    same(js("count", db + "?prefix=two", "c")["count"], 50)


def test_copies_go_both_ways_and_between_two_of_a_kind():
    db = cluster()
    filled("folder.hw")
    expected = answer("folder.hw")
    run("copy", "folder.hw", db)
    run("copy", db, db + "?prefix=two")
    run("copy", db + "?prefix=two", "back.hw")
    run("copy", "back.hw", "again.hw")
    for place in (db, db + "?prefix=two", "back.hw", "again.hw"):
        run("check", place)
        same(answer(place), expected, place)
    fails("copy", "folder.hw", db, says="not empty")
    fails("copy", "folder.hw", "back.hw", says="back.hw")
    fails("copy", "folder.hw", "mem:", says="mem:")
    fails("compact", db, "small.hw", says="copy")


def test_backups_are_restored_into_a_cluster():
    db = cluster()
    filled("folder.hw")
    run("backup", "folder.hw", "whole.backup")
    run("restore", "whole.backup", db)
    same(answer(db), answer("folder.hw"))
    run("backup", db, "far.backup")
    run("restore", "far.backup", "folder2.hw")
    same(answer("folder2.hw"), answer("folder.hw"))
    data = bytearray(open("whole.backup", "rb").read())
    data[len(data) // 2] ^= 1
    write("bad.backup", bytes(data))
    fails("restore", "bad.backup", db + "?prefix=bad", says="bad.backup")
    run("restore", "whole.backup", db + "?prefix=bad")  # what was cut short is no database


def test_processes_write_at_once_through_faults():
    db = cluster()
    run("create", db, "c", "--dim", 8, "--metric", "l2")
    results = []

    def work(p):
        path = write_jsonl(f"rows{p}.jsonl", rows_of(p * 10000, 400))
        env = {"HASHWOOD_STANDIN_SEED": str(p + 1), "HASHWOOD_STANDIN_FAULTS": FAULTS}
        results.append(run("import", db, "c", path, "--no-build", code=None, env=env))

    threads = [threading.Thread(target=work, args=(p,)) for p in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for p in results:
        same(p.returncode, 0, p.stderr)
    same(js("count", db, "c")["count"], 1200)
    run("build", db, "c")
    run("check", db)


def test_a_server_does_again_what_lost_a_race():
    db = cluster()
    run("create", db, "c", "--dim", 8, "--metric", "l2")
    points = "/collections/c/points"
    with Server(db, env={"HASHWOOD_STANDIN_SEED": "3", "HASHWOOD_STANDIN_FAULTS": "conflict=.4"}) as s:
        for row in rows_of(0, 60):
            s.ok("PUT", points + "?wait=true", {"points": [row]})
        s.ok("POST", points + "/batch?wait=true", {"operations": [
            {"delete": {"points": list(range(0, 30))}},
            {"set_payload": {"payload": {"late": True}, "filter": {"must": [{"key": "n", "range": {"gte": 50}}]}}}]})
        s.fails(404, "PUT", points + "/vectors?wait=true", {"points": [{"id": 5, "vector": [0] * 8}]}, "No point with id 5")
    same(js("count", db, "c")["count"], 30)
    same(js("count", db, "c", "--filter", '{"must": [{"key": "late", "match": {"value": true}}]}')["count"], 10)


def test_what_is_missing_is_said():
    db = cluster()
    fails("stats", db, says="foundationdb-clients", env={"HASHWOOD_FDB_LIBRARY": "/none/libfdb_c.so"})
    fails("stats", "fdb:/none/fdb.cluster", says="/none/fdb.cluster")
    fails("stats", db + "?cache=3", says="prefix=NAME")
    fails("stats", db, says="")


if __name__ == "__main__":
    main(globals())
