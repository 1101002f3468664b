/** Messages between a reader's thread and its keeper. */

/** To the thread, first, when it is ready. */
export type StartThread =
  /** Answers to what the thread needs: state, length and bytes. The thread waits for them without turning to other work. */
  | { mailbox: SharedArrayBuffer }
  /** The thread has the process's pipe; its keeper sees here what it does. */
  | { clock: SharedArrayBuffer };

/** From the thread. Messages are encoded ones (messages.ts). `ended`: its pipe has. */
export type FromThread =
  | { ready: true }
  | { need: Uint8Array }
  | { answer: Uint8Array }
  | { ended: true };

/** Int32 words at the mailbox's beginning: whether an answer has arrived, and its length in bytes, or -1 for a refusal. */
export const STATE = 0;
export const LENGTH = 1;
export const HEAD = 8;

/** Int32 words of the clock: the question's number, whether it is worked on now, its deadline in milliseconds. */
export const QUESTION = 0;
export const WORKING = 1;
export const DEADLINE = 2;
export const CLOCK = 12;
