"""The web page in a real browser: search by clicking, filter, look into a search, create and drop a
collection, errors shown well, a key asked for; pictures of every view at two widths, light and dark,
are left in page/ of the build folder. Needs Chromium, node and the npm packages playwright-core and
axe-core (fetched once into the build folder); skipped by name without them."""

import contextlib
import re
import shutil
import socket
import time
import urllib.error
import urllib.request

from _cli import *

BUILD = os.environ.get("HASHWOOD_BUILD", "build")
PACKAGES = ["playwright-core@1.64", "axe-core@4"]
CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def packages():
    """The folder whose node_modules hold what the driver needs."""
    folder = os.path.join(BUILD, "page-packages")
    if not all(os.path.isdir(os.path.join(folder, "node_modules", p.split("@")[0])) for p in PACKAGES):
        os.makedirs(folder, exist_ok=True)
        write(os.path.join(folder, "package.json"), '{"private": true}')
        p = subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *PACKAGES], cwd=folder,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
        if p.returncode:
            skip(f"npm cannot install {' and '.join(PACKAGES)}: {p.stdout[-300:]}")
    return folder


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


@contextlib.contextmanager
def server(db, *options):
    """`hashwood serve` on a free port, until the block ends; gives its address."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with open("server.log", "a") as log:
        p = subprocess.Popen([HASHWOOD, "serve", db, "--http-port", str(port), *options], stdout=log, stderr=log)
    base = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(base + "/readyz")
                break
            check(p.poll() is None, f"the server ended at once:\n{open('server.log').read()}")
            time.sleep(0.05)
        yield base
    finally:
        p.terminate()
        same(p.wait(30), 0, "exit code of the server")


def drive(base, *arguments):
    folder = packages()
    shots = os.path.abspath(os.path.join(BUILD, "page"))
    os.makedirs(shots, exist_ok=True)
    env = dict(os.environ, NODE_PATH=os.path.abspath(os.path.join(folder, "node_modules")), CHROMIUM=CHROMIUM, SHOTS=shots, BASE=base)
    p = subprocess.run(["node", os.path.join(SOURCE, "tests/e2e/page/drive.cjs"), *arguments], env=env, timeout=900,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(p.stdout)
    check(p.returncode == 0, f"the page failed:\n{p.stdout[-3000:]}")


def test_page_is_open_and_keeps_to_itself():
    write("empty.json", "{}")
    with server("open.hw", "--api-key", "a key of some length") as base:
        with urllib.request.urlopen(base + "/dashboard") as answer:
            policy = answer.headers["Content-Security-Policy"]
            html = answer.read().decode()
        check("default-src 'self'" in policy or "default-src 'none'" in policy, policy)
        check("unsafe" not in policy, f"the page allows inline code: {policy}")
        files = set(re.findall(r'"/dashboard/([^"#]+)"', html))
        check({"page.css", "main.js"} <= files, html)
        for file in files:
            with urllib.request.urlopen(f"{base}/dashboard/{file}") as answer:
                check(not re.search(rb"https?://(?!www\.w3\.org/)", answer.read()), f"{file} names an outside address")
        for path in ("/dashboard/none.js", "/dashboard/..%2f..%2fetc%2fpasswd"):
            try:
                urllib.request.urlopen(base + path)
                check(False, f"{path} was answered")
            except urllib.error.HTTPError as error:
                same(error.code, 404, path)


def test_views_in_a_browser():
    write_jsonl("clothes.jsonl", clothes())
    run("import", "page.hw", "clothes", "clothes.jsonl", "--create", "--metric", "l2", "--payload-index", "name:keyword")
    with server("page.hw") as base:
        drive(base, "views")


def test_key_is_asked_for():
    run("create", "key.hw", "secret", "--dim", 3, "--metric", "l2")
    with server("key.hw", "--api-key", "a key of some length") as base:
        drive(base, "key")


if __name__ == "__main__":
    if not CHROMIUM or not shutil.which("npm") or not shutil.which("node"):
        skip("page: chromium, node or npm is not installed")
    packages()
    main(globals())
