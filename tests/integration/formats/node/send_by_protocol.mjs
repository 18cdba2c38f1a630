// An application that sends by an open protocol with its own SDK: node send_by_protocol.mjs SDK URL KEY IDS SECONDS.
// IDS is a file with a JSON array: an event for each id, spread over so many seconds. An SDK that makes ids itself has
// them written, one a line, beside it. Ends with 0 when the SDK says that all events are delivered.
import { appendFileSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const [sdk, url, key, file, seconds] = process.argv.slice(2);
const ids = JSON.parse(readFileSync(file, "utf8"));
const hostile = { 5: NaN, 6: 2 ** 70, 7: "a\0b", 8: "\ud800", 9: { deep: [[[[{}]]]] } };
const failures = [];

async function each(send) {
  for (const [number, id] of ids.entries()) {
    await send(id, `user-${number % 7}`, { number, value: hostile[number % 10] ?? "plain" });
    if (Number(seconds) || number % 50 === 0) await sleep((1000 * seconds) / ids.length);
  }
}

const sdks = {
  async snowplow() {
    const { newTracker, buildSelfDescribingEvent, buildStructEvent } = await import("@snowplow/node-tracker");
    let delivered = 0;
    const emitter = { endpoint: url, onRequestSuccess: (events) => { delivered += events.length; } };
    const tracker = newTracker({ namespace: "shop", appId: key }, emitter);
    const schema = "iglu:com.acme.shop/order_completed/jsonschema/1-0-0";
    await each((_, user, data) => {
      tracker.setUserId(user);
      tracker.setSessionId(`${user}-session`);
      // half of a surrogate pair can't be put into base64 by the tracker
      const event = data.value === "\ud800"
        ? buildStructEvent({ category: "shop", action: "order completed", label: data.value })
        : buildSelfDescribingEvent({ event: { schema, data } });
      appendFileSync(file.replace(/json$/, "told"), `${tracker.track(event).eid}\n`);
    });
    while (delivered < ids.length) {
      await tracker.flush();
      await sleep(100);
    }
  },

  async cloudevents() {
    const { CloudEvent, Mode, emitterFor, httpTransport } = await import("cloudevents");
    const transport = httpTransport(`${url}/events/`);
    const emitters = [Mode.BINARY, Mode.STRUCTURED].map((mode) => emitterFor(transport, { mode }));
    await each(async (id, user, data) => {
      const type = "com.acme.shop.ordered";
      const event = new CloudEvent({ id, type, source: "/shop", sessionid: `${user}-session`, userid: user, data });
      const answer = await emitters[data.number % 2](event, { headers: { "X-API-Key": key } });
      if (JSON.parse(answer.body).accepted !== 1) failures.push(answer.body);
    });
  },

  async otlp() {
    const { OTLPLogExporter } = await import("@opentelemetry/exporter-logs-otlp-http");
    const { BatchLogRecordProcessor, LoggerProvider } = await import("@opentelemetry/sdk-logs");
    const exporter = new OTLPLogExporter({ url: `${url}/v1/logs`, headers: { "X-API-Key": key }, compression: "gzip" });
    const send = exporter.export.bind(exporter);
    exporter.export = (records, done) => send(records, (result) => {
      if (result.code !== 0) failures.push(result.error);
      done(result);
    });
    const processor = new BatchLogRecordProcessor({ exporter, maxQueueSize: 20_000, scheduledDelayMillis: 500 });
    const provider = new LoggerProvider({ processors: [processor] });
    const logger = provider.getLogger("shop");
    await each((id, user, data) => {
      const names = { "event.id": id, "session.id": `${user}-session`, "user.id": user };
      logger.emit({ eventName: "com.acme.shop.ordered", attributes: { ...names, ...data } });
    });
    await provider.shutdown();
  },
};

await sdks[sdk]();
if (failures.length) {
  console.error(`not delivered: ${failures.slice(0, 3)}`);
  process.exit(1);
}
process.exit(0);
