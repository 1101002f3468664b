import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { generate, HEADER } from "./gen_constants.ts";

const here = existsSync(HEADER);

Deno.test({
  name: `pkcs11_ffi/constants.ts is what its generator makes${
    here ? "" : " (optional: needs libnss3-dev)"
  }`,
  ignore: !here,
  fn: () => {
    const file = fileURLToPath(new URL("../pkcs11_ffi/constants.ts", import.meta.url));
    assert.equal(Deno.readTextFileSync(file), generate(Deno.readTextFileSync(HEADER)));
  },
});

Deno.test("a header that lacks a constant is refused", () => {
  assert.throws(() => generate("#define CKR_OK 0x0UL\n"), /is not in the header/);
});
