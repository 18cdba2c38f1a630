"""Evaluate the part of PromQL that the alert rules and the dashboard use, over series in memory.

`promql_parser` reads the expressions; what they mean is Prometheus' semantics, written down here for the few
functions and operators that are used, extrapolation of `rate` included. Anything else raises NotImplementedError.
`make alerts` holds it against the original.
"""

from __future__ import annotations

import math
import operator
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import promql_parser as syntax

LOOKBACK_SECONDS = 300.0
"""Greatest age of a sample that still counts as the current one."""

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
Points = list[tuple[float, float]]

_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul,
    "/": lambda a, b: a / b if b else math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a),
}  # fmt: skip
_COMPARISON: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_AGGREGATE: Mapping[str, Callable[[list[float]], float]] = {
    "sum": math.fsum, "max": max, "min": min, "count": len, "avg": lambda values: math.fsum(values) / len(values),
}  # fmt: skip
_MATCH: Mapping[str, Callable[[str, str], bool]] = {
    "MatchOp.Equal": operator.eq,
    "MatchOp.NotEqual": operator.ne,
    "MatchOp.Re": lambda value, pattern: re.fullmatch(pattern, value) is not None,
    "MatchOp.NotRe": lambda value, pattern: re.fullmatch(pattern, value) is None,
}


@dataclass
class _Series:
    labels: dict[str, str]
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


class Store:
    """Series in memory; times are seconds, and rise. A value that is no number says that a series has ended."""

    def __init__(self) -> None:
        self._series: dict[str, dict[Labels, _Series]] = defaultdict(dict)

    def add(self, name: str, labels: Mapping[str, str], time: float, value: float) -> None:
        """Add one sample behind those of its series."""
        series = self._series[name].setdefault(frozenset(labels.items()), _Series(dict(labels)))
        series.times.append(time)
        series.values.append(value)

    def names(self) -> set[str]:
        """Return the names of all metrics."""
        return set(self._series)

    def between(self, selector: syntax.VectorSelector, after: float, until: float) -> Iterator[tuple[Labels, Points]]:
        """Yield the samples of each series that a selector picks: later than `after`, and no later than `until`."""
        for key, series in self._series.get(str(selector.name), {}).items():
            if all(_MATCH[str(m.op)](series.labels.get(m.name, ""), m.value) for m in selector.matchers.matchers):
                first, last = bisect_right(series.times, after), bisect_right(series.times, until)
                if first < last:
                    yield key, list(zip(series.times[first:last], series.values[first:last], strict=True))


def evaluate(store: Store, expression: str, time: float) -> Vector:
    """Evaluate an expression at a time; a scalar is a vector of one element without labels."""
    found = _Evaluation(store, time).value(syntax.parse(expression))
    return found if isinstance(found, dict) else {frozenset(): found}


class _Evaluation:
    def __init__(self, store: Store, time: float) -> None:
        self._store = store
        self._time = time

    def value(self, node: object) -> Vector | float:
        match node:
            case syntax.NumberLiteral():
                return float(node.val)
            case syntax.ParenExpr():
                return self.value(node.expr)
            case syntax.VectorSelector():
                until = self._until(node)
                found = self._store.between(node, until - LOOKBACK_SECONDS, until)
                return {labels: points[-1][1] for labels, points in found if not math.isnan(points[-1][1])}
            case syntax.Call():
                return self._call(node.func.name, node.args)
            case syntax.AggregateExpr():
                return self._aggregate(node)
            case syntax.BinaryExpr():
                return self._binary(node)
        raise NotImplementedError(f"{type(node).__name__}: {node}")

    def _until(self, selector: syntax.VectorSelector) -> float:
        return self._time - (selector.offset.total_seconds() if selector.offset else 0.0)

    def _vector(self, node: object) -> Vector:
        found = self.value(node)
        assert isinstance(found, dict), f"a scalar stands where a vector must: {node}"
        return found

    def _call(self, name: str, args: list[object]) -> Vector:
        match name, args:
            case "rate" | "increase", [syntax.MatrixSelector() as matrix]:
                return self._over_time(matrix, increase if name == "increase" else rate)
            case "max_over_time", [syntax.MatrixSelector() as matrix]:
                return self._over_time(matrix, lambda points, *_: max(value for _, value in points))
            case "last_over_time", [syntax.MatrixSelector() as matrix]:
                return self._over_time(matrix, lambda points, *_: points[-1][1])
            case "absent", [syntax.VectorSelector() as selector]:
                equal = frozenset((m.name, m.value) for m in selector.matchers.matchers if str(m.op) == "MatchOp.Equal")
                return {} if self._vector(selector) else {equal: 1.0}
            case "histogram_quantile", [syntax.NumberLiteral() as quantile, histogram]:
                return _quantiles(quantile.val, self._vector(histogram))
        raise NotImplementedError(name)

    def _over_time(
        self, matrix: syntax.MatrixSelector, function: Callable[[Points, float, float], float | None]
    ) -> Vector:
        until = self._until(matrix.vector_selector)
        after = until - matrix.range.total_seconds()
        found = self._store.between(matrix.vector_selector, after, until)
        numbers = ((labels, [point for point in points if not math.isnan(point[1])]) for labels, points in found)
        values = ((labels, function(points, after, until)) for labels, points in numbers if points)
        return {labels: value for labels, value in values if value is not None}

    def _aggregate(self, node: syntax.AggregateExpr) -> Vector:
        groups: dict[Labels, list[float]] = defaultdict(list)
        for labels, value in self._vector(node.expr).items():
            groups[_kept(labels, node.modifier)].append(value)
        return {labels: float(_AGGREGATE[str(node.op)](values)) for labels, values in groups.items()}

    def _binary(self, node: syntax.BinaryExpr) -> Vector | float:
        left, right, word = self.value(node.lhs), self.value(node.rhs), str(node.op)
        if isinstance(left, dict) and isinstance(right, dict):
            return _between_vectors(word, left, right, node.modifier.matching if node.modifier else None)
        if isinstance(left, dict):
            return _each(word, left, lambda value: (value, _scalar(right)))
        if isinstance(right, dict):
            return _each(word, right, lambda value: (_scalar(left), value))
        return _ARITHMETIC[word](left, right)


def _scalar(value: Vector | float) -> float:
    assert isinstance(value, float)
    return value


def _each(word: str, vector: Vector, sides: Callable[[float], tuple[float, float]]) -> Vector:
    if word in _COMPARISON:
        return {labels: value for labels, value in vector.items() if _COMPARISON[word](*sides(value))}
    return {labels: _ARITHMETIC[word](*sides(value)) for labels, value in vector.items()}


def _between_vectors(word: str, left: Vector, right: Vector, matching: syntax.LabelModifier | None) -> Vector:
    """Combine the elements whose labels match, one to one, or as sets."""
    theirs = {_matched(labels, matching): value for labels, value in right.items()}
    if word == "or":
        ours = {_matched(labels, matching) for labels in left}
        return left | {labels: value for labels, value in right.items() if _matched(labels, matching) not in ours}
    if word in ("and", "unless"):
        return {ls: value for ls, value in left.items() if (_matched(ls, matching) in theirs) == (word == "and")}
    assert len(theirs) == len(right), "many elements match one"
    found: Vector = {}
    for labels, value in left.items():
        key = _matched(labels, matching)
        if key not in theirs:
            continue
        if word in _ARITHMETIC:
            found[key] = _ARITHMETIC[word](value, theirs[key])
        elif _COMPARISON[word](value, theirs[key]):
            found[labels if matching is None else key] = value
    return found


def _matched(labels: Labels, matching: syntax.LabelModifier | None) -> Labels:
    if matching is None:
        return labels
    included = str(matching.type).endswith("Include")
    return frozenset((name, value) for name, value in labels if (name in matching.labels) == included)


def _kept(labels: Labels, modifier: syntax.AggModifier | None) -> Labels:
    if modifier is None:
        return frozenset()
    by = str(modifier.type).endswith("By")
    return frozenset((name, value) for name, value in labels if (name in modifier.labels) == by)


def increase(points: Points, after: float, until: float) -> float | None:
    """Return by how much a counter grew, resets left out, extrapolated to the ends of the range as Prometheus does."""
    if len(points) < 2:
        return None
    values = [value for _, value in points]
    grown = values[-1] - values[0] + math.fsum(a for a, b in pairwise(values) if b < a)
    sampled = points[-1][0] - points[0][0]
    between = sampled / (len(points) - 1)
    to_start, to_end = points[0][0] - after, until - points[-1][0]
    if to_start >= between * 1.1:
        to_start = between / 2
    if grown > 0 and values[0] >= 0:
        to_start = min(to_start, sampled * values[0] / grown)
    if to_end >= between * 1.1:
        to_end = between / 2
    return grown * (sampled + to_start + to_end) / sampled


def rate(points: Points, after: float, until: float) -> float | None:
    """Return the growth of a counter per second."""
    grown = increase(points, after, until)
    return None if grown is None else grown / (until - after)


def _quantiles(quantile: float, histograms: Vector) -> Vector:
    buckets: dict[Labels, list[tuple[float, float]]] = defaultdict(list)
    for labels, value in histograms.items():
        bound = dict(labels)["le"]
        buckets[frozenset(label for label in labels if label[0] != "le")].append((float(bound), value))
    return {labels: _quantile(quantile, sorted(bounds)) for labels, bounds in buckets.items()}


def _quantile(quantile: float, buckets: list[tuple[float, float]]) -> float:
    total = buckets[-1][1]
    if not total or len(buckets) < 2:
        return math.nan
    rank = quantile * total
    index = next(index for index, (_, count) in enumerate(buckets) if count >= rank)
    if index == len(buckets) - 1:
        return buckets[-2][0]
    (start, before) = buckets[index - 1] if index else (0.0, 0.0)
    end, count = buckets[index]
    return start + (end - start) * (rank - before) / (count - before)


def names_in(expression: str) -> set[str]:
    """Return the names of the metrics that an expression asks for. Raises ValueError when it is none."""
    return set(_names(syntax.parse(expression)))


def _names(node: object) -> Iterable[str]:
    match node:
        case syntax.VectorSelector():
            yield str(node.name)
        case syntax.MatrixSelector():
            yield str(node.vector_selector.name)
        case syntax.Call():
            for argument in node.args:
                yield from _names(argument)
        case syntax.AggregateExpr() | syntax.ParenExpr():
            yield from _names(node.expr)
        case syntax.BinaryExpr():
            yield from _names(node.lhs)
            yield from _names(node.rhs)
