import assert from "node:assert/strict";
import { checkStatus, failure, statusName } from "./errors.ts";

Deno.test("a status becomes an error that says what happened, and where", () => {
  const cases: [status: number, code: string, triesLeft?: string][] = [
    [0x8010006B, "pin_incorrect", "unknown"],
    [0x8010006C, "pin_locked", "none"],
    [0x8010006E, "cancelled"],
    [0x80090036, "cancelled"],
    [0x800704C7, "cancelled"],
    [0x80100069, "token_removed"],
    [0x8010000C, "token_not_present"],
    [0x8010002E, "token_not_present"],
    [0x8010002A, "pin_length"],
    [0x80090016, "key_not_found"],
    [0x80090008, "mechanism_unsupported"],
    [0x80090022, "context_login_required"],
    [0x8009001E, "driver_not_found"],
    [0x8010000D, "driver_not_found"],
    [193, "driver_wrong_architecture"],
    [0x8010000B, "token_busy"],
    [0x80090020, "driver_error"],
    [5, "driver_error"],
  ];
  for (const [status, code, triesLeft] of cases) {
    const error = failure("NCryptSignHash", status);
    assert.deepEqual([error.code, error.triesLeft], [code, triesLeft], statusName(status));
    assert.equal(error.functionName, `NCryptSignHash: ${statusName(status)}`);
    assert.ok(error.message.endsWith(`(NCryptSignHash: ${statusName(status)})`), error.message);
  }
});

Deno.test("what is not found is the provider or the key, by the function that looked", () => {
  const notFound = 0x80090011;
  assert.equal(failure("NCryptOpenStorageProvider", notFound).code, "driver_not_found");
  assert.equal(failure("NCryptOpenKey", notFound).code, "key_not_found");
});

Deno.test("statuses have their names of winerror.h, or their numbers", () => {
  assert.equal(statusName(0x8010006B), "SCARD_W_WRONG_CHV");
  assert.equal(statusName(0x80091234), "0x80091234");
  assert.equal(statusName(5), "0x00000005");
  checkStatus("NCryptOpenKey", 0);
  assert.throws(() => checkStatus("NCryptOpenKey", 0x80090016), /NTE_BAD_KEYSET/);
});
