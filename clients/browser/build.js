// Builds dist/eye.js and dist/snippet.js, and fails where the module is larger than it may be.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { build, transform } from "esbuild";

const LARGEST = 4096;

const { version } = JSON.parse(await readFile("package.json", "utf8"));
const target = ["es2020"];
await mkdir("dist", { recursive: true });
await build({
  entryPoints: ["src/index.ts"],
  outfile: "dist/eye.js",
  bundle: true,
  format: "esm",
  minify: true,
  target,
  define: { VERSION: JSON.stringify(version) },
  banner: { js: `/* The Eye, browser client ${version} */` },
});
const { code } = await transform(await readFile("src/snippet.js", "utf8"), { minify: true, target: ["es5"] });
await writeFile("dist/snippet.js", code);

const size = gzipSync(await readFile("dist/eye.js"), { level: 9 }).length;
console.log(`dist/eye.js: ${size} bytes gzipped of ${LARGEST}; dist/snippet.js: ${code.length} bytes`);
if (size > LARGEST) {
  console.error(`dist/eye.js is ${size - LARGEST} bytes too large.`);
  process.exit(1);
}
