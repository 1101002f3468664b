import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { signBytes } from "../tests/fixtures/keys.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { prepareSignedData } from "../formats/cms/write.ts";
import { check } from "./demo_check.ts";
import { pem } from "../formats/asn1/pem.ts";

async function once(env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", fileURLToPath(new URL("demo.ts", import.meta.url)), "--once", "--json"],
    env,
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const lines = text(stdout).split("\n");
  assert.equal(lines.length, 2, text(stdout) + text(stderr));
  return { code, outcome: JSON.parse(lines[0]!), stderr: text(stderr) };
}

/** A PATH in which only these programs are found. */
async function withPath(programs: string[], test: (path: string) => Promise<void>) {
  await inTempDir(async (dir) => {
    for (const program of programs) await Deno.symlink(`/usr/bin/${program}`, `${dir}/${program}`);
    await test(dir);
  });
}

const THREE = ["Anita Das", "Bikram Sen", "Charulata Roy"].map((signer) => ({
  signer,
  format: "CAdES-B-B",
  openssl: "ok",
}));

const SANCTION = {
  level: "B-LT",
  pdfsig: "ok",
  signers: ["Dipankar Ghosh", "Anita Das"],
  kinds: ["departmental PIN/OTP signature", "token DSC"],
};

Deno.test("the demonstration goes through by itself on SoftHSM", async () => {
  const { code, outcome, stderr } = await once();
  const { ms, ...rest } = outcome;
  const expected = {
    ok: true,
    provider: "pkcs11:softhsm2",
    signatures: THREE,
    sanction: SANCTION,
  };
  assert.deepEqual(rest, expected, stderr);
  assert.ok(Number.isInteger(ms));
  assert.equal(code, 0);
});

Deno.test("without SoftHSM the demonstration goes through on PKCS #12 files", async () => {
  await withPath(["openssl", "pdfsig"], async (PATH) => {
    const { code, outcome, stderr } = await once({ PATH });
    assert.equal(outcome.provider, "pkcs12", stderr);
    assert.deepEqual(outcome.signatures, THREE);
    assert.deepEqual(outcome.sanction, SANCTION);
    assert.equal(outcome.ok, true);
    assert.equal(code, 0);
    assert.match(stderr, /Missing: softhsm2 opensc\./);
  });
});

Deno.test("without pdfsig the demonstration says so and is not well", async () => {
  await withPath(["openssl"], async (PATH) => {
    const { code, outcome } = await once({ PATH });
    assert.deepEqual(outcome.signatures, THREE);
    assert.equal(outcome.ok, false);
    assert.match(outcome.error, /pdfsig is missing.*Install poppler-utils/);
    assert.equal(code, 1);
  });
});

Deno.test("without OpenSSL the demonstration says so and is not well", async () => {
  await withPath([], async (PATH) => {
    const { code, outcome } = await once({ PATH });
    assert.equal(outcome.ok, false);
    assert.match(outcome.error, /OpenSSL program is missing.*Install openssl/);
    assert.equal(code, 1);
  });
});

Deno.test("the check by OpenSSL tells true signatures from others", async () => {
  await inTempDir(async (folder) => {
    const { root, ca, officers: [one, other] } = makePki({
      officers: [{ name: "One" }, { name: "Other" }],
    });
    const content = new TextEncoder().encode("{}");
    const prepared = prepareSignedData(
      { content },
      { certificate: one!.certificate.der, chain: one!.chain, algorithm: one!.key.algorithm },
      { signingTime: new Date() },
    );
    const signature = prepared.complete(signBytes(one!.key, prepared.toBeSigned));
    const [rootFile, otherRoot] = [`${folder}/root.pem`, `${folder}/other.pem`];
    await Deno.writeTextFile(rootFile, pem("CERTIFICATE", root.certificate.der));
    await Deno.writeTextFile(
      otherRoot,
      pem("CERTIFICATE", makePki({ officers: [] }).root.certificate.der),
    );
    const good = { signature, content, signer: one!.certificate.der, root: rootFile, folder };
    assert.equal(await check(good), "ok");

    const changed = signature.slice();
    changed[changed.length - 1]! ^= 1;
    const bad = [
      { ...good, signature: changed },
      { ...good, content: new TextEncoder().encode("[]") },
      { ...good, signer: other!.certificate.der },
      { ...good, signer: ca.certificate.der },
      { ...good, root: otherRoot },
    ];
    for (const [index, each] of bad.entries()) assert.notEqual(await check(each), "ok", `${index}`);
  });
});

Deno.test("the demonstration serves its page until Ctrl-C and leaves nothing behind", async () => {
  await inTempDir(async (TMPDIR) => {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", fileURLToPath(new URL("demo.ts", import.meta.url))],
      env: { TMPDIR },
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("Ctrl-C")) text += (await output.read()).value ?? assert.fail(text);
    const address = text.match(/http:\/\/127\.0\.0\.1:\d+\/\?port=\d+/)![0];
    assert.match(text, /Anita Das +PIN 111111/);
    const sanction = text.match(/http:\/\/127\.0\.0\.1:\d+\/sanction\?port=\d+/)![0];
    const mail = text.match(/http:\/\/127\.0\.0\.1:\d+\/mail/)![0];
    for (const each of [address, sanction, mail]) {
      const page = await (await fetch(each)).text();
      for (const [, path] of page.matchAll(/(?:src|href)="([^"]+)"/g)) {
        const { status, body } = await fetch(new URL(path!, each));
        await body!.cancel();
        assert.equal(status, 200, path);
      }
    }
    assert.match(text, /Dipankar Ghosh +PIN 481572/);
    assert.match(await (await fetch(mail)).text(), /dghosh@works\.example/);
    child.kill("SIGINT");
    while (!(await output.read()).done);
    assert.equal((await child.status).code, 0);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(TMPDIR)), []);
  });
});
