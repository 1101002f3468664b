import assert from "node:assert/strict";
import * as L from "./layout.ts";

const golden = Deno.readTextFileSync(
  new URL("../tests/golden/windows_layout.txt", import.meta.url),
);
/** As C lays it out (tests/fakes/windows_layout.c). */
const bytes = (name: string) =>
  Uint8Array.fromHex(new RegExp(`^${name} (.*)$`, "m").exec(golden)![1]);
const ADDRESS = 0x1122334455667788n;

Deno.test("structures are read and written as C lays them out", () => {
  const context = bytes("context");
  assert.equal(context.length, L.CERT_CONTEXT_SIZE);
  assert.deepEqual(L.decodeCertContext(context), { address: ADDRESS, length: 0x4321 });
  assert.deepEqual(L.decodeKeyProvInfo(bytes("key"), 0x10000n), {
    container: "key",
    provider: "Provider",
    type: 24,
    flags: 0x20,
    keySpec: 2,
  });
  assert.deepEqual(L.encodePkcs1Padding(ADDRESS), bytes("pkcs1"));
  assert.deepEqual(L.encodePssPadding(ADDRESS, 32), bytes("pss"));
});

Deno.test("constants are those of Windows' headers", () => {
  const view = new DataView(bytes("constants").buffer);
  const expected = Array.from(
    { length: view.byteLength / 4 },
    (_, i) => view.getUint32(4 * i, true),
  );
  assert.deepEqual([
    ...[L.OPEN_READ_ONLY, L.CERT_KEY_PROV_INFO_PROP_ID, L.CRYPT_VERIFYCONTEXT],
    ...[L.CRYPT_MACHINE_KEYSET, L.SILENT, L.PROV_RSA_AES, L.AT_SIGNATURE, L.PP_CLIENT_HWND],
    ...[L.PP_IMPTYPE, L.PP_KEYEXCHANGE_PIN, L.PP_SIGNATURE_PIN, L.HP_HASHVAL],
    ...[L.CALG["SHA-1"], L.CALG["SHA-256"], L.CALG["SHA-384"], L.CALG["SHA-512"]],
    ...[L.BCRYPT_PAD_PKCS1, L.BCRYPT_PAD_PSS, L.WS_POPUP, L.WS_EX_TOPMOST_APPWINDOW],
    L.SW_SHOWNOACTIVATE,
  ], expected);
});

Deno.test("names of a key that lie elsewhere than behind their structure are not followed", () => {
  const key = bytes("key");
  for (const base of [0n, 0x20000n, 0x10000n + 48n]) {
    const { container, provider } = L.decodeKeyProvInfo(key, base);
    assert.deepEqual([container, provider], [undefined, undefined]);
  }
});

Deno.test("texts are UTF-16 and end with NUL", () => {
  for (const text of ["", "Anita", "আনিতা 😀"]) {
    const encoded = L.encodeText(text);
    assert.equal(encoded.length, 2 * text.length + 2);
    assert.equal(L.decodeText(Uint8Array.from([0, 0, ...encoded, 65, 0]), 2), text);
  }
  // One without an end stops with the bytes.
  assert.equal(L.decodeText(Uint8Array.of(65, 0, 66), 0), "A");
});
