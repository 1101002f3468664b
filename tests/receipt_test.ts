/** A signature's receipt, as the portal gets it and as anybody checks it with `dsign verify`. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { pem } from "../formats/asn1/pem.ts";
import { formatNoteKey } from "../formats/log/note.ts";
import { dsign, environment } from "./fixtures/cli.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import { authorize, EXPLICIT, TEXT, withService } from "./fixtures/otp_calls.ts";
import { POLICY } from "./fixtures/otp_service.ts";
import { classicPdf, documentObjects } from "./fixtures/pdf.ts";

Deno.test("a receipt says which number a PDF's or CMS's signature has in the log, and is good for no other", () =>
  withService((test) =>
    inTempDir(async (dir) => {
      const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
      const pdf = classicPdf(documentObjects());
      const sign = async (name: string, bytes: Uint8Array, signature_format: "C" | "P") => {
        const hash = createHash("sha256").update(bytes).digest("base64");
        const { token, body: { SAD } } = await authorize(test, credentialID, [hash]);
        const { body } = await test.call("/csc/v2/signatures/signDoc", {
          credentialID,
          SAD,
          documents: [{ document: bytes.toBase64(), signature_format }],
        }, token);
        const [signed] = body.DocumentWithSignature ?? body.SignatureObject;
        await Deno.writeFile(join(dir, name), Uint8Array.fromBase64(signed));
        const receipt = body.receipt ?? await promised(body.receiptPromise.path, token);
        await Deno.writeTextFile(join(dir, `${name}.receipt`), receipt);
      };
      const promised = async (path: string, token: string) => {
        await test.service.store.auditHead();
        const request = new Request(`https://sign.works.example${path}`, {
          headers: { authorization: `Bearer ${token}` },
        });
        return await (await test.handler(request)).text();
      };
      await sign("order.pdf", pdf, "P");
      await sign("note.p7s", TEXT, "C");
      const root = join(dir, "root.pem");
      await Deno.writeTextFile(root, pem("CERTIFICATE", test.root.certificate.der));
      const key = formatNoteKey(test.service.store.log.signer.key);
      await Deno.writeTextFile(join(dir, "log.key"), key);
      const verify = (file: string, receipt: string, ...more: string[]) =>
        dsign([
          ...["verify", join(dir, file), "--trust", root, "--revocation", "if-available"],
          ...["--departmental-policy", POLICY, "--receipt", join(dir, receipt), ...more],
        ], environment(dir));
      const logKey = ["--log-key", key];

      const good = await verify("order.pdf", "order.pdf.receipt", ...logKey);
      assert.equal(good.code, 0, good.stdout + good.stderr);
      assert.match(good.stdout, /stands in the log sign\.works\.example\/log as number \d+ of \d+/);
      const cms = await verify(
        "note.p7s",
        "note.p7s.receipt",
        "--log-key",
        join(dir, "log.key"),
        "--json",
      );
      assert.equal(cms.code, 0, cms.stderr);
      const { number, of, signatures } = JSON.parse(cms.stdout).receipt;
      assert.deepEqual(signatures, ["1"]);
      const lines = await test.audit();
      assert.equal(lines[number - 1].event, "signature.made");
      assert.ok(of >= number && of <= lines.length);

      const other = await verify("order.pdf", "note.p7s.receipt", ...logKey);
      assert.equal(other.code, 1);
      assert.match(other.stdout, /the receipt is for another one/);
      const text = await Deno.readTextFile(join(dir, "order.pdf.receipt"));
      await Deno.writeTextFile(join(dir, "forged"), text.replace(/^index \d+/m, "index 0"));
      const forged = await verify("order.pdf", "forged", ...logKey);
      assert.notEqual(forged.code, 0);
      assert.match(forged.stderr, /does not stand in the log/);
      const without = await verify("order.pdf", "order.pdf.receipt");
      assert.match(without.stderr, /--receipt needs --log-key/);
    })
  ));
