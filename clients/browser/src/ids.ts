const SEQUENCES = 4096;

let time = 0;
let sequence = 0;

/** Return a UUIDv7 that sorts behind every one that this page made before. */
export function uuid7(): string {
  const now = Date.now();
  if (now > time) {
    time = now;
    sequence = 0;
  } else if (++sequence === SEQUENCES) {
    time += 1;
    sequence = 0;
  }
  const [first, ...rest] = crypto.getRandomValues(new Uint8Array(8)) as unknown as [number, ...number[]];
  const at = hex(time, 12);
  const random = hex((first & 0x3f) | 0x80, 2) + rest.map((byte) => hex(byte, 2)).join("");
  return `${at.slice(0, 8)}-${at.slice(8)}-7${hex(sequence, 3)}-${random.slice(0, 4)}-${random.slice(4)}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
