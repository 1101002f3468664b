const POLL_MS = 2000;

/** Looks every two seconds whether something has changed. */
export class Polling {
  readonly #timers = new Set<ReturnType<typeof setInterval>>();

  /**
   * @param describe Says how things stand.
   * @param changed Called when that differs from the last time.
   * @returns Ends this watch.
   */
  watch(describe: () => Promise<string>, changed: () => void): () => void {
    let last: string | undefined;
    const timer = setInterval(async () => {
      const now = await describe();
      if (last !== undefined && last !== now && this.#timers.has(timer)) changed();
      last = now;
    }, POLL_MS);
    this.#timers.add(timer);
    return () => {
      clearInterval(timer);
      this.#timers.delete(timer);
    };
  }

  /** Ends every watch. */
  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers.clear();
  }
}
