/** Receiving a request's files: large ones go to disk as they arrive, and are gone from its folders before anything is read. */
import { Busboy, type BusboyHeaders } from "@fastify/busboy";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { concat } from "../formats/asn1/der.ts";
import { bytesSource, type Source } from "../formats/source.ts";
import { FileSource } from "../signing/file_source.ts";
import { ServiceError } from "./error.ts";

const MAX_FIELD = 1024;
const MAX_FIELDS = 16;
const FILES = ["file", "content"];
/** Files of no more bytes stay in memory: a file on disk costs as much time as all else in receiving them. */
const SMALL = 256 * 1024;

/** A file of a request. */
export interface Upload {
  name: string | null;
  source: Source;
  sha256: string;
}

/** The parts of a request. */
export class Parts implements Disposable {
  readonly fields: Record<string, string> = {};
  readonly files: Record<string, Upload> = {};
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
    const wrong = (why: string) => new ServiceError("request_wrong", why);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const work: Promise<unknown>[] = [];
    const streams: Readable[] = [];
    let parser: InstanceType<typeof Busboy>;
    try {
      parser = new Busboy({
        headers: { "content-type": type } as BusboyHeaders,
        limits: { fieldSize: MAX_FIELD, fields: MAX_FIELDS, files: FILES.length, headerPairs: 16 },
      });
    } catch (error) {
      throw wrong(`The body is not multipart/form-data: ${(error as Error).message}.`);
    }
    parser.on("field", (name, value, _, isCut) => {
      if (isCut) return reject(wrong(`The field ${name} is too long.`));
      if (Object.hasOwn(this.fields, name)) {
        return reject(wrong(`The field ${name} is there twice.`));
      }
      this.fields[name] = value;
    });
    parser.on("file", (field, stream, name) => {
      stream.on("error", () => {}); // told by the parser too, whoever reads the file
      if (!FILES.includes(field) || Object.hasOwn(this.files, field)) {
        stream.resume();
        return reject(wrong(`The file ${field} is not expected, or is there twice.`));
      }
      streams.push(stream);
      const upload = { name: name || null, source: bytesSource(new Uint8Array()), sha256: "" };
      this.files[field] = upload;
      work.push(this.#keep(upload, stream).catch(reject));
    });
    for (const limit of ["filesLimit", "fieldsLimit", "partsLimit"] as const) {
      parser.on(limit, () => reject(wrong("There are too many parts.")));
    }
    parser.on("error", (error) => reject(wrong(`The body cannot be read: ${String(error)}.`)));
    parser.on("finish", () => resolve());
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
    const late = setTimeout(() => reject(wrong("The file did not arrive in time.")), time);
    const cut = () => reject(wrong("The body ended too early."));
    input.on("error", cut).on("aborted", cut);
    try {
      if (signal.aborted) abort();
      input.pipe(parser);
      await promise;
      await Promise.all(work);
      await promise;
    } finally {
      clearTimeout(late);
      signal.removeEventListener("abort", abort);
      input.unpipe(parser);
      for (const stream of streams) stream.destroy();
      await Promise.all(work);
    }
  }

  /** A file that no folder names any more: it is gone when it is closed, whatever ends this process. */
  #create(): Deno.FsFile {
    const path = join(this.folder, crypto.randomUUID());
    const file = Deno.openSync(path, { read: true, write: true, createNew: true, mode: 0o600 });
    this.#open.push(file);
    Deno.removeSync(path);
    return file;
  }

  async #keep(upload: Upload, stream: AsyncIterable<Uint8Array>): Promise<void> {
    const hash = createHash("sha256");
    const held: Uint8Array[] = [];
    let file: Deno.FsFile | undefined;
    let size = 0;
    const pieces = stream[Symbol.asyncIterator]();
    for (;;) {
      const { value: piece, done } = await pieces.next().catch(() => {
        throw new ServiceError("request_wrong", "The body ended within a file.");
      });
      if (done) break;
      hash.update(piece);
      size += piece.length;
      held.push(piece);
      if (size <= SMALL) continue;
      file ??= this.#create();
      for (const bytes of held.splice(0)) {
        for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
      }
    }
    upload.source = file ? new FileSource(file, size) : bytesSource(concat(...held));
    upload.sha256 = hash.digest("hex");
  }
}
