"""Pictures and sounds of files: embedded, found again, left alone when unchanged, told when bad."""
import base64
import json
import math
import os
import random
import shutil
import struct
import wave
import zlib

from _cli import SOURCE, check, fails, js, main, out, run, same, write

CORPUS = os.path.join(SOURCE, "tests", "fuzz", "corpus")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(path, width, height, colour):
    """A picture whose pixel (x, y) is colour(x, y) = (r, g, b)."""
    rows = b"".join(b"\0" + bytes(c for x in range(width) for c in colour(x, y)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write(path, b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def pictures():
    """Two folders of pictures: stripes and blobs, in shades of red or blue."""
    rng = random.Random(3)
    for i in range(12):
        shade, period = rng.randint(120, 250), rng.randint(4, 9)
        png(f"pics/red/stripes{i}.png", 40, 30, lambda x, y: (shade if x // period % 2 else 30, 20, 20))
        png(f"pics/blue/blob{i}.png", 40, 30, lambda x, y: (20, 20, shade if math.hypot(x - 20, y - 15) < period else 30))


def tone(path, hz, seconds=0.4, rate=16000):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with wave.open(path, "wb") as w:
        w.setnchannels(1), w.setsampwidth(2), w.setframerate(rate)
        w.writeframes(b"".join(struct.pack("<h", int(9000 * math.exp(-4 * i / rate) * math.sin(2 * math.pi * hz * i / rate)))
                               for i in range(int(seconds * rate))))


def test_pictures_are_found_by_what_they_look_like():
    pictures()
    write("pics/red/stripes0.txt", "Red stripes\nde.utf8=Rote Streifen\n")
    write("pics/red/stripes0.json", '{"path": "other", "hash": "0", "image": 1, "caption": "b", "year": 1, "year": 2}')
    write("pics/red/stripes1.json", '{"tags": ["striped"], "year": 2024, "sound": "zip.ogg"}')
    report = js("embed", "a.hw", "c", "pics", "--features", "colour-histogram", "--create", "--payload-index", "labels:keyword")
    same((report["written"], report["skipped"]), (24, 0))
    hits = js("embed", "a.hw", "c", "--features", "colour-histogram", "--search", "pics/red/stripes0.png", "-k", "5")
    check(all(h["payload"]["labels"] == ["red"] for h in hits), "a red picture's nearest are red")
    check(hits[0]["score"] > 0.999)
    by_path = '{"must": {"key": "path", "match": {"value": "pics/red/stripes0.png"}}}'
    first = js("scroll", "a.hw", "c", "--filter", by_path)["points"][0]["payload"]
    same((first["caption"], first["captions"]), ("Red stripes", {"de": "Rote Streifen"}))
    same(out("scroll", "a.hw", "c", "--filter", by_path, "--json").count('"year":2'), 1, "the last of two")
    for key in ("path", "hash", "image", "caption", "year"):
        same(out("scroll", "a.hw", "c", "--filter", by_path, "--json").count(f'"{key}":'), 1, key)
    same((first["width"], first["height"], first["type"]), (40, 30, "image/png"))
    noted = js("scroll", "a.hw", "c", "--filter", by_path.replace("stripes0", "stripes1"))["points"][0]["payload"]
    same((noted["tags"], noted["sound"]), (["striped"], "zip.ogg"), "a picture has no sound of its own")
    check(first["image"].startswith("data:image/jpeg;base64,/9j/"))
    red = '{"must": {"key": "labels", "match": {"value": "red"}}}'
    same(out("count", "a.hw", "c", "--filter", red).strip(), "12")
    blue = js("embed", "a.hw", "c", "--features", "colour-histogram", "--search", "pics/blue/blob0.png", "-k", "3", "--filter", red)
    check(all(h["payload"]["labels"] == ["red"] for h in blue))


def test_a_second_run_embeds_what_is_new_or_changed():
    pictures()
    js("embed", "a.hw", "c", "pics", "--features", "pixels", "--create")
    report = js("embed", "a.hw", "c", "pics", "--features", "pixels")
    same((report["written"], report["unchanged"]), (0, 24))
    png("pics/red/stripes3.png", 40, 30, lambda x, y: (250, 250, 0))
    png("pics/new/one.png", 40, 30, lambda x, y: (x, y, 0))
    report = js("embed", "a.hw", "c", "pics", "--features", "pixels")
    same((report["written"], report["unchanged"]), (2, 23))
    same(out("count", "a.hw", "c").strip(), "25")
    run("check", "a.hw")


def test_bad_files_are_told_and_skipped():
    pictures()
    for name in ("cut.png", "cut.jpg", "huge.png"):
        shutil.copy(os.path.join(CORPUS, "image", name), f"pics/{name}")
    write("pics/wrong.jpg", "this is no picture")
    write("pics/notes.xyz", "passed over")
    os.symlink("..", "pics/loop")
    os.symlink("nowhere.png", "pics/dangling.png")
    p = run("embed", "a.hw", "c", "pics", "--features", "pixels", "--create", "--json", code=1)
    report = json.loads(p.stdout)
    same((report["written"], report["skipped"], report["other"]), (24, 4, 1))
    for name in ("cut.png", "cut.jpg", "huge.png", "wrong.jpg"):
        check(name in p.stderr, f"{name} is named in: {p.stderr}")
    check("65000 x 65000" in p.stderr)


def test_sounds_are_found_by_how_they_sound():
    for i, hz in enumerate((200, 210, 220, 1500, 1550, 1600)):
        tone(f"snd/{'low' if hz < 1000 else 'high'}/{i}.wav", hz)
    js("embed", "s.hw", "c", "snd", "--features", "logmel", "--create")
    for query, label in (("snd/low/1.wav", "low"), ("snd/high/4.wav", "high")):
        hits = js("embed", "s.hw", "c", "--features", "logmel", "--search", query, "-k", "3")
        same([h["payload"]["labels"] for h in hits], [[label]] * 3)
        check(0.3 < hits[0]["payload"]["seconds"] < 0.5)
        kind, data = hits[0]["payload"]["sound"].split(";base64,")
        check(kind in ("data:audio/mpeg", "data:audio/wav") and 500 < len(base64.b64decode(data)) < 10000)
    js("embed", "s.hw", "c", "snd", "--features", "logmel", "--again", "--sound-preview", "0")
    check("sound" not in js("scroll", "s.hw", "c")["points"][0]["payload"])


def test_wrong_use_is_told():
    pictures()
    for words, says in ((["pics"], "--features NAME or --model FILE"), (["pics", "--features", "pixels", "--model", "m.onnx"], "not both"),
                        (["--features", "pixels"], "files or folders"),
                        (["pics", "--features", "pixels", "--search", "pics/red/stripes0.png"], "no other files"),
                        (["pics", "--features", "pixels", "--thumbnail", "2000"], "maximum 1024"),
                        (["pics", "--features", "pixels", "--sound-preview", "16"], "maximum 15"),
                        (["pics", "--features", "pixels", "--create", "--set", "leaf_size"], "--set"),
                        (["pics", "--features", "pixels", "--create", "--payload-index", "labels"], "--payload-index")):
        fails("embed", "a.hw", "c", *words, code=2, says=says)
    fails("embed", "a.hw", "c", "pics", "--features", "pixel", code=2, says="pixels")
    fails("embed", "a.hw", "c", "nowhere", "--features", "pixels", "--create", says="nowhere")
    run("create", "a.hw", "c", "--dim", "3")
    fails("embed", "a.hw", "c", "pics", "--features", "pixels", code=2, says="768 values, the collection has 3")
    fails("embed", "a.hw", "c", "pics", "--features", "pixels", "--using", "image", code=2, says="has no vector `image`")
    write("m.onnx", b"no model")
    p = run("embed", "a.hw", "d", "pics", "--model", "m.onnx", "--create", code=1, env={"HASHWOOD_ONNXRUNTIME": "/nowhere.so"})
    check("ONNX Runtime" in p.stderr or "m.onnx" in p.stderr, p.stderr)


if __name__ == "__main__":
    main(globals())
