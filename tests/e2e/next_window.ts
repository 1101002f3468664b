import { within } from "../fixtures/within.ts";

/** The window that a program under test opens next, or its address. */
export class NextWindow<T> {
  #window = Promise.withResolvers<T>();

  opened(window: T): void {
    this.#window.resolve(window);
  }

  /** @throws {Error} after a minute without one */
  async wait(): Promise<T> {
    const window = await within(this.#window.promise, "No window was opened.");
    this.#window = Promise.withResolvers();
    return window;
  }
}
