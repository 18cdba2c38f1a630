import type { Store } from "./store";

/** An event that waits for its verdict: its id, its name in the store, its JSON. */
export interface Waiting {
  eventId: string;
  name: string;
  json: string;
}

/** The events of all tabs of this origin that have no final verdict yet. */
export interface Queue {
  /** Keep an event, durably where the browser can; false where it is too large or the queue is full. */
  add(eventId: string, json: string): boolean;
  /** The oldest events, at most so many, that make a request of moderate size. */
  oldest(most: number): Waiting[];
  /** The events that this page added, oldest first. */
  mine(): Waiting[];
  remove(waiting: Waiting): void;
  isEmpty(): boolean;
}

const PREFIX = "q.";
const LARGEST_EVENT = 65_536;
/** Characters of a request: what a browser sends of a page that closes is at most 64 KiB. */
const LARGEST_REQUEST = 48_000;

/** Open the queue; it refuses events beyond the limit, of which other tabs' are counted whenever it is looked through. */
export function openQueue(store: Store, limit: number): Queue {
  const added = new Set<string>();
  let held = 0;

  function names(): string[] {
    const all = store.names(PREFIX);
    held = all.length;
    return all;
  }

  const load = (name: string): Waiting => ({ eventId: name.slice(PREFIX.length), name, json: store.read(name) });
  return {
    add(eventId, json) {
      if (json.length > LARGEST_EVENT) return false;
      if (held >= limit && names().length >= limit) return false;
      store.write(PREFIX + eventId, json);
      held++;
      added.add(PREFIX + eventId);
      return true;
    },
    oldest: (most) => withinSize(names().slice(0, most).map(load).filter(isThere)),
    mine: () => [...added].map(load).filter(isThere),
    remove({ name }) {
      store.remove(name);
      added.delete(name);
    },
    isEmpty: () => !names().length,
  };
}

/** Return as many of the first events as make one request; at least one. */
export function withinSize(events: Waiting[]): Waiting[] {
  let size = 0;
  return events.filter(({ json }, index) => (size += json.length) < LARGEST_REQUEST || !index);
}

function isThere({ json }: Waiting): boolean {
  return !!json;
}
