import assert from "node:assert/strict";
import { Validator } from "@seriousme/openapi-schema-validator";
import type * as z from "zod";
import deno from "../deno.json" with { type: "json" };
import {
  type CredentialInfo,
  CSC_ERRORS,
  CSC_METHODS,
  type CscMethod,
  invalid,
  NewPerson,
  OAuthToken,
} from "./csc.ts";
import { fromV1, toV1 } from "./csc_v1.ts";
import { openapi, openapiText } from "./csc_openapi.ts";

Deno.test("csc_openapi.json is what the tables say", async () => {
  const committed = await Deno.readTextFile(new URL("csc_openapi.json", import.meta.url));
  assert.ok(
    committed === openapiText(deno.version),
    "stale: run `deno run -A protocol/csc_openapi.ts` and commit the result",
  );
});

Deno.test("the OpenAPI document is valid by the official schema", async () => {
  const result = await new Validator().validate(openapi("1.2.3"));
  assert.ok(result.valid, JSON.stringify(result.errors, null, 2));
  const wrong = await new Validator().validate({ ...openapi("1.2.3"), paths: { x: 1 } });
  assert.equal(wrong.valid, false, "it can fail");
});

Deno.test("every example is valid by its own method's schema", () => {
  for (const name of Object.keys(CSC_METHODS) as CscMethod[]) {
    CSC_METHODS[name].params.parse(CSC_METHODS[name].example);
  }
});

Deno.test("errors use the specification's words", () => {
  const told = (schema: z.ZodType, value: unknown) =>
    schema.safeParse(value, { error: invalid }).error?.issues[0].message;
  const says = (method: CscMethod, value: unknown) => told(CSC_METHODS[method].params, value);
  assert.equal(
    says("credentials/info", {}),
    "Missing (or invalid type) string parameter credentialID",
  );
  assert.equal(
    says("credentials/info", { credentialID: "x", certInfo: "yes" }),
    "Invalid parameter certInfo",
  );
  assert.equal(
    says("signatures/signDoc", { credentialID: "x", documents: [{ document: 1 }] }),
    "Invalid Base64 documents string parameter",
  );
  assert.equal(told(OAuthToken, {}), "Missing parameter grant_type");
  assert.equal(told(OAuthToken, { grant_type: "x" }), "Invalid parameter grant_type");
  const person = { userID: "asen", name: "Asha Sen", email: "asen@example.org", credential: {} };
  assert.equal(told(NewPerson, { ...person, email: "asen" }), "Invalid parameter email");
  assert.equal(told(NewPerson, { ...person, rôle: "x" }), "Invalid parameter rôle");
  for (const [status, error, description] of Object.values(CSC_ERRORS)) {
    assert.ok(status >= 400 && status < 600 && /^[a-z_]+$/.test(error) && description.length > 0);
  }
});

Deno.test("a name is one line, in any script", () => {
  const person = (name: string) =>
    NewPerson.safeParse({ userID: "asen", email: "a@works.example", name }).success;
  for (const name of ["অনিতা সেন", "র\u200d্যাচেল", "O'Neil & Söhne"]) assert.ok(person(name), name);
  for (const name of ["", "Eve\r\nBcc: x@y.example", "Eve\u202eneS", "a\0b", "\u2028"]) {
    assert.ok(!person(name), name);
  }
});

Deno.test("version 1.0.4 says the same in other words", () => {
  assert.deepEqual(
    fromV1("credentials/authorize", { numSignatures: "2", hash: ["a"], PIN: "1", OTP: "2" }),
    {
      numSignatures: 2,
      hashes: ["a"],
      authData: [{ id: "PIN", value: "1" }, { id: "OTP", value: "2" }],
    },
  );
  assert.deepEqual(fromV1("signatures/timestamp", { hash: "a", hashAlgo: "b" }), {
    hash: "a",
    hashAlgo: "b",
  });
  const info: CredentialInfo = {
    key: { status: "enabled", algo: ["1.2"], len: 256 },
    cert: {},
    auth: {
      mode: "explicit",
      objects: [{
        type: "Password",
        id: "OTP",
        format: "N",
        generator: "totp",
        label: "OTP",
        description: "x",
      }],
    },
    SCAL: "1",
    multisign: 10,
  };
  const { authMode, PIN, OTP } = toV1(info) as Record<string, Record<string, string>>;
  assert.equal(authMode, "explicit");
  assert.equal(PIN, undefined);
  assert.equal(OTP.type, "offline");
});
