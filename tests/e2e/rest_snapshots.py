"""Snapshots over HTTP: taken while writes go on, sent, uploaded, verified, recovered."""

import hashlib
import os
import threading

from _rest import *

C = "/collections/c"


def make(s, points=50):
    s.ok("PUT", C, {"vectors": {"size": 4, "distance": "Dot"}, "metadata": {"kept": True}})
    s.ok("PUT", C + "/index", {"field_name": "n", "field_schema": "integer"})
    s.ok("PUT", C + "/points", {"points": [{"id": i, "vector": [i, 0, 0, 1], "payload": {"n": i}}
                                           for i in range(1, points + 1)]})


def everything(s, name="c"):
    return s.ok("POST", f"/collections/{name}/points/scroll", {"limit": 100000, "with_vector": True})["points"]


def test_create_list_get_delete():
    with Server() as s:
        make(s)
        made = s.ok("POST", C + "/snapshots")
        same(s.ok("GET", C + "/snapshots"), [made])
        status, headers, data = s.raw("GET", f"{C}/snapshots/{made['name']}")
        same(status, 200)
        same(headers["Content-Type"], "application/octet-stream")
        same(len(data), made["size"])
        same(hashlib.sha256(data).hexdigest(), made["checksum"])
        same(headers["X-Checksum-Sha256"], made["checksum"])
        other = s.ok("POST", C + "/snapshots?wait=true")
        check(other["name"] != made["name"], "names differ")
        same(s.ok("DELETE", f"{C}/snapshots/{made['name']}"), True)
        same(s.ok("GET", C + "/snapshots"), [other])
        s.fails(404, "GET", f"{C}/snapshots/{made['name']}", says=f"Not found: Snapshot {made['name']} not found")
        s.fails(404, "DELETE", f"{C}/snapshots/{made['name']}")
        s.fails(404, "POST", "/collections/nope/snapshots", says="doesn't exist")
        status, answer = s.call("POST", C + "/snapshots?wait=false")
        same((status, answer["status"]), (202, "accepted"))
        same(len(s.ok("GET", C + "/snapshots")), 2)
        same(len(s.ok("GET", C + "/shards/0/snapshots")), 2)
        s.fails(404, "GET", C + "/shards/1/snapshots", says="Shard 1 not found")
        status, _, data = s.raw("GET", C + "/shards/0/snapshot")
        check(status == 200 and len(data) > 100, "a snapshot of this moment")
        same(len(s.ok("GET", "/snapshots")), 0)


def test_recover_brings_back_what_was():
    with Server() as s:
        make(s)
        before = everything(s)
        made = s.ok("POST", C + "/snapshots")
        s.ok("POST", C + "/points/delete", {"filter": {"must": [{"key": "n", "range": {"lte": 40}}]}})
        s.ok("PUT", C + "/points", {"points": [{"id": 999, "vector": [1, 1, 1, 1]}]})
        folder = os.path.abspath("served.hw/snapshots")
        path = next(os.path.join(d, made["name"]) for d, _, files in os.walk(folder) if made["name"] in files)
        body = {"location": f"file://{path}", "priority": "snapshot", "checksum": made["checksum"]}
        same(s.ok("PUT", C + "/snapshots/recover", body), True)
        same(everything(s), before)
        info = s.ok("GET", C)
        same((info["points_count"], info["config"]["metadata"]), (50, {"kept": True}))
        same(info["payload_schema"]["n"]["data_type"], "integer")
        # Into a collection that is not there, by a path within the folder.
        same(s.ok("PUT", "/collections/new/snapshots/recover", {"location": os.path.relpath(path, folder)}), True)
        same(everything(s, "new"), before)
        same(everything(s), before)
        status, answer = s.call("PUT", C + "/snapshots/recover?wait=false", body)
        same((status, answer["status"]), (202, "accepted"))


def test_upload():
    with Server() as s:
        make(s)
        before = everything(s)
        made = s.ok("POST", C + "/snapshots")
        _, _, data = s.raw("GET", f"{C}/snapshots/{made['name']}")
    with Server("other.hw") as s:
        body, headers = multipart(made["name"], data)
        same(s.call("POST", f"{C}/snapshots/upload?priority=snapshot&checksum={made['checksum']}", body, headers)[0], 200)
        same(everything(s), before)
        for name, sent, args, code in [
            ("wrong sum", data, "?checksum=" + "0" * 64, 400), ("no sum", data, "?checksum=abc", 422),
            ("cut short", data[:len(data) // 2], "", 400), ("changed", data[:60] + b"?" + data[61:], "", 400),
            ("nothing", b"", "", 400), ("text", b"hello" * 100, "", 400), ("priority", data, "?priority=high", 400)]:
            body, headers = multipart("x.snapshot", sent)
            status, answer = s.call("POST", f"{C}/snapshots/upload{args}", body, headers)
            same(status, code, f"{name}: {answer}")
            same(everything(s), before, name)
        same(len([f for f in os.listdir("other.hw/snapshots") if f.startswith(".")]), 0, "left behind")


def test_bad_names_and_locations():
    with Server() as s:
        make(s)
        made = s.ok("POST", C + "/snapshots")
        with open("secret.snapshot", "w") as f:
            f.write("secret")
        folder = os.path.abspath("served.hw/snapshots")
        own = next(d for d, _, files in os.walk(folder) if made["name"] in files)
        os.symlink(os.path.abspath("secret.snapshot"), os.path.join(own, "link.snapshot"))
        for name in ("..%2F..%2F..%2Fsecret.snapshot", "link.snapshot", ".hidden.snapshot", made["name"] + ".checksum",
                     "%2e%2e", "a%00b.snapshot", "data.mdb", "x" * 300 + ".snapshot"):
            for method in ("GET", "DELETE"):
                status, _, data = s.raw(method, f"{C}/snapshots/{name}")
                check(400 <= status < 500 and b"secret\n" not in data, f"{method} {name}: {status}")
        same(len(s.ok("GET", C + "/snapshots")), 1)
        recover = lambda code, location, says: s.fails(code, "PUT", C + "/snapshots/recover", {"location": location}, says)
        recover(403, "file://" + os.path.abspath("secret.snapshot"), "inside the snapshots directory")
        recover(403, "../../secret.snapshot", "inside the snapshots directory")
        recover(403, os.path.join(own, "link.snapshot"), "inside the snapshots directory")
        recover(403, "http://127.0.0.1:1/x.snapshot", "remote URLs")
        recover(403, "ftp://host/x", "remote URLs")
        recover(400, "nope.snapshot", "does not exist")
        recover(400, folder + "/collections", "is no file")
        s.fails(400, "PUT", C + "/snapshots/recover", {}, says="missing field `location`")
        s.fails(400, "PUT", C + "/snapshots/recover", {"location": os.path.join(own, made["name"]), "checksum": "0" * 64},
                says="Snapshot checksum mismatch")
        check(os.path.exists("secret.snapshot"), "untouched")


def test_whole_storage():
    with Server() as s:
        make(s)
        s.ok("PUT", "/collections/d", {"vectors": {"size": 2, "distance": "Euclid"}})
        before = everything(s)
        made = s.ok("POST", "/snapshots")
        same(s.ok("GET", "/snapshots"), [made])
        status, _, data = s.raw("GET", "/snapshots/" + made["name"])
        same((status, hashlib.sha256(data).hexdigest()), (200, made["checksum"]))
        # It is no snapshot of a collection.
        body, headers = multipart("full.snapshot", data)
        same(s.call("POST", f"{C}/snapshots/upload", body, headers)[0], 400)
        same(everything(s), before)
        same(s.ok("DELETE", "/snapshots/" + made["name"]), True)
        s.fails(404, "GET", "/snapshots/" + made["name"])
    with open("full.snapshot", "wb") as f:
        f.write(data)
    from _cli import run
    run("restore", "full.snapshot", "restored.hw")
    with Server("restored.hw") as s:
        same(everything(s), before)
        same([c["name"] for c in s.ok("GET", "/collections")["collections"]], ["c", "d"])


def test_a_snapshot_is_one_moment_while_writes_go_on():
    """A writer keeps a pair of points equal in each request; every snapshot must show them equal."""
    with Server() as s:
        make(s)
        stop, other = threading.Event(), Server.__new__(Server)
        other.__dict__.update(s.__dict__, connection=None)

        def write():
            n = 0
            while not stop.is_set():
                n += 1
                other.ok("PUT", C + "/points", {"points": [
                    {"id": 1001, "vector": [n, 0, 0, 0], "payload": {"v": n}},
                    {"id": 1002, "vector": [n, 0, 0, 0], "payload": {"v": n}}]})

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for i in range(5):
                made = s.ok("POST", C + "/snapshots")
                s.ok("PUT", f"/collections/copy{i}/snapshots/recover", {"location": f"collections/c/{made['name']}"})
                points = {r["id"]: r for r in everything(s, f"copy{i}")}
                if 1001 in points or 1002 in points:
                    same(points[1001]["payload"], points[1002]["payload"])
        finally:
            stop.set()
            writer.join()
            if other.connection:
                other.connection.close()


main(globals())
