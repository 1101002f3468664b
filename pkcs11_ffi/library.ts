import { isAbsolute } from "node:path";
import { Pkcs11Error } from "./error.ts";

/** What kind of file a driver library is, for this process. */
export type LibraryKind = "fits" | "wrong_architecture" | "no_library";

const ELF_MACHINE = { x86_64: 62, aarch64: 183 };
const MACH_CPU = { x86_64: 0x01000007, aarch64: 0x0100000c };
const PE_MACHINE = { x86_64: 0x8664, aarch64: 0xaa64 };

/**
 * Reads from a library's first bytes whether this process can load it, so that a 32-bit driver
 * gets a better word than the loader's. Sources: ELF gABI ch. 4, Mach-O `mach-o/loader.h` and
 * `fat.h`, Microsoft PE format.
 *
 * @param head the file's first 4096 bytes, or all of a shorter one
 */
export function libraryKind(
  head: Uint8Array,
  os: typeof Deno.build.os,
  arch: typeof Deno.build.arch,
): LibraryKind {
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const verdict = (fits: boolean): LibraryKind => fits ? "fits" : "wrong_architecture";
  try {
    const magic = view.getUint32(0);
    if (os === "windows") {
      if (magic >>> 16 !== 0x4d5a) return "no_library";
      const pe = view.getUint32(0x3c, true);
      if (view.getUint32(pe) !== 0x50450000) return "no_library";
      return verdict(view.getUint16(pe + 4, true) === PE_MACHINE[arch]);
    }
    if (os === "darwin") {
      if (magic === 0xcafebabe) {
        const count = Math.min(view.getUint32(4), 16);
        const cpus = Array.from({ length: count }, (_, i) => view.getUint32(8 + i * 20));
        return verdict(cpus.includes(MACH_CPU[arch]));
      }
      if (magic === 0xcefaedfe) return "wrong_architecture"; // 32-bit
      if (magic !== 0xcffaedfe) return "no_library";
      return verdict(view.getUint32(4, true) === MACH_CPU[arch]);
    }
    if (magic !== 0x7f454c46) return "no_library";
    const is64 = head[4] === 2;
    return verdict(is64 && view.getUint16(18, true) === ELF_MACHINE[arch]);
  } catch (error) {
    if (error instanceof RangeError) return "no_library"; // Shorter than its own header.
    throw error;
  }
}

/**
 * Refuses what is certainly no driver for this process. The path must be absolute: a bare name
 * would be looked up in places that others may be able to write to.
 *
 * @throws {Pkcs11Error} `driver_not_found`, `driver_not_pkcs11`, `driver_wrong_architecture`,
 * `driver_load_failed`
 */
export function inspectLibrary(path: string): void {
  if (!isAbsolute(path)) {
    throw new Pkcs11Error("driver_not_found", { reason: "the path is not absolute" });
  }
  const head = new Uint8Array(4096);
  let length: number | null;
  try {
    // Before opening: a named pipe would block.
    if (!Deno.statSync(path).isFile) throw new Pkcs11Error("driver_not_pkcs11");
    using file = Deno.openSync(path);
    length = file.readSync(head);
  } catch (error) {
    if (error instanceof Pkcs11Error) throw error;
    const missing = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
    throw new Pkcs11Error(missing ? "driver_not_found" : "driver_load_failed", {
      reason: String(error),
    });
  }
  const kind = libraryKind(head.subarray(0, length ?? 0), Deno.build.os, Deno.build.arch);
  if (kind === "no_library") throw new Pkcs11Error("driver_not_pkcs11");
  if (kind === "wrong_architecture") throw new Pkcs11Error("driver_wrong_architecture");
}
