/**
 * The log's signed checkpoints are filed where who can write to the database cannot: in a file, by mail, at an address, with a
 * timestamp, and with a witness's cosignature (c2sp.org/tlog-witness). A log that does not go on from one is noticed.
 */
import { getLogger } from "@logtape/logtape";
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { readCheckpointByAny } from "../formats/log/checkpoint.ts";
import { type NoteKey, openNote, readNoteKey } from "../formats/log/note.ts";
import { FormatError } from "../formats/error.ts";
import { readBounded } from "../online/http.ts";
import { withFile } from "./config.ts";
import { SetupError } from "./error.ts";
import type { Log } from "./log.ts";

const logger = getLogger(["dsign", "otp-service"]);

const TIMEOUT = 15_000;
/** Milliseconds between two looks whether another instance is still filing. */
const LOOK = 50;
const MAX_ANSWER = 64 * 1024;

export interface FilingOptions {
  log: Log;
  /** File of the newest checkpoint. */
  file?: string;
  /** Sends it by mail. */
  mail?(subject: string, text: string): Promise<void>;
  /** Takes it by POST. */
  url?: string;
  /** Gives a timestamp (RFC 3161) over a SHA-256; it stands beside the file, with `.tst` at its end. */
  timestamp?(digest: Uint8Array): Promise<Uint8Array>;
  /** Where the witness's calls are, and its key as text. */
  witness?: { url: string; key: string };
  /** How long an instance that is filing in the same file is waited for, in milliseconds. */
  patience?: number;
}

export class Filing {
  readonly #options: FilingOptions;
  readonly #witness: NoteKey | undefined;
  /** The size of the tree that the witness has seen. */
  #witnessed = 0;
  #filed: string | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @throws {FormatError} `log_malformed` where the witness's key is none */
  constructor(options: FilingOptions) {
    this.#options = options;
    this.#witness = options.witness && readNoteKey(options.witness.key);
  }

  /**
   * Checks the log against the filed checkpoint, then files from time to time.
   *
   * @param every milliseconds
   * @throws {TamperedError} where the log does not go on from the filed one
   * @throws {SetupError} where the file holds no checkpoint of this log
   */
  async start(every: number): Promise<void> {
    await this.#checkFile();
    await this.file();
    this.#timer = setInterval(() => void (this.#last = this.file()), every);
  }

  /** The filed checkpoint is never replaced by one that does not go on from it: it is what shows that. */
  async #checkFile(): Promise<void> {
    const { file, log } = this.#options;
    if (file === undefined || !await exists(file)) return;
    await withFiled(file, (note) => log.checkFiled(note));
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#last;
  }

  /**
   * Files the present checkpoint, if it is another one than before.
   *
   * @returns the ways that failed; the others got it
   */
  async file(): Promise<string[]> {
    const { log, file, mail, url, timestamp, patience = TIMEOUT } = this.#options;
    const failed: string[] = [];
    const by = async (way: string, work: () => Promise<void>) => {
      try {
        await work();
      } catch (error) {
        failed.push(way);
        const { message } = error as Error;
        logger.error("The audit's checkpoint could not be filed ({way}): {message}", {
          way,
          message,
        });
      }
    };
    await by("log", async () => {
      await this.#checkFile();
      let note = await log.checkpoint();
      if (note === null || note === this.#filed) return;
      const { size, origin } = readCheckpointByAny(note, log.keys); // what is none takes no good one's place
      const plain = note;
      await by("witness", async () => void (note = await this.#cosigned(plain)));
      if (file !== undefined) {
        await by("file", () =>
          alone(file, patience, async () => {
            // the witness takes its time, in which another instance may have filed a later one there
            if (await this.#isLast(file, size)) {
              await replace(file, new TextEncoder().encode(note!));
            }
          }));
        await by("timestamp", async () => {
          if (!timestamp || await Deno.readTextFile(file) !== note) return;
          const token = await timestamp(createHash("sha256").update(note).digest());
          // this took time too, and a timestamp belongs to one checkpoint
          await alone(file, patience, async () => {
            if (await Deno.readTextFile(file) === note) await replace(`${file}.tst`, token);
          });
        });
      }
      await by("mail", async () => await mail?.(`${origin}: ${size}`, note!));
      if (url !== undefined) {
        await by("url", async () => {
          const { status } = await post(url, note!);
          if (status < 200 || status > 299) {
            throw new Error(`${url} answered with status ${status}.`);
          }
        });
      }
      if (failed.length === 0) this.#filed = plain;
    });
    return failed;
  }

  /** Whether no later checkpoint is in the file. */
  async #isLast(file: string, size: number): Promise<boolean> {
    if (!await exists(file)) return true;
    const { keys } = this.#options.log;
    return await withFiled(file, (note) => readCheckpointByAny(note, keys).size <= size);
  }

  /** With the witness's signature below. */
  async #cosigned(note: string): Promise<string> {
    const { log, witness } = this.#options;
    if (!witness) return note;
    const { size } = readCheckpointByAny(note, log.keys);
    for (let tries = 0; tries < 2; tries++) {
      const proof = await log.consistency(this.#witnessed, size);
      const hashes = proof.map((each) => `${each.toBase64()}\n`).join("");
      const body = `old ${this.#witnessed}\n${hashes}\n${note}`;
      const { status, text } = await post(`${witness.url}/add-checkpoint`, body);
      if (status === 409 && /^\d{1,15}\n?$/.test(text) && Number(text) <= size) {
        this.#witnessed = Number(text); // it has seen more than this process knows of
        continue;
      }
      if (status !== 200) throw new Error(`${witness.url} answered with status ${status}.`);
      const cosigned = note + text;
      const { signatures } = openNote(cosigned, [...log.keys, this.#witness!]);
      if (!signatures.some(({ key }) => key === this.#witness)) {
        throw new Error("The witness's signature is missing.");
      }
      this.#witnessed = size;
      return cosigned;
    }
    throw new Error("The witness has seen another log.");
  }
}

async function post(url: string, body: string): Promise<{ status: number; text: string }> {
  const response = await fetch(url, {
    method: "POST",
    body,
    headers: { "content-type": "text/plain; charset=utf-8" },
    redirect: "error",
    signal: AbortSignal.timeout(TIMEOUT),
  });
  const text = new TextDecoder().decode(await readBounded(response, MAX_ANSWER));
  return { status: response.status, text };
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Does something with a checkpoint that was filed.
 *
 * @throws {SetupError} naming the file, where it cannot be read, or is no checkpoint of this log
 */
export async function withFiled<T>(
  path: string,
  work: (note: string) => T | Promise<T>,
): Promise<T> {
  const note = await withFile(path, () => Deno.readTextFile(path));
  try {
    return await work(note);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new SetupError(`${path}: ${error.message}`);
  }
}

/** Looks at a file and replaces it while no other instance does. The lock ends with its process. */
async function alone(path: string, patience: number, work: () => Promise<void>): Promise<void> {
  // nobody else may open it, and hold it for ever
  using file = await Deno.open(`${path}.lock`, { write: true, create: true, mode: 0o600 });
  for (const end = performance.now() + patience; !await file.tryLock(true);) {
    if (performance.now() > end) throw new Error(`Another instance keeps ${path}.lock locked.`);
    await delay(LOOK);
  }
  await work();
}

/** Never half written. */
async function replace(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.new`; // another instance may file there too
  {
    using file = await Deno.open(temporary, { write: true, createNew: true });
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    await file.sync();
  }
  await Deno.rename(temporary, path);
}
