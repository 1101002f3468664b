import assert from "node:assert/strict";
import { CKR } from "./constants.ts";
import { check, PKCS11_ERROR_CODES, Pkcs11Error, rvName } from "./error.ts";
import { fromFailure, toFailure } from "./messages.ts";

Deno.test("CKR_OK is not an error; every other code keeps its name and the function's", () => {
  check("C_Sign", 0);
  for (const [name, rv] of Object.entries(CKR).slice(1)) {
    assert.throws(() => check("C_Sign", rv), (error: unknown) => {
      assert.ok(error instanceof Pkcs11Error);
      assert.deepEqual([error.functionName, error.rv], ["C_Sign", rv]);
      assert.match(error.message, new RegExp(`\\(C_Sign: ${name}\\)$`));
      return true;
    });
  }
  assert.throws(() => check("C_Login", 0x80000123), /C_Login: CKR_0x80000123/);
  assert.equal(rvName(0xa0), "CKR_PIN_INCORRECT");
});

Deno.test("a wrong PIN, a refusal or a lost login is told only of functions that know of it", () => {
  const codeOf = (functionName: string, rv: number) => {
    try {
      check(functionName, rv);
    } catch (error) {
      return (error as Pkcs11Error).code;
    }
    assert.fail(`${functionName} did not fail`);
  };
  const { CKR_PIN_INCORRECT, CKR_FUNCTION_CANCELED, CKR_USER_NOT_LOGGED_IN } = CKR;
  assert.equal(codeOf("C_Login", CKR_PIN_INCORRECT), "pin_incorrect");
  assert.equal(codeOf("C_GetSlotList", CKR_PIN_INCORRECT), "driver_error");
  assert.equal(codeOf("C_Sign", CKR_FUNCTION_CANCELED), "cancelled");
  assert.equal(codeOf("C_OpenSession", CKR_FUNCTION_CANCELED), "driver_error");
  assert.equal(codeOf("C_GetAttributeValue", CKR_USER_NOT_LOGGED_IN), "user_not_logged_in");
  for (const name of ["C_Initialize", "C_GetTokenInfo", "C_GetMechanismList"]) {
    assert.equal(codeOf(name, CKR_USER_NOT_LOGGED_IN), "driver_error", name);
  }
});

Deno.test("every code has a sentence", () => {
  for (const code of PKCS11_ERROR_CODES) {
    assert.match(new Pkcs11Error(code).message, /^[A-Z].*\.$/);
  }
});

Deno.test("an error survives the pipe", () => {
  const error = new Pkcs11Error("pin_incorrect", {
    functionName: "C_Login",
    rv: 0xa0,
    triesLeft: "final",
  });
  const back = fromFailure(JSON.parse(JSON.stringify(toFailure(error))));
  assert.equal(back.message, error.message);
  assert.deepEqual(toFailure(back), toFailure(error));
  assert.deepEqual(toFailure(new TypeError("x")), {
    code: "driver_error",
    reason: "TypeError: x",
  });
});
