/**
 * Questions that need something done on the way, such as a fetch or a timestamp. A reader does nothing but read: its
 * answer is the step that it needs, and the question is asked again with what that gave, until there is an answer.
 * So a slow server never holds up a reader.
 */

/** Results of steps, by their keys. */
export type Done = readonly (readonly [key: string, result: unknown])[];

/** The answer to a question in steps. */
export type Stepped<S, T> = { key: string; step: S } | { result: T };

class Needed<S> extends Error {
  constructor(readonly key: string, readonly step: S) {
    super("A step is needed.");
  }
}

/**
 * In the reader: answers a question in steps. The same input must need the same steps.
 *
 * @param work gets what a step gave by `await take(key, step)`; equal keys stand for equal steps
 */
export async function inSteps<S, T>(
  done: Done,
  work: (take: <R>(key: string, step: S) => Promise<R>) => T | Promise<T>,
): Promise<Stepped<S, T>> {
  const results = new Map(done);
  try {
    const result = await work((key, step) =>
      results.has(key)
        ? Promise.resolve(results.get(key) as never)
        : Promise.reject(new Needed(key, step))
    );
    return { result };
  } catch (error) {
    if (error instanceof Needed) return { key: error.key, step: error.step };
    throw error;
  }
}

/** More is asked for by no honest document. */
const MAX_STEPS = 100;

/**
 * Asks a question in steps.
 *
 * @param ask asks it with the results so far
 * @param perform does a step; its error ends the question
 * @param known results of steps that need not be done again
 */
export async function askInSteps<S, T>(
  ask: (done: Done) => Promise<Stepped<S, T>>,
  perform: (step: S, key: string) => Promise<unknown>,
  known: Done = [],
): Promise<T> {
  const done = [...known];
  for (let steps = 0; steps <= MAX_STEPS; steps++) {
    const answer = await ask(done);
    if ("result" in answer) return answer.result;
    const { key, step } = answer;
    done.push([key, await perform(step, key)]);
  }
  throw new Error("The reader asks for steps without end.");
}
