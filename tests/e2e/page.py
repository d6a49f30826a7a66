"""The web page in a real browser: search by clicking, filter, look into a search, create and drop a
collection, errors shown well, a key asked for; pictures of every view at two widths, light and dark,
are left in page/ of the build folder. Needs Chromium, node and the npm packages playwright-core and
axe-core; skipped by name without them."""

import math
import random
import shutil
import subprocess

import _packages
from _cli import SOURCE, run, write_jsonl
from _rest import *

CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
if not CHROMIUM or not shutil.which("node"):
    _packages.skip("chromium or node is not installed")
PACKAGES = _packages.node("playwright-core@1.65", "axe-core@4")
KEY = "a key of some length"


def clothes(count=6000, seed=5):
    """Small grey pictures of three kinds: boxes, crosses, rings; with a label each."""
    rng = random.Random(seed)
    side, kinds = 16, ["box", "cross", "ring"]
    for i in range(count):
        kind, x, y, r = i % 3, rng.uniform(5, 10), rng.uniform(5, 10), rng.uniform(2.5, 5)
        pixels = []
        for row in range(side):
            for column in range(side):
                dx, dy = abs(column - x), abs(row - y)
                inside = (max(dx, dy) < r, (dx < 1.5 or dy < 1.5) and max(dx, dy) < r + 2, abs(math.hypot(dx, dy) - r) < 1.2)[kind]
                pixels.append((200 if inside else 0) + rng.randrange(30))
        yield {"id": i, "vector": pixels, "payload": {"name": kinds[kind], "size": round(r, 2), "even": i % 2 == 0}}


def drive(url, tour, files=""):
    """Runs one tour of page/drive.cjs; a failure leaves failed.png beside the pictures."""
    shots = os.path.join(os.path.abspath(_packages.BUILD), "page")
    os.makedirs(shots, exist_ok=True)
    env = dict(os.environ, NODE_PATH=os.path.join(os.path.abspath(PACKAGES), "node_modules"), CHROMIUM=CHROMIUM,
               SHOTS=shots, BASE=url, FILES=files)
    p = subprocess.run(["node", os.path.join(SOURCE, "tests/e2e/page/drive.cjs"), tour], env=env, timeout=900,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    check(p.returncode == 0, f"the page failed:\n{p.stdout[-3000:]}")


def test_page_is_open_and_keeps_to_itself():
    with Server("open.hw", "--api-key", KEY) as s:
        status, headers, html = s.raw("GET", "/dashboard")
        same(status, 200)
        policy = headers["Content-Security-Policy"]
        check("default-src 'self'" in policy and "unsafe" not in policy, policy)
        files = re.findall(r'"/dashboard/([^"#]+)"', html.decode())
        check({"page.css", "main.js"} <= set(files), html)
        for file in files:  # and what those import
            status, headers, text = s.raw("GET", "/dashboard/" + file)
            same(status, 200, file)
            check(not re.search(rb"https?://(?!www\.w3\.org/)", text), f"{file} names an outside address")
            files += [f for f in re.findall(r"'\./(\w+\.js)'", text.decode()) if f not in files]
        check(len(files) > 15, files)
        for path in ("none.js", "..%2f..%2fetc%2fpasswd", "%2e%2e/collections"):
            check(s.raw("GET", "/dashboard/" + path)[0] in (400, 401, 404), path)


def test_page_can_be_switched_off():
    with Server("off.hw", "--enable-static-content", "false") as s:
        for path in ("", "/main.js"):
            same(s.raw("GET", "/dashboard" + path)[0], 404, path)


def test_views_in_a_browser():
    write_jsonl("clothes.jsonl", clothes())
    run("import", "page.hw", "clothes", "clothes.jsonl", "--create", "--metric", "l2", "--payload-index", "name:keyword")
    with Server("page.hw") as s:
        drive(s.url, "views")


def test_files_in_a_browser():
    """A gallery of pictures and sounds; search by a file where the server embeds, and told where it does not."""
    import embed

    if run("embed", "--help", code=None).returncode:
        return  # built without
    embed.pictures()
    for i, hz in enumerate((200, 215, 230, 1400, 1500, 1600)):
        embed.tone(f"snd/{'low' if hz < 1000 else 'high'}/{hz}.wav", hz)
    run("embed", "files.hw", "pictures", "pics", "--features", "colour-histogram", "--create", "--payload-index", "labels:keyword")
    run("embed", "files.hw", "sounds", "snd", "--features", "logmel", "--create")
    with Server("files.hw", "--embed", "auto") as s:
        drive(s.url, "files", os.getcwd())
    with Server("files.hw") as s:
        drive(s.url, "noFiles", os.getcwd())


def test_key_is_asked_for():
    run("create", "key.hw", "secret", "--dim", 3, "--metric", "l2")
    with Server("key.hw", "--api-key", KEY) as s:
        drive(s.url, "key")


if __name__ == "__main__":
    main(globals())
