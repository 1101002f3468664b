import { isAbsolute } from "node:path";
import { Pkcs11Error } from "./error.ts";

/** Whether this process can load a driver library. */
export type LibraryKind = "fits" | "wrong_architecture" | "no_library";

/** System and processors of a library, from its header. */
export interface LibraryBuild {
  format: "ELF" | "PE" | "Mach-O";
  /** e.g. `x86_64`, `aarch64`, `x86 (32-bit)`; several in a universal library of macOS. */
  machines: string[];
}

const FORMATS: Partial<Record<typeof Deno.build.os, LibraryBuild["format"]>> = {
  darwin: "Mach-O",
  windows: "PE",
};

const ELF_MACHINES: Record<number, string> = { 3: "x86", 40: "arm", 62: "x86_64", 183: "aarch64" };
const MACH_CPUS: Record<number, string> = {
  7: "x86 (32-bit)",
  12: "arm (32-bit)",
  0x01000007: "x86_64",
  0x0100000c: "aarch64",
};
const PE_MACHINES: Record<number, string> = {
  0x014c: "x86 (32-bit)",
  0x01c4: "arm (32-bit)",
  0x8664: "x86_64",
  0xaa64: "aarch64",
};

const machine = (names: Record<number, string>, number: number) =>
  names[number] ?? `machine 0x${number.toString(16)}`;

/**
 * Reads system and processors from a library's first bytes. Sources: ELF gABI ch. 4, Mach-O
 * `mach-o/loader.h` and `fat.h`, Microsoft PE format.
 *
 * @param head the file's first 4096 bytes, or all of a shorter one
 * @returns null if it is not a library of a supported system
 */
export function libraryBuild(head: Uint8Array): LibraryBuild | null {
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  try {
    const magic = view.getUint32(0);
    if (magic === 0x7f454c46) {
      const little = head[5] !== 2;
      const name = machine(ELF_MACHINES, view.getUint16(18, little));
      // x86_64 with 32-bit pointers (x32) is another thing than x86_64.
      return { format: "ELF", machines: [head[4] === 2 ? name : `${name} (32-bit)`] };
    }
    if (magic >>> 16 === 0x4d5a) {
      const pe = view.getUint32(0x3c, true);
      if (view.getUint32(pe) !== 0x50450000) return null;
      return { format: "PE", machines: [machine(PE_MACHINES, view.getUint16(pe + 4, true))] };
    }
    if (magic === 0xcafebabe) {
      const count = Math.min(view.getUint32(4), 16);
      const cpus = Array.from({ length: count }, (_, i) => view.getUint32(8 + i * 20));
      return { format: "Mach-O", machines: cpus.map((cpu) => machine(MACH_CPUS, cpu)) };
    }
    if (magic === 0xcefaedfe || magic === 0xcffaedfe) {
      return { format: "Mach-O", machines: [machine(MACH_CPUS, view.getUint32(4, true))] };
    }
    return null;
  } catch (error) {
    if (error instanceof RangeError) return null; // Shorter than its own header.
    throw error;
  }
}

/**
 * Whether this process can load a library, so that a 32-bit driver gets a better word than the
 * loader's.
 *
 * @param head the file's first 4096 bytes, or all of a shorter one
 */
export function libraryKind(
  head: Uint8Array,
  os: typeof Deno.build.os,
  arch: typeof Deno.build.arch,
): LibraryKind {
  const build = libraryBuild(head);
  if (build?.format !== (FORMATS[os] ?? "ELF")) return "no_library";
  return build.machines.includes(arch) ? "fits" : "wrong_architecture";
}

/**
 * The first bytes of a file, for {@link libraryBuild}.
 *
 * @throws {Pkcs11Error} `driver_not_found`, `driver_not_pkcs11`, `driver_load_failed`
 */
export function readHead(path: string): Uint8Array {
  const head = new Uint8Array(4096);
  try {
    // Before opening: a named pipe would block.
    if (!Deno.statSync(path).isFile) throw new Pkcs11Error("driver_not_pkcs11");
    using file = Deno.openSync(path);
    return head.subarray(0, file.readSync(head) ?? 0);
  } catch (error) {
    if (error instanceof Pkcs11Error) throw error;
    const missing = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
    throw new Pkcs11Error(missing ? "driver_not_found" : "driver_load_failed", {
      reason: String(error),
    });
  }
}

/**
 * Refuses a file that is certainly not a driver for this process. The path must be absolute: a bare name
 * would be looked up in places that others may be able to write to.
 *
 * @throws {Pkcs11Error} `driver_not_found`, `driver_not_pkcs11`, `driver_wrong_architecture`,
 * `driver_load_failed`
 */
export function inspectLibrary(path: string): void {
  if (!isAbsolute(path)) {
    throw new Pkcs11Error("driver_not_found", { reason: "the path is not absolute" });
  }
  const head = readHead(path);
  const kind = libraryKind(head, Deno.build.os, Deno.build.arch);
  if (kind === "no_library") throw new Pkcs11Error("driver_not_pkcs11");
  if (kind === "wrong_architecture") {
    throw new Pkcs11Error("driver_wrong_architecture", {
      reason: `built for ${libraryBuild(head)?.machines.join(", ")}`,
    });
  }
}
