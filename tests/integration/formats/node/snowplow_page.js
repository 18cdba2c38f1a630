// A page that sends with @snowplow/browser-tracker: `send(URL, KEY, NUMBER, METHOD, SECONDS)` returns the ids of its events, once
// the tracker says that all of them are delivered.
import {
  flushBuffer, newTracker, setUserId, trackPageView, trackSelfDescribingEvent, trackStructEvent,
} from "@snowplow/browser-tracker";

const hostile = { 5: NaN, 6: 2 ** 70, 7: "a\0b", 8: "\ud800", 9: { deep: [[[[{}]]]] } };
const schema = "iglu:com.acme.shop/order_completed/jsonschema/1-0-0";

const sleep = (seconds) => new Promise((resolve) => { setTimeout(resolve, 1000 * seconds); });

window.delivered = 0;
window.send = async (url, key, number, eventMethod, seconds) => {
  const ids = [];
  newTracker("shop", url, {
    appId: key,
    eventMethod,
    bufferSize: eventMethod === "post" ? 10 : 1,
    plugins: [{ afterTrack: (payload) => ids.push(payload.eid) }],
    onRequestSuccess: (events) => { window.delivered += events.length; },
  });
  setUserId("page-user");
  trackPageView();
  for (let index = 1; index < number; index += 1) {
    const value = hostile[index % 10] ?? "plain";
    // half of a surrogate pair can't be put into base64 by the tracker, nor into a query
    const label = eventMethod === "post" ? value : "half";
    if (value === "\ud800") trackStructEvent({ category: "shop", action: "order completed", label });
    else trackSelfDescribingEvent({ event: { schema, data: { index, value } } });
    if (index % 50 === 0) await sleep((50 * seconds) / number);
    while (index - window.delivered > 500) await sleep(0.05); // the tracker keeps a thousand
  }
  while (window.delivered < number) {
    flushBuffer({});
    await sleep(0.1);
  }
  return ids;
};
