/** The service against whatever comes. */
import assert from "node:assert/strict";
import { startService } from "./server.ts";
import { isFromKnown } from "./service.ts";
import fc from "fast-check";
import { CSC_METHODS, type CscMethod, OIDS } from "../protocol/csc.ts";
import { EXPLICIT, HASH, openPage, withService } from "../tests/fixtures/otp_calls.ts";

Deno.test("input of a wrong size, JSON or method gets an error answer", () =>
  withService(async (test) => {
    const post = (body: BodyInit, headers: Record<string, string> = {}) =>
      test.handler(
        new Request("https://sign.works.example/csc/v2/info", { method: "POST", body, headers }),
      );
    for (
      const [body, status] of [["[]", 400], ["{", 400], ["\xff", 400], ["null", 400], [
        "{}",
        200,
      ]] as const
    ) {
      assert.equal((await post(body)).status, status, body);
    }
    const large = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(1024 * 1024)),
    });
    assert.equal((await post(large)).status, 413);
    const stranger = JSON.stringify({ clientData: "x".repeat(100_000) });
    assert.equal((await post(stranger)).status, 413, "strangers get little memory");
    const headers = (await post("{}")).headers;
    assert.equal(headers.get("cache-control"), "no-store");
  }));

Deno.test("only who brings what the service gave to somebody it knows counts as known", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen" });
    const invitation = await test.service.people.unlock("asen", "seen", "test");
    assert.deepEqual(invitation, { sent: "mail" });
    const enrolment = /#(enrol-\S+)/.exec(test.sent.at(-1)!.message.text)![1];
    const isKnown = (path: string, token?: string) =>
      isFromKnown(
        test.service,
        new Request(`https://sign.works.example${path}`, {
          headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        }),
      );
    const made = "x".repeat(43);
    const request = { scope: "credential", credentialID, numSignatures: "1", hashes: HASH };
    const [pushed, asked] = [await openPage(test, request), await openPage(test, request, false)];
    const token = await test.token();
    const cases: [string, string | undefined, boolean][] = [
      ["/csc/v2/credentials/list", token, true],
      ["/csc/v2/credentials/list", made, false],
      ["/csc/v2/credentials/list", undefined, false],
      ["/csc/v2/credentials/list", pushed.ticket, false],
      ["/otp/answer", pushed.ticket, true],
      ["/otp/answer", asked.ticket, false],
      ["/otp/answer", enrolment, true],
      ["/otp/answer", `enrol-${made}`, false],
      ["/otp/answer", made, false],
      ["/otp/answer", token, false],
    ];
    for (const [path, value, right] of cases) {
      assert.equal(await isKnown(path, value), right, `${path} ${value}`);
    }
  }));

Deno.test("any JSON gets one of the contract's answers in time (property)", () =>
  withService(async (test) => {
    const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
    const token = await test.token();
    const values = fc.oneof(
      fc.constantFrom<unknown>(
        credentialID,
        HASH,
        OIDS.sha256,
        OIDS.ecPublicKey,
        "P",
        "C",
        "OTP",
        1,
        true,
      ),
      fc.string(),
      fc.jsonValue({ maxDepth: 2 }),
      fc.array(fc.constantFrom<unknown>(HASH, "", 7, null, { id: "PIN", value: "1" }), {
        maxLength: 12,
      }),
      fc.array(
        fc.record({
          document: fc.constantFrom("", "JVBERi0=", "QQ==", "?"),
          hashes: fc.constantFrom<unknown>([HASH], [], "x"),
          signature_format: fc.constantFrom("P", "C", "X"),
        }),
        { maxLength: 2 },
      ),
    );
    const names = [
      ...["credentialID", "SAD", "hashes", "hashAlgorithmOID", "signAlgo", "numSignatures"],
      ...["authData", "documents", "documentDigests", "handle", "authObjectID", "token", "userID"],
      ...["hash", "hashAlgo", "PIN", "OTP", "nonce", "description", "certificates", "__proto__"],
    ];
    const body = fc.array(fc.tuple(fc.constantFrom(...names), values), { maxLength: 8 })
      .map((entries) => Object.fromEntries(entries));
    const method = fc.constantFrom(...Object.keys(CSC_METHODS) as CscMethod[]);
    const version = fc.constantFrom("v1", "v2");
    await fc.assert(
      fc.asyncProperty(version, method, body, async (version, method, body) => {
        const { status } = await test.call(`/csc/${version}/${method}`, body, token);
        assert.ok([200, 204, 400, 401, 404, 429, 503].includes(status), `${status}`);
        // what was opened does not count against the next
        test.clock.now += 1;
      }),
      { numRuns: 400 },
    );
  }));

Deno.test("a port held by another program is reported with what to do", () =>
  withService(async (test) => {
    const at = { hostname: "127.0.0.1", port: 0 };
    const first = startService(test.service, at);
    try {
      assert.throws(() => startService(test.service, { ...at, port: first.port }), {
        name: "SetupError",
        message: `Another program listens on 127.0.0.1:${first.port}. ` +
          'Stop it, or change "listen" in the configuration.',
      });
    } finally {
      await first.close();
    }
  }));
