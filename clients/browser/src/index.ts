import { attempt } from "./attempt";
import { openDelivery } from "./delivery";
import { uuid7 } from "./ids";
import { watchClicks, watchForms } from "./interactions";
import { openLock } from "./lock";
import type { Json, Options, SendOptions } from "./options";
import { watchPages } from "./pages";
import { openQueue } from "./queue";
import { currentSession } from "./session";
import { openStore } from "./store";
import { replayStub } from "./stub";

export type { Json, Options, Result, SendOptions } from "./options";

declare const VERSION: string;

/** Version of this client. */
export const version: string = VERSION;

interface Client {
  send: typeof send;
  session: typeof session;
  identify: typeof identify;
}

let client: Client | undefined;

/** Begin. A second call changes nothing. */
export function init(options: Options): void {
  attempt(() => (client ??= start(options)));
}

/**
 * Keep an event and send it, now or in a later page of this origin.
 *
 * Returns the event's id: from then on the event survives the page. Returns undefined where it was not taken: before
 * `init`, from a visitor who opted out, when it is no JSON or longer than 64 KiB, when the queue is full. Where the
 * browser's storage is blocked or full, events are kept in memory, and live as long as the page.
 */
export function send(category: string, name: string, data: Json = {}, options: SendOptions = {}): string | undefined {
  return attempt(() => client?.send(category, name, data, options));
}

/** Return the session's id, for instance for a backend that sends events of the same session. */
export function session(): string | undefined {
  return attempt(() => client?.session());
}

/** Say who uses the page from now on; without an id, nobody known. */
export function identify(userId?: string): void {
  attempt(() => client?.identify(userId));
}

function start(options: Options): Client | undefined {
  const name = options.store ?? "eye";
  const store = openStore(`${name}.`);
  if (options.respectOptOut && optedOut()) {
    store.names("").forEach(store.remove);
    return undefined;
  }
  const queue = openQueue(store, options.limit ?? 1_000);
  const delivery = openDelivery(options, store, queue, openLock(store, name));
  const path = (): string => options.path?.(location) ?? location.pathname;
  const page = (): Json => ({ host: location.host, path: path() });
  let user = options.userId;

  const made: Client = {
    session: () => options.sessionId ?? currentSession(store),
    identify: (userId) => void (user = userId),
    send(category, event, data = {}, more = {}) {
      const id = uuid7();
      const json = JSON.stringify({
        event_id: id,
        session_id: made.session(),
        category,
        name: event,
        timestamp: more.timestamp ?? new Date(),
        data,
        user_id: more.userId ?? user,
        schema_version: more.schemaVersion,
        context: { ...surroundings(page()), ...options.context, ...more.context },
      });
      if (!queue.add(id, json)) return undefined;
      delivery.schedule();
      return id;
    },
  };
  delivery.watch();
  if (options.pages ?? true) watchPages(path, () => made.send("page interaction", "pageview", page()));
  if (options.clicks ?? true) watchClicks(page, made.send);
  if (options.forms ?? true) watchForms(page, made.send);
  return made;
}

/** What the context of each event says: this client, the page, where the visitor came from, the campaign. */
function surroundings(page: Json): Json {
  const campaign = [...new URLSearchParams(location.search)]
    .filter(([name]) => name.startsWith("utm_"))
    .map(([name, value]) => [name.slice(4), value]);
  return {
    library: { name: "the-eye-browser", version },
    page: { ...page, referrer: document.referrer.replace(/[?#].*/, "") || undefined },
    campaign: campaign.length ? Object.fromEntries(campaign) : undefined,
  };
}

function optedOut(): boolean {
  return !!(navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl || navigator.doNotTrack === "1";
}

attempt(() => replayStub({ init, send, session, identify }));
