/** Return what the work returns, or undefined where it throws: nothing of ours is thrown into the page. */
export function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
