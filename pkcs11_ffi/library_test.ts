import assert from "node:assert/strict";
import { join } from "node:path";
import { Pkcs11Error } from "./error.ts";
import { inspectLibrary, libraryBuild, libraryKind } from "./library.ts";

function bytes(length: number, write: (view: DataView) => void): Uint8Array {
  const buffer = new Uint8Array(length);
  write(new DataView(buffer.buffer));
  return buffer;
}

const elf = (bits: 1 | 2, machine: number) =>
  bytes(64, (view) => {
    view.setUint32(0, 0x7f454c46);
    view.setUint8(4, bits);
    view.setUint16(18, machine, true);
  });
const pe = (machine: number) =>
  bytes(512, (view) => {
    view.setUint16(0, 0x4d5a);
    view.setUint32(0x3c, 0x80, true);
    view.setUint32(0x80, 0x50450000);
    view.setUint16(0x84, machine, true);
  });
const mach = (cpu: number) =>
  bytes(64, (view) => {
    view.setUint32(0, 0xcffaedfe);
    view.setUint32(4, cpu, true);
  });
const fat = (...cpus: number[]) =>
  bytes(64, (view) => {
    view.setUint32(0, 0xcafebabe);
    view.setUint32(4, cpus.length);
    cpus.forEach((cpu, i) => view.setUint32(8 + i * 20, cpu));
  });

Deno.test("tells libraries for this computer from others", () => {
  const kind = (head: Uint8Array, os: typeof Deno.build.os) => libraryKind(head, os, "x86_64");
  assert.equal(kind(elf(2, 62), "linux"), "fits");
  assert.equal(kind(elf(1, 3), "linux"), "wrong_architecture");
  assert.equal(kind(elf(2, 183), "linux"), "wrong_architecture");
  assert.equal(kind(pe(0x8664), "linux"), "no_library");
  assert.equal(kind(pe(0x8664), "windows"), "fits");
  assert.equal(kind(pe(0x14c), "windows"), "wrong_architecture");
  assert.equal(kind(elf(2, 62), "windows"), "no_library");
  assert.equal(kind(pe(0x8664).subarray(0, 0x40), "windows"), "no_library");
  assert.equal(kind(mach(0x01000007), "darwin"), "fits");
  assert.equal(kind(mach(0x0100000c), "darwin"), "wrong_architecture");
  assert.equal(kind(fat(0x0100000c, 0x01000007), "darwin"), "fits");
  assert.equal(kind(fat(0x0100000c), "darwin"), "wrong_architecture");
  for (const os of ["linux", "windows", "darwin"] as const) {
    assert.equal(kind(new Uint8Array(0), os), "no_library");
    assert.equal(kind(new TextEncoder().encode("#!/bin/sh\n"), os), "no_library");
  }
});

Deno.test("names the system and processor of a library", () => {
  const machines = (head: Uint8Array) => libraryBuild(head)?.machines;
  assert.deepEqual(libraryBuild(elf(1, 3)), { format: "ELF", machines: ["x86 (32-bit)"] });
  assert.deepEqual(machines(elf(1, 62)), ["x86_64 (32-bit)"]);
  assert.deepEqual(libraryBuild(pe(0x14c)), { format: "PE", machines: ["x86 (32-bit)"] });
  assert.deepEqual(machines(pe(0xaa64)), ["aarch64"]);
  assert.deepEqual(machines(fat(0x0100000c, 0x01000007)), ["aarch64", "x86_64"]);
  assert.deepEqual(machines(elf(2, 243)), ["machine 0xf3"]);
  assert.equal(libraryBuild(elf(2, 62).subarray(0, 18)), null);
});

Deno.test("refuses files that cannot be drivers", () => {
  const dir = Deno.makeTempDirSync({ prefix: "dsign-library-" });
  try {
    const text = join(dir, "text.so");
    Deno.writeTextFileSync(text, "not a library");
    const cases = [
      ["libsofthsm2.so", "driver_not_found"],
      [join(dir, "missing.so"), "driver_not_found"],
      [join(text, "x.so"), "driver_not_found"],
      [dir, "driver_not_pkcs11"],
      [text, "driver_not_pkcs11"],
    ];
    for (const [path, code] of cases) {
      assert.throws(
        () => inspectLibrary(path),
        (error: unknown) => error instanceof Pkcs11Error && error.code === code,
        path,
      );
    }
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});
