import type { AskOptions } from "../reader/client.ts";
import { ReaderPool } from "../reader/pool.ts";
import { ReaderEnded } from "../reader/process.ts";
import type { Questions } from "../reader/worker.ts";
import { ServiceError } from "./error.ts";

/** How often a question is asked where its file seems to end the readers, and where somebody else does. */
const TRIES = 2, TRIES_ENDED = 4;

/**
 * Readers of which another is asked where one ended without an answer: the system, or a file that it had read before, may
 * have ended it. So each of the others has read nothing else.
 */
export class PersistentReaders<Q extends Questions> extends ReaderPool<Q> {
  /**
   * @throws {ServiceError} `document_malformed` where the file ends its readers, `busy` where somebody else does; and
   *   as every reader
   */
  override async ask<N extends keyof Q & string>(
    question: N,
    input: Parameters<Q[N]>[0],
    options?: AskOptions,
  ): Promise<Awaited<ReturnType<Q[N]>>> {
    for (let tries = 1;; tries++) {
      try {
        return await super.ask(question, input, tries > 1 ? { ...options, alone: true } : options);
      } catch (error) {
        if (!(error instanceof ReaderEnded)) throw error;
        if (tries >= (error.isFromOutside ? TRIES_ENDED : TRIES)) throw refusalOf(error);
      }
    }
  }
}

const refusalOf = ({ isFromOutside }: ReaderEnded) =>
  isFromOutside
    ? new ServiceError(
      "busy",
      "The system ended each process that read the file. It may be short of memory: come again later.",
    )
    : new ServiceError(
      "document_malformed",
      "Each process that read the file ended. The file may be damaged, or made to end them.",
    );
