/** A progress bar on standard error, if that is a terminal. */

const WIDTH = 30;
/** Milliseconds before the bar appears, and between two updates. */
const DELAY = 500;
const INTERVAL = 100;

export interface Progress {
  /** @param done bytes done, of `total` */
  update(done: number): void;
  end(): void;
}

/** Starts a bar; it appears after half a second. */
export function startProgress(label: string, total: number): Progress {
  if (!Deno.stderr.isTerminal()) return { update() {}, end() {} };
  let next = performance.now() + DELAY;
  let drawn = false;
  const draw = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(`\r${text}\x1b[K`));
  return {
    update(done) {
      const now = performance.now();
      if (now < next) return;
      next = now + INTERVAL;
      drawn = true;
      const share = total === 0 ? 1 : done / total;
      const bar = "█".repeat(Math.round(share * WIDTH)).padEnd(WIDTH, "░");
      draw(`${label} ${bar} ${Math.floor(share * 100)} %`);
    },
    end() {
      if (drawn) draw("");
    },
  };
}
