"""bench: the JSON that scripts compare, and truth from a file or computed."""

import json
import os

from _cli import *

KEYS = ["version", "base", "n", "d", "metric", "index", "kernels", "threads", "k", "build_s", "open_ms",
        "first_query_ms", "disk_bytes", "peak_rss_bytes", "bytes_per_vector", "results"]
ROW_KEYS = ["recall_asked", "recall", "qps", "p50_us", "p99_us", "leaves", "scanned", "refined", "exact"]


def files():
    base, queries = vectors(4000, 12), vectors(50, 12, seed=2)
    write("base.fvecs", fvecs(base))
    write("queries.npy", npy(queries))
    return base, queries


def test_json_of_one_index():
    files()
    result = js("bench", "--base", "base.fvecs", "--queries", "queries.npy", "--metric", "l2",
                "--recall", "0.9,1", "--db", "kept")
    same(list(result), KEYS)
    same(list(result["results"][0]), ROW_KEYS)
    same((result["n"], result["d"], result["k"], result["index"]), (4000, 12, 10, "hybrid"))
    same(result["results"][1]["recall"], 1.0, "exact search against exact search:")
    check(result["results"][0]["recall"] >= 0.8, result)
    check(os.path.exists("kept"))
    run("check", "kept")
    again = js("bench", "--base", "base.fvecs", "--queries", "queries.npy", "--db", "kept", "--reuse")
    same(again["n"], 4000)


def test_truth_from_a_file():
    base, queries = files()
    truth = [nearest(base, q, 10) for q in queries]
    write("truth.ivecs", ivecs(truth))
    result = js("bench", "--base", "base.fvecs", "--queries", "queries.npy", "--metric", "l2", "--recall", "1",
                "--truth", "truth.ivecs", "--index", "flat", "--passes", 1)
    check(result["results"][0]["recall"] > 0.995, "rows at equal distances may change places")
    write("truth.ivecs", ivecs([[0, 1]] * 50))
    fails("bench", "--base", "base.fvecs", "--queries", "queries.npy", "--truth", "truth.ivecs", code=2,
          says="2 neighbours, expected 10")


def test_several_kinds_side_by_side():
    files()
    text = out("bench", "--base", "base.fvecs", "--queries", "queries.npy", "--recall", "0.9", "--passes", 1,
               "--index", "flat", "--index", "kdtree", "--index", "lsh", "--index", "hybrid", "--threads", 2)
    for kind in ("flat", "kdtree", "lsh", "hybrid"):
        check(f"\n{kind} " in text, text)


def test_what_is_missing_is_named():
    fails("bench", code=2, says="--base")
    fails("bench", "--base", "absent.npy", "--queries", "absent.npy", says="absent.npy")
    files()
    fails("bench", "--base", "base.fvecs", "--queries", "queries.npy", "--recall", "2", code=2, says="--recall")


if __name__ == "__main__":
    main(globals())
