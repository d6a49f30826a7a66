#!/usr/bin/env python3
"""Something should have been found and was not. Five reasons, and the command that tells each: a filter that means something
else, a filter on a value of another type, a rank beyond k, an approximate answer, and the wrong metric."""
import json
import random
import subprocess

from _scenario import jsonl, say, sh

COUNT, DIM = 20000, 24
rng = random.Random(11)
POINTS = []
for i in range(COUNT):  # no clusters at all: the hard case for any index
    POINTS.append([round(rng.uniform(-1, 1), 3) for _ in range(DIM)])
jsonl("news.jsonl", [{"id": i, "vector": v, "payload": {
    "lang": "en" if i % 3 else "de", "year": 2000 + i % 25, "pages": str(i % 40)}} for i, v in enumerate(POINTS)])
QUERY = [round(rng.uniform(-1, 1), 3) for _ in range(DIM)]
with open("query.json", "w") as f:
    json.dump(QUERY, f)


def difference(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b))


def found_one(*options):
    """The ids that one query finds."""
    return found_by("--vector", "@query.json", *options)[0]


def found_by(*options):
    """The ids that each query finds, without printing."""
    queries = [] if "--vector" in options else ["--file", "queries.jsonl"]
    p = subprocess.run(["hashwood", "search", "news.hw", "news", "--json", *queries, *options], stdout=subprocess.PIPE, text=True, check=True)
    return [[h["id"] for h in json.loads(line)["hits"]] for line in p.stdout.splitlines()]


NEAREST = sorted(range(COUNT), key=lambda i: difference(POINTS[i], QUERY))  # the truth, by comparing with everything
GERMAN = next(i for i in NEAREST if i % 3 == 0)

say("20,000 articles without any structure, which is the hard case")
sh("hashwood import news.hw news news.jsonl --create --metric l2 --payload-index lang:keyword --payload-index year:integer --quiet")

say("1. A filter that means something else: values are compared exactly, and `DE` is not `de`")
sh("""hashwood search news.hw news --vector @query.json -k 3 --filter '{"must": {"key": "lang", "match": {"value": "DE"}}}'""")
sh(f"""hashwood why news.hw news {GERMAN} --vector @query.json -k 3 --filter '{{"must": {{"key": "lang", "match": {{"value": "DE"}}}}}}'""",
   keep=("found", "passes_filter", "lost_at"))
sh(f"hashwood get news.hw news {GERMAN}")
sh("""hashwood search news.hw news --vector @query.json -k 3 --filter '{"must": {"key": "lang", "match": {"value": "de"}}}'""")

say("2. A value of another type: pages were stored as texts, and a range looks at numbers. The count tells, and a note says "
    "that no index speaks for the field")
sh("""hashwood count news.hw news --filter '{"must": {"key": "pages", "range": {"gte": 0}}}'""")
sh("""hashwood count news.hw news --filter '{"must": {"key": "pages", "match": {"value": "12"}}}'""")
sh("""hashwood search news.hw news --vector @query.json -k 1 --filter '{"must": {"key": "pages", "range": {"gte": 0}}}'""")

say("3. A rank beyond k: it is found where it belongs, which is place 25")
sh(f"hashwood why news.hw news {NEAREST[24]} --vector @query.json -k 10", keep=("found", "exact_rank", "lost_at"))
sh(f"hashwood why news.hw news {NEAREST[24]} --vector @query.json -k 30", keep=("found", "exact_rank", "lost_at"))

say("4. An approximate answer. A hundred queries with the recall asked for and what came, compared with exact answers")
jsonl("queries.jsonl", [{"vector": [round(rng.uniform(-1, 1), 3) for _ in range(DIM)]} for _ in range(100)])
truth = found_by("--exact")
for asked in (0.5, 0.9, 0.95, 0.99, 1):
    found = found_by("--recall", str(asked))
    share = sum(len(set(a) & set(b)) for a, b in zip(found, truth)) / sum(map(len, truth))
    print(f"recall asked {asked:<4}  found {share:.2f}")

say("One that was lost with half the recall: `why` names the step, and asking for more recall finds it")
lost = next(i for i in NEAREST[:10] if i not in found_one("--recall", "0.5") and i in found_one("--recall", "0.99"))
sh(f"hashwood why news.hw news {lost} --vector @query.json --recall 0.5")
sh(f"hashwood why news.hw news {lost} --vector @query.json --recall 0.99", keep=("found", "leaf_rank", "leaves_opened"))
sh("hashwood search news.hw news --vector @query.json --recall 0.5 --explain -k 1", keep=("plan", "points", "leaves:", "funnel"))
sh("hashwood search news.hw news --vector @query.json --exact --explain -k 1", keep=("plan", "points", "leaves:", "funnel"))

say("5. The wrong metric: the dot product favours long vectors, so a long text beats the right one; cosine compares directions")
rows = [{"id": "short and right", "vector": [3, 4]}, {"id": "long and wrong", "vector": [20, 2]}, {"id": "other", "vector": [-1, 2]}]
jsonl("texts.jsonl", rows)
for metric in ("dot", "cosine", "l2"):
    sh(f"hashwood import texts.hw {metric} texts.jsonl --create --metric {metric} --quiet")
    sh(f"hashwood search texts.hw {metric} --vector '[6, 7]' -k 3 --with none")
