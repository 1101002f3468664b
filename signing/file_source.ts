/** Random access to a file for formats/. */
import { BlockSource, type Source } from "../formats/source.ts";

/** A file's bytes as a {@linkcode Source}. The file must not change; who opened it closes it. */
export class FileSource extends BlockSource {
  readonly #file: Deno.FsFile;

  /** @param size in bytes; the file has at least as many */
  constructor(file: Deno.FsFile, size: number) {
    super(size, (offset, length) => {
      const bytes = new Uint8Array(length);
      this.#fill(bytes, offset);
      return bytes;
    });
    this.#file = file;
  }

  #fill(into: Uint8Array, offset: number): void {
    this.#file.seekSync(offset, Deno.SeekMode.Start);
    for (let at = 0; at < into.length;) {
      const n = this.#file.readSync(into.subarray(at));
      if (n === null) throw new Deno.errors.UnexpectedEof("The file has become shorter.");
      at += n;
    }
  }

  /**
   * The same bytes for reading from beginning to end: each piece is good until the next one only, so that a large
   * document does not pass through memory as a whole.
   */
  sequential(): Source {
    let piece = new Uint8Array();
    return {
      size: this.size,
      read: (offset, length) => {
        const end = Math.min(this.size, offset + length);
        if (end <= offset) return new Uint8Array();
        if (piece.length < end - offset) piece = new Uint8Array(end - offset);
        const bytes = piece.subarray(0, end - offset);
        this.#fill(bytes, offset);
        return bytes;
      },
    };
  }
}
