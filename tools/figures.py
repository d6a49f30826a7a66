#!/usr/bin/env python3
"""Draws the figures of docs/images/ from the pictures of Fashion-MNIST and from real searches.

    tools/figures.py [HASHWOOD]       the command to ask; default build/hashwood

Needs the Debian package dataset-fashion-mnist and nothing but Python's own library. The same
data give the same files. Colours follow the reader's light or dark scheme.
"""
import base64
import gzip
import json
import math
import os
import random
import struct
import subprocess
import sys
import tempfile
import zlib

DATA = os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
IMAGES = os.path.join(ROOT, "docs", "images")
NAMES = ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Boot"]
HUES = ["#4e79a7", "#e08214", "#59a14f", "#c0504d", "#8064a2", "#3a9ca0", "#b8860b", "#d4699e"]
STYLE = """<style>
text { font: 13px "DejaVu Sans", Helvetica, Arial, sans-serif; fill: #24292f }
.small { font-size: 11px } .mono { font-family: "DejaVu Sans Mono", Menlo, monospace }
.mid { text-anchor: middle } .end { text-anchor: end } .bold { font-weight: bold }
.line { stroke: #57606a; fill: none } .ink { fill: #24292f } .paper { fill: #ffffff }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .line { stroke: #9da7b1 } .ink { fill: #e6edf3 } .paper { fill: #0d1117 } }
</style>"""


def write_svg(name, width, height, title, body):
    path = os.path.join(IMAGES, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
                f'height="{height}" role="img">\n<title>{title}</title>\n{STYLE}\n')
        f.write(f'<rect width="{width}" height="{height}" rx="6" class="paper"/>\n')
        f.write("\n".join(body) + "\n</svg>\n")
    print(f"{path}: {os.path.getsize(path)} bytes")


def text(x, y, words, classes="", extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{classes}" {extra}>{words}</text>'


# ---- data ----

def pictures(name, first, count):
    with gzip.open(os.path.join(DATA, name)) as f:
        f.read(16)
        f.read(784 * first)
        return [f.read(784) for _ in range(count)]


def leading_axes(rows, axes):
    """The leading principal axes by power iteration, and the rows on them."""
    n, d = len(rows), len(rows[0])
    mean = [sum(column) / n for column in zip(*rows)]
    centred = [[a - b for a, b in zip(row, mean)] for row in rows]
    found = []
    rng = random.Random(1)
    for _ in range(axes):
        v = [rng.gauss(0, 1) for _ in range(d)]
        for _ in range(12):
            for u in found:
                along = sum(map(lambda a, b: a * b, u, v))
                v = [b - along * a for a, b in zip(u, v)]
            weights = [sum(map(lambda a, b: a * b, row, v)) for row in centred]
            v = [0.0] * d
            for w, row in zip(weights, centred):
                v = list(map(lambda a, b: a + w * b, v, row))
            length = math.sqrt(sum(a * a for a in v))
            v = [a / length for a in v]
        found.append(v)
    return [[sum(map(lambda a, b: a * b, row, u)) for u in found] for row in centred]


# ---- plane geometry ----

def clip(polygon, nx, ny, limit):
    """The part of a convex polygon with nx * x + ny * y <= limit."""
    out = []
    for i, (x, y) in enumerate(polygon):
        px, py = polygon[i - 1]
        inside, before = nx * x + ny * y <= limit, nx * px + ny * py <= limit
        if inside != before:
            t = (limit - nx * px - ny * py) / (nx * (x - px) + ny * (y - py))
            out.append((px + t * (x - px), py + t * (y - py)))
        if inside:
            out.append((x, y))
    return out


def principal_direction(points):
    n = len(points)
    mx, my = sum(p[0] for p in points) / n, sum(p[1] for p in points) / n
    xx = sum((p[0] - mx) ** 2 for p in points)
    yy = sum((p[1] - my) ** 2 for p in points)
    xy = sum((p[0] - mx) * (p[1] - my) for p in points)
    angle = 0.5 * math.atan2(2 * xy, xx - yy)
    return math.cos(angle), math.sin(angle)


def halve(points, polygon, depth, leaves, cuts):
    """Median splits along the direction of largest spread; fills leaves and cuts."""
    if depth == 0:
        leaves.append((points, polygon))
        return
    dx, dy = principal_direction(points)
    ordered = sorted(points, key=lambda p: dx * p[0] + dy * p[1])
    half = len(ordered) // 2
    limit = dx * ordered[half - 1][0] + dy * ordered[half - 1][1] + 1e-6
    left, right = clip(polygon, dx, dy, limit), clip(polygon, -dx, -dy, -limit)
    edge = [p for p in left if abs(dx * p[0] + dy * p[1] - limit) < 1e-3]
    if len(edge) >= 2:
        cuts.append((depth, edge[0], edge[-1] if edge[-1] != edge[0] else edge[1]))
    halve(ordered[:half], left, depth - 1, leaves, cuts)
    halve(ordered[half:], right, depth - 1, leaves, cuts)


def mean(points):
    return sum(p[0] for p in points) / len(points), sum(p[1] for p in points) / len(points)


def nearest(anchors, p):
    return min(range(len(anchors)), key=lambda i: (anchors[i][0] - p[0]) ** 2 + (anchors[i][1] - p[1]) ** 2)


def lloyd(points, anchors, passes):
    for _ in range(passes):
        groups = [[] for _ in anchors]
        for p in points:
            groups[nearest(anchors, p)].append(p)
        anchors = [mean(g) if g else a for g, a in zip(groups, anchors)]
    return anchors


def cell(anchors, i, box):
    polygon = box
    ax, ay = anchors[i]
    for j, (bx, by) in enumerate(anchors):
        if j != i and polygon:
            polygon = clip(polygon, bx - ax, by - ay, (bx * bx + by * by - ax * ax - ay * ay) / 2)
    return polygon


def points_attribute(polygon):
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in polygon)


def fit(points, x, y, width, height):
    """Scales points into a frame, the outermost hundredth cut off."""
    xs, ys = sorted(p[0] for p in points), sorted(p[1] for p in points)
    cut = len(points) // 100
    lo_x, hi_x, lo_y, hi_y = xs[cut], xs[-1 - cut], ys[cut], ys[-1 - cut]
    scaled = [(x + (p[0] - lo_x) / (hi_x - lo_x) * width, y + (p[1] - lo_y) / (hi_y - lo_y) * height) for p in points]
    return [p for p in scaled if x < p[0] < x + width and y < p[1] < y + height]


# ---- figures ----

def figure_partition(plane):
    size, top = 340, 34
    body = []
    for panel in range(2):
        left = 10 + panel * (size + 30)
        box = [(left, top), (left + size, top), (left + size, top + size), (left, top + size)]
        points = fit(plane, left, top, size, size)
        leaves, cuts = [], []
        halve(points, box, 4, leaves, cuts)
        anchors = [mean(group) for group, _ in leaves]
        if panel == 1:
            anchors = lloyd(points, anchors, 6)
        body.append(f'<rect x="{left}" y="{top}" width="{size}" height="{size}" class="line"/>')
        query = (left + 0.44 * size, top + 0.47 * size)
        if panel == 1:
            by_distance = sorted(range(16), key=lambda i: (anchors[i][0] - query[0]) ** 2 + (anchors[i][1] - query[1]) ** 2)
            for i in by_distance[:3]:
                body.append(f'<polygon points="{points_attribute(cell(anchors, i, box))}" fill="#e0a030" fill-opacity="0.22"/>')
        for i, (group, _) in enumerate(leaves):
            members = group if panel == 0 else [p for p in points if nearest(anchors, p) == i]
            dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in members)
            body.append(f'<path d="{dots}" stroke="{HUES[(i * 3) % 8]}" stroke-width="3" stroke-linecap="round" fill="none"/>')
        if panel == 0:
            for depth, (x1, y1), (x2, y2) in cuts:
                body.append(f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" class="line" stroke-width="{0.6 + 0.8 * (depth - 1):.1f}"/>')
            body.append(text(left, top - 12, "1. median splits, 16 leaves", "bold"))
        else:
            for i in range(16):
                body.append(f'<polygon points="{points_attribute(cell(anchors, i, box))}" class="line" stroke-width="1"/>')
            for x, y in anchors:
                body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="ink"/>')
            for order, i in enumerate(by_distance[:3]):
                body.append(text(anchors[i][0] + 7, anchors[i][1] - 5, str(order + 1), "bold"))
            body.append(f'<path d="M{query[0] - 7:.1f} {query[1]:.1f}h14m-7 -7v14" stroke="#d1242f" stroke-width="3"/>')
            body.append(text(left, top - 12, "2. after Lloyd passes: cells of the anchors", "bold"))
    write_svg("partition.svg", 730, 384, "A KD-tree partition, and the same leaves after Lloyd passes", body)
    return leaves


def figure_signature(plane):
    """One leaf, its anchor and four hyperplanes through it: each sector has a signature of its own."""
    size, top, left = 330, 30, 10
    points = fit(plane, left, top, size, size)
    box = [(left, top), (left + size, top), (left + size, top + size), (left, top + size)]
    leaves, cuts = [], []
    halve(points, box, 3, leaves, cuts)
    group, _ = leaves[3]
    group = fit(group, left + 20, top + 20, size - 40, size - 40)
    ax, ay = mean(group)
    angles = [0.35, 1.0, 1.75, 2.6]
    query = (ax + 95, ay - 70)
    code = lambda p: "".join("1" if math.cos(a) * (p[0] - ax) + math.sin(a) * (p[1] - ay) > 0 else "0" for a in angles)
    own = code(query)
    body = [f'<rect x="{left}" y="{top}" width="{size}" height="{size}" class="line"/>',
            text(left, top - 10, "one leaf: residuals from its anchor", "bold")]
    for a in angles:
        dx, dy = -math.sin(a), math.cos(a)
        line = [p for p in clip(box, math.cos(a), math.sin(a), math.cos(a) * ax + math.sin(a) * ay)
                if abs(math.cos(a) * (p[0] - ax) + math.sin(a) * (p[1] - ay)) < 1e-3]
        (x1, y1), (x2, y2) = line[0], line[-1]
        body.append(f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" class="line" stroke-width="1.2" stroke-dasharray="6 3"/>')
    shades = ["#1a7f37", "#8bb04a", "#c9a227", "#c77f3d", "#a65a5a"]
    for differ in range(5):
        dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in group if sum(a != b for a, b in zip(code((x, y)), own)) == differ)
        body.append(f'<path d="{dots}" stroke="{shades[differ]}" stroke-width="5" stroke-linecap="round" fill="none"/>')
    seen = {code((ax + math.cos(i * math.pi / 360), ay + math.sin(i * math.pi / 360))) for i in range(720)}
    for c in sorted(seen):  # the middle of each sector
        steps = [s for s in range(720) if code((ax + math.cos(s * math.pi / 360), ay + math.sin(s * math.pi / 360))) == c]
        if 0 in steps and 719 in steps:
            steps = [s - 720 if s > 360 else s for s in steps]
        a = sum(steps) / len(steps) * math.pi / 360
        x, y = ax + 128 * math.cos(a), ay + 128 * math.sin(a)
        body.append(f'<rect x="{x - 19:.1f}" y="{y - 11:.1f}" width="38" height="15" rx="3" class="paper" fill-opacity="0.8"/>')
        body.append(text(x, y, c, "mono small mid bold"))
    body.append(f'<circle cx="{ax:.1f}" cy="{ay:.1f}" r="5" class="ink"/>')
    body.append(f'<path d="M{query[0] - 7:.1f} {query[1]:.1f}h14m-7 -7v14" stroke="#d1242f" stroke-width="3"/>')
    x = left + size + 30
    body.append(text(x, top + 12, "A bit says on which side of a random", ""))
    body.append(text(x, top + 30, "hyperplane through the anchor a vector lies.", ""))
    body.append(text(x, top + 62, f"query   {own}", "mono", 'xml:space="preserve"'))
    for differ in range(5):
        y = top + 92 + differ * 24
        count = sum(1 for p in group if sum(a != b for a, b in zip(code(p), own)) == differ)
        body.append(f'<circle cx="{x + 6}" cy="{y - 4}" r="5" fill="{shades[differ]}"/>')
        body.append(text(x + 20, y, f"{differ} bits differ: {count} pictures"))
    body.append(text(x, top + 232, "The more bits agree, the smaller the angle.", ""))
    body.append(text(x, top + 250, "With 128 hyperplanes the estimate is good", ""))
    body.append(text(x, top + 268, "enough to leave out four of five vectors of", ""))
    body.append(text(x, top + 286, "the opened leaves.", ""))
    write_svg("signature.svg", 700, 372, "Signatures: the sides of random hyperplanes", body)


def figure_page():
    """Part 0 and part 1 of a leaf's pages."""
    body, y = [], 28
    body.append(text(10, y - 10, "part 0, the signature page: read for every opened leaf", "bold"))
    cells = [("header", 70, "#8c959f"), ("block 0", 104, "#4e79a7"), ("block 1", 104, "#4e79a7"), ("...", 50, "#4e79a7"),
             ("slots", 80, "#59a14f"), ("centre", 120, "#b8860b"), ("on the axes", 92, "#b8860b")]
    x = 10
    starts = {}
    for name, width, hue in cells:
        starts[name] = x
        body.append(f'<rect x="{x}" y="{y}" width="{width}" height="34" fill="{hue}" fill-opacity="0.3" stroke="{hue}"/>')
        body.append(text(x + width / 2, y + 21, name, "mid"))
        x += width
    body.append(f'<path d="M{starts["block 0"]} {y + 34}L30 96M{starts["block 1"]} {y + 34}L600 96" class="line" stroke-dasharray="3 3"/>')
    y = 96
    x = 30
    for word in range(4):
        body.append(f'<rect x="{x}" y="{y}" width="95" height="40" fill="#4e79a7" fill-opacity="0.3" stroke="#4e79a7"/>')
        body.append(text(x + 47, y + 17, f"bits {word * 32}..{word * 32 + 31}", "mid small"))
        body.append(text(x + 47, y + 32, "16 rows x u32", "mid small"))
        x += 95
    for name in ("A", "S"):
        body.append(f'<rect x="{x}" y="{y}" width="95" height="40" fill="#3a9ca0" fill-opacity="0.3" stroke="#3a9ca0"/>')
        body.append(text(x + 47, y + 17, name, "mid bold"))
        body.append(text(x + 47, y + 32, "16 rows x f32", "mid small"))
        x += 95
    body.append(text(30, y + 58, "estimate of |q - x|² = A + D - S · &lt;signature, q&gt;: 24 bytes a vector at 128 bits", "small"))
    y = 192
    body.append(text(10, y - 10, "parts 1, 2 ...: read for survivors only", "bold"))
    x = 10
    for i in range(2):
        for name, width, hue in (("4 bits a component: 400 bytes", 220, "#8064a2"), ("A2", 36, "#3a9ca0"), ("S2", 36, "#3a9ca0")):
            body.append(f'<rect x="{x}" y="{y}" width="{width}" height="34" fill="{hue}" fill-opacity="0.3" stroke="{hue}"/>')
            body.append(text(x + width / 2, y + 21, name, "mid small"))
            x += width
        x += 6
    body.append(text(x + 6, y + 21, "...", ""))
    write_svg("page.svg", 640, 236, "A leaf's pages", body)


def tiny_idx(folder, rows):
    path = os.path.join(folder, "queries.idx3-ubyte")
    with open(path, "wb") as f:
        f.write(struct.pack(">IIII", 0x803, len(rows), 28, 28) + b"".join(rows))
    return path


def search(hashwood, db, path, *options):
    out = subprocess.run([hashwood, "search", db, "fashion", "--file", path, "--json", "-q", *options],
                         capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def import_all(hashwood, db):
    subprocess.run([hashwood, "import", db, "fashion", f"{DATA}/train-images-idx3-ubyte.gz", "--labels",
                    f"{DATA}/train-labels-idx1-ubyte.gz", "--label-names", ",".join(NAMES),
                    "--create", "--metric", "l2", "-q"], check=True)


def figure_funnel(hashwood, db, folder):
    queries = tiny_idx(folder, pictures("t10k-images-idx3-ubyte.gz", 0, 500))
    funnels = [found["explain"]["funnel"] for found in search(hashwood, db, queries, "-k", "10", "--explain", "--with", "none")]
    stats = subprocess.run([hashwood, "stats", db, "fashion", "--json"], capture_output=True, text=True, check=True).stdout
    leaves = json.loads(stats)["vectors"][""]["leaves"]
    steps = [("stored", 60000, f"in {leaves} leaves, whose anchors are ranked"), ("scanned", None, "signatures of the opened leaves"),
             ("survivors", None, "whose lower bound beats the tenth best"), ("refined", None, "4 bits a component read"),
             ("exact", None, "full precision read"), ("hits", None, "k")]
    body = [text(10, 18, "What one query looks at (k = 10, recall asked 0.95; mean of 500 queries)", "bold")]
    for i, (name, value, note) in enumerate(steps):
        if value is None:
            value = sum(f[name] for f in funnels) / len(funnels)
        print(f"  {name}: {value:.0f}")
        width = 34 + 366 * math.log10(max(value, 1)) / math.log10(60000)
        y = 36 + i * 34
        body.append(f'<rect x="{96 + (400 - width) / 2:.1f}" y="{y}" width="{width:.1f}" height="26" rx="4" fill="{HUES[i]}" fill-opacity="0.45"/>')
        body.append(text(88, y + 18, name, "end"))
        body.append(text(296, y + 18, f"{value:,.0f}", "mid bold"))
        body.append(text(508, y + 18, note, "small"))
    write_svg("funnel.svg", 750, 246, "The funnel of a search", body)


def png(rows, width, height):
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    raw = b"".join(b"\0" + rows[y * width:(y + 1) * width] for y in range(height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) + \
        chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")


def picture(x, y, size, data):
    encoded = base64.b64encode(png(data, 28, 28)).decode()
    return f'<image x="{x}" y="{y}" width="{size}" height="{size}" href="data:image/png;base64,{encoded}" style="image-rendering: pixelated"/>'


def figure_neighbours(hashwood, db, folder):
    test = pictures("t10k-images-idx3-ubyte.gz", 0, 40)
    train = pictures("train-images-idx3-ubyte.gz", 0, 60000)
    size, left, top = 64, 120, 44
    body = [text(left + size / 2, 22, "query", "mid bold"), text(left + 110, 22, "nearest of 60,000, their label and distance", "bold")]
    for line, row in enumerate((0, 1, 18, 23)):
        y = top + line * (size + 42)
        path = tiny_idx(folder, [test[row]])
        for_all = search(hashwood, db, path, "-k", "6", "--exact")[0]["hits"]
        body.append(picture(left, y - 12, size, test[row]))
        body.append(text(left - 14, y + 24, f"picture {row}", "end small"))
        for i, hit in enumerate(for_all):
            x = left + 100 + i * (size + 16)
            body.append(picture(x, y - 12, size, train[hit["id"]]))
            body.append(text(x + size / 2, y + size + 3, hit["payload"]["name"], "small mid"))
            body.append(text(x + size / 2, y + size + 16, f'{hit["score"]:.0f}', "small mid"))
    write_svg("neighbours.svg", 720, 470, "Pictures of Fashion-MNIST and their nearest neighbours", body)


def main():
    hashwood = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build", "hashwood")
    os.makedirs(IMAGES, exist_ok=True)
    figure_page()
    plane = leading_axes([list(p) for p in pictures("train-images-idx3-ubyte.gz", 0, 1500)], 2)
    figure_partition(plane)
    figure_signature(plane)
    with tempfile.TemporaryDirectory() as folder:
        db = os.path.join(folder, "fashion.hw")
        import_all(hashwood, db)
        figure_funnel(hashwood, db, folder)
        figure_neighbours(hashwood, db, folder)


main()
