#!/usr/bin/env python3
"""A day in the life of a catalogue: products come, change their price, sell out, go, and are searched all the while.

The vectors are made by hand, to be followed by eye: how much a thing is for sitting, for working at, for light, and how
rustic it looks. A model's vectors have hundreds of such numbers, whose meaning nobody knows."""
from _scenario import jsonl, say, sh

THINGS = [  # id, name, [sitting, working, light, rustic], price, stock, room
    (1, "Oak chair", [9, 2, 0, 8], 89.0, 4, "kitchen"),
    (2, "Beech stool", [8, 1, 0, 7], 45.0, 12, "kitchen"),
    (3, "Office chair", [9, 7, 0, 1], 199.0, 3, "office"),
    (4, "Desk", [1, 9, 0, 3], 320.0, 2, "office"),
    (5, "Farm table", [1, 6, 0, 9], 540.0, 1, "kitchen"),
    (6, "Desk lamp", [0, 6, 9, 1], 35.0, 20, "office"),
    (7, "Candlestick", [0, 0, 7, 8], 15.0, 30, "kitchen"),
    (8, "Armchair", [10, 0, 0, 4], 410.0, 2, "living"),
]
jsonl("things.jsonl", [{"id": i, "vector": v, "payload": {"name": n, "price": p, "stock": s, "room": r}}
                       for i, n, v, p, s, r in THINGS])
with open("affordable.json", "w") as f:
    f.write('{"must": [{"key": "price", "range": {"lt": 200}}, {"key": "stock", "range": {"gt": 0}}]}\n')

say("Morning: the catalogue is brought in, with indexes for what customers filter by")
sh("hashwood import shop.hw things things.jsonl --create --metric cosine --payload-index price:float "
   "--payload-index stock:integer --payload-index room:keyword && hashwood count shop.hw things")

say("A customer looks at the oak chair: what is like it, below 200, in stock?")
sh("cat affordable.json")
sh("hashwood search shop.hw things --id 1 -k 3 --filter @affordable.json")

say("A new product comes in, and is found at once")
sh("""hashwood put shop.hw things --id 9 --vector '[9, 2, 0, 7]' --payload '{"name": "Ash chair", "price": 99.0, "stock": 6, "room": "kitchen"}'""")
sh("hashwood search shop.hw things --id 1 -k 3 --filter @affordable.json")

say("Noon: one price is changed, then everything of the kitchen is marked; what is not named stays")
sh("""hashwood update shop.hw things 9 --set '{"price": 249.0}'""")
sh("""hashwood update shop.hw things --filter '{"must": {"key": "room", "match": {"value": "kitchen"}}}' --set '{"sale": true}'""")
sh("hashwood get shop.hw things 9")
sh("hashwood search shop.hw things --id 1 -k 3 --filter @affordable.json")

say("The last stool is sold, the office chair leaves the catalogue")
sh("""hashwood update shop.hw things 2 --set '{"stock": 0}'""")
sh("hashwood delete shop.hw things 3")
sh("hashwood search shop.hw things --id 1 -k 3 --filter @affordable.json")

say("A new photo of the armchair: its vector changes, its payload stays")
sh("hashwood update shop.hw things 8 --vector '[8, 0, 0, 9]'")
sh("hashwood search shop.hw things --id 1 -k 2")

say("A slip is told, with its place and what was meant")
sh("""hashwood search shop.hw things --id 1 --filter '{"must": {"key": "price", "rnage": {"lt": 200}}}'""")
sh("""hashwood put shop.hw things --id 10 --vector '[1, 2, 3]'""")
sh("hashwood get shop.hw things 3")

say("Evening: the count, and a check of every byte")
sh("hashwood count shop.hw things && hashwood check shop.hw")
