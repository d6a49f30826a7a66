"""Files that were made to do harm: `hashwood embed` tells them or takes them, within bounds of time and memory."""
import io
import json
import os
import resource
import shutil
import struct
import subprocess
import zlib

import _packages
from _cli import HASHWOOD, check, main, same, write

_packages.python("numpy", "pillow", "soundfile")
import numpy as np  # noqa: E402
import soundfile  # noqa: E402
from PIL import Image  # noqa: E402
from embed import chunk  # noqa: E402

MB = 1 << 20


def embed(*args, features="pixels", rss_mb=256, cpu_s=30, fresh=True):
    """Embeds into a collection (fresh: a new one) under bounds; gives the report, what was said of bad files, and the exit code."""
    limits = lambda: resource.setrlimit(resource.RLIMIT_CPU, (cpu_s * 4, cpu_s * 4))
    words = [HASHWOOD, "embed", "h.hw", "c", *args, "--features", features, "--create", "--no-build", "--json"]
    if fresh:
        shutil.rmtree("h.hw", ignore_errors=True)
    with open("out", "w+") as out, open("err", "w+") as err:
        p = subprocess.Popen(words, stdout=out, stderr=err, stdin=subprocess.DEVNULL, preexec_fn=limits)
        _, status, used = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        said, told = out.read(), err.read()
    words = " ".join(words) + "\n" + told
    check(p.returncode in (0, 1), f"{words}exit code {p.returncode}")
    check(used.ru_maxrss < rss_mb * 1024, f"{words}used {used.ru_maxrss // 1024} MB, above {rss_mb}")
    seconds = used.ru_utime + used.ru_stime
    check(seconds < cpu_s, f"{words}used {seconds:.1f} s, above {cpu_s}")
    return json.loads(said) if said else None, told, p.returncode


def pixels(width=40, height=30):
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x * 5 % 256, y * 7 % 256, (x + y) % 256], -1).astype(np.uint8))


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png(width, height, rows, extra=b"", depth=8, colour=2):
    """A PNG whose pixels are the compressed `rows`, whatever they hold."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def zeros(count):
    """count zero bytes, compressed a thousand times smaller: a packed megabyte again and again."""
    squeeze, rest = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.compressobj(9, zlib.DEFLATED, -15)
    block = squeeze.compress(bytes(MB)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    end = rest.compress(bytes(count % MB)) + rest.flush()
    return b"\x78\xda" + block * (count // MB) + end + struct.pack(">I", count % 65521 << 16 | 1)  # their Adler-32


def tone(path, seconds=1, rate=16000, **options):
    t = np.arange(int(seconds * rate)) / rate
    soundfile.write(path, (0.3 * np.sin(2 * np.pi * 330 * t) * np.exp(-2 * t)).astype(np.float32), rate, **options)


def fill(folder, files):
    os.makedirs(folder, exist_ok=True)
    for name, data in files.items():
        write(os.path.join(folder, name), data)


def test_pipes_devices_and_loops_in_a_folder_are_passed_over():
    good = saved(pixels(), "PNG")
    fill("d", {"good.png": good, "captioned.png": good, "noted.png": good, "empty.png": b"", "film.mp4": b"", "vast.png": b""})
    for name in ("pipe.png", "captioned.txt"):  # a caption that waits for ever
        os.mkfifo("d/" + name)
    for link, to in (("loop", "."), ("device.png", "/dev/zero"), ("a.png", "b.png"), ("b.png", "a.png"), ("noted.json", "/dev/zero")):
        os.symlink(to, "d/" + link)
    for name in ("film.mp4", "vast.png"):  # sparse: of no size on disk
        os.truncate("d/" + name, 100 << 30)
    report, told, code = embed("d", rss_mb=64, cpu_s=5)
    same((report["written"], report["other"], report["skipped"], code), (3, 1, 2, 1), told)
    check("vast.png" in told and "above the maximum" in told, told)
    check("empty.png" in told, told)
    for path in ("d/pipe.png", "/dev/zero"):
        _, told, code = embed(path, rss_mb=64, cpu_s=5, fresh=False)
        check(code == 1 and f"{path}: not a regular file" in told, told)
        _, told, code = embed("--search", path, rss_mb=64, cpu_s=5, fresh=False)
        check(code == 1 and f"{path}: not a regular file" in told, told)


def test_what_may_not_be_read_is_told():
    fill("d/closed", {"in.png": saved(pixels(), "PNG")})
    fill("d", {"unreadable.png": saved(pixels(), "PNG"), "good.png": saved(pixels(), "PNG")})
    os.chmod("d/unreadable.png", 0)
    os.chmod("d/closed", 0)
    report, told, _ = embed("d")
    os.chmod("d/closed", 0o700)
    if os.geteuid() == 0:  # may read all
        return same(report["written"], 3)
    same((report["written"], report["skipped"]), (1, 2))
    check("unreadable.png" in told and "closed" in told, told)


def test_the_content_counts_and_not_the_name():
    tone("tone.wav")
    with open("tone.wav", "rb") as f:
        sound = f.read()
    fill("d", {"a.jpg": saved(pixels(), "WEBP"), "b.webp": saved(pixels(), "PNG"), "c.bin": saved(pixels(), "JPEG"),
               "tone.png": sound, "words.jpg": b"no picture at all", "picture.wav": saved(pixels(), "PNG")})
    report, told, _ = embed("d")
    same((report["written"], report["skipped"]), (4, 2), told)
    report, told, _ = embed("d", features="logmel")
    same((report["written"], report["skipped"]), (1, 1), told)


def test_files_cut_off_anywhere_are_told():
    whole = {"a.png": saved(pixels(), "PNG"), "a.jpg": saved(pixels(), "JPEG"), "p.jpg": saved(pixels(), "JPEG", progressive=True),
             "a.webp": saved(pixels(), "WEBP"), "l.webp": saved(pixels(), "WEBP", lossless=True)}
    for name, data in whole.items():
        stem, ending = name.split(".")
        fill("d", {f"{stem}{i}.{ending}": data[:len(data) * i // 24] for i in range(24)})
    report, told, _ = embed("d")
    check(report["written"] <= 2 and report["skipped"] >= 24 * len(whole) - 2, told)  # a PNG may lack its closing words


def test_sounds_cut_off_anywhere_do_no_harm():
    kinds = {"wav": {}, "flac": {}, "ogg": {}, "mp3": {}, "aiff": {}, "opus": {"format": "OGG", "subtype": "OPUS"}}
    for kind, options in kinds.items():
        tone("whole." + kind, **options)
        with open("whole." + kind, "rb") as f:
            data = f.read()
        fill("d", {f"{i}.{kind}": data[:len(data) * i // 24] for i in range(25)})
    report, told, _ = embed("d", features="logmel")
    same(report["written"] + report["skipped"], 25 * len(kinds), told)
    check(report["written"] >= len(kinds), told)


def test_headers_that_claim_too_much_are_refused_at_once():
    jpeg, webp = bytearray(saved(pixels(), "JPEG")), bytearray(saved(pixels(), "WEBP"))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5:at + 9] = struct.pack(">HH", 65000, 65000)
    at = webp.index(b"\x9d\x01\x2a")
    webp[at + 3:at + 7] = struct.pack("<HH", 16383, 16383)
    fill("d", {"a.jpg": bytes(jpeg), "a.webp": bytes(webp), "a.png": png(65000, 65000, zeros(1000)),
               "most.png": png(0x7fffffff, 0x7fffffff, zeros(1000)), "none.png": png(0, 0, zeros(1000))})
    report, told, _ = embed("d", rss_mb=64, cpu_s=5)
    same((report["written"], report["skipped"]), (0, 5), told)
    check("65000 x 65000" in told and "16383 x 16383" in told, told)


def test_little_files_of_large_pictures_take_turns():
    """Each unpacks to a hundred megapixels, in the way that takes most memory; eight threads do not take eight times as
    much."""
    side = 10000
    flat = Image.new("RGB", (side, side), (9, 9, 9))
    fill("d", {"deep.png": png(side, side, zeros(side * (side * 8 + 1)), depth=16, colour=6),
               "progressive.jpg": saved(flat, "JPEG", quality=30, progressive=True, subsampling=0),
               "lossless.webp": saved(flat, "WEBP", lossless=True, quality=0, method=0),
               "over.png": png(20000, 20000, zeros(20000 * 2501), depth=1, colour=0)})
    for name in ("deeper.png", "deepest.png"):
        os.link("d/deep.png", "d/" + name)
    report, told, _ = embed("d", "--threads", "8", rss_mb=1100, cpu_s=90)
    same((report["written"], report["skipped"]), (5, 1), told)
    check("20000 x 20000" in told, told)


def test_notes_in_pictures_do_not_unpack_for_ever():
    packed = zeros(300 * MB)
    note = chunk(b"zTXt", b"a\0\0" + packed) + chunk(b"iTXt", b"a\0\1\0\0\0" + packed) + chunk(b"iCCP", b"a\0\0" + packed)
    rows = zlib.compress((b"\0" + bytes(12)) * 4)
    fill("d", {"notes.png": png(4, 4, rows, extra=note), "many.png": png(4, 4, rows, extra=chunk(b"tEXt", b"a\0b") * 500_000)})
    embed("d", rss_mb=128, cpu_s=10)


def test_jpegs_of_endless_scans_are_refused():
    jpeg = saved(pixels(400, 300), "JPEG", progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    fill("d", {"scans.jpg": jpeg[:last] + jpeg[last:-2] * 5000 + jpeg[-2:]})
    report, told, _ = embed("d", rss_mb=64, cpu_s=5)
    same(report["skipped"], 1)


def test_hours_of_silence_are_cut():
    """Each is longer than the ten minutes that are read, the second one than the samples that are."""
    for name, rate, channels, minutes in (("long.flac", 8000, 1, 180), ("wide.flac", 192000, 8, 3), ("long.ogg", 8000, 1, 11), ("long.mp3", 16000, 1, 11)):
        with soundfile.SoundFile(name, "w", rate, channels) as f:
            block = np.zeros((rate * 60, channels), np.int16)
            for _ in range(minutes):
                f.write(block)
        size = os.path.getsize(name)
        report, told, code = embed(name, features="logmel", rss_mb=256, cpu_s=40)
        same((report["written"], code), (1, 0), f"{name} of {size} bytes: {told}")


if __name__ == "__main__":
    main(globals())
