"""Search by a file: the server embeds what a caller sends, finds what `hashwood embed --search` finds, and withstands
files made to harm it. Also: a collection on a server is told what made its vectors."""
import json
import os
import socket
import struct
import threading
import zlib

import _packages
from _cli import SOURCE, fails, js, run, write
from _rest import *
from embed import chunk, pictures, png, tone

if run("embed", "--help", code=None).returncode:
    _packages.skip("built without embedding")
CORPUS = os.path.join(SOURCE, "tests", "fuzz", "corpus")
FILE = "/collections/c/points/search-file"


def content(path):
    with open(path, "rb") as f:
        return f.read()


def send(s, data, path=FILE, headers=None):
    """(status, answer) of a search by these bytes."""
    return s.call("POST", path, data, {"Content-Type": "application/octet-stream", **(headers or {})})


def form(fields, files):
    edge = "----edge"
    parts = [f'Content-Disposition: form-data; name="{k}"\r\n\r\n'.encode() + v.encode() for k, v in fields.items()]
    parts += [f'Content-Disposition: form-data; name="file"; filename="{n}"\r\nContent-Type: image/png\r\n\r\n'.encode() + d
              for n, d in files]
    body = b"".join(f"--{edge}\r\n".encode() + p + b"\r\n" for p in parts) + f"--{edge}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={edge}"}


def said(answer):
    return answer["status"]["error"]


def filled(features="colour-histogram"):
    pictures()
    js("embed", "a.hw", "c", "pics", "--features", features, "--create", "--payload-index", "labels:keyword")


def test_a_file_finds_what_the_command_finds():
    filled()
    red = {"must": {"key": "labels", "match": {"value": "red"}}}
    picture = content("pics/blue/blob3.png")
    expected = js("embed", "a.hw", "c", "--features", "colour-histogram", "--search", "pics/blue/blob3.png", "-k", "5")
    filtered = js("embed", "a.hw", "c", "--features", "colour-histogram", "--search", "pics/blue/blob3.png", "-k", "3",
                  "--filter", json.dumps(red))
    with Server("a.hw", "--embed", "auto") as s:
        answer = s.ok("GET", "/collections/c/embedding")
        same(answer, {"available": True, "max_file_size_mb": 16, "vectors": {"": {"embedder": "colour-histogram", "media": "image"}}})
        status, answer = send(s, picture, FILE + "?limit=5&with_payload=true")
        same(status, 200, answer)
        points = answer["result"]["points"]
        same([p["id"] for p in points], [h["id"] for h in expected])
        check(all(abs(p["score"] - h["score"]) < 1e-5 for p, h in zip(points, expected)))
        same(points[0]["payload"]["path"], "pics/blue/blob3.png")

        # the same as a form, whose fields weigh more than arguments
        body, headers = form({"limit": "3", "filter": json.dumps(red), "with_payload": '["path"]'}, [("x.png", picture)])
        status, answer = send(s, body, FILE + "?limit=9", headers)
        same(status, 200, answer)
        same([p["id"] for p in answer["result"]["points"]], [h["id"] for h in filtered])
        same(list(answer["result"]["points"][0]["payload"]), ["path"])
        status, answer = send(s, picture, FILE + "?limit=5&score_threshold=0.99&explain=true")
        check(len(answer["result"]["points"]) < 5 and answer["result"]["explain"])
        text = s.raw("GET", "/metrics")[2].decode()
        check("hashwood_embeddings_total 3\n" in text and "hashwood_embeddings_active 0\n" in text, text)
        check('points/search-file",status="200"} 3' in text)


def test_it_is_off_unless_switched_on():
    filled()
    picture = content("pics/red/stripes0.png")
    with Server("a.hw") as s:
        status, answer = send(s, picture)
        same(status, 405)
        check("--embed" in said(answer), answer)
        answer = s.ok("GET", "/collections/c/embedding")
        check(not answer["available"] and "embedding.collections" in answer["why"], answer)
        check("hashwood_embed" not in s.raw("GET", "/metrics")[2].decode())


def test_each_collection_has_its_embedder():
    filled("pixels")
    tone("snd/low.wav", 200), tone("snd/high.wav", 1500)
    js("embed", "a.hw", "s", "snd", "--features", "logmel", "--create")
    js("embed", "a.hw", "two", "pics/red", "--features", "pixels", "--create", "--using", "look")
    run("create", "a.hw", "other", "--dim", "3")
    run("create", "a.hw", "plain", "--dim", "768", "--metric", "cosine")
    picture = content("pics/red/stripes0.png")
    with Server("a.hw", "--embed", "two:look = pixels, c=colour-histogram, other=pixels,auto") as s:
        status, answer = send(s, content("snd/high.wav"), "/collections/s/points/search-file?with_payload=true")
        same((status, answer["result"]["points"][0]["payload"]["name"]), (200, "high"), answer)
        status, answer = send(s, picture, "/collections/s/points/search-file")
        same(status, 400, answer)
        for using in ("", "?using=look"):
            status, answer = send(s, picture, "/collections/two/points/search-file" + using)
            same((status, len(answer["result"]["points"])), (200, 10), answer)
        status, answer = send(s, picture, "/collections/two/points/search-file?using=sound")
        check(status == 400 and "Not existing vector name" in said(answer), answer)
        status, answer = send(s, picture)  # named, and wrong
        check(status == 400 and "216 values" in said(answer) and "768" in said(answer), answer)
        same(send(s, picture, "/collections/other/points/search-file")[0], 400)
        status, answer = send(s, picture, "/collections/plain/points/search-file")  # nobody said what made its vectors
        check(status == 405 and "no embedder" in said(answer), answer)
        same(send(s, picture, "/collections/none/points/search-file")[0], 404)
    run("create", "a.hw", "said", "--config", json.dumps({"dim": 768, "metric": "cosine", "metadata": {
        "embedders": {"": {"name": "other.onnx", "digest": "0" * 32}}}}))
    with Server("a.hw", "--embed", "said=pixels, *=pixels") as s:
        status, answer = send(s, picture, "/collections/said/points/search-file")
        check(status == 400 and "other.onnx" in said(answer) and "do not compare" in said(answer), answer)
        same(send(s, picture, "/collections/plain/points/search-file")[0], 200)
        same(send(s, picture)[0], 200)


def test_wrong_settings_are_told_at_the_start():
    for setting, says in (("c=pixel", "pixels|colour-histogram|logmel"), ("c", "neither `auto`"), ("c=/nowhere/m.onnx", "m.onnx"),
                          ("=pixels", "neither `auto`")):
        fails("serve", "w.hw", "--http-port", "0", "--embed", setting, says=["embedding.collections", says])
    text = run("serve", "--print-config", env={"HASHWOOD__EMBEDDING__COLLECTIONS": "auto", "HASHWOOD__EMBEDDING__MAX_AT_ONCE": "7"}).stdout
    check('collections: "auto"' in text and "max_at_once: 7" in text, text)


def test_rights_are_those_of_a_search():
    filled()
    picture = content("pics/red/stripes0.png")
    with Server("a.hw", "--embed", "auto", "--api-key", "k" * 20, "--read-only-api-key", "r" * 20) as s:
        same(s.raw("POST", FILE, picture)[0], 401)
        same(send(s, picture, headers={"api-key": "r" * 20})[0], 200)
        s.headers = {"api-key": "k" * 20}
        strict = {"strict_mode_config": {"enabled": True, "max_query_limit": 4}}
        s.ok("PATCH", "/collections/c", strict)
        status, answer = send(s, picture, FILE + "?limit=5")
        same(status, 400, answer)
        check("hashwood_embeddings_total 1\n" in s.raw("GET", "/metrics")[2].decode(), "refused before it was decoded")


def bomb(width, height):
    """A picture of a few kilobytes that decodes to width x height x 3 bytes."""
    squeeze = zlib.compressobj(9)
    rows = b"".join(squeeze.compress(bytes(1 + 3 * width)) for _ in range(height)) + squeeze.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def resident_mb(s):
    with open(f"/proc/{s.process.pid}/status") as f:
        return int(next(line for line in f if line.startswith("VmHWM")).split()[1]) >> 10


def test_hostile_files_are_refused():
    filled()
    picture = content("pics/red/stripes0.png")
    with Server("a.hw", "--embed", "auto", "--embed-max-megapixels", "4", "--embed-max-file-size-mb", "1") as s:
        for name in sorted(os.listdir(os.path.join(CORPUS, "image"))):
            status, answer = send(s, content(os.path.join(CORPUS, "image", name)))
            check(status in (200, 400), f"{name}: {status} {answer}")
        for name in sorted(os.listdir(os.path.join(CORPUS, "sound"))):
            same(send(s, content(os.path.join(CORPUS, "sound", name)))[0], 400, name)
        for cut in range(1, len(picture) - 12, 7):
            status, answer = send(s, picture[:cut])
            same(status, 400, f"cut at {cut}: {answer}")
        for data, says in ((b"", "no file"), (b"this is no picture", "not a JPEG"), (b'{"limit": 3}', "not a JPEG"),
                           (bomb(4000, 1001), "maximum of 4000000 pixels"), (bomb(60000, 70), "4000000"),
                           (content(os.path.join(CORPUS, "image", "huge.png")), "65000 x 65000")):
            status, answer = send(s, data)
            check(status == 400 and says in said(answer), f"{says}: {status} {answer}")
        same(send(s, bomb(2000, 2000))[0], 200)
        status, answer = send(s, bytes(3 << 20))
        same(status, 413, answer)
        body, headers = form({}, [("x.png", bytes((1 << 20) + 1))])
        check(send(s, body, headers=headers)[0] in (400, 413))

        # forms
        ok, headers = form({"limit": "2"}, [("x.png", picture)])
        same(send(s, ok, headers=headers)[0], 200)
        for body in (ok[:-10], ok[:60], b"", b"------edge--\r\n", ok.replace(b"filename", b"filenome")):
            same(send(s, body, headers=headers)[0], 400, body[:80])
        same(send(s, ok, headers={"Content-Type": "multipart/form-data"})[0], 400)
        two, headers = form({}, [("x.png", picture), ("y.png", picture)])
        check("2 files" in said(send(s, two, headers=headers)[1]))
        many, headers = form({f"f{i}": "1" for i in range(40)}, [("x.png", picture)])
        same(send(s, many, headers=headers)[0], 400)
        for field in ({"limit": "x"}, {"limit": "-1"}, {"filter": "{"}, {"filter": '{"must": 7}'}, {"limit": '1, "query": [1]'},
                      {"with_payload": "perhaps"}, {"using": "\udcff".encode("utf-8", "surrogateescape").decode("latin1")}):
            body, headers = form(field, [("x.png", picture)])
            status, answer = send(s, body, headers=headers)
            check(status in (400, 422), f"{field}: {status} {answer}")
        same(send(s, picture, FILE + "?limit=0")[0], 422)
        check(resident_mb(s) < 400, f"{resident_mb(s)} MB")
        same(send(s, picture)[0], 200)
    same([n for n in os.listdir("a.hw/snapshots")], [], "no files are left")


def test_too_many_at_once_are_sent_away():
    filled()
    large = bomb(6000, 5000)
    picture = content("pics/red/stripes0.png")
    with Server("a.hw", "--embed", "auto", "--embed-at-once", "1") as s:
        codes = []

        def one():
            c = http.client.HTTPConnection("127.0.0.1", s.port, timeout=120)
            c.request("POST", FILE, large)
            answer = c.getresponse()
            answer.read()
            codes.append((answer.status, answer.getheader("Retry-After")))

        threads = [threading.Thread(target=one) for _ in range(8)]
        [t.start() for t in threads], [t.join() for t in threads]
        check({c[0] for c in codes} == {200, 503}, codes)
        check(all(c[1] for c in codes if c[0] == 503), codes)
        same(send(s, picture)[0], 200)
        text = s.raw("GET", "/metrics")[2].decode()
        refused = int(text.split("\nhashwood_embeddings_refused_total ")[1].split("\n")[0])
        same(refused, sum(c[0] == 503 for c in codes))


def test_slow_callers_hold_nothing():
    filled()
    picture = content("pics/red/stripes0.png")
    with Server("a.hw", "--embed", "auto", "--embed-at-once", "1", "--client-request-timeout-sec", "1") as s:
        slow = socket.create_connection(("127.0.0.1", s.port))
        slow.sendall(f"POST {FILE} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(picture)}\r\n\r\n".encode() + picture[:30])
        same(send(s, picture)[0], 200)  # what is still on its way takes no place
        slow.settimeout(60)
        check(slow.recv(100).startswith(b"HTTP/1.1 408"))
        slow.close()


def test_vectors_of_different_makers_are_not_mixed():
    filled("pixels")
    patch = {"metadata": {"embedders": {"": {"name": "other.onnx", "digest": "0" * 32}}}}
    with Server("a.hw") as s:
        same(s.ok("GET", "/collections/c")["config"]["metadata"]["embedders"],
             {"": {"name": "pixels", "digest": "1", "media": "image"}})
        same(s.ok("PATCH", "/collections/c", patch), True)
        for db in ("a.hw", s.url):  # a command beside the server, and one through it
            for use in (["pics/blue", "--again"], ["--search", "pics/red/stripes0.png"]):
                fails("embed", db, "c", "--features", "pixels", *use, code=2, says=["made by other.onnx", "pixels"])
    run("delete", "a.hw", "c", "--filter", '{"must": {"key": "type", "match": {"value": "image/png"}}}')
    js("embed", "a.hw", "c", "pics/blue", "--features", "pixels")  # empty: nothing to mix with
    same(js("describe", "a.hw", "c")["extra"]["metadata"]["embedders"][""]["name"], "pixels")


def test_a_server_is_told_what_made_the_vectors():
    pictures()
    with Server("far.hw", "--embed", "auto") as s:
        js("embed", s.url, "c", "pics", "--features", "colour-histogram", "--create")
        told = s.ok("GET", "/collections/c")["config"]["metadata"]["embedders"][""]
        same((told["name"], told["media"]), ("colour-histogram", "image"))
        hits = js("embed", s.url, "c", "--features", "colour-histogram", "--search", "pics/red/stripes0.png", "-k", "3")
        check(all(h["payload"]["labels"] == ["red"] for h in hits))
        same(send(s, content("pics/red/stripes0.png"))[0], 200)


if __name__ == "__main__":
    main(globals())
