#!/usr/bin/env python3
"""The same questions asked of a relational database, of a document store and of hashwood: what is like this, which rows satisfy
this, what do all rows add up to, what belongs together, what is stored under this key. Each has what it needs and reads as
much as it must: the figure is how many rows (vectors, documents) were looked at.

Relational: SQLite. Document store: JSON under keys, in a file of Python's dbm.dumb, the simplest there is; a larger one adds
indexes on exact properties and changes nothing about likeness."""
import array
import dbm.dumb
import json
import sqlite3
import subprocess
import sys
import time

from _goods import CITIES, GOODS, QUERY
from _scenario import jsonl, say, sh

looked = {"rows": 0}
seconds = {}


def distance(blob):
    """The function that SQLite is taught: squared l2 distance to QUERY."""
    looked["rows"] += 1
    return sum((a - b) ** 2 for a, b in zip(array.array("f", blob), QUERY))


def ask(sql, *values, plan=False):
    """Prints a statement and its rows; plan: how SQLite goes about it."""
    print("sql> " + sql)
    if plan:
        for row in db.execute("EXPLAIN QUERY PLAN " + sql, values):
            print("  plan: " + row[3].replace("TABLE ", ""))  # as older versions say
    looked["rows"] = 0
    began = time.monotonic()
    rows = db.execute(sql, values).fetchall()
    seconds[sql] = time.monotonic() - began
    for row in rows:
        print("  " + "  ".join(f"{v:.2f}" if isinstance(v, float) else str(v) for v in row))
    if looked["rows"]:
        print(f"  vectors compared: {looked['rows']:,}")


def search(*options):
    """A search of hashwood: prints it and its hits, with how many vectors it looked at."""
    words = ["hashwood", "search", "goods.hw", "goods", "--vector", "@query.json", "-k", "3", *options]
    print("$ " + " ".join(f"'{w}'" if " " in w else w for w in words))
    p = subprocess.run([*words, "--explain", "--json", "--quiet"], stdout=subprocess.PIPE, text=True, check=True)
    answer = json.loads(p.stdout)
    for h in answer["hits"]:
        print(f"  {h['id']}  {h['score'] ** 2:.2f}")
    funnel = answer["explain"]["funnel"]
    print(f"  signatures read: {funnel['scanned']:,}, vectors compared: {funnel['exact']:,}")
    seconds[options] = answer["us"] / 1e6


say("The data: 20,000 goods of 200 shops, in all three")
db = sqlite3.connect("goods.sqlite")
db.create_function("distance", 1, distance, deterministic=True)
db.executescript("""
    CREATE TABLE shops (id INTEGER PRIMARY KEY, city TEXT);
    CREATE TABLE goods (id INTEGER PRIMARY KEY, shop INTEGER REFERENCES shops, price REAL, kind INTEGER, vector BLOB);
    CREATE INDEX goods_price ON goods (price);""")
db.executemany("INSERT INTO shops VALUES (?, ?)", list(enumerate(CITIES)))
db.executemany("INSERT INTO goods VALUES (?, ?, ?, ?, ?)", [(i, s, p, k, array.array("f", v).tobytes()) for i, s, p, k, v in GOODS])
db.commit()
documents = dbm.dumb.open("goods", "n")
for i, shop, price, kind, vector in GOODS:
    documents[str(i)] = json.dumps({"shop": shop, "city": CITIES[shop], "price": price, "kind": kind, "vector": vector})
jsonl("goods.jsonl", [{"id": i, "vector": v, "payload": {"shop": s, "city": CITIES[s], "price": p, "kind": k}} for i, s, p, k, v in GOODS])
with open("query.json", "w") as f:
    json.dump(QUERY, f)
sh("hashwood import goods.hw goods goods.jsonl --create --metric l2 --payload-index price:float --payload-index city:keyword --quiet && "
   "hashwood count goods.hw goods")

say("What is most like this?  (likeness: hashwood's question)")
ask("SELECT id, distance(vector) AS d FROM goods ORDER BY d LIMIT 3", plan=True)
print("documents: every one is read and parsed")
began = time.monotonic()
found = sorted((sum((a - b) ** 2 for a, b in zip(json.loads(documents[k])["vector"], QUERY)), int(k)) for k in documents.keys())[:3]
seconds["documents"] = time.monotonic() - began
for d, i in found:
    print(f"  {i}  {d:.2f}")
print(f"  documents read: {len(documents):,}")
search()
search("--exact")

say("What is most like this, below 10?  (both: an index of order leaves fewer to compare)")
ask("SELECT id, distance(vector) AS d FROM goods WHERE price < 10 ORDER BY d LIMIT 3", plan=True)
search("--filter", '{"must": {"key": "price", "range": {"lt": 10}}}')

say("Which are the cheapest?  (order: the B-tree's question; hashwood lists by a field over HTTP, its command filters)")
ask("SELECT id, price FROM goods ORDER BY price, id LIMIT 3", plan=True)
sh("""hashwood count goods.hw goods --filter '{"must": {"key": "price", "range": {"lt": 5.05}}}'""")

say("What do the goods of each city cost?  (join and aggregate: SQL's question; hashwood counts, and that is all)")
ask("SELECT city, count(*), avg(price) FROM goods JOIN shops ON shops.id = goods.shop GROUP BY city ORDER BY city")
sh("""hashwood count goods.hw goods --filter '{"must": {"key": "city", "match": {"value": "Graz"}}}'""")

say("A shop moves to another town  (normal form: one row in SQL; a copy in each document, and in each payload)")
ask("UPDATE shops SET city = 'Brno' WHERE id = 7")
print(f"  rows changed: {db.execute('SELECT changes()').fetchone()[0]}")
sh("""hashwood update goods.hw goods --filter '{"must": {"key": "shop", "match": {"value": 7}}}' --set '{"city": "Brno"}'""")
moved = [k for k in documents.keys() if json.loads(documents[k])["shop"] == 7]
for k in moved:
    documents[k] = json.dumps(dict(json.loads(documents[k]), city="Brno"))
print(f"documents: {len(moved)} rewritten, after reading {len(documents):,} to find them")

say("What is stored under this key?  (all three; for the document store it is what it is made for)")
ask("SELECT id, shop, price FROM goods WHERE id = 4711", plan=True)
d = json.loads(documents["4711"])
print(f"documents: 1 read: shop {d['shop']}, price {d['price']}")
sh("hashwood get goods.hw goods 4711")

say("All or nothing: a batch with a mistake in its last row changes nothing")
try:
    with db:
        db.execute("DELETE FROM goods WHERE id = 1")
        db.execute("INSERT INTO goods (id) VALUES (2)")
except sqlite3.IntegrityError as e:
    print(f"sql: {e}; goods: {db.execute('SELECT count(*) FROM goods').fetchone()[0]:,}")
sh("hashwood delete goods.hw goods 1 2 999999; hashwood count goods.hw goods")

exact, sql = seconds[("--exact",)], next(iter(seconds.values()))
print(f"likeness, times hashwood's {seconds[()] * 1e6:.0f} us: exact {exact / seconds[()]:.1f}, SQL {sql / seconds[()]:,.0f}, "
      f"documents {seconds['documents'] / seconds[()]:,.0f}", file=sys.stderr)
