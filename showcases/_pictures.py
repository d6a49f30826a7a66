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
            body.append(text(wide + width + 6, y + n * (thick + 2) + thick - 3, form.format(v), "small"))
        y += high + 8
    if note:
        body.append(text(12, y + 10, note, "small"))
        y += 18
    write_svg(path, round(max(wide + 490, len(note) * 6.2 + 24, len(title) * 8 + 24)), y + 8, title or "bars", body)


def scatter(path, points, title="", note="", width=760, height=520, links=(), hues=None):
    """Draws points: (x, y, label, group) each, label possibly empty, group a number or a name that has a hue; links: pairs
    of indices joined by an arrow."""
    groups = list(dict.fromkeys(p[3] for p in points))
    hue = {g: (hues or HUES)[i % len(hues or HUES)] for i, g in enumerate(groups)}
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    left, top, room = 30, 44 if title else 20, 90
    at_x = lambda v: left + (v - min(xs)) / ((max(xs) - min(xs)) or 1) * (width - left - room)
    at_y = lambda v: height - 34 - (v - min(ys)) / ((max(ys) - min(ys)) or 1) * (height - top - 50)
    body = [f'<defs><marker id="tip" viewBox="0 0 8 8" refX="9" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0L8 4L0 8z" fill="#8c959f"/></marker></defs>']
    if title:
        body.append(text(14, 24, title, "bold"))
    for a, b in links:
        (x1, y1), (x2, y2) = [(at_x(points[i][0]), at_y(points[i][1])) for i in (a, b)]
        body.append(f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="#8c959f" stroke-dasharray="4 3" fill="none" '
                    'marker-end="url(#tip)"/>')
    taken = []
    for x, y, label, group in points:
        px, py = at_x(x), at_y(y)
        body.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="{4 if label else 2}" fill="{hue[group]}"/>')
        if not label:
            continue
        across = len(label) * 6.3
        for dx, dy in ((7, 4), (7, -8), (7, 15), (-7 - across, 4), (-across / 2, -9), (-across / 2, 18)):
            box = (px + dx, py + dy - 10, px + dx + across, py + dy + 3)
            if not any(box[0] < t[2] and t[0] < box[2] and box[1] < t[3] and t[1] < box[3] for t in taken):
                break
        taken.append(box)
        body.append(text(box[0], box[3] - 3, label, "small halo"))
    if note:
        body.append(text(14, height - 10, note, "small"))
    write_svg(path, width, height, title or "a plane of points", body)
