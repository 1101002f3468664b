import assert from "node:assert/strict";
import { join } from "node:path";
import type { TokenPin } from "../protocol/console.ts";
import { KeyFolder } from "../signers/key_folder.ts";
import { writePkcs12 } from "../signers/pkcs12_write.ts";
import { openReaders } from "../signing/reading.ts";
import { READER_COMMAND, testAgent } from "../tests/fixtures/agent.ts";
import { inTempDir, openssl } from "../tests/fixtures/openssl.ts";
import { makePki } from "../tests/fixtures/pki.ts";

Deno.test("the console adds, renames and removes key files; what is no key file, or a name that leads elsewhere, is refused", () =>
  inTempDir(async (dir) => {
    const { officers: [officer] } = makePki({ officers: [{ name: "Anita", key: "p-256" }] });
    const folder = join(dir, "keys");
    const reader = openReaders(READER_COMMAND, console.error);
    const providers = [new KeyFolder(folder, reader)];
    await using test = await testAgent({ keyFiles: folder, providers, reader });
    const { origin } = test.agent;
    const ask = async (path: string, body: unknown = {}) => {
      const headers = { "content-type": "application/json", origin };
      const init = { method: "POST", headers, body: JSON.stringify(body) };
      const response = await fetch(`${origin}/console/${path}`, init);
      const answer = await response.json();
      return response.ok ? answer : answer.data.code;
    };
    const certificates = [officer.certificate.der, ...officer.chain];
    const password = new TextEncoder().encode("geheim");
    const written = await writePkcs12({
      key: officer.pkcs8,
      certificates,
      password,
      friendlyName: "Anita",
      iterations: 1,
    });
    const open = written.toBase64();
    assert.deepEqual(await ask("key-files"), []);
    assert.equal(
      await ask("key-files/add", { name: "a.p12", file: btoa("no key") }),
      "key_file_unreadable",
    );
    for (const name of ["../a.p12", ".a.p12", "a.txt", "a\\b.p12", "a\u202e.p12", "C:a.p12"]) {
      assert.equal(await ask("key-files/add", { name, file: open }), "invalid_params", name);
    }
    assert.deepEqual(await ask("key-files/add", { name: "Anita Das.p12", file: open }), {});
    assert.equal(
      await ask("key-files/add", { name: "anita das.P12", file: open }),
      "invalid_params",
    );
    assert.equal((await Deno.stat(join(folder, "Anita Das.p12"))).mode! & 0o777, 0o600);
    assert.equal((await Deno.stat(folder)).mode! & 0o777, 0o700);
    const client = await test.connect();
    const listed = async () =>
      (await client.call("certificate.list", {})).certificates
        .filter(({ usable }) => usable).map(({ uri }) => /token=([^;]*)/.exec(uri)![1]);
    assert.deepEqual(await listed(), ["Anita%20Das"]);
    assert.deepEqual(await ask("key-files/rename", { name: "Anita Das.p12", to: "mine.p12" }), {});
    assert.equal(
      await ask("key-files/rename", { name: "absent.p12", to: "b.p12" }),
      "storage_failed",
    );
    assert.deepEqual(await listed(), ["mine"]);

    // One as OpenSSL writes it: its certificates are seen after the password.
    const [key, certificate, encrypted] = ["k.pem", "c.pem", "e.p12"].map((name) =>
      join(dir, name)
    );
    const subject = ["-subj", "/CN=Bimal", "-addext", "basicConstraints=CA:FALSE"];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    await openssl(["req", "-x509", ...curve, ...subject, "-keyout", key, "-out", certificate]);
    const both = ["-inkey", key, "-in", certificate, "-passout", "pass:2468", "-out", encrypted];
    await openssl(["pkcs12", "-export", ...both]);
    const file = (await Deno.readFile(encrypted)).toBase64();
    assert.deepEqual(await ask("key-files/add", { name: "Bimal.pfx", file }), {});
    const pins: TokenPin[] = await ask("pins");
    const hiding = pins.filter(({ hides }) => hides);
    assert.equal(hiding.length, 1);
    const { uri, driver } = hiding[0];
    assert.deepEqual(await ask("pin", { uri, driver, purpose: "certificates" }), {});
    assert.deepEqual(test.person.asked, ["pin for certificates"]);
    assert.deepEqual((await listed()).sort(), ["Bimal", "mine"]);
    for (const name of await ask("key-files")) await ask("key-files/remove", { name });
    assert.deepEqual(await listed(), []);
  }));
