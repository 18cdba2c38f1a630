"""The package: small, typed, without anything it depends on, and the same that the gateway serves."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from clients.browser.tests.tools import CLIENT, find, npm

CONSUMER = """
import { identify, init, send, session, version } from "the-eye-browser";
import type { Options, Result } from "the-eye-browser";

const options: Options = { url: "https://events.example.com", key: "k", onResult: ({ status }: Result) => void status };
init(options);
identify("u-1");
const id: string | undefined = send("page interaction", "cta click", { element: "buy" }, { timestamp: new Date() });
export const known: [string | undefined, string | undefined, string] = [id, session(), version];
// @ts-expect-error a category is a text
send(1, "cta click");
// @ts-expect-error there is no such option
init({ url: "", key: "", unknown: true });
"""


@pytest.fixture(scope="session")
def installed(client: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the package from its tarball into a directory with nothing else in it."""
    directory = tmp_path_factory.mktemp("consumer")
    [tarball] = client.glob("*.tgz")
    (directory / "package.json").write_text('{"name": "consumer", "private": true, "type": "module"}')
    npm("install", "--offline", "--no-audit", "--no-fund", str(tarball), directory=directory)
    return directory


def test_the_module_has_at_most_4096_bytes(client: Path) -> None:
    assert len(gzip.compress((client / "eye.js").read_bytes(), 9)) <= 4096


def test_the_gateway_serves_what_is_built(client: Path) -> None:
    served = CLIENT.parents[1] / "gateway" / "static" / "eye.js"

    assert served.read_bytes() == (client / "eye.js").read_bytes(), "run `make client`"


def test_the_package_depends_on_nothing(installed: Path) -> None:
    assert [path.name for path in (installed / "node_modules").iterdir() if path.name[0] != "."] == ["the-eye-browser"]
    files = {path.name for path in (installed / "node_modules" / "the-eye-browser" / "dist").iterdir()}
    assert files == {"eye.js", "snippet.js", "types"}


def test_the_package_is_imported_without_a_browser(installed: Path) -> None:
    script = 'import("the-eye-browser").then((eye) => console.log(eye.version, eye.send("a", "b")))'
    run = subprocess.run([find("node"), "-e", script], cwd=installed, capture_output=True, text=True, check=True)

    assert run.stdout.split() == [json.loads((CLIENT / "package.json").read_text())["version"], "undefined"]


def test_the_types_hold_in_strict_code(installed: Path) -> None:
    (installed / "consumer.ts").write_text(CONSUMER)
    shutil.copy(CLIENT / "tsconfig.json", installed / "base.json")
    (installed / "tsconfig.json").write_text(
        '{"extends": "./base.json", "compilerOptions": {"rootDir": "."}, "include": ["consumer.ts"]}'
    )
    tsc = CLIENT / "node_modules" / ".bin" / "tsc"
    run = subprocess.run([tsc, "--noEmit"], cwd=installed, capture_output=True, text=True, check=False)

    assert run.stdout == ""


def test_the_source_keeps_its_types(client: Path) -> None:
    npm("run", "--silent", "check")


def test_the_lock_file_names_no_address() -> None:
    assert re.findall(r"resolved|https?:", (CLIENT / "package-lock.json").read_text()) == []


def test_the_readme_has_the_snippet_and_every_option(client: Path) -> None:
    readme = (CLIENT / "README.md").read_text()
    options = re.findall(r"^  (\w+)\??:", (CLIENT / "src" / "options.ts").read_text(), re.MULTILINE)
    ours = {name for name in options if name not in ("event_id", "status", "errors")}

    assert (client / "snippet.js").read_text().strip() in readme
    assert {name for name in ours if f"`{name}`" not in readme} == set()
