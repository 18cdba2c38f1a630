import { uuid7 } from "./ids";
import type { Store } from "./store";

const GAP = 30 * 60_000;
const NAME = "session";

/** Return the session that all tabs share, and prolong it; a new one where nothing happened for 30 minutes. */
export function currentSession(store: Store): string {
  const now = Date.now();
  const [known, at] = store.read(NAME).split(" ");
  const goesOn = known && Math.abs(now - Number(at)) < GAP;
  const id = goesOn ? known : uuid7();
  store.write(NAME, `${id} ${now}`);
  return id;
}
