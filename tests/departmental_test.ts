/** A departmental PIN/OTP signature is called so by `dsign verify`, once the department's policy is known. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { pem } from "../formats/asn1/pem.ts";
import { dsign, environment } from "./fixtures/cli.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import { authorize, EXPLICIT, TEXT, withService } from "./fixtures/otp_calls.ts";
import { POLICY } from "./fixtures/otp_service.ts";

Deno.test("the policy comes from the command line, the configuration, or the file that init writes", () =>
  withService((test) =>
    inTempDir(async (dir) => {
      const credentialID = await test.enrol({ userID: "asen", credential: EXPLICIT });
      const { token, body: { SAD } } = await authorize(test, credentialID);
      const { body } = await test.call("/csc/v2/signatures/signDoc", {
        credentialID,
        SAD,
        documents: [{ document: TEXT.toBase64(), signature_format: "C" }],
      }, token);
      const file = join(dir, "order.p7s");
      await Deno.writeFile(file, Uint8Array.fromBase64(body.SignatureObject[0]));
      const root = join(dir, "root.pem");
      await Deno.writeTextFile(root, pem("CERTIFICATE", test.root.certificate.der));
      const env = environment(dir);
      const verify = async (...args: string[]) => {
        const always = ["verify", file, "--trust", root, "--revocation", "if-available", "--json"];
        const { stdout } = await dsign([...always, ...args], env);
        const [{ signatures: [{ signer }] }] = JSON.parse(stdout).files;
        return signer.kind;
      };
      assert.equal(await verify("--departmental-policy", "2.999.7"), "unknown");
      assert.equal(await verify("--departmental-policy", POLICY), "departmental");
      const wrong = await dsign(["verify", file, "--departmental-policy", "ours"], env);
      assert.match(wrong.stderr, /must be an object identifier as in 2\.999\.6\.1; got ours/);

      const init = ["otp-service", "init", join(dir, "service"), "--policy", POLICY];
      const made = await dsign([...init, "--organization", "Works (TEST)"], env);
      assert.equal(made.code, 0, made.stderr);
      const setting = await Deno.readTextFile(join(dir, "service", "policy.json"));
      const config = join(dir, "config/dsign/config.json");
      await Deno.mkdir(join(dir, "config/dsign"), { recursive: true });
      await Deno.writeTextFile(config, '{ "departmentalPolicies": ["2.999.7"] }');
      assert.equal(await verify(), "unknown");
      await Deno.writeTextFile(config, setting);
      assert.equal(await verify(), "departmental");
    })
  ));
