import { attempt } from "./attempt";

/** Texts by name: in localStorage, which all tabs share and which outlives them; in memory where that refuses. */
export interface Store {
  read(name: string): string;
  /** Returns once the text is kept. */
  write(name: string, text: string): void;
  remove(name: string): void;
  /** The names that begin so, sorted. */
  names(beginning: string): string[];
  /** Whether what has this name lives no longer than the page. */
  isInMemory(name: string): boolean;
}

/** Open the part of the browser's storage whose names begin with `prefix`. Never throws, blocked storage included. */
export function openStore(prefix: string): Store {
  const memory = new Map<string, string>();
  const disk = attempt(() => localStorage);
  return {
    read: (name) => memory.get(name) ?? attempt(() => disk!.getItem(prefix + name)) ?? "",
    write(name, text) {
      try {
        disk!.setItem(prefix + name, text);
        memory.delete(name);
      } catch {
        memory.set(name, text); // blocked, or full
      }
    },
    remove(name) {
      memory.delete(name);
      attempt(() => disk!.removeItem(prefix + name));
    },
    names(beginning) {
      const onDisk = attempt(() => Object.keys(disk!)) ?? [];
      return onDisk
        .filter((name) => name.startsWith(prefix))
        .map((name) => name.slice(prefix.length))
        .concat([...memory.keys()])
        .filter((name) => name.startsWith(beginning))
        .sort();
    },
    isInMemory: (name) => memory.has(name),
  };
}
