import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../tests/fixtures/openssl.ts";
import {
  attributeLength,
  decodeInfo,
  decodeSlotInfo,
  decodeTokenInfo,
  encodeAttribute,
  encodeInitArgs,
  encodeMechanism,
  encodePssParams,
  functionOffset,
  LLP64_PACKED,
  LP64,
  structSizes,
  unavailable,
} from "./abi.ts";

const ADDRESS = 0x1122334455667788n;
const path = (file: string) => fileURLToPath(new URL(`../tests/${file}`, import.meta.url));

const LAYOUTS = [
  { abi: LP64, golden: "golden/pkcs11_layout_lp64.txt", flags: [] },
  { abi: LLP64_PACKED, golden: "golden/pkcs11_layout_llp64_packed.txt", flags: ["-DPACKED"] },
];

for (const { abi, golden, flags } of LAYOUTS) {
  const bytes = (name: string) => {
    const line = Deno.readTextFileSync(path(golden)).match(new RegExp(`^${name} (.*)$`, "m"));
    return Uint8Array.fromHex(line![1]);
  };

  Deno.test(`${golden}: encodes as C does`, () => {
    const pss = encodePssParams(abi, { hashAlg: 0x250, mgf: 2, saltLength: 32 });
    assert.deepEqual(pss, bytes("pss"));
    assert.deepEqual(encodeMechanism(abi, 0x43, ADDRESS, pss.length), bytes("mechanism"));
    const attribute = encodeAttribute(abi, 0x102, ADDRESS, 52);
    assert.deepEqual(attribute, bytes("attribute"));
    assert.equal(attributeLength(abi, attribute), 52n);
    assert.deepEqual(encodeInitArgs(abi, ADDRESS), bytes("init"));
    assert.deepEqual([functionOffset(abi, 0), functionOffset(abi, 10)], [...bytes("offset")]);
  });

  Deno.test(`${golden}: decodes what C wrote`, () => {
    const sizes = structSizes(abi);
    assert.equal(sizes.info, bytes("info").length);
    assert.deepEqual(decodeInfo(abi, bytes("info")), {
      cryptokiVersion: "2.40",
      manufacturer: "Maker",
      description: "A description of 32 characters!!",
      libraryVersion: "3.7",
    });
    assert.equal(sizes.slotInfo, bytes("slot").length);
    assert.deepEqual(decodeSlotInfo(abi, bytes("slot")), {
      description: "Reader 00",
      manufacturer: "Reader maker",
      flags: 7,
    });
    assert.equal(sizes.tokenInfo, bytes("token").length);
    assert.deepEqual(decodeTokenInfo(abi, bytes("token")), {
      label: "Officer অ",
      manufacturer: "Token maker",
      model: "Model sixteen ch",
      serial: "0123456789ABCDEF",
      flags: 0x3040d,
      maxPinLength: 15,
      minPinLength: 6,
    });
  });

  // A compiler of Windows' own says the same in tests/windows_test.ts.
  const ignore = Deno.build.os === "windows";
  Deno.test(`${golden}: is what a C compiler makes`, { ignore }, async () => {
    const dir = Deno.makeTempDirSync({ prefix: "dsign-layout-" });
    try {
      const program = join(dir, "layout");
      const source = path("fakes/pkcs11_layout.c");
      await run("gcc", "gcc libc6-dev", ["-std=c11", ...flags, "-o", program, source]);
      const layout = new TextDecoder().decode(await run(program, "", []));
      assert.equal(layout, Deno.readTextFileSync(path(golden)));
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  });
}

Deno.test("CK_UNAVAILABLE_INFORMATION is all ones", () => {
  assert.equal(unavailable(LP64), 0xffffffffffffffffn);
  assert.equal(unavailable(LLP64_PACKED), 0xffffffffn);
});
