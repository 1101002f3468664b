/** Messages between a reader's thread and its keeper. */

/** To the thread, first, when it is ready. */
export interface StartThread {
  /** Answers to what the thread needs: state, length and bytes. The thread waits for them without turning to other work. */
  mailbox: SharedArrayBuffer;
}

/** From the thread. Messages are encoded ones (messages.ts). */
export type FromThread = { ready: true } | { need: Uint8Array } | { answer: Uint8Array };

/** Int32 words at the mailbox's beginning: whether an answer has arrived, and its length in bytes, or -1 for a refusal. */
export const STATE = 0;
export const LENGTH = 1;
export const HEAD = 8;
