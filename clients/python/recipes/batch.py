"""Send what a file holds, a line of JSON each: `EYE_URL=... EYE_KEY=... python batch.py FILE`.

A line is {"session_id", "time", "host", "path"}. Each event has an id made of the file's name and the line's number,
so that a run that broke off can be repeated: what was stored is not stored again.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from eye_client import Eye, Result, Status

AT_ONCE = 5_000
PATIENCE_SECONDS = 600.0


def main(path: Path) -> int:
    """Send a file; returns 0 where each of its events is stored."""
    refused: list[Result] = []

    def note(result: Result) -> None:
        if result.status is not Status.OK:
            if result.status is not Status.RETRY:  # a wrong key can be mended while we wait
                refused.append(result)
            print(result.event, result.status.value, result.errors, file=sys.stderr)

    with Eye(os.environ["EYE_URL"], os.environ["EYE_KEY"], on_result=note) as eye, path.open() as lines:
        for number, line in enumerate(lines, 1):
            row = json.loads(line)
            eye.send(
                "page interaction",
                "pageview",
                row["session_id"],
                {"host": row["host"], "path": row["path"]},
                timestamp=row["time"],
                event_id=f"{path.name}:{number}",
            )
            # a script reads faster than a gateway stores: wait, as a full queue would drop
            if number % AT_ONCE == 0 and not eye.flush(PATIENCE_SECONDS):
                break
        done = eye.flush(PATIENCE_SECONDS)
    return 0 if done and not refused else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
