"""Judges what several processes did to one collection at once, from their logs (fdb_worker.c).

A call lies between its begin and its end. One that ended with "unknown", or never, may have happened at
any time after its begin; one that ended with "conflict" did not. An answer is right when it was so for some moment
between the call's begin and end:

    a value that was found was written by a call that had begun before the reading ended, and no other call
    that wrote the point began after that one ended and ended before the reading began.
"""

import bisect
import collections
import math
import random

Write = collections.namedtuple("Write", "begin end value who")  # value None: deleted
COUNTS_CHECKED = 500  # each asks for every point
ABSENT = Write(-math.inf, -math.inf, None, "nobody")


class History:
    def __init__(self, logs):
        """logs: {worker number: text of its log}"""
        self.writes = collections.defaultdict(lambda: [ABSENT])
        self.batches = {}  # value: (ids, begin)
        self.reads = []  # (begin, end, kind, ids asked for, {id: value} or count)
        self.outcomes = collections.Counter()
        self.problems = []
        for number, text in logs.items():
            self._read(number, text)
        self._settle()

    def _read(self, number, text):
        begun = {}
        for line in text.split("\n")[:-1]:  # a last line that was cut off is no line
            what, call, time, rest = (line + " ").split(" ", 3)
            if what == "B":
                begun[int(call)] = (int(time), rest.split())
            else:
                begin, words = begun.pop(int(call))
                self._call(number, int(call), begin, int(time), words, rest.split())
        for call, (begin, words) in begun.items():
            self._call(number, call, begin, math.inf, words, ["killed"])

    def _call(self, number, call, begin, end, words, answer):
        kind, ids = words[0], [int(w) for w in words[1:]]
        outcome = answer[0] if answer[0] in ("ok", "conflict", "unknown", "killed") else "failed"
        self.outcomes[f"{kind} {outcome}"] += 1
        if outcome == "failed":
            self.problems.append(f"worker {number}, call {call}: {kind} failed: {' '.join(answer)}")
        if kind in ("upsert", "delete"):
            if outcome == "conflict":
                return
            value = number * 65536 + call % 65536 if kind == "upsert" else None
            if kind == "upsert":
                self.batches[value] = (set(ids), begin)
            for i in ids:
                self.writes[i].append(Write(begin, end if outcome == "ok" else math.inf, value,
                                            f"worker {number}, call {call}"))
        elif outcome == "ok":
            found = int(answer[1]) if kind == "count" else self._values(answer[1:])
            self.reads.append((begin, end, kind, ids, found))

    def _values(self, words):
        found = {}
        for word in words:
            i, value, owner = (int(x) for x in word.replace("=", ":").split(":"))
            if owner != i:
                self.problems.append(f"point {i} has the vector of {owner}")
            if i in found:
                self.problems.append(f"point {i} was found twice in one answer")
            found[i] = value
        return found

    def _settle(self):
        """Works out until when each write may have been seen: the first end of a call that began after it."""
        self.lives = collections.defaultdict(dict)  # point: {value: [(from, until)]}
        for i, writes in self.writes.items():
            writes.sort(key=lambda w: w.begin)
            begins = [w.begin for w in writes]
            first_end = [math.inf] * (len(writes) + 1)  # of this write and all that began later
            for at in reversed(range(len(writes))):
                first_end[at] = min(writes[at].end, first_end[at + 1])
            for w in writes:
                until = first_end[bisect.bisect_right(begins, w.end)]
                self.lives[i].setdefault(w.value, []).append((w.begin, until))

    def _may_be(self, i, value, begin, end):
        """Whether point i may have had the value at some moment of [begin, end]."""
        lives = self.lives[i].get(value, []) if i in self.lives else [(-math.inf, math.inf)] * (value is None)
        return any(since <= end and until >= begin for since, until in lives)

    def _values_at(self, i, begin, end):
        return {value for value in self.lives[i] if self._may_be(i, value, begin, end)}

    def _check_atomic(self, found, where):
        """Who sees one point of a batch sees no point of it as it was before."""
        for i, value in found.items():
            ids, begin = self.batches.get(value, (set(), 0))
            for j in ids & found.keys():
                if found[j] != value and all(w.end < begin for w in self.writes[j] if w.value == found[j]):
                    self.problems.append(f"{where}: point {i} is of batch {value}, point {j} from before it")

    def check_reads(self):
        counts = [r for r in self.reads if r[2] == "count"]
        for begin, end, _, _, count in random.Random(1).sample(counts, min(len(counts), COUNTS_CHECKED)):
            self._check_count(begin, end, count)
        for begin, end, kind, ids, found in self.reads:
            if kind == "count":
                continue
            for i in ids if kind == "get" else found:
                if not self._may_be(i, found.get(i), begin, end):
                    self.problems.append(f"{kind} at {begin}..{end}: point {i} cannot have been {found.get(i)}: "
                                         f"{sorted(self.writes[i], key=lambda w: w.begin)[-6:]}")
            self._check_atomic(found, kind)

    def _check_count(self, begin, end, count):
        least = most = 0
        for i in self.lives:
            values = self._values_at(i, begin, end)
            least += None not in values
            most += bool(values - {None})
        if not least <= count <= most:
            self.problems.append(f"count at {begin}..{end} was {count}, expected {least} to {most}")

    def check_final(self, found):
        """found: {id: value} of the whole collection after all processes ended."""
        for i in set(found) | set(self.writes):
            if not self._may_be(i, found.get(i), math.inf, math.inf):
                self.problems.append(f"at the end point {i} cannot be {found.get(i)}: "
                                     f"{sorted(self.writes[i], key=lambda w: w.begin)[-6:]}")
        self._check_atomic(found, "at the end")
