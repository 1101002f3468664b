/**
 * Questions that need something done on the way, such as a fetch or a signature. A reader does nothing but read: its
 * answer is the step that it needs, and the question is asked again with what that gave, until there is an answer.
 * So nobody's slow server holds a reader.
 */

/** What steps gave, in the order in which they were needed. */
export type Done = readonly unknown[];

/** The answer to a question in steps. */
export type Stepped<S, T> = { step: S } | { result: T };

class Needed extends Error {
  constructor(readonly step: unknown) {
    super("A step is needed.");
  }
}

/**
 * In the reader: answers a question in steps. The same input must need the same steps.
 *
 * @param work gets what a step gave by `await take(step)`
 */
export async function inSteps<S, T>(
  done: Done,
  work: (take: <R>(step: S) => Promise<R>) => T | Promise<T>,
): Promise<Stepped<S, T>> {
  let next = 0;
  try {
    const result = await work((step) => {
      if (next < done.length) return Promise.resolve(done[next++] as never);
      return Promise.reject(new Needed(step));
    });
    return { result };
  } catch (error) {
    if (error instanceof Needed) return { step: error.step as S };
    throw error;
  }
}

/**
 * Asks a question in steps.
 *
 * @param ask asks it with what was done so far
 * @param perform does a step; what it throws ends the question
 */
export async function askInSteps<S, T>(
  ask: (done: Done) => Promise<Stepped<S, T>>,
  perform: (step: S) => Promise<unknown>,
): Promise<T> {
  const done: unknown[] = [];
  for (;;) {
    const answer = await ask(done);
    if ("result" in answer) return answer.result;
    done.push(await perform(answer.step));
  }
}
