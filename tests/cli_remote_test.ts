/** A remote key at the command line: only on request, with PIN and OTP at the terminal. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { startCscV1, V1 } from "./fakes/csc_v1.ts";
import { dsign, dsignAtTerminal, environment, type Step } from "./fixtures/cli.ts";
import { inTempDir, openssl } from "./fixtures/openssl.ts";
import { pem } from "../formats/asn1/pem.ts";

Deno.test("dsign tokens and dsign sign work with --remote", () =>
  inTempDir(async (dir) => {
    const fake = startCscV1();
    try {
      const path = (name: string) => join(dir, name);
      await Deno.writeTextFile(path("password"), V1.password, { mode: 0o600 });
      await Deno.mkdir(path("config/dsign"), { recursive: true });
      await Deno.writeTextFile(
        path("config/dsign/config.json"),
        JSON.stringify({
          searchModules: false,
          remote: [{
            name: "Works",
            url: fake.url,
            login: { type: "basic", user: V1.user, passwordFile: path("password") },
          }],
        }),
      );
      const env = environment(dir);
      const listed = await dsign(["tokens", "--json"], env);
      assert.deepEqual(JSON.parse(listed.stdout).tokens, []);
      assert.deepEqual(fake.calls, [], "nobody is asked unless told to");

      const remote = await dsign(["tokens", "--remote", "--json"], env);
      assert.equal(remote.code, 0, remote.stderr);
      const { tokens: [token], certificates: [certificate] } = JSON.parse(remote.stdout);
      assert.equal(token.label, "Works");
      assert.equal(certificate.commonName, "Anita Sen");
      assert.equal(certificate.usable, true);

      const file = path("order.txt");
      await Deno.writeTextFile(file, "Technical Sanction 7\n");
      const otp = /OTP, r to have it sent again[^:]*: /;
      const steps: Step[] = [
        [/PIN to sign[^:]*: /, `${V1.pin}\r`],
        [otp, "r\r"],
        [/It was sent again/, ""],
        [otp, () => `${fake.lastOtp()}\r`],
      ];
      const signed = await dsignAtTerminal(["sign", "--remote", "--detached", file], env, steps);
      assert.equal(signed.code, 0, signed.stderr);
      await Deno.writeTextFile(path("by.pem"), pem("CERTIFICATE", fake.certificate));
      await openssl([
        ...["cms", "-verify", "-binary", "-inform", "DER", "-in", `${file}.p7s`],
        ...["-content", file, "-certfile", path("by.pem"), "-noverify"],
      ]);
    } finally {
      await fake.close();
    }
  }));
