// Prints what the official parser finds wrong in an AsyncAPI document, as JSON; severity 0 is an error, 1 a warning.
import { Parser } from "@asyncapi/parser";
import { readFileSync } from "node:fs";

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const found = diagnostics.map(({ severity, code, path, message }) => ({ severity, code, path, message }));
console.log(JSON.stringify({ valid: document !== undefined, diagnostics: found }));
