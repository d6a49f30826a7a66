#!/usr/bin/env python3
"""The same task in SQL on DuckDB and with hashwood: the ten pictures most similar to one, with and
without a label to filter by, on Fashion-MNIST. Both run in this process, on one thread, from a file;
times are processor time.

    pip install duckdb pyarrow
    bench/compare_duckdb.py [--queries 100] [--folder DIR]

Needs build/libhashwood.so (make build). docs/comparison.md tells what came out.
"""
import argparse
import ctypes
import gzip
import os
import shutil
import statistics
import tempfile
import time

import duckdb
import pyarrow

DATA = os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def read_idx(name, header, width, count):
    with gzip.open(os.path.join(DATA, name)) as f:
        f.read(header)
        return f.read(width * count)


# ---- hashwood through its C interface; the structs are those of hashwood.h ----

class Id(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("text_bytes", ctypes.c_uint32), ("u64", ctypes.c_uint64),
                ("rest", ctypes.c_uint64)]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 508)]


class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("read_only", ctypes.c_bool), ("must_exist", ctypes.c_bool),
                ("no_sync", ctypes.c_bool), ("busy_timeout_ms", ctypes.c_uint32), ("threads", ctypes.c_uint32),
                ("map_bytes", ctypes.c_uint64), ("bulk_load", ctypes.c_bool)]


class Query(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("vector_name", ctypes.c_char_p), ("vector", ctypes.c_void_p),
                ("dim", ctypes.c_uint32), ("id", ctypes.c_void_p), ("k", ctypes.c_uint32), ("offset", ctypes.c_uint32),
                ("recall", ctypes.c_double), ("exact", ctypes.c_bool), ("time_budget_ms", ctypes.c_uint32),
                ("has_score_threshold", ctypes.c_bool), ("score_threshold", ctypes.c_float),
                ("filter", ctypes.c_char_p), ("filter_bytes", ctypes.c_size_t), ("with_", ctypes.c_uint32),
                ("explain", ctypes.c_bool), ("deadline_ms", ctypes.c_uint64), ("cancel", ctypes.c_void_p)]


class Hashwood:
    def __init__(self, folder):
        self.lib = ctypes.CDLL(os.path.join(os.environ.get("HASHWOOD_BUILD", os.path.join(ROOT, "build")), "libhashwood.so"))
        self.lib.hw_result_ids.restype = ctypes.POINTER(Id)
        self.lib.hw_result_count.restype = ctypes.c_size_t
        self.lib.hw_version.restype = ctypes.c_char_p
        self.error = Error()
        self.db, self.collection = ctypes.c_void_p(), ctypes.c_void_p()
        options = Options(ctypes.sizeof(Options), busy_timeout_ms=5000, threads=1, bulk_load=True)
        self.call("hw_db_open", folder.encode(), ctypes.byref(options), ctypes.byref(self.db))

    def call(self, name, *args):
        if getattr(self.lib, name)(*args, ctypes.byref(self.error)) != 0:
            raise RuntimeError(f"{name}: {self.error.message.decode()}")

    def load(self, vectors, labels):
        self.call("hw_collection_create", self.db, b"pictures",
                  b'{"dim": 784, "metric": "l2", "payload_indexes": {"label": "integer"}}')
        self.call("hw_collection_open", self.db, b"pictures", ctypes.byref(self.collection))
        for first in range(0, len(labels), 1000):
            count = min(1000, len(labels) - first)
            ids = (Id * count)(*[Id(0, 0, first + i, 0) for i in range(count)])
            payloads = (ctypes.c_char_p * count)(*[b'{"label": %d}' % n for n in labels[first:first + count]])
            self.call("hw_collection_upsert", self.collection, ids, ctypes.c_void_p(vectors + first * 784 * 4),
                      ctypes.c_size_t(count), payloads)

    def build(self):
        self.call("hw_collection_build", self.collection, None, None)

    def search(self, vector, label, exact):
        text = None if label is None else b'{"must": [{"key": "label", "match": {"value": %d}}]}' % label
        query = Query(ctypes.sizeof(Query), vector=vector, dim=784, k=10, recall=0.95, exact=exact,
                      filter=text, filter_bytes=len(text) if text else 0)
        result = ctypes.c_void_p()
        self.call("hw_collection_search", self.collection, ctypes.byref(query), ctypes.byref(result))
        ids = self.lib.hw_result_ids(result)
        found = [ids[i].u64 for i in range(self.lib.hw_result_count(result))]
        self.lib.hw_result_free(result)
        return found


# ---- DuckDB ----

class Duck:
    def __init__(self, file):
        self.con = duckdb.connect(file)
        self.con.execute("SET threads = 1")

    def load(self, rows, labels):
        flat = pyarrow.Array.from_buffers(pyarrow.float32(), len(rows), [None, pyarrow.py_buffer(rows)])
        batch = pyarrow.table({"id": pyarrow.array(range(len(labels)), type=pyarrow.int32()),
                               "label": pyarrow.array(list(labels), type=pyarrow.int32()),
                               "pixels": pyarrow.FixedSizeListArray.from_arrays(flat, 784)})
        self.con.register("batch", batch)
        self.con.execute("CREATE TABLE pictures (id INTEGER, label INTEGER, pixels FLOAT[784])")
        self.con.execute("INSERT INTO pictures SELECT * FROM batch")
        self.con.unregister("batch")
        self.con.execute("CHECKPOINT")

    def search(self, vector, label):
        where = "" if label is None else "WHERE label = $label"
        given = {"q": vector} if label is None else {"q": vector, "label": label}
        return [row[0] for row in self.con.execute(
            f"""SELECT id FROM pictures {where}
                ORDER BY array_distance(pixels, $q::FLOAT[784]), id LIMIT 10""", given).fetchall()]


# ---- measuring ----

def timed(work):
    """Processor time of the whole process: what else runs on the machine does not count."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def bytes_of(path):
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.stat(os.path.join(path, f)).st_blocks * 512 for f in os.listdir(path))


def measure(name, search, queries, truth, passes):
    """The median time of a query in the fastest of several passes."""
    best, found = None, None
    for _ in range(passes):
        times, found = [], []
        for query in queries:
            ids, seconds = timed(lambda: search(query))
            found.append(ids)
            times.append(seconds)
        median = statistics.median(times)
        best = median if best is None else min(best, median)
    truth = truth or found
    recall = sum(len(set(a) & set(b)) for a, b in zip(found, truth)) / sum(len(t) for t in truth)
    print(f"| {name} | {best * 1000:.3f} ms | {1 / best:,.0f} | {recall:.4f} |")
    return found


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--queries", type=int, default=100)
    options.add_argument("--passes", type=int, default=3)
    options.add_argument("--folder")
    options = options.parse_args()
    folder = options.folder or tempfile.mkdtemp()
    os.makedirs(folder, exist_ok=True)
    pixels = read_idx("train-images-idx3-ubyte.gz", 16, 784, 60000)
    labels = read_idx("train-labels-idx1-ubyte.gz", 8, 1, 60000)
    asked = read_idx("t10k-images-idx3-ubyte.gz", 16, 784, options.queries)
    rows = (ctypes.c_float * len(pixels))(*pixels)
    wanted = (ctypes.c_float * len(asked))(*asked)

    duck, wood = Duck(os.path.join(folder, "pictures.duckdb")), Hashwood(os.path.join(folder, "pictures.hw"))
    print(f"DuckDB {duckdb.__version__}, hashwood {wood.lib.hw_version().decode()}, {options.queries} queries\n")
    print(f"DuckDB: load {timed(lambda: duck.load(rows, labels))[1]:.1f} s")
    print(f"hashwood: load {timed(lambda: wood.load(ctypes.addressof(rows), labels))[1]:.1f} s, "
          f"build {timed(wood.build)[1]:.1f} s")
    print(f"on disk: DuckDB {bytes_of(os.path.join(folder, 'pictures.duckdb')) / 1e6:.0f} MB, "
          f"hashwood {bytes_of(os.path.join(folder, 'pictures.hw')) / 1e6:.0f} MB\n")

    numbers = range(options.queries)
    lists = [list(wanted[i * 784:(i + 1) * 784]) for i in numbers]
    at = ctypes.addressof(wanted)
    print("| | median | a second | recall@10 |\n| --- | --- | --- | --- |")
    for title, label in (("all", lambda i: None), ("one label", lambda i: i % 10)):
        truth = measure(f"{title}: DuckDB", lambda i: duck.search(lists[i], label(i)), numbers, None, options.passes)
        for kind, exact in (("exact", True), ("recall 0.95", False)):
            measure(f"{title}: hashwood, {kind}", lambda i: wood.search(at + i * 784 * 4, label(i), exact),
                    numbers, truth, options.passes)
    if not options.folder:
        shutil.rmtree(folder)


main()
