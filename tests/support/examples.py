"""The examples of README and docs: fenced blocks, each with the way it is run.

A comment above a block says how: `<!-- until Ctrl-C -->`, `<!-- dry run: REASON -->`, `<!-- run by: FILE -->` for a
test that reads the block out of the page, `<!-- not run: REASON -->`. Without a comment its commands are run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = ("console", "python", "toml", "sh")
"""Languages of examples; blocks of others are pictures, output, or parts of files of other programs."""

RUN, UNTIL_CTRL_C, DRY_RUN, RUN_BY, NOT_RUN = "run", "until Ctrl-C", "dry run", "run by", "not run"
"""The ways of an example."""

_BLOCK = re.compile(
    r"(?:<!-- (?P<way>until Ctrl-C|dry run|run by|not run)(?:: (?P<reason>[^\n]+))? -->\n)?"
    r"```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.S | re.M,
)
_VOLATILE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?"
)


class Example(NamedTuple):
    """One block, and the way it is run; `reason`: why not as it stands, or the test that runs it."""

    page: str
    line: int
    language: str
    text: str
    way: str
    reason: str

    @property
    def script(self) -> str:
        """The commands of a console block, as a script of a shell."""
        lines, continued = [], False
        for line in self.text.splitlines():
            if line.startswith("$ "):
                lines.append(line[2:])
            elif continued:
                lines.append(line)
            text = "\n".join(lines)
            continued = bool(lines) and (text.count("'") % 2 == 1 or text.endswith("\\"))
        return "\n".join(lines)

    @property
    def output(self) -> list[str]:
        """The lines that a console block shows as output."""
        script = self.script.splitlines()
        return [s for line in self.text.splitlines() if (s := line.removeprefix("$ ")) not in script and s.strip()]


def examples() -> Iterator[Example]:
    """Yield every example of README and docs."""
    for page in PAGES:
        text = page.read_text()
        for found in _BLOCK.finditer(text):
            if found["language"] in LANGUAGES:
                line = text.count("\n", 0, found.start()) + 1
                name, way, reason = page.relative_to(ROOT).as_posix(), found["way"] or RUN, found["reason"] or ""
                yield Example(name, line, found["language"], found["text"], way, reason)


def example(page: str, beginning: str) -> Example:
    """Return the example of a page whose commands begin with a text, for the test that runs it."""
    (found,) = (block for block in examples() if block.page == page and block.script.startswith(beginning))
    return found


def stable(text: str) -> str:
    """Return text with ids and times blotted out, and spaces as one."""
    return re.sub(r"[ \t]+", " ", _VOLATILE.sub("…", text)).strip()
