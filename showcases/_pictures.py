"""Pictures that showcases draw: contact sheets (PNG, JPEG), bar charts and labelled planes (SVG).

SVG files follow the reader's light or dark scheme; contact sheets are cards on white, which do in both.
"""
import base64
import html
import io
import os

from PIL import Image, ImageDraw, ImageFont

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans%s.ttf"
HUES = ["#4e79a7", "#e08214", "#59a14f", "#c0504d", "#8064a2", "#3a9ca0", "#b8860b", "#d4699e"]
RIGHT, WRONG = "#1a7f37", "#c0392b"
STYLE = """<style>
text { font: 13px "DejaVu Sans", Helvetica, Arial, sans-serif; fill: #24292f }
.small { font-size: 11px } .mid { text-anchor: middle } .end { text-anchor: end } .bold { font-weight: bold }
.line { stroke: #57606a; fill: none } .faint { stroke: #d0d7de; fill: none } .paper { fill: #ffffff }
.halo { stroke: #ffffff; stroke-width: 3px; paint-order: stroke }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .line { stroke: #9da7b1 } .faint { stroke: #30363d } .paper { fill: #0d1117 }
.halo { stroke: #0d1117 } }
</style>"""


class Tile:
    """One picture of a contact sheet. image: a path, a PIL image, a numpy array of bytes, a data URI, or None for words
    alone; caption: up to a few short lines; right: True draws a green frame, False a red one, None none."""

    def __init__(self, image, caption="", right=None):
        self.image, self.caption, self.right = image, caption, right


def opened(image):
    """A PIL image, on white where it is transparent."""
    if isinstance(image, str) and image.startswith("data:"):
        image = Image.open(io.BytesIO(base64.b64decode(image.split(",", 1)[1])))
    elif isinstance(image, (str, os.PathLike)):
        image = Image.open(image)
    elif not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    if image.mode in ("RGBA", "LA", "P"):
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        paper.alpha_composite(image)
        image = paper
    return image.convert("RGB")


def font(size, bold=False):
    path = FONT % ("-Bold" if bold else "")
    return ImageFont.truetype(path, size) if os.path.exists(path) else ImageFont.load_default()


def cut(draw, words, face, width):
    """The words, or as much of them as fits, with three dots."""
    if draw.textlength(words, font=face) <= width:
        return words
    while words and draw.textlength(words + "…", font=face) > width:
        words = words[:-1]
    return words.rstrip() + "…"


def contact_sheet(path, rows, title="", size=84, head="query", gap=10, pixelated=False, bytes_max=245_000):
    """Draws rows of tiles, (label, query, [results]) each, query a Tile or None. The ending of path says the format."""
    small, plain, strong = font(11), font(12), font(14, True)
    lines = max([t.caption.count("\n") + 1 for _, q, found in rows for t in [q, *found] if t and t.caption] or [0])
    probe = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    labels = max([probe.textlength(part, font=plain) for label, _, _ in rows for part in label.split("\n")] or [0])
    left = gap + (int(labels) + gap if labels else 0)
    queries = any(q for _, q, _ in rows)
    results = left + (size + 3 * gap if queries else 0)
    line_height, top = 14, gap + (24 if title else 0)
    row_height = size + lines * line_height + gap
    width = results + max([len(found) for _, _, found in rows] or [0]) * (size + gap)
    sheet = Image.new("RGB", (width, top + len(rows) * row_height + gap), "white")
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.text((gap, gap), cut(draw, title, strong, width - 2 * gap), font=strong, fill="#24292f")

    def put(tile, x, y):
        box = (x, y, x + size - 1, y + size - 1)
        draw.rectangle(box, fill="white", outline="#d0d7de")
        if tile.image is not None:
            image = opened(tile.image)
            by = min((size - 6) / image.width, (size - 6) / image.height)
            image = image.resize((max(1, round(image.width * by)), max(1, round(image.height * by))),
                                 Image.NEAREST if pixelated else Image.LANCZOS)
            sheet.paste(image, (x + (size - image.width) // 2, y + (size - image.height) // 2))
        if tile.right is not None:
            draw.rectangle(box, outline=RIGHT if tile.right else WRONG, width=3)
        for i, line in enumerate(tile.caption.split("\n") if tile.caption else []):
            words = cut(draw, line, small, size + gap - 3)
            draw.text((x + (size - draw.textlength(words, font=small)) / 2, y + size + 1 + i * line_height), words,
                      font=small, fill="#24292f")

    for i, (label, query, found) in enumerate(rows):
        y = top + i * row_height
        parts = label.split("\n")
        for n, part in enumerate(parts):
            draw.text((gap, y + size / 2 + (n - len(parts) / 2) * 15), part, font=plain, fill="#24292f")
        if query:
            put(query, left, y)
            draw.line((results - 1.5 * gap, y, results - 1.5 * gap, y + size), fill="#8c959f", width=2)
        for n, tile in enumerate(found):
            put(tile, results + n * (size + gap), y)
    save(sheet, path, bytes_max)


def save(image, path, bytes_max):
    """Saves below a size: a JPEG with less quality, a PNG with fewer colours, where need be."""
    if path.endswith(".png"):
        image.save(path, optimize=True)
        if os.path.getsize(path) > bytes_max:
            image.quantize(128).save(path, optimize=True)
        return
    for quality in (90, 82, 74, 66, 58, 50):
        image.save(path, quality=quality, optimize=True)
        if os.path.getsize(path) <= bytes_max:
            return


def text(x, y, words, classes="", extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{classes}" {extra}>{html.escape(str(words))}</text>'


def write_svg(path, width, height, title, body):
    with open(path, "w", encoding="utf-8") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
                f'role="img">\n<title>{html.escape(title)}</title>\n{STYLE}\n<rect width="{width}" height="{height}" rx="6" '
                'class="paper"/>\n' + "\n".join(body) + "\n</svg>\n")


def bars(path, rows, title="", note="", most=None, form="{:.3g}", label_width=None):
    """Draws horizontal bars. rows: (label, value), or (label, {series: value}) for bars side by side; most: the value of
    a full bar (default: the largest); form: how values are written."""
    series = []
    for _, value in rows:
        if isinstance(value, dict):
            series += [s for s in value if s not in series]
    wide = label_width or 24 + max(len(label) for label, _ in rows) * 7.4
    most = most or max(v for _, value in rows for v in (value.values() if isinstance(value, dict) else [value])) or 1
    thick = 14 if series else 20
    body, y = [], 14
    if title:
        body.append(text(12, y + 10, title, "bold"))
        y += 24
    if series:
        x = wide
        for i, name in enumerate(series):
            body.append(f'<rect x="{x:.0f}" y="{y}" width="11" height="11" fill="{HUES[i % 8]}"/>')
            body.append(text(x + 16, y + 10, name, "small"))
            x += 34 + len(name) * 6.6
        y += 22
    for label, value in rows:
        values = [(series.index(s), v) for s, v in value.items()] if isinstance(value, dict) else [(0, value)]
        high = len(values) * (thick + 2)
        body.append(text(wide - 8, y + high / 2 + 4, label, "end"))
        for n, (hue, v) in enumerate(values):
            width = max(1.0, 420 * v / most)
            body.append(f'<rect x="{wide:.0f}" y="{y + n * (thick + 2)}" width="{width:.1f}" height="{thick}" rx="2" '
                        f'fill="{HUES[hue % 8]}" fill-opacity="0.85"/>')
            body.append(text(wide + width + 6, y + n * (thick + 2) + thick / 2 + 4, form.format(v), "small"))
        y += high + 8
    if note:
        body.append(text(12, y + 10, note, "small"))
        y += 18
    write_svg(path, round(max(wide + 490, len(note) * 6.2 + 24, len(title) * 8 + 24)), y + 8, title or "bars", body)


def scatter(path, points, title="", note="", width=760, height=520, links=(), hues=None, nudge=False):
    """Draws points: (x, y, label, group) each, label possibly empty, group a number or a name that has a hue; links: pairs
    of indices joined by an arrow; nudge: points that stand too close are moved apart until their labels can be read."""
    groups = list(dict.fromkeys(p[3] for p in points))
    hue = {g: (hues or HUES)[i % len(hues or HUES)] for i, g in enumerate(groups)}
    left, top, right, bottom = 24, 46 if title else 22, width - 90, height - 44
    places = list(zip(fitted([p[0] for p in points], left, right), fitted([-p[1] for p in points], top, bottom)))
    across = [len(p[2]) * 6.4 for p in points]
    if nudge:
        places = apart(places, [18 + a for a in across], 15, (left, top, width - 12, bottom))
    body = ['<defs><marker id="tip" viewBox="0 0 8 8" refX="11" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0L8 4L0 8z" fill="#8c959f"/></marker></defs>']
    if title:
        body.append(text(14, 24, title, "bold"))
    for a, b in links:
        body.append('<path d="M{:.1f} {:.1f}L{:.1f} {:.1f}" stroke="#8c959f" stroke-dasharray="4 3" fill="none" '
                    'marker-end="url(#tip)"/>'.format(*places[a], *places[b]))
    for (x, y), p in zip(places, points):
        body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{4 if p[2] else 2}" fill="{hue[p[3]]}"/>')
    taken = [(x - 4, y - 4, x + 4, y + 4) for (x, y), p in zip(places, points) if p[2]]
    for (x, y), p, wide in zip(places, points, across):
        if not p[2]:
            continue
        spots = [(7, 4), (7, -6), (7, 14), (-7 - wide, 4), (-wide / 2, -8), (-wide / 2, 17)]
        boxes = [(x + dx, y + dy - 9, x + dx + wide, y + dy + 2) for dx, dy in spots]
        free = [b for b in boxes if not any(overlap(b, t) for t in taken) and b[0] > 4 and b[2] < width - 4]
        box = boxes[0] if nudge or not free else free[0]
        taken.append(box)
        body.append(text(box[0], box[3] - 2, p[2], "small halo"))
    if note:
        body.append(text(14, height - 10, note, "small"))
    write_svg(path, width, height, title or "a plane of points", body)


def fitted(values, low, high):
    span = (max(values) - min(values)) or 1
    return [low + (v - min(values)) / span * (high - low) for v in values]


def overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def apart(places, widths, high, frame, rounds=400):
    """Moves boxes that overlap apart, the shorter way, half the way each; a box begins 5 left of its place."""
    places = [list(p) for p in places]
    for _ in range(rounds):
        moved = False
        for i, a in enumerate(places):
            for j in range(i):
                b = places[j]
                dx = min(a[0] + widths[i], b[0] + widths[j]) - max(a[0], b[0])
                dy = high - abs(a[1] - b[1])
                if dx <= 0 or dy <= 0:
                    continue
                moved = True
                axis, by = (1, dy / 2) if dy < dx else (0, dx / 2)
                sign = 1 if a[axis] >= b[axis] else -1
                a[axis] += sign * by
                b[axis] -= sign * by
        for p, wide in zip(places, widths):
            p[0] = min(max(p[0], frame[0]), frame[2] - wide)
            p[1] = min(max(p[1], frame[1]), frame[3])
        if not moved:
            break
    return places
