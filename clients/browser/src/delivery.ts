import { attempt } from "./attempt";
import type { Lock } from "./lock";
import type { Options, Result } from "./options";
import { type Queue, type Waiting, withinSize } from "./queue";
import { type Answer, beacon, post } from "./request";
import type { Store } from "./store";

/** Brings the queue to the gateway. */
export interface Delivery {
  /** Send soon: after the interval, or at once when much is waiting. */
  schedule(): void;
  /** Follow the page: its closing, its return, the network's return. */
  watch(): void;
}

const MANY = 50;
const MOST = 100;
const ROUNDS = 100;
const SHORTEST_WAIT = 1_000;
const LONGEST_BACKOFF = 300_000;
const LONGEST_PAUSE = 3_600_000;
const PAUSE = "pause";
const TOO_LARGE = 413;
const BUSY = [0, 408, 429];
const FINAL = ["ok", "invalid", "too_large"];

/**
 * Send batches, oldest events first. An event leaves the queue by a final verdict of the gateway and by nothing else.
 * A wait that the gateway asks for (Retry-After) holds for all tabs; without one the wait doubles with each failure.
 * A refused key or address is told once.
 */
export function openDelivery(options: Options, store: Store, queue: Queue, lock: Lock): Delivery {
  const interval = options.interval ?? 1_000;
  const handed = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let added = 0;
  let failures = 0;
  let retryAt = 0;
  let sending = false;
  let closing = false;
  let refused = false;

  /** Milliseconds of a pause that the gateway asked for; none where the clock was put back meanwhile. */
  function paused(): number {
    const left = Number(store.read(PAUSE)) - Date.now();
    return left > LONGEST_PAUSE ? 0 : left;
  }

  function untilNext(): number {
    return Math.max(retryAt - Date.now(), paused());
  }

  function flushIn(delay: number): void {
    clearTimeout(timer);
    timer = setTimeout(flush, Math.max(delay, untilNext()));
  }

  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    if (sending || closing) return;
    sending = true;
    added = 0;
    await lock.hold(drain);
    sending = false;
    if (!queue.isEmpty()) flushIn(interval);
  }

  async function drain(): Promise<void> {
    let most = MOST;
    for (let round = 0; round < ROUNDS && untilNext() <= 0; round++) {
      const batch = queue.oldest(most);
      if (!batch.length) return;
      const answer = await post(options, batch);
      if (!answer.results.length && isAboutTheBody(answer)) {
        if (batch.length > 1) {
          most = batch.length >> 1; // look for the one that spoils the others
          continue;
        }
        const isTooLarge = answer.status === TOO_LARGE;
        answer.results = [resultOf(batch, answer, isTooLarge ? "too_large" : "invalid", answer.code ?? "too_large")];
      }
      if (settle(batch, answer)) failures = 0;
      else wait(batch, answer);
    }
  }

  /** Take out what has a final verdict; true where that is every event. */
  function settle(batch: Waiting[], answer: Answer): boolean {
    let open = batch.length;
    for (const result of answer.results) {
      const event = batch[result.index];
      if (event && FINAL.includes(result.status)) {
        queue.remove(event);
        open--;
        tell(result);
      }
      refused = false;
    }
    return !open;
  }

  function tell(result: Result): void {
    attempt(() => options.onResult?.(result));
  }

  function wait(batch: Waiting[], answer: Answer): void {
    const { status, results, retryAfter } = answer;
    if (!results.length && !BUSY.includes(status) && status < 500 && !refused) {
      refused = true;
      const result = resultOf(batch, answer, "retry", `http_${status}`);
      console.error("The Eye refuses this page's key or address, events wait:", result.errors);
      tell(result);
    }
    const spread = 1 + Math.random() / 4;
    if (isNaN(retryAfter)) {
      retryAt = Date.now() + Math.min(SHORTEST_WAIT * 2 ** failures++, LONGEST_BACKOFF) * spread;
    } else {
      const pause = Math.min(Math.max(retryAfter, SHORTEST_WAIT) * spread, LONGEST_PAUSE);
      store.write(PAUSE, String(Date.now() + pause));
    }
  }

  /** Hand over what this page has seen no verdict of. It stays in the queue, for nobody sees the answer. */
  function close(): void {
    closing = true;
    lock.release();
    const isDue = paused() <= 0;
    let events = queue.mine().filter(({ name }) => !handed.has(name) && (isDue || store.isInMemory(name)));
    while (events.length) {
      const batch = withinSize(events);
      if (!beacon(options, batch)) return;
      batch.forEach(({ name }) => handed.add(name));
      events = events.slice(batch.length);
    }
  }

  function retryNow(): void {
    retryAt = 0;
    void flush();
  }

  function reopen({ persisted }: PageTransitionEvent): void {
    if (!persisted) return;
    closing = false;
    handed.clear();
    retryNow();
  }

  return {
    schedule() {
      if (closing) close();
      else if (++added === MANY) flushIn(0);
      else if (!timer && !sending) flushIn(interval);
    },
    watch() {
      addEventListener("pagehide", () => attempt(close));
      addEventListener("pageshow", (event) => attempt(() => reopen(event)));
      addEventListener("online", () => attempt(retryNow));
      document.addEventListener("visibilitychange", () => {
        if (document.visibilityState === "hidden") void flush();
      });
      if (!queue.isEmpty()) void flush();
    },
  };
}

/** Whether an event in the body is at fault, or their number: fewer of them may pass. */
function isAboutTheBody({ status, code }: Answer): boolean {
  return status === TOO_LARGE || (status === 400 && !!code);
}

/** Return what an answer without verdicts says of the first event. */
function resultOf(batch: Waiting[], answer: Answer, status: Result["status"], code: string): Answer["results"][0] {
  const message = answer.detail ?? `status ${answer.status}`;
  return { index: 0, event_id: batch[0]!.eventId, status, errors: [{ code, path: "$", message }] };
}
