import { uuid7 } from "./ids";
import type { Store } from "./store";

/** Lets one tab at a time send what all tabs have queued. Two that send nonetheless cost a duplicate, no event. */
export interface Lock {
  /** Do the work unless another tab is at it. The work must not throw. */
  hold(work: () => Promise<void>): Promise<void>;
  /** Give up what this page holds, for it closes. */
  release(): void;
}

/** Longer than a request may take. */
const LEASE = 40_000;
/** How long it may take until all tabs see what one wrote. */
const SETTLING = 100;
const NAME = "lease";

/** A Web Lock; where the browser has none (plain HTTP), or refuses it (a sandboxed frame), a lease in the store. */
export function openLock(store: Store, name: string): Lock {
  const me = uuid7();
  const isMine = (): boolean => store.read(NAME).endsWith(me);

  async function lease(work: () => Promise<void>): Promise<void> {
    const left = parseInt(store.read(NAME)) - Date.now();
    if (left > 0 && left <= LEASE && !isMine()) return;
    store.write(NAME, `${Date.now() + LEASE} ${me}`);
    await new Promise((resolve) => setTimeout(resolve, SETTLING));
    if (!isMine()) return; // another tab wrote at the same moment, and later
    await work();
    release();
  }

  function release(): void {
    if (isMine()) store.remove(NAME);
  }

  return {
    async hold(work) {
      let answered = false;
      try {
        await navigator.locks.request(name, { ifAvailable: true }, (lock) => {
          answered = true;
          return lock ? work() : undefined;
        });
      } catch {
        if (!answered) await lease(work);
      }
    },
    release,
  };
}
