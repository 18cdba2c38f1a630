// An application that sends with a vendor's own SDK: node send.mjs SDK URL KEY IDS SECONDS.
// IDS is a file with a JSON array: an event for each id, spread over so many seconds. Ends with 0 when the SDK says that
// all of them are delivered.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const [sdk, url, key, file, seconds] = process.argv.slice(2);
const ids = JSON.parse(readFileSync(file, "utf8"));
const hostile = { 5: NaN, 6: 2 ** 70, 7: "a\0b", 8: "\ud800", 9: { deep: [[[[{}]]]] } };
const others = ["identify", "group", "page", "screen", "alias"];
const failures = [];

async function each(send) {
  for (const [number, id] of ids.entries()) {
    await send(id, `user-${number % 7}`, { number, value: hostile[number % 10] ?? "plain" });
    if (Number(seconds) || number % 50 === 0) await sleep((1000 * seconds) / ids.length);
  }
}

// a track; each tenth event is another call of Segment's spec
function call(client, messageId, userId, properties, done) {
  const name = properties.number % 10 === 4 ? others[Math.floor(properties.number / 10) % others.length] : "track";
  const message = { messageId, userId };
  if (name === "identify") message.traits = properties;
  if (name === "group") Object.assign(message, { groupId: "group-1", traits: properties });
  if (name === "page" || name === "screen") Object.assign(message, { name: "Home", properties });
  if (name === "alias") message.previousId = "visitor-1";
  if (name === "track") Object.assign(message, { event: "Order Completed", properties });
  client[name](message, done);
}

const sdks = {
  async segment() {
    const { Analytics } = await import("@segment/analytics-node");
    const client = new Analytics({ writeKey: key, host: url, flushAt: 50, flushInterval: 500 });
    client.on("error", (error) => failures.push(error));
    await each((messageId, userId, properties) => call(client, messageId, userId, properties));
    await client.closeAndFlush({ timeout: 60_000 });
  },

  async rudder() {
    const { default: Analytics } = await import("@rudderstack/rudder-sdk-node");
    const client = new Analytics(key, { dataPlaneUrl: url, flushAt: 50, flushInterval: 500 });
    const delivered = [];
    await each((messageId, userId, properties) => {
      const done = new Promise((resolve) =>
        call(client, messageId, userId, properties, (error) => {
          if (error) failures.push(error);
          resolve();
        }));
      delivered.push(done);
    });
    await client.flush();
    await Promise.all(delivered);
  },

  async posthog() {
    const { PostHog } = await import("posthog-node");
    const client = new PostHog(key, { host: url, flushAt: 50, flushInterval: 500 });
    client.on("error", (error) => failures.push(error));
    await each((uuid, distinctId, properties) =>
      client.capture({ distinctId, event: "Order Completed", properties, uuid }));
    await client.shutdown(60_000);
  },
};

await sdks[sdk]();
if (failures.length) {
  console.error(`not delivered: ${failures.slice(0, 3)}`);
  process.exit(1);
}
process.exit(0);
