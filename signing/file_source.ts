/** Random access to a file for formats/: blocks are read once and kept for a while. */
import type { Source } from "../formats/source.ts";

const BLOCK = 64 * 1024;
const MAX_BLOCKS = 64;

/** A file's bytes as a {@linkcode Source}. The file must not change; who opened it closes it. */
export class FileSource implements Source {
  readonly #blocks = new Map<number, Uint8Array>();
  #piece: Uint8Array | undefined;

  /** @param size in bytes; the file has at least as many */
  constructor(readonly file: Deno.FsFile, readonly size: number) {}

  read(offset: number, length: number): Uint8Array {
    const end = Math.min(this.size, offset + length);
    if (end <= offset) return new Uint8Array();
    const first = Math.floor(offset / BLOCK);
    const last = Math.floor((end - 1) / BLOCK);
    if (first === last) {
      return this.#block(first).subarray(offset - first * BLOCK, end - first * BLOCK);
    }
    // What is returned is never overwritten: a parser may look elsewhere while it holds it.
    const bytes = new Uint8Array(end - offset);
    this.#fill(bytes, offset);
    return bytes;
  }

  /**
   * The same bytes for reading from beginning to end: each piece is good until the next one only, so that a large
   * document does not pass through memory as a whole.
   */
  sequential(): Source {
    return {
      size: this.size,
      read: (offset, length) => {
        const end = Math.min(this.size, offset + length);
        if (end <= offset) return new Uint8Array();
        if (!this.#piece || this.#piece.length < end - offset) {
          this.#piece = new Uint8Array(end - offset);
        }
        const bytes = this.#piece.subarray(0, end - offset);
        this.#fill(bytes, offset);
        return bytes;
      },
    };
  }

  #block(index: number): Uint8Array {
    let block = this.#blocks.get(index);
    if (block) {
      this.#blocks.delete(index);
    } else {
      if (this.#blocks.size >= MAX_BLOCKS) this.#blocks.delete(this.#blocks.keys().next().value!);
      const start = index * BLOCK;
      block = new Uint8Array(Math.min(BLOCK, this.size - start));
      this.#fill(block, start);
    }
    this.#blocks.set(index, block);
    return block;
  }

  #fill(bytes: Uint8Array, offset: number): void {
    this.file.seekSync(offset, Deno.SeekMode.Start);
    for (let at = 0; at < bytes.length;) {
      const n = this.file.readSync(bytes.subarray(at));
      if (n === null) throw new Deno.errors.UnexpectedEof("The file has become shorter.");
      at += n;
    }
  }
}
