#!/usr/bin/env python3
"""Clothes that look alike: the shop's question "show me more like this", with filters.

Question  Given a picture of a product, which of 60,000 look most like it? Among sandals only, below a price, the best of
          each kind, like these but not like those; and why is a product not among the results?
Data      Fashion-MNIST (Debian package dataset-fashion-mnist): 60,000 + 10,000 grey pictures of 28 x 28 pixels in ten
          kinds. The vectors are the pixels themselves; there is no model. Prices and stock are made up here, the same
          in every run.
Steps     import with payload and payload indexes; query by pictures the database has not seen; filters; groups;
          liked and disliked; why.
Measured  precision@1, @10 and accuracy of a vote of ten against the true kinds; recall@10 against exact search, also
          under filters; queries per second; where missed neighbours were lost.
"""
import gzip
import json
import os
from collections import Counter

from _show import Show, equals, main, must, np
from _pictures import Tile

FOLDER = os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist")
KINDS = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
TYPICAL = [15, 40, 45, 60, 110, 35, 30, 70, 55, 95]  # euros
COLLECTION = "clothes"
QUERIES = "/collections/clothes/points/query"


def idx(file):
    """The array that a gzipped idx file holds."""
    with gzip.open(file) as f:
        head = f.read(4)
        shape = [int.from_bytes(f.read(4), "big") for _ in range(head[3])]
        return np.frombuffer(f.read(), np.uint8).reshape(shape)


def payload_of(i, kind):
    """What the shop knows of product i: its kind, a price around the typical one, and whether it is in stock."""
    mixed = (i * 2654435761) % 2**32  # scatters ids; no chance involved
    price = round(TYPICAL[kind] * (0.5 + mixed / 2**32), 2)
    return {"kind": KINDS[kind], "price": price, "in_stock": mixed % 7 != 0}


class Shop:
    def __init__(self, show):
        self.show = show
        path = {part: os.path.join(FOLDER, name + "-ubyte.gz") for part, name in (
            ("pictures", "train-images-idx3"), ("kinds", "train-labels-idx1"),
            ("test", "t10k-images-idx3"), ("test_kinds", "t10k-labels-idx1"))}
        for file in path.values():
            show.data(file, "dataset-fashion-mnist")
        self.files = path
        self.pictures, self.kinds = idx(path["pictures"]), idx(path["kinds"])
        self.test, self.test_kinds = idx(path["test"]), idx(path["test_kinds"])
        self.asked = 500 if show.small else len(self.test)  # queries for precision
        self.compared = 200 if show.small else 1000  # queries compared with exact search

    def tile(self, hit, kind=None):
        p = hit["payload"]
        return Tile(255 - self.pictures[hit["id"]], f"{p['kind']}\n{p['price']:.2f} €", None if kind is None else p["kind"] == kind)

    def query_tile(self, row):
        return Tile(255 - self.test[row], KINDS[self.test_kinds[row]])

    def search(self, row, *options, **kwargs):
        return self.show.hashwood("search", self.show.db, COLLECTION, "--file", self.files["test"], "--row", row, *options,
                                  json=True, **kwargs)["hits"]

    def search_all(self, file, *options):
        """The answers to all rows of a file: ids, kinds and microseconds."""
        found = self.show.hashwood("search", self.show.db, COLLECTION, "--file", file, "-k", 10, *options, json=True)
        return ([[h["id"] for h in f["hits"]] for f in found], np.array([f["us"] for f in found]))


def recall(found, exact):
    return float(np.mean([len(set(f) & set(e)) / max(1, len(e)) for f, e in zip(found, exact)]))


def import_all(show, shop):
    show.step("Write what the shop knows of each product, one JSON object a line, and import pictures with it")
    count = 6000 if show.small else len(shop.pictures)
    with open(show.file("products.jsonl"), "w") as f:
        for i in range(count):
            f.write(json.dumps(payload_of(i, shop.kinds[i])) + "\n")
    show.hashwood("import", show.db, COLLECTION, shop.files["pictures"], "--payload", show.file("products.jsonl"), "--limit", count,
                  "--create", "--metric", "l2", "--payload-index", "kind:keyword", "--payload-index", "price:float")
    show.hashwood("collections", show.db)
    show.figure("products", count, "products in the collection")


def precision(show, shop):
    show.step(f"Query by {shop.asked:,} pictures the database has not seen: do the neighbours have the right kind?")
    np.save(show.file("queries.npy"), shop.test[:shop.asked].reshape(shop.asked, -1).astype(np.float32))
    found, us = shop.search_all(show.file("queries.npy"), "--with", "none")
    kinds = shop.kinds[np.array(found)]
    truth = shop.test_kinds[:shop.asked]
    vote = np.array([Counter(row.tolist()).most_common(1)[0][0] for row in kinds])
    right = kinds == truth[:, None]
    show.figure("precision_1", float(right[:, 0].mean()), "precision@1: the nearest picture is of the same kind")
    show.figure("precision_10", float(right.mean()), "precision@10: share of the ten nearest that are")
    show.figure("vote_10", float((vote == truth).mean()), "accuracy when the ten nearest vote on the kind")
    show.figure("qps", round(1e6 / us.mean()), "queries per second, one thread, k = 10, recall 0.95 asked")
    show.figure("p50_us", float(np.median(us)), "median microseconds of a search")
    by_kind = sorted(((name, float(right[truth == i].mean())) for i, name in enumerate(KINDS)), key=lambda r: -r[1])
    confused = Counter((KINDS[t], KINDS[v]) for t, v in zip(truth, vote) if t != v).most_common(3)
    show.bars("kinds.svg", by_kind, most=1, form="{:.2f}", title="Precision@10 by kind of the query",
              note="Most confused by vote: " + "; ".join(f"{a} taken for {b} ({n})" for (a, b), n in confused))
    rows = [0, 1, 2, 4, 18, 23, 28, 46] if not show.small else [0, 1]
    show.contact_sheet("neighbours.png", [("", shop.query_tile(r), [shop.tile(h, KINDS[shop.test_kinds[r]]) for h in shop.search(
        r, "-k", 8, tell=False)]) for r in rows], title="Pictures not in the database, and the nearest of 60,000", size=76)


def against_exact(show, shop):
    show.step(f"Compare with exact search, {shop.compared:,} queries, also under filters")
    file = show.file("some.npy")
    np.save(file, shop.test[:shop.compared].reshape(shop.compared, -1).astype(np.float32))
    found, _ = shop.search_all(file, "--with", "none")
    exact, _ = shop.search_all(file, "--with", "none", "--exact")
    show.figure("recall", recall(found, exact), "recall@10 reached, 0.95 asked, no filter")
    missed = [(row, i) for row, (f, e) in enumerate(zip(found, exact)) for i in sorted(set(e) - set(f))]

    price = ["--with", "none", "--filter", must({"key": "price", "range": {"gte": 20, "lte": 40}})]
    found, us = shop.search_all(file, *price)
    exact, _ = shop.search_all(file, "--exact", *price)
    show.figure("recall_price", recall(found, exact), "the same, only prices from 20 to 40 €")
    show.figure("p50_us_price", float(np.median(us)), "median microseconds of a search, only prices from 20 to 40 €")

    show.say("   A filter that goes with the picture: only sandals, asked for by shoes, and by everything else.")
    sandals = ["--with", "none", "--filter", must(equals("kind", "Sandal"))]
    shoes = np.isin(shop.test_kinds[:shop.compared], [KINDS.index(k) for k in ("Sandal", "Sneaker", "Ankle boot")])
    exact, _ = shop.search_all(file, "--exact", *sandals)
    for asked in ("0.95", "0.99", "0.999"):
        found, _ = shop.search_all(file, "--recall", asked, *sandals)
        of = lambda mask: recall([f for f, m in zip(found, mask) if m], [e for e, m in zip(exact, mask) if m])
        show.figure(f"recall_shoes_{asked}", of(shoes), f"recall@10 reached, {asked} asked, only sandals, queries are shoes")
        show.figure(f"recall_others_{asked}", of(~shoes), f"recall@10 reached, {asked} asked, only sandals, queries are no shoes")
    return missed


def filters(show, shop):
    show.step("More like this ankle boot; a sandal like it; a sneaker below 50 €; a bag in stock")
    show.hashwood("search", show.db, COLLECTION, "--file", shop.files["test"], "--row", 0, "-k", 3, "--draw", "28x28",
                  "--caption", "kind", "--colors", "none")
    asked = [("more like this", None), ("but a sandal", must(equals("kind", "Sandal"))),
             ("a sneaker\nbelow 50 €", must(equals("kind", "Sneaker"), {"key": "price", "range": {"lt": 50}})),
             ("a bag,\nin stock", must(equals("kind", "Bag"), equals("in_stock", True))),
             ("no boot,\nno sneaker", must(must_not=[{"key": "kind", "match": {"any": ["Ankle boot", "Sneaker"]}}]))]
    rows = []
    for label, condition in asked:
        hits = shop.search(0, "-k", 8, *(["--filter", condition] if condition else []))
        rows.append((label, shop.query_tile(0), [shop.tile(h) for h in hits]))
    show.contact_sheet("filters.png", rows, title="One query, five filters", size=76)
    kinds = [h["payload"]["kind"] for h in shop.search(0, "-k", 10, "--filter", asked[1][1], tell=False)]
    show.figure("sandals", kinds.count("Sandal"), "sandals among ten results when only sandals were asked for")


def groups(show, shop):
    show.step("The best three of each kind: groups, over HTTP")
    row = 23
    found = show.http("POST", QUERIES + "/groups", {"query": shop.test[row].ravel().tolist(), "group_by": "kind", "group_size": 3,
                                                   "limit": 10, "with_payload": True})["groups"]
    show.table(["kind", "nearest", "distance"], [[g["id"], g["hits"][0]["id"], g["hits"][0]["score"]] for g in found])
    kept = [[shop.tile(h) for h in g["hits"]] for g in found]
    half = (len(kept) + 1) // 2
    pairs = [("", shop.query_tile(row) if n == 0 else None, a + (b or [])) for n, (a, b) in enumerate(zip(kept[:half], kept[half:] + [None] * half))]
    show.contact_sheet("groups.png", pairs, title="The nearest three of each kind, nearest kinds first", size=76)


def recommend(show, shop):
    show.step("Liked and disliked: shirts wanted, what looks like a T-shirt or a coat is not")
    liked = np.flatnonzero(shop.kinds[:6000] == KINDS.index("Shirt"))
    other = np.flatnonzero(np.isin(shop.kinds[:6000], [KINDS.index(k) for k in ("T-shirt/top", "Pullover", "Coat")]))
    rng = np.random.default_rng(1)
    cases = [(rng.choice(liked, 3, False).tolist(), rng.choice(other, 3, False).tolist()) for _ in range(40 if show.small else 200)]
    forms = [("one", "one liked shirt", lambda a, b: {"positive": a[:1]}),
             ("three", "three liked", lambda a, b: {"positive": a}),
             ("both", "three liked, three disliked, average", lambda a, b: {"positive": a, "negative": b}),
             ("best", "three liked, three disliked, best_score", lambda a, b: {"positive": a, "negative": b, "strategy": "best_score"})]
    first = {"query": {"recommend": forms[3][2](*cases[0])}, "limit": 8, "with_payload": True}
    hits = show.http("POST", QUERIES, first)["points"]
    for key, words, form in forms:
        body = {"searches": [{"query": {"recommend": form(*c)}, "limit": 10, "with_payload": ["kind"]} for c in cases]}
        found = show.http("POST", QUERIES + "/batch", body, tell=False)
        share = np.mean([[h["payload"]["kind"] == "Shirt" for h in f["points"]] for f in found])
        show.figure(f"shirts_{key}", float(share), f"shirts among ten recommended: {words}")
    given = lambda i: Tile(255 - shop.pictures[i], KINDS[shop.kinds[i]])
    show.contact_sheet("recommend.png", [("liked", None, [given(i) for i in cases[0][0]]), ("disliked", None, [given(i) for i in cases[0][1]]),
                                         ("recommended", None, [shop.tile(h, "Shirt") for h in hits])], size=76,
                       title="Recommended by what was liked and disliked")


def why(show, shop, missed):
    show.step("Why is this product not among the results?")
    with open(show.file("query.json"), "w") as f:
        json.dump(shop.test[0].ravel().tolist(), f)
    ask = ["--vector", "@" + show.file("query.json"), "-k", 10]
    further = shop.search(0, "-k", 12, "--exact", tell=False)[-1]
    show.hashwood("why", show.db, COLLECTION, further["id"], *ask)
    show.say("   The same, when only sandals were asked for:")
    show.hashwood("why", show.db, COLLECTION, further["id"], *ask, "--filter", must(equals("kind", "Sandal")))
    show.say(f"   Of {shop.compared * 10:,} true neighbours {len(missed)} were missed. Where the first hundred of them were lost:")
    steps = Counter()
    for row, point in missed[:20 if show.small else 100]:
        with open(show.file("missed.json"), "w") as f:
            json.dump(shop.test[row].ravel().tolist(), f)
        told = show.hashwood("why", show.db, COLLECTION, point, "--vector", "@" + show.file("missed.json"), "-k", 10, json=True, tell=False)
        steps[told.get("lost_at", "found when asked alone")] += 1
    show.table(["lost at", "times"], steps.most_common())
    if steps:
        step, times = steps.most_common(1)[0]
        show.figure("lost_at", f"{step} ({times} of {sum(steps.values())})", "where missed neighbours were lost most often")


def fashion():
    show = Show("fashion", "clothes that look alike, with filters")
    shop = Shop(show)
    import_all(show, shop)
    precision(show, shop)
    missed = against_exact(show, shop)
    filters(show, shop)
    with show.serving():
        groups(show, shop)
        recommend(show, shop)
    why(show, shop, missed)
    show.finish(COLLECTION, [f"{show.command} search {show.db} {COLLECTION} --id 100 -k 5 --draw 28x28 --caption kind",
                             f"{show.command} why {show.db} {COLLECTION} 500 --like 100"])


main(fashion)
