import { attempt } from "./attempt";
import type { Options, Result } from "./options";
import type { Waiting } from "./queue";

/** What became of a request: its status (0: no answer), the verdicts if there are any, the wait that is asked for. */
export interface Answer {
  status: number;
  results: (Result & { index: number })[];
  /** Of the gateway's problem, if it is one. */
  code?: string;
  detail?: string;
  /** Milliseconds; NaN where the gateway asked for none. */
  retryAfter: number;
}

const TIMEOUT = 30_000;
const WORTH_COMPRESSING = 1_000;

/** Post events, and return what became of them. Never throws. */
export async function post(options: Options, events: Waiting[]): Promise<Answer> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), TIMEOUT);
  try {
    const headers: Record<string, string> = {
      Authorization: `Bearer ${options.key}`,
      "Content-Type": "application/json",
    };
    let body: BodyInit = bodyOf(events);
    if (body.length > WORTH_COMPRESSING && "CompressionStream" in self) {
      const compressed = new Blob([body]).stream().pipeThrough(new CompressionStream("gzip"));
      body = await new Response(compressed).arrayBuffer();
      headers["Content-Encoding"] = "gzip";
    }
    const response = await fetch(address(options), {
      method: "POST",
      credentials: "omit",
      headers,
      body,
      signal: stop.signal,
    });
    const answer = await response.json().catch(() => undefined);
    return {
      status: response.status,
      code: answer?.code,
      detail: answer?.detail,
      results: Array.isArray(answer?.results) ? answer.results.filter(Boolean) : [],
      retryAfter: milliseconds(response.headers.get("Retry-After")),
    };
  } catch {
    return { status: 0, results: [], retryAfter: NaN };
  } finally {
    clearTimeout(timer);
  }
}

/** Hand events to the browser, which sends them though the page closes; false where it does not take them. */
export function beacon(options: Options, events: Waiting[]): boolean {
  const url = `${address(options)}?key=${encodeURIComponent(options.key)}`;
  return !!attempt(() => navigator.sendBeacon(url, bodyOf(events)));
}

function address({ url }: Options): string {
  return `${url.replace(/\/+$/, "")}/events/`;
}

function bodyOf(events: Waiting[]): string {
  return `{"events":[${events.map(({ json }) => json).join()}],"sent_at":"${new Date().toISOString()}"}`;
}

/** Read Retry-After: seconds, or a date. */
function milliseconds(header: string | null): number {
  if (!header) return NaN;
  const seconds = Number(header);
  return isNaN(seconds) ? Date.parse(header) - Date.now() : seconds * 1_000;
}
