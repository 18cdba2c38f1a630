"""The pages of codes and statuses, from the enums, the classes of problems and where the code names them."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from docs.generate.markdown import page, table
from docs.generate.notes import CODE_MEANINGS, STATUS_NOTES
from gateway.problems import Problem, ProblemCode
from schemas.verdict import Code

ROOT = Path(__file__).parents[2]
PACKAGES = ("gateway", "schemas", "stream", "sinks")

Places = dict[str, list[str]]


def codes_page() -> str:
    """Return the page: each code of an event's violation and of a request's problem, and where it is raised."""
    places = raised_in()
    events = [[f"`{code.value}`", CODE_MEANINGS[code], _listed(places[f"Code.{code.name}"])] for code in Code]
    statuses = _statuses_by_code(places)
    problems = [
        [f"`{code.value}`", statuses[code], _listed(places[f"ProblemCode.{code.name}"])] for code in ProblemCode
    ]
    return page(
        "Codes",
        "Programs may rely on codes: none is ever renamed.",
        "## Codes of an event",
        "They stand in `errors` of a rejected event, with the JSON path and a sentence. At most 100 violations of one"
        " event are listed.",
        table(["code", "meaning", "raised in"], events),
        "## Codes of a request",
        "They stand in `code` of an `application/problem+json` answer (RFC 9457).",
        table(["code", "status", "raised in"], problems),
    )


def statuses_page() -> str:
    """Return the page: each status the gateway answers with, its codes and when."""
    codes: dict[int, list[str]] = defaultdict(list)
    for code, statuses in _statuses_by_code(raised_in()).items():
        for status in statuses.split(", "):
            codes[int(status)].append(f"`{code.value}`")
    rows = [["202", "", "at least one event is durable"]]
    rows += [[str(status), ", ".join(codes[status]), _when(status)] for status in sorted(codes)]
    return page(
        "Statuses",
        "Errors are `application/problem+json` (RFC 9457), made in `gateway/problems.py`;"
        " [codes](codes.md) says where each is raised.",
        table(["status", "code", "when"], rows),
    )


def raised_in() -> Places:
    """Return, for each code as the source names it, the functions that use it."""
    found: Places = defaultdict(list)
    defaults = {cls.__name__: f"ProblemCode.{cls.code.name}" for cls in _problem_classes()}
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        for function, used in _uses(ast.parse(path.read_text()), defaults):
            place = f"{name}: {function}"
            if place not in found[used]:
                found[used].append(place)
    return found


def _problem_classes(cls: type[Problem] = Problem) -> list[type[Problem]]:
    return [cls, *(found for child in cls.__subclasses__() for found in _problem_classes(child))]


def _uses(tree: ast.Module, defaults: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (function, code) for each code that a function or a table names, and for each problem it makes."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            methods = (n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
            for method in methods:
                yield from ((f"{node.name}.{method.name}", used) for used in _codes_in(method, defaults))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from ((node.name, used) for used in _codes_in(node, defaults))
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            yield from ((ast.unparse(target), used) for used in _codes_in(node, defaults))


def _codes_in(function: ast.AST, defaults: dict[str, str]) -> Iterator[str]:
    for node in ast.walk(function):
        match node:
            case ast.Attribute(value=ast.Name(id="Code" | "ProblemCode" as enum), attr=name) if name.isupper():
                yield f"{enum}.{name}"
            case ast.Call(func=ast.Name(id=name)) if name in defaults and "code" not in _keywords(node):
                yield defaults[name]


def _keywords(call: ast.Call) -> set[str | None]:
    return {keyword.arg for keyword in call.keywords}


def _when(status: int) -> str:
    """Return when a status is answered: a note, or else the summary of the problem's class."""
    classes = [cls for cls in _problem_classes() if cls.status.value == status]
    return STATUS_NOTES.get(status) or (classes[0].__doc__ or "").split("\n")[0]


def _statuses_by_code(places: Places) -> dict[ProblemCode, str]:
    """Return the statuses that each code is answered with: of its class, or of the class it is given to."""
    own: dict[ProblemCode, set[int]] = defaultdict(set)
    for cls in _problem_classes():
        if cls is not Problem:
            own[cls.code].add(cls.status.value)
    by_name = {cls.__name__: cls.status.value for cls in _problem_classes()}
    for path in sorted((ROOT / "gateway").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id=name), keywords=keywords) if name in by_name:
                    for keyword in keywords:
                        if keyword.arg == "code" and isinstance(keyword.value, ast.Attribute):
                            own[ProblemCode[keyword.value.attr]].add(by_name[name])
    own[ProblemCode.METHOD_NOT_ALLOWED].add(405)  # aiohttp's, named in gateway/problems.py
    return {code: ", ".join(map(str, sorted(own[code]))) for code in ProblemCode}


def _listed(places: list[str]) -> str:
    return ", ".join(f"`{place}`" for place in places)
