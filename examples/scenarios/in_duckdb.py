#!/usr/bin/env python3
"""The same questions asked of DuckDB, which keeps columns and answers questions about all rows; it knows vectors of fixed length
and compares with every one. Then both together: facts and sums there, likeness here, under the same ids.

Needs the package duckdb (pip install duckdb); without it the script ends with exit code 77."""
import json
import subprocess
import sys
import time

try:
    import duckdb
except ImportError:
    print("skipped: the Python package duckdb is not there (pip install duckdb)")
    sys.exit(77)

from _goods import CITIES, DIM, GOODS, QUERY
from _scenario import jsonl, say, sh

seconds = {}


def ask(sql, values=None, shown=None):
    """Prints a statement and its rows."""
    print("sql> " + (shown or sql))
    began = time.monotonic()
    rows = db.execute(sql, values or {}).fetchall()
    seconds[sql] = time.monotonic() - began
    for row in rows:
        print("  " + "  ".join(f"{v:.2f}" if isinstance(v, float) else str(v) for v in row))
    return rows


NEAREST = f"SELECT id, array_distance(vector, $q::FLOAT[{DIM}]) AS d FROM goods ORDER BY d, id LIMIT 3"

say("The data: both read the same file")
jsonl("goods.jsonl", [{"id": i, "vector": v, "payload": {"shop": s, "city": CITIES[s], "price": p, "kind": k}} for i, s, p, k, v in GOODS])
with open("query.json", "w") as f:
    json.dump(QUERY, f)
db = duckdb.connect("goods.duckdb")
db.execute("SET threads = 1")
ask(f"CREATE TABLE goods AS SELECT id, payload.city, payload.price, payload.kind, vector::FLOAT[{DIM}] AS vector FROM read_json('goods.jsonl')")
sh("hashwood import goods.hw goods goods.jsonl --create --metric l2 --payload-index price:float --payload-index city:keyword --quiet")

say("What is most like this? DuckDB needs no index and no build, is exact, and reads every vector")
ask(NEAREST, {"q": QUERY})
p = subprocess.run(["hashwood", "search", "goods.hw", "goods", "--vector", "@query.json", "-k", "3", "--json", "--explain"],
                   stdout=subprocess.PIPE, text=True, check=True)
answer = json.loads(p.stdout)
print("$ hashwood search goods.hw goods --vector @query.json -k 3")
for h in answer["hits"]:
    print(f"  {h['id']}  {h['score']:.2f}")
print(f"  signatures read: {answer['explain']['funnel']['scanned']:,}, vectors compared: {answer['explain']['funnel']['exact']:,} of {len(GOODS):,}")

say("Questions about all rows are DuckDB's: how near is each city's stock to this, and at what price?")
ask(f"SELECT city, count(*), avg(price), avg(array_distance(vector, $q::FLOAT[{DIM}])) FROM goods GROUP BY city ORDER BY city", {"q": QUERY})

say("What kind of thing is this? The middle of each kind, computed from its vectors in one statement")
ask(f"""SELECT kind, list_aggregate(list_transform(range(1, {DIM} + 1), lambda i: (mean[i] - $q[i]) ** 2), 'sum') AS d
     FROM (SELECT kind, [avg(vector[1])""" + "".join(f", avg(vector[{i}])" for i in range(2, DIM + 1)) + """] AS mean FROM goods GROUP BY kind)
     ORDER BY d LIMIT 2""", {"q": QUERY}, shown="SELECT kind, <squared distance of the mean vector to $q> AS d FROM goods GROUP BY kind ORDER BY d LIMIT 2")

say("Both together: hashwood finds, DuckDB tells what the finds add up to")
p = subprocess.run(["hashwood", "search", "goods.hw", "goods", "--vector", "@query.json", "-k", "200", "--json"], stdout=subprocess.PIPE, text=True, check=True)
near = [h["id"] for h in json.loads(p.stdout)["hits"]]
print("$ hashwood search goods.hw goods --vector @query.json -k 200 --json")
ask("SELECT city, count(*), min(price), avg(price) FROM goods WHERE id IN (SELECT unnest($near)) GROUP BY city ORDER BY city", {"near": near})

say("And the other way: what a question to DuckDB selects becomes a collection")
ask("COPY (SELECT id, vector, kind FROM goods WHERE price < (SELECT quantile_cont(price, 0.1) FROM goods)) TO 'cheap.jsonl' (FORMAT json)")
sh("hashwood import cheap.hw goods cheap.jsonl --create --metric l2 --quiet && hashwood search cheap.hw goods --vector @query.json -k 3")

print(f"likeness: DuckDB takes {seconds[NEAREST] / answer['us'] * 1e6:.0f} times hashwood's {answer['us']} us", file=sys.stderr)
