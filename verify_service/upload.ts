/** Receiving a request's files: large ones go to disk as they arrive, and are gone from its folders before anything is read. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { concat } from "../formats/asn1/der.ts";
import { bytesSource, type Source } from "../formats/source.ts";
import { FileSource } from "../signing/file_source.ts";
import { ServiceError } from "./error.ts";
import { Multipart, type PartHead, type PartReceiver } from "./multipart.ts";

/** Longest field, in bytes. */
const MAX_FIELD = 1024;
const MAX_FIELDS = 16;
const FILES = ["file", "content"];
/** Files of no more bytes stay in memory: a file on disk costs as much time as all else in receiving them. */
const SMALL = 256 * 1024;

/** A file of a request. */
export class Upload {
  readonly #hash = createHash("sha256");
  #held: Uint8Array[] = [];
  #size = 0;
  #file: Deno.FsFile | undefined;
  /** In hex, once all of it has arrived. */
  sha256 = "";

  /** @param create makes a file on disk */
  constructor(readonly name: string | null, readonly create: () => Deno.FsFile) {}

  add(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#held.push(bytes);
    this.#size += bytes.length;
  }

  end(): void {
    this.sha256 = this.#hash.digest("hex");
  }

  /** Whether bytes of it have to go to disk. */
  get isWaiting(): boolean {
    return this.#size > SMALL && this.#held.length > 0;
  }

  /** Writes what is held to disk. */
  async write(): Promise<void> {
    const file = this.#file ??= this.create();
    for (const bytes of this.#held.splice(0)) {
      for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    }
  }

  get source(): Source {
    if (this.#file) return new FileSource(this.#file, this.#size);
    const [first, ...more] = this.#held;
    return bytesSource(more.length > 0 ? concat(first, ...more) : first ?? new Uint8Array());
  }
}

const wrong = (why: string) => new ServiceError("request_wrong", why);

/** The parts of a request. */
export class Parts implements Disposable {
  readonly fields = new Map<string, string>();
  readonly files = new Map<string, Upload>();
  readonly #open: Deno.FsFile[] = [];

  /** @param folder for files; only this user's */
  constructor(readonly folder: string) {}

  [Symbol.dispose](): void {
    for (const file of this.#open.splice(0)) file.close();
  }

  /**
   * Reads a body.
   *
   * @param type its Content-Type, `multipart/form-data` with a boundary
   * @param time milliseconds in which it must arrive
   * @throws {ServiceError} `request_wrong`; the signal's reason
   */
  async receive(
    input: Readable,
    type: string,
    time: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const body = new Multipart(type, this.#receiver());
    let writing: Promise<void> | undefined;
    const attempt = (work: () => void) => {
      try {
        work();
      } catch (error) {
        reject(error);
      }
    };
    const take = (piece: Uint8Array) =>
      attempt(() => {
        body.push(piece);
        const waiting = [...this.files.values()].filter(({ isWaiting }) => isWaiting);
        if (waiting.length === 0) return;
        input.pause();
        writing = Promise.all(waiting.map((file) => file.write())).then(() => void input.resume());
        writing.catch(reject);
      });
    const end = () =>
      attempt(() => {
        body.end();
        resolve();
      });
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
    const late = setTimeout(() => reject(wrong("The file did not arrive in time.")), time);
    const cut = () => reject(wrong("The body ended too early."));
    input.on("data", take).on("end", end).on("error", cut).on("aborted", cut);
    try {
      if (signal.aborted) abort();
      await promise;
    } finally {
      clearTimeout(late);
      signal.removeEventListener("abort", abort);
      input.off("data", take).off("end", end);
      await writing?.catch(() => {}); // it has been told
    }
  }

  /** Puts each part where it belongs. */
  #receiver(): PartReceiver {
    let field: { name: string; pieces: Uint8Array[]; size: number } | undefined;
    let file: Upload | undefined;
    return {
      begin: ({ name, fileName }: PartHead) => {
        if (this.fields.has(name) || this.files.has(name)) {
          throw wrong(`The field ${name} is there twice.`);
        }
        if (FILES.includes(name)) {
          this.files.set(name, file = new Upload(fileName, () => this.#create()));
        } else if (fileName !== null) throw wrong(`The file ${name} is not expected.`);
        else if (this.fields.size === MAX_FIELDS) throw wrong("There are too many fields.");
        else field = { name, pieces: [], size: 0 };
      },
      data: (bytes) => {
        if (!field) return file!.add(bytes);
        field.pieces.push(bytes);
        field.size += bytes.length;
        if (field.size > MAX_FIELD) throw wrong(`The field ${field.name} is too long.`);
      },
      end: () => {
        if (!field) return file!.end();
        this.fields.set(field.name, Buffer.concat(field.pieces).toString());
        field = undefined;
      },
    };
  }

  /** A file that no folder names any more: it is gone when it is closed, whatever ends this process. */
  #create(): Deno.FsFile {
    const path = join(this.folder, crypto.randomUUID());
    const file = Deno.openSync(path, { read: true, write: true, createNew: true, mode: 0o600 });
    this.#open.push(file);
    Deno.removeSync(path);
    return file;
  }
}
