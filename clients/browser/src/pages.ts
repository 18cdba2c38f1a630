import { attempt } from "./attempt";

/** Call `shown` now, and whenever the page is another one: History API, back and forward, hash, page cache. */
export function watchPages(pathOf: () => string, shown: () => void): void {
  let last: string | undefined;

  function look(anyway?: boolean): void {
    attempt(() => {
      const path = pathOf();
      if (path === last && !anyway) return;
      last = path;
      shown();
    });
  }

  for (const name of ["pushState", "replaceState"] as const) {
    const original = history[name];
    history[name] = function (this: History, ...values) {
      original.apply(this, values);
      look();
    };
  }
  addEventListener("popstate", () => look());
  addEventListener("hashchange", () => look());
  addEventListener("pageshow", ({ persisted }) => persisted && look(true));
  if ((document as { prerendering?: boolean }).prerendering) {
    document.addEventListener("prerenderingchange", () => look(), { once: true });
  } else {
    look();
  }
}
