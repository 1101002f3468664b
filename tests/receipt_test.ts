/** A signature's receipt, as the portal gets it and as anybody checks it with `dsign verify`. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { pem } from "../formats/asn1/pem.ts";
import { prepareJws } from "../formats/json/jws_write.ts";
import { formatNoteKey } from "../formats/log/note.ts";
import { prepareXmlSignature } from "../formats/xml/xades.ts";
import { OIDS } from "../protocol/csc.ts";
import { dsign, environment } from "./fixtures/cli.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import { authorize, EXPLICIT, hashOf, STORED, TEXT, withService } from "./fixtures/otp_calls.ts";
import { POLICY, PUBLIC_URL, type TestService } from "./fixtures/otp_service.ts";
import { classicPdf, documentObjects } from "./fixtures/pdf.ts";

/** A service's answer, with a receipt or the promise of one. */
interface Receipted {
  receipt?: string;
  receiptPromise?: { path: string };
}

async function receiptOf(
  test: TestService,
  { receipt, receiptPromise }: Receipted,
  token: string,
): Promise<string> {
  if (receipt !== undefined) return receipt;
  await test.service.store.auditHead();
  const headers = { authorization: `Bearer ${token}` };
  const request = new Request(PUBLIC_URL + receiptPromise!.path, { headers });
  return await (await test.handler(request)).text();
}

/** Runs `dsign verify FILE --receipt FILE.receipt`. */
async function verifier(test: TestService, dir: string) {
  const root = join(dir, "root.pem");
  await Deno.writeTextFile(root, pem("CERTIFICATE", test.root.certificate.der));
  return (file: string, receipt: string, ...more: string[]) =>
    dsign([
      ...["verify", join(dir, file), "--trust", root, "--revocation", "if-available"],
      ...["--departmental-policy", POLICY, "--receipt", join(dir, receipt), ...more],
    ], environment(dir));
}

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
        await Deno.writeTextFile(
          join(dir, `${name}.receipt`),
          await receiptOf(test, body, token),
        );
      };
      await sign("order.pdf", pdf, "P");
      await sign("note.p7s", TEXT, "C");
      const key = formatNoteKey(test.service.store.log.signer.key);
      await Deno.writeTextFile(join(dir, "log.key"), key);
      const verify = await verifier(test, dir);
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

Deno.test("a receipt is good for an XML and a JSON signature that a portal made with signHash", () =>
  withService((test) =>
    inTempDir(async (dir) => {
      const credentialID = await test.enrol({ userID: "asen", credential: STORED });
      const asking = await test.token();
      const { body: { cert } } = await test.call("/csc/v2/credentials/info", {
        credentialID,
        certificates: "single",
      }, asking);
      const signer = {
        certificate: Uint8Array.fromBase64(cert.certificates[0]),
        chain: [],
        algorithm: { scheme: "ECDSA", hash: "SHA-256" } as const,
      };
      const signingTime = new Date(test.clock.now);
      const utf8 = new TextEncoder();
      const prepared = {
        "order.xml": prepareXmlSignature({
          ...signer,
          xades: { signingTime },
          packaging: {
            kind: "enveloped",
            document: utf8.encode("<order><amount>7</amount></order>"),
          },
        }),
        "order.json": prepareJws({ ...signer, signingTime, payload: TEXT }),
      };
      const verify = await verifier(test, dir);
      const key = ["--log-key", formatNoteKey(test.service.store.log.signer.key), "--json"];
      for (const [name, { toBeSigned, complete }] of Object.entries(prepared)) {
        const hash = hashOf(toBeSigned);
        const { token, body: { SAD } } = await authorize(test, credentialID, [hash]);
        const { body } = await test.call("/csc/v2/signatures/signHash", {
          credentialID,
          SAD,
          hashes: [hash],
          signAlgo: OIDS.ecdsaWithSha256,
        }, token);
        const signed = complete(Uint8Array.fromBase64(body.signatures[0]));
        await Deno.writeFile(
          join(dir, name),
          typeof signed === "string" ? utf8.encode(signed) : signed,
        );
        const receipt = await receiptOf(test, body, token);
        await Deno.writeTextFile(join(dir, `${name}.receipt`), receipt);
        const { code, stdout, stderr } = await verify(name, `${name}.receipt`, ...key);
        assert.equal(code, 0, stdout + stderr);
        assert.equal(JSON.parse(stdout).receipt.signatures.length, 1, name);
      }
      const other = await verify("order.xml", "order.json.receipt", ...key);
      assert.equal(other.code, 1, other.stdout);
    })
  ));
