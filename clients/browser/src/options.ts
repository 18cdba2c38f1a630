/** Any JSON object. */
export type Json = Record<string, unknown>;

/**
 * What the gateway says of one event. All but `retry` are final: the event is not sent again. `retry`: the gateway
 * refuses the page's key or address, and events wait; told once a page, of the oldest one, with the status in `errors`.
 */
export interface Result {
  event_id: string;
  status: "ok" | "invalid" | "too_large" | "retry";
  errors?: { code: string; path: string; message: string }[];
}

/** What `init` takes. */
export interface Options {
  /** Address of the gateway, without a path: `https://events.example.com`. */
  url: string;
  /** A public key of the application: it may only write, and only from the application's origins. */
  key: string;
  /** Send a page view now, and whenever the page's path changes. Default: true. */
  pages?: boolean;
  /** Send clicks on elements with `data-eye-click`. Default: true. */
  clicks?: boolean;
  /** Send submissions of forms with `data-eye-form`, with the fields that have `data-eye-field`. Default: true. */
  forms?: boolean;
  /** Who uses the page, 1 to 128 characters; `identify` changes it. */
  userId?: string;
  /** Put into the context of each event. */
  context?: Json;
  /** The session's id where the application has one. Default: made here, ends after 30 minutes without an event. */
  sessionId?: string;
  /** What counts as the page's path: leave out what is private, or put in a hash. Default: `location.pathname`. */
  path?: (location: Location) => string;
  /** Do nothing, and remove what is kept, for a visitor whose browser says Sec-GPC or Do Not Track. Default: false. */
  respectOptOut?: boolean;
  /** Name of the queue and the session in the browser's storage; for two applications on one origin. Default: `eye`. */
  store?: string;
  /** How long events are gathered before they are sent, in milliseconds. Default: 1000. */
  interval?: number;
  /** Most events kept in the browser; beyond it `send` takes no more. Default: 1000. */
  limit?: number;
  /** Called with the last word on each event, and once when the gateway refuses the key or the address (`retry`). */
  onResult?: (result: Result) => void;
}

/** What `send` takes besides the event. */
export interface SendOptions {
  /** When it happened. Default: now. */
  timestamp?: Date | string;
  /** Who did it. Default: what `init` or `identify` said. */
  userId?: string;
  /** Put into the context of this event. */
  context?: Json;
  /** Version of the event type. Default: the gateway's. */
  schemaVersion?: number;
}
