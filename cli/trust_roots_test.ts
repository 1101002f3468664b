import assert from "node:assert/strict";
import { join } from "node:path";
import { pem } from "../formats/asn1/pem.ts";
import { dsign, environment } from "../tests/fixtures/cli.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { signCms } from "../tests/fixtures/signed_files.ts";

Deno.test("a root is added, listed and removed; a chain without a root names the missing one", () =>
  inTempDir(async (dir) => {
    const env = environment(dir);
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await dsign(args, env);
      return { code, said: stdout + stderr };
    };
    const pki = makePki({ officers: [{ name: "Asha", key: "p-256" }] });
    const [asha] = pki.officers;
    const root = pki.root.certificate;
    const file = join(dir, "root.crt");
    const signed = join(dir, "order.p7m");
    await Deno.writeTextFile(file, pem("CERTIFICATE", root.der));
    await Deno.writeFile(signed, signCms(asha, { content: new TextEncoder().encode("order") }));

    assert.match((await run("trust", "roots", "list")).said, /No root certificate is trusted yet/);
    const before = await run("verify", "--revocation", "if-available", signed);
    assert.match(
      before.said,
      /The chain ends at "[^"]+", which is not among the roots trusted here/,
    );
    assert.match(before.said, new RegExp(`${root.fingerprint}[^]*dsign trust roots add FILE`));

    // Nothing is added unasked, and no one below a root.
    assert.equal((await run("trust", "roots", "add", file)).code, 3);
    const below = join(dir, "below.crt");
    await Deno.writeFile(below, pki.subCa.certificate.der);
    const refused = await run("trust", "roots", "add", "--yes", below);
    assert.equal(refused.code, 2);
    assert.match(refused.said, /was issued by "[^"]+": add that authority's root instead/);

    const added = await run("trust", "roots", "add", "--yes", file);
    assert.equal(added.code, 0, added.said);
    assert.match(added.said, /SHA-256 +[0-9A-F]{2}(:[0-9A-F]{2}){31}\n/);
    assert.equal((await run("verify", "--revocation", "if-available", signed)).code, 0);
    const { roots } = JSON.parse((await run("trust", "roots", "list", "--json")).said);
    assert.deepEqual(
      roots.map(({ sha256, known }: { sha256: string; known: unknown }) => [sha256, known]),
      [[root.fingerprint, null]],
    );

    assert.equal((await run("trust", "roots", "remove", "00000000")).code, 2);
    assert.equal((await run("trust", "roots", "remove", "12")).code, 2);
    const fingerprint = root.fingerprint.slice(0, 16).toUpperCase().replace(/..(?=.)/g, "$&:");
    assert.equal((await run("trust", "roots", "remove", fingerprint)).code, 0);
    assert.match((await run("trust", "roots", "list")).said, /No root certificate is trusted yet/);
  }));
