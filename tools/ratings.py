#!/usr/bin/env python3
"""Turns ratings into vectors of items and of users, for recommendation by nearest neighbours.

    tools/ratings.py ratings.csv --items items.jsonl --users users.jsonl --evaluate
    hashwood import shop.hw items items.jsonl --create --metric dot
    hashwood import shop.hw users users.jsonl --create --metric dot

ratings.csv has a header with the columns user, item, rating and time (any order; others named with --payload
become the items' payload, e.g. --payload title,year:int,genres:list). Items whose vector has a large dot product
with a user's vector are likely to please that user; items that point the same way (cosine) please the same users.
--fields a,b writes each item's vector under these names, for a collection that compares it in several ways.

The method is the singular value decomposition of the ratings with shrunk values. Of the matrix X of users by items,
whose entry is how far a rating lies above --neutral (a tenth at least; zero where nothing was rated):

    X = U S V'         item i:  v_i = row i of V sqrt(S^2 / (S^2 + shrink S_1^2))         user u:  sum of x_ui v_i

These are the best item-to-item weights under a quadratic penalty, cut to --dim floats; weak patterns, which are mostly
chance, count less. A user's vector is a sum of stored vectors: whoever comes anew needs no training, and
recommending by a list of liked items (average) asks the same question. The decomposition is found by subspace
iteration, which needs the ratings and a few columns only, never the whole matrix.

--method als: matrix factorisation of implicit feedback by alternating least squares instead (Hu, Koren, Volinsky, ICDM
2008). Whoever rated an item was drawn to it, the more so the higher the rating; all other pairs count as weak evidence of
no interest. Both sides in turn are the exact solution of a small linear system per row:

    x_u = (Y'Y + Y'(C_u - I)Y + reg I)^-1 Y'C_u p_u        C_u = 1 + alpha rating, where u rated

With --evaluate, the last fifth of each user's ratings by time is held out first, recall@10 and NDCG@10 of
what was liked there (rating of at least --liked) are printed beside those of the most popular items, and then
everything is trained on. --hold-out FILE keeps that fifth away from the vectors and writes it to FILE, to measure a
database filled with them. Needs python3-numpy.
"""
import argparse
import csv
import json
import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # matrices this narrow are not worth waiting for a second thread
import numpy as np

TOP = 10
METHODS = ("svd", "als")
SVD_SPARE, SVD_ROUNDS = 16, 8  # columns beyond those wanted, and iterations: enough for four digits


class Ratings:
    """Rows of (user, item, rating, time) as numbers, and what they are called."""

    def __init__(self, path, payload):
        self.users, self.items, self.facts, rows = {}, {}, [], []
        with open(path, newline="", encoding="utf-8") as f:
            reader = csv.DictReader(f)
            missing = {"user", "item", "rating", "time"} - set(reader.fieldnames or [])
            if missing:
                sys.exit(f"{path}: no column {', '.join(sorted(missing))}; there are {', '.join(reader.fieldnames or [])}")
            for line, row in enumerate(reader, 2):
                try:
                    rows.append((self.number(self.users, row["user"]), self.item(row, payload), float(row["rating"]), float(row["time"])))
                except ValueError as e:
                    sys.exit(f"{path}: line {line}: {e}")
        self.rows = np.array(rows, dtype=[("user", "i4"), ("item", "i4"), ("rating", "f8"), ("time", "f8")])

    @staticmethod
    def number(known, name):
        return known.setdefault(name, len(known))

    def item(self, row, payload):
        number = self.number(self.items, row["item"])
        if number == len(self.facts):
            self.facts.append({name: convert(row[name]) for name, convert in payload.items() if row.get(name) not in (None, "", "NA")})
        return number


def by_row(rows, side, other, alpha):
    """For each user (item): the items (users) rated, and how much each counts."""
    order = np.argsort(rows[side], kind="stable")
    rows = rows[order]
    starts = np.flatnonzero(np.r_[True, rows[side][1:] != rows[side][:-1]]) if len(rows) else []
    ends = np.r_[starts[1:], len(rows)] if len(rows) else []
    return [(rows[side][a], rows[other][a:b], 1 + alpha * rows["rating"][a:b]) for a, b in zip(starts, ends)]


def solve_side(x, y, groups, reg):
    base = y.T @ y + reg * np.eye(y.shape[1])
    for row, others, weight in groups:
        z = y[others]
        x[row] = np.linalg.solve(base + (z.T * (weight - 1)) @ z, z.T @ weight)


def als(rows, user_count, item_count, args):
    rng = np.random.default_rng(args.seed)
    users = rng.normal(0, 0.1, (user_count, args.dim))
    items = rng.normal(0, 0.1, (item_count, args.dim))
    of_users, of_items = by_row(rows, "user", "item", args.alpha), by_row(rows, "item", "user", args.alpha)
    for _ in range(args.rounds):
        solve_side(users, items, of_users, args.reg)
        solve_side(items, users, of_items, args.reg)
    solve_side(users, items, of_users, args.reg)
    return users, items


def svd(rows, user_count, item_count, args):
    weight = np.maximum(rows["rating"] - args.neutral, 0.1)
    user, item = rows["user"].astype(np.int64), rows["item"].astype(np.int64)

    def times(q, to, of, count):  # a column at a time, as X is kept as the list of its entries
        return np.stack([np.bincount(to, weight * column[of], count) for column in np.ascontiguousarray(q.T)], 1)

    def of_users(q):  # X q
        return times(q, user, item, user_count)

    def of_items(q):  # X' q
        return times(q, item, user, item_count)

    columns = min(args.dim + SVD_SPARE, user_count, item_count)
    q = np.random.default_rng(args.seed).normal(size=(item_count, columns))
    for _ in range(SVD_ROUNDS):
        q = of_items(np.linalg.qr(of_users(q))[0])
    q = np.linalg.qr(q)[0]
    _, values, turn = np.linalg.svd(of_users(q), full_matrices=False)
    energy = values[:args.dim] ** 2
    items = (q @ turn.T)[:, :args.dim] * np.sqrt(energy / (energy + args.shrink * energy[0]))
    return of_users(items), items


def factorise(rows, user_count, item_count, args):
    return (svd if args.method == "svd" else als)(rows, user_count, item_count, args)


def hold_out(rows):
    """The last fifth of each user's ratings by time, at least one: a mask."""
    order = np.lexsort((rows["time"], rows["user"]))
    held = np.zeros(len(rows), bool)
    users, starts, counts = np.unique(rows["user"][order], return_index=True, return_counts=True)
    for start, count in zip(starts, counts):
        held[order[start + count - max(1, count // 5):start + count]] = True
    return held


def measure(score, train, test, liked):
    """recall@10 and NDCG@10 over the users who liked something that was held out; what they had rated is no
    candidate."""
    recalls, gains = [], []
    discount = 1 / np.log2(np.arange(2, TOP + 2))
    train, test = by_user(train), by_user(test[test["rating"] >= liked])
    for user, wanted in test.items():
        scores = score(user).copy()
        scores[train.get(user, [])] = -np.inf
        best = min(TOP, len(wanted))
        hits = np.isin(np.argsort(-scores, kind="stable")[:TOP], wanted)
        recalls.append(hits.sum() / best)
        gains.append((hits * discount).sum() / discount[:best].sum())
    return {"recall@10": float(np.mean(recalls)), "ndcg@10": float(np.mean(gains)), "users": len(recalls)}


def by_user(rows):
    return {user: items for user, items, _ in by_row(rows, "user", "item", 0)}


def evaluate(r, args):
    held = hold_out(r.rows)
    train, test = r.rows[~held], r.rows[held]
    users, items = factorise(train, len(r.users), len(r.items), args)
    popularity = np.bincount(train["item"], minlength=len(r.items)).astype(float)
    return {args.method: measure(lambda u: items @ users[u], train, test, args.liked),
            "popularity": measure(lambda u: popularity, train, test, args.liked)}


def write_ratings(path, r, rows):
    users, items = list(r.users), list(r.items)
    with open(path, "w", newline="", encoding="utf-8") as f:
        out = csv.writer(f)
        out.writerow(["user", "item", "rating", "time"])
        out.writerows([users[u], items[i], f"{rating:g}", f"{time:.15g}"] for u, i, rating, time in rows)


def point_id(name):
    return int(name) if name.isdigit() and (name == "0" or name[0] != "0") else name


def write(path, names, vectors, payloads, fields=()):
    """Points, one a line; those without any rating have a vector of zeros, and are left out."""
    with open(path, "w", encoding="utf-8") as f:
        for (name, number), payload in zip(names.items(), payloads):
            vector = [float(f"{v:.7g}") for v in vectors[number]]
            if any(vector):
                point = {"vectors": {field: vector for field in fields}} if fields else {"vector": vector}
                f.write(json.dumps({"id": point_id(name), **point, "payload": payload}, ensure_ascii=False) + "\n")


def payload_columns(text):
    kinds = {"": str, "int": int, "float": float, "list": lambda s: s.split("|")}
    out = {}
    for part in filter(None, text.split(",")):
        name, _, kind = part.partition(":")
        if kind not in kinds:
            sys.exit(f"--payload {part}: {kind} is not one of int, float, list")
        out[name] = kinds[kind]
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ratings")
    parser.add_argument("--items", help="write the items' vectors here")
    parser.add_argument("--users", help="write the users' vectors here")
    parser.add_argument("--payload", default="", metavar="COLUMNS", help="title,year:int,genres:list")
    parser.add_argument("--fields", default="", metavar="NAMES", help="write items' vectors under these names, with commas")
    parser.add_argument("--method", choices=METHODS, default="svd")
    parser.add_argument("--dim", type=int, help="floats in a vector (default 64; als 32)")
    parser.add_argument("--neutral", type=float, default=2, help="svd: the rating from which on liking counts (default 2)")
    parser.add_argument("--shrink", type=float, default=0.03, help="svd: how much weak patterns are shrunk (default 0.03)")
    parser.add_argument("--reg", type=float, default=8, help="als: regularisation (default 8)")
    parser.add_argument("--alpha", type=float, default=0.8, help="als: weight of a rating (default 0.8)")
    parser.add_argument("--rounds", type=int, default=12, help="als: rounds (default 12)")
    parser.add_argument("--liked", type=float, default=4, help="ratings from here on are liked (default 4)")
    parser.add_argument("--evaluate", action="store_true")
    parser.add_argument("--hold-out", metavar="FILE", help="leave the last fifth of each user's ratings out, and write it here")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.dim = args.dim or (64 if args.method == "svd" else 32)
    r = Ratings(args.ratings, payload_columns(args.payload))
    if args.evaluate:
        print(json.dumps(evaluate(r, args), indent=2))
    if args.hold_out:
        held = hold_out(r.rows)
        write_ratings(args.hold_out, r, r.rows[held])
        r.rows = r.rows[~held]
    if args.items or args.users:
        users, items = factorise(r.rows, len(r.users), len(r.items), args)
        counts = np.bincount(r.rows["item"], minlength=len(r.items))
        if args.items:
            fields = [f for f in args.fields.split(",") if f]
            write(args.items, r.items, items, [dict(f, ratings=int(n)) for f, n in zip(r.facts, counts)], fields)
        if args.users:
            seen, names = by_user(r.rows), list(r.items)
            write(args.users, r.users, users, [{"rated": [point_id(names[i]) for i in seen.get(u, [])]} for u in r.users.values()])


if __name__ == "__main__":
    main()
