import assert from "node:assert/strict";
import { FormatError } from "../formats/error.ts";
import { DsignError } from "../protocol/errors.ts";
import { SignerError } from "../signers/provider.ts";
import { toDsignError } from "./errors.ts";

Deno.test("failures of the rooms become those of the contract; unforeseen ones tell nothing", () => {
  const own = new DsignError("busy");
  assert.equal(toDsignError(own), own);
  const signer = toDsignError(new SignerError("pin_incorrect", "Wrong.", { triesLeft: "low" }));
  assert.deepEqual([signer.code, signer.message, signer.details], [
    "pin_incorrect",
    "Wrong.",
    { triesLeft: "low" },
  ]);
  assert.equal(
    toDsignError(new FormatError("json_duplicate_key", "Twice.")).code,
    "document_malformed",
  );
  for (
    const error of [
      new TypeError("secret"),
      "secret",
      null,
      new FormatError("invalid_argument", "secret"),
    ]
  ) {
    const told = toDsignError(error);
    assert.equal(told.code, "internal_error");
    assert.ok(!JSON.stringify(told).includes("secret"));
  }
});
