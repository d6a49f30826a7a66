"""How good the neighbours in a collection are: every stored point's nearest others, asked for by one command."""
import json
from collections import Counter

from _show import np


class Answers:
    """What follows each point of a collection, nearest first, itself left out.

    payloads   of the points, in the order of their ids
    order      for each point the rows of the `most` nearest others
    scores     theirs
    labels     what `label` says of each payload
    """

    def __init__(self, show, collection, label, most=None):
        files = [show.file(collection + end) for end in (".npy", ".ids", ".jsonl")]
        show.hashwood("export", show.db, collection, files[0], "--ids", files[1], "--payload", files[2], quiet=True)
        with open(files[1]) as f:
            ids = [line.strip().strip('"') for line in f]
        with open(files[2]) as f:
            self.payloads = [json.loads(line) for line in f]
        self.count = len(ids)
        most = min(most or self.count - 1, self.count - 1)
        found = show.hashwood("search", show.db, collection, "--file", files[0], "-k", most + 1, "--exact", "--with", "none",
                              json=True)
        row_of = {id: row for row, id in enumerate(ids)}
        others = [[(row_of[str(h["id"])], h["score"]) for h in f["hits"] if row_of[str(h["id"])] != row][:most]
                  for row, f in enumerate(found)]
        self.order = np.array([[row for row, _ in o] for o in others])
        self.scores = np.array([[score for _, score in o] for o in others])
        self.labels = np.array([label(p) for p in self.payloads])

    def precision(self, k=1, labels=None, fewest=4):
        """Share of the k nearest that have their query's label; labels of fewer points than `fewest` are not asked."""
        labels = self.labels if labels is None else labels
        counts = Counter(labels.tolist())
        asked = np.array([counts[label] >= fewest for label in labels.tolist()])
        return float((labels[self.order[:, :k]] == labels[:, None])[asked].mean())

    def nearest_of_others(self, group):
        """For each point the row of the nearest one that has another value of a payload key; -1 where no such point has
        its label."""
        groups = np.array([p[group] for p in self.payloads])
        out = np.full(self.count, -1)
        for row in range(self.count):
            if ((self.labels == self.labels[row]) & (groups != groups[row])).any():
                out[row] = next(i for i in self.order[row] if groups[i] != groups[row])
        return out

    def row(self, path_ends):
        return next(i for i, p in enumerate(self.payloads) if p["path"].endswith(path_ends))


def chance(labels):
    """Precision@1 of blind guessing."""
    counts = np.array(list(Counter(labels.tolist()).values()))
    return float(((counts / counts.sum()) ** 2).sum())
