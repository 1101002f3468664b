/** Whether an instance can sign now. */
import type { Service } from "./service.ts";

/** Milliseconds between this clock and the database's from which authorizations end at the wrong time. */
const CLOCK = 5_000;

/**
 * What is wrong with this clock; null if nothing is.
 *
 * @param difference milliseconds by which it is ahead of the database's
 */
export function clockProblem(difference: number): string | null {
  if (Math.abs(difference) <= CLOCK) return null;
  const seconds = Math.round(Math.abs(difference) / 1000);
  return `This computer's clock is ${seconds} s ${
    difference > 0 ? "ahead of" : "behind"
  } the database ` +
    "server's. Authorizations end at the wrong time. Set both clocks (NTP).";
}

/** Longer than this an answer is not waited for, in milliseconds. */
const PATIENCE = 3_000;

/** Of each thing that signing needs: "ok", or what is wrong. */
export type Checks = Record<"database" | "clock" | "keys" | "log", string>;

/** Looks at everything that signing needs, at the same time. */
export async function readiness({ store, keys }: Service): Promise<Checks> {
  const look = async (work: () => Promise<string | null | void>): Promise<string> => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`No answer within ${PATIENCE / 1000} s.`), PATIENCE);
    });
    try {
      return await Promise.race([late, work().then((problem) => problem ?? "ok")]);
    } catch (error) {
      const { message, reason } = error as Error & { reason?: string };
      return reason ?? message;
    } finally {
      clearTimeout(timer);
    }
  };
  const [database, clock, keyStore, log] = await Promise.all([
    look(() => store.ready()),
    look(async () => clockProblem(await store.clockDifference())),
    look(() => keys.check()),
    look(async () => {
      await store.log.checkSealing();
      const overdue = await store.overdue();
      return overdue > 0
        ? `${overdue} lines of the audit wait longer than promised to be sealed.`
        : null;
    }),
  ]);
  return { database, clock, keys: keyStore, log };
}
