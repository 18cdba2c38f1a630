"""The page that shows `/openapi.json`: one document, nothing fetched from elsewhere."""

from __future__ import annotations

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>The Eye</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
  pre { overflow: auto; padding: .75rem; border-radius: .3rem; background: #8882; font-size: .85rem; }
  summary { cursor: pointer; padding: .3rem 0; }
  .verb { display: inline-block; width: 4rem; font-weight: bold; text-transform: uppercase; }
  table { border-collapse: collapse; width: 100%; }
  td { border-top: 1px solid #8884; padding: .2rem .5rem; vertical-align: top; }
  details > div { padding-left: 4rem; }
</style>
<h1 id="title">The Eye</h1>
<p id="about" style="white-space: pre-line"></p>
<h2>Calls</h2><div id="calls"></div>
<h2>Shapes</h2><div id="shapes"></div>
<p><a href="/openapi.json">openapi.json</a></p>
<script>
  const add = (parent, tag, text, name) => {
    const element = parent.appendChild(document.createElement(tag));
    if (text !== undefined) element.textContent = text;
    if (name) element.className = name;
    return element;
  };
  const table = (parent, title, lines) => {
    if (!lines.length) return;
    add(parent, "h4", title);
    const body = add(parent, "table");
    for (const line of lines) {
      const row = add(body, "tr");
      for (const cell of line) add(row, "td", cell);
    }
  };
  const shape = (schema) => (schema && schema.$ref ? schema.$ref.split("/").pop() : "");
  fetch("/openapi.json").then((answer) => answer.json()).then((api) => {
    document.getElementById("title").textContent = api.info.title;
    document.getElementById("about").textContent = api.info.description;
    const calls = document.getElementById("calls");
    for (const [path, verbs] of Object.entries(api.paths)) for (const [verb, call] of Object.entries(verbs)) {
      const item = add(calls, "details");
      const head = add(item, "summary");
      add(head, "span", verb, "verb");
      add(head, "code", path);
      add(head, "span", "  " + call.summary);
      const body = add(item, "div");
      table(body, "Parameters", call.parameters.map((p) => [p.name, p.in, p.description]));
      if (call.requestBody) table(body, "Body", Object.keys(call.requestBody.content).map((media) => [media]));
      table(body, "Answers", Object.entries(call.responses).map(([status, answer]) => {
        const [media, content] = Object.entries(answer.content)[0];
        return [status, answer.description, media, shape(content.schema)];
      }));
    }
    const shapes = document.getElementById("shapes");
    for (const [name, schema] of Object.entries(api.components.schemas)) {
      const item = add(shapes, "details");
      add(item, "summary", name);
      add(item, "pre", JSON.stringify(schema, null, 2));
    }
  });
</script>
"""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
}
"""What the page may do: show itself, and fetch from here."""
