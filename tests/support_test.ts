/** The real `dsign support` on a computer full of secrets. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { PIN } from "./fakes/pkcs11_tokens.ts";
import { dsignAtTerminal, environment } from "./fixtures/cli.ts";
import { dsign } from "./fixtures/cli.ts";
import { officerTokens } from "./fixtures/officers.ts";
import { inTempDir, run } from "./fixtures/openssl.ts";
import { makePki } from "./fixtures/pki.ts";

const LINUX = Deno.build.os === "linux";
Deno.test({
  name:
    "the support bundle holds no secret, is shown exactly as written, and is written only when asked",
  ignore: !LINUX,
  fn: () =>
    inTempDir(async (dir) => {
      const pan = "QWERT4321Z";
      const name = "Shubhankar Mukhopadhyay";
      const pki = makePki({
        officers: [{ name, pan, email: "shubhankar@finance.example", key: "p-256" }],
      });
      const hsm = await officerTokens(dir, pki.officers);
      const home = join(dir, "shubhankarm");
      const user = "shubhankarm";
      await Deno.mkdir(join(home, "config/dsign"), { recursive: true });
      await Deno.mkdir(join(home, "state/dsign"), { recursive: true });
      const env = {
        ...environment(home, hsm.env),
        HOME: home,
        USER: user,
        http_proxy: "http://proxyuser:proxypass@proxy.example:3128",
      };
      const keyFile = join(home, "keys/geheimer-schluessel.p12");
      await Deno.writeTextFile(
        join(home, "config/dsign/config.json"),
        JSON.stringify({
          searchModules: false,
          modules: [
            { path: hsm.modulePath, name: "Ours" },
            { path: "/nowhere/lib.so", initArgs: "configdir='geheim-args'" },
          ],
          pkcs12: [keyFile],
          browser: ["/usr/bin/browser", "--password=geheim-browser"],
          allowedOrigins: [{ origin: "https://portal.example", scopes: ["sign"] }],
          timestampAuthority: "https://tsauser:tsapass@tsa.example/?key=tsakey",
          remote: [{
            name: "Department",
            url: "http://127.0.0.1:1/csc/v2",
            login: { type: "basic", user: "geheim-login", passwordFile: "/nowhere/geheim" },
            userID: "geheim-id",
          }],
          ports: [0],
        }),
      );
      const hash = createHash("sha256").update(pan).digest("hex");
      const tokens = JSON.parse((await dsign(["tokens", "--json"], env)).stdout);
      const serial = tokens.tokens[0].serialNumber;
      assert.ok(serial.length > 8);
      const pem = "-----BEGIN PRIVATE KEY-----\nMIGHgeheimgeheim\n-----END PRIVATE KEY-----";
      const lines = [
        `login of ${name} with pin=${PIN}`,
        `the PIN was 482913, the OTP 771204`,
        `subject CN=${name},serialNumber=${hash}`,
        `PAN ${pan.toLowerCase()} Aadhaar 4444 5555 6666 telephone 9830098300`,
        `opened ${home}/Documents/Sanction for bridge.pdf as ${user}`,
        `signed "Treasury Bill 42.xml" on token serial=${serial} (${serial})`,
        `mail shubhankar@finance.example on ${Deno.hostname()}`,
        pem,
        `data ${"QUJDREVG".repeat(12)}`,
      ];
      await Deno.writeTextFile(join(home, "state/dsign/agent.log"), lines.join("\n") + "\n");
      await Deno.writeTextFile(join(home, "state/dsign/origins.json"), "{}");

      const zip = join(dir, "bundle.zip");
      const shown = await dsign(["support", "--output", zip], env);
      assert.equal(shown.code, 0, shown.stderr);
      assert.match(shown.stdout, /Contents:\n {2}about\.json/);
      assert.match(shown.stdout, /Nothing was written/);
      await assert.rejects(Deno.stat(zip), Deno.errors.NotFound);

      const asked = await dsignAtTerminal(["support", "--output", zip, "--json"], env, []);
      assert.equal(JSON.parse(asked.stdout).output, null, "--json asks nobody");

      const written = await dsign(["support", "--yes", "--json", "--output", zip], env);
      assert.equal(written.code, 0, written.stderr);
      const { output, files } = JSON.parse(written.stdout);
      assert.equal(output, zip);
      assert.deepEqual(
        files.map((file: { name: string }) => file.name),
        [
          "about.json",
          "doctor.json",
          "drivers.json",
          "configuration.json",
          "autostart.json",
          "agent.log",
        ],
      );
      const unpacked = new TextDecoder().decode(await run("unzip", "unzip", ["-p", zip]));
      assert.equal(unpacked, files.map((file: { text: string }) => file.text).join(""));
      const listing = new TextDecoder().decode(await run("zipinfo", "unzip", [zip]));
      assert.match(listing, /^-rw------- .* about\.json$/m);

      const secrets = [
        ...[PIN, "482913", "771204", pan, hash, hash.slice(0, 16), serial, pem, "geheim"],
        ...["Shubhankar", "Mukhopadhyay", "finance.example", user, "4444 5555", "9830098300"],
        ...["Sanction", "bridge.pdf", "Treasury", "Bill 42", "QUJDREVGQUJD", "MIGH"],
        ...["proxyuser", "proxypass", "tsauser", "tsapass", "tsakey"],
        pki.officers[0].certificate.fingerprint,
        pki.officers[0].certificate.serialNumber.toHex(),
      ];
      for (const secret of secrets) {
        assert.ok(!unpacked.toLowerCase().includes(secret.toLowerCase()), secret);
      }
      // The bundle has what the help desk needs.
      for (
        const fact of [hsm.modulePath, "portal.example", "SoftHSM", '"ready"', "proxy.example"]
      ) {
        assert.ok(unpacked.includes(fact), fact);
      }
      const again = await dsign(["support", "--yes", "--output", zip], env);
      assert.equal(again.code, 1, "a bundle is not overwritten");
      const forced = await dsign(["support", "--yes", "--force", "--output", zip], env);
      assert.equal(forced.code, 0, forced.stderr);
    }),
});
