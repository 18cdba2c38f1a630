import type { Json, SendOptions } from "./options";

/** A call that the snippet took before this module was there: function, arguments, time. */
type Call = [name: string, values: unknown[], at: Date];

type Functions = Record<string, (...values: never[]) => unknown>;

/** Do what was asked of the snippet's stand-in (`window.eye`), and take its place. */
export function replayStub(functions: Functions): void {
  const stub = (self as { eye?: { q?: Call[] } }).eye;
  const calls = stub?.q;
  if (!calls) return;
  const run = ([name, values, at]: Call): number => {
    if (name === "send") {
      const [category, event, data, more] = values as [string, string, Json?, SendOptions?];
      values = [category, event, data, { timestamp: at, ...more }];
    }
    functions[name]?.(...(values as never[]));
    return 0;
  };
  Object.assign(stub, functions);
  calls.forEach(run);
  calls.push = run; // for whoever holds a function of the stand-in
}
