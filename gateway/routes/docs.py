"""The page at /docs: Swagger UI for `/openapi.json`, with a field for the key; everything is served from here.

The files are those of the package swagger-ui-py. The page opens at its own origin only, and keeps no key.
"""

from __future__ import annotations

from importlib import resources
from typing import NamedTuple

from aiohttp import web

from gateway.problems import NotFound

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The Eye: its HTTP calls</title>
<link rel="icon" type="image/png" href="docs/favicon.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="stylesheet" href="docs/page.css">
</head>
<body>
<form id="key-form" autocomplete="off">
<label for="key">Key</label>
<input id="key" type="password" placeholder="eye_…" autocomplete="off" spellcheck="false">
<button type="submit">Use</button>
<output id="key-state" for="key">no key: most calls answer 401</output>
</form>
<main id="swagger-ui"></main>
<noscript>This page needs JavaScript; <a href="openapi.json">openapi.json</a> does not.</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/page.js"></script>
</body>
</html>
"""

_SCRIPT = """"use strict";
const ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  validatorUrl: null,
  syntaxHighlight: { activated: true },
});
const state = document.getElementById("key-state");
document.getElementById("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const key = document.getElementById("key").value.trim();
  if (key) {
    ui.preauthorizeApiKey("bearer", key);
    state.textContent = "used for every call until this page is left";
  } else {
    ui.authActions.logout(["bearer"]);
    state.textContent = "no key: most calls answer 401";
  }
});
"""

_STYLE = """body { margin: 0; background: #fff; }
#key-form { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; padding: .75rem 20px; margin: 0 auto;
  max-width: 1460px; box-sizing: border-box; font: 16px/1.5 system-ui, sans-serif; color: #3b4151; }
#key-form input { flex: 1 1 12rem; min-width: 0; font: inherit; padding: .35rem .5rem; border: 1px solid #8c8c8c;
  border-radius: 4px; }
#key-form button { font: inherit; padding: .35rem 1rem; border: 1px solid #8c8c8c; border-radius: 4px;
  cursor: pointer; }
.swagger-ui .wrapper { box-sizing: border-box; }
@media (max-width: 640px) {
  .swagger-ui .wrapper, #key-form { padding-left: 10px; padding-right: 10px; }
  .swagger-ui .opblock .opblock-summary { flex-wrap: wrap; }
  .swagger-ui .opblock .opblock-summary-path { max-width: 100%; flex-basis: 60%; }
  .swagger-ui .opblock .opblock-summary-description { flex-basis: 100%; padding: 4px 10px; }
  .swagger-ui .parameters-container, .swagger-ui .responses-wrapper, .swagger-ui .opblock-section { overflow-x: auto; }
  .swagger-ui table.parameters, .swagger-ui table.parameters tbody, .swagger-ui table.parameters tr,
  .swagger-ui table.parameters td { display: block; width: auto; padding-left: 0; max-width: 100%; }
  .swagger-ui table.parameters thead { display: none; }
  .swagger-ui .parameters-col_description { min-width: 0; }
  .swagger-ui input, .swagger-ui select, .swagger-ui textarea { max-width: 100%; }
  .swagger-ui .auth-wrapper { justify-content: flex-start; }
  .swagger-ui .col_header.response-col_links, .swagger-ui td.response-col_links { display: none; }
  .swagger-ui .responses-inner { padding: 10px; }
  .swagger-ui .responses-table, .swagger-ui .responses-table tbody, .swagger-ui .responses-table tr,
  .swagger-ui .responses-table td { display: block; width: auto; min-width: 0; }
  .swagger-ui .responses-table thead { display: none; }
  .swagger-ui .curl-command, .swagger-ui pre { max-width: calc(100vw - 60px); overflow-x: auto; }
  .swagger-ui .model-box, .swagger-ui .highlight-code, .swagger-ui .microlight { max-width: calc(100vw - 60px); }
}
"""

_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)

HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""Headers of the page and its files: nothing is loaded, or sent to, from elsewhere."""


FILE_NAMES = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png", "page.js", "page.css")
"""Names of the page's files."""


class _File(NamedTuple):
    body: bytes
    content_type: str


def _read_files() -> dict[str, _File]:
    static = resources.files("swagger_ui") / "static"
    return {
        "swagger-ui-bundle.js": _File((static / "swagger-ui-bundle.js").read_bytes(), "text/javascript"),
        "swagger-ui.css": _File((static / "swagger-ui.css").read_bytes(), "text/css"),
        "favicon.png": _File((static / "favicon-32x32.png").read_bytes(), "image/png"),
        "page.js": _File(_SCRIPT.encode(), "text/javascript"),
        "page.css": _File(_STYLE.encode(), "text/css"),
    }


class DocsPage:
    """The page and its files, read once."""

    def __init__(self) -> None:
        self._files = _read_files()

    async def get_page(self, _: web.Request) -> web.Response:
        """Return the page."""
        return web.Response(text=_PAGE, content_type="text/html", headers=HEADERS)

    async def get_file(self, request: web.Request) -> web.Response:
        """Return a file of the page, compressed where the client takes that. Raises NotFound."""
        file = self._files.get(request.match_info["file"])
        if file is None:
            raise NotFound("The page at /docs has no such file.")
        response = web.Response(body=file.body, content_type=file.content_type, charset=_charset(file), headers=HEADERS)
        response.enable_compression()
        return response


def _charset(file: _File) -> str | None:
    return "utf-8" if file.content_type.startswith("text/") else None
