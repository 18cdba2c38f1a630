// A page that sends with @segment/analytics-next: `send(URL, KEY, NUMBER, STRATEGY, SECONDS)` returns the ids of its
// events, sent in no less than so many seconds; `delivered` counts them meanwhile.
import { AnalyticsBrowser } from "@segment/analytics-next";

const hostile = { 5: NaN, 6: 2 ** 70, 7: "a\0b", 8: "\ud800", 9: { deep: [[[[{}]]]] } };

window.delivered = 0;

window.send = async (url, key, number, strategy, seconds) => {
  const [analytics] = await AnalyticsBrowser.load(
    { writeKey: key, cdnURL: url },
    { integrations: { "Segment.io": { deliveryStrategy: { strategy, config: { size: 50, timeout: 200 } } } } },
  );
  const ids = [];
  for (let index = 0; index < number; index += 1) {
    const context = await analytics.track("Order Completed", { index, value: hostile[index % 10] ?? "plain" });
    window.delivered = ids.push(context.event.messageId);
    if (seconds && index % 50 === 0) await new Promise((done) => setTimeout(done, (50_000 * seconds) / number));
  }
  return ids;
};
