"""The data of the comparisons with other databases: 20,000 goods of 200 shops, with a vector each, made with a fixed seed."""
import random

COUNT, DIM, SHOPS, KINDS = 20000, 32, 200, 60
rng = random.Random(21)
KIND = [[rng.uniform(-1, 1) for _ in range(DIM)] for _ in range(KINDS)]
GOODS = []  # (id, shop, price, kind, vector)
for number in range(COUNT):
    kind = rng.randrange(KINDS)
    vector = [round(x + rng.uniform(-0.6, 0.6), 3) for x in KIND[kind]]
    GOODS.append((number, rng.randrange(SHOPS), rng.randrange(500, 50000) / 100, kind, vector))
CITIES = [["Lyon", "Graz", "Turku", "Porto", "Gdansk"][s % 5] for s in range(SHOPS)]
QUERY = [round(x + rng.uniform(-0.6, 0.6), 3) for x in KIND[7]]
