/** CMS with GnuPG's gpgsm, both ways. It signs in BER of indefinite length. */
import assert from "node:assert/strict";
import { goldenCms, goldenContent } from "../../tests/fixtures/golden_cms.ts";
import { goldenSigner, readGolden } from "../../tests/fixtures/golden_signers.ts";
import { inTempDir, openssl, run } from "../../tests/fixtures/openssl.ts";
import { prepareCosignature } from "./add.ts";
import { verifyCms } from "./verify.ts";

async function isInstalled(program: string): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args: ["--version"] }).output()).success;
  } catch {
    return false;
  }
}

const ignore = !await isInstalled("gpgsm");

Deno.test({
  name: "gpgsm accepts our signature, and we accept its and add to it (optional: needs gpgsm)",
  ignore,
  fn: () =>
    inTempDir(async (dir) => {
      const gpgsm = (args: string[], input?: Uint8Array) =>
        run(
          "gpgsm",
          "gpgsm",
          ["--homedir", dir, "--batch", "--disable-crl-checks", ...args],
          { input },
        );
      const [rsa, ec, ec384] = [goldenSigner("rsa"), goldenSigner("ec"), goldenSigner("ec384")];
      await Deno.writeTextFile(`${dir}/gpg-agent.conf`, "allow-loopback-pinentry\n");
      let trusted = "";
      for (const { certificate, certificateFile } of [rsa, ec, ec384]) {
        const text = new TextDecoder().decode(
          await openssl(["x509", "-in", certificateFile, "-noout", "-fingerprint", "-sha1"]),
        );
        trusted += `${text.trim().split("=")[1]} S relax\n`;
        await Deno.writeFile(`${dir}/certificate`, certificate);
        await Deno.writeTextFile(`${dir}/trustlist.txt`, trusted);
        await gpgsm(["--import", `${dir}/certificate`]);
      }
      try {
        await Deno.writeFile(`${dir}/content`, goldenContent);
        for (const { file } of goldenCms) {
          await Deno.writeFile(`${dir}/cms`, readGolden(file));
          await gpgsm([
            "--verify",
            `${dir}/cms`,
            ...file.includes("detached") ? [`${dir}/content`] : [],
          ]);
        }

        const passphrase = new TextEncoder().encode("test\n");
        const ask = ["--pinentry-mode", "loopback", "--passphrase-fd", "0"];
        await openssl([
          ...["pkcs12", "-export", "-inkey", rsa.keyFile, "-in", rsa.certificateFile],
          // The one encryption that gpgsm 2.2 reads and OpenSSL 3 still writes by default.
          ...["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"],
          ...["-passout", "pass:test", "-out", `${dir}/p12`],
        ]);
        await gpgsm([...ask, "--import", `${dir}/p12`], passphrase);
        await gpgsm([
          ...ask,
          "--include-certs",
          "-1",
          "--output",
          `${dir}/signed`,
          "--sign",
          `${dir}/content`,
        ], passphrase);
        const signed = await Deno.readFile(`${dir}/signed`);
        const { cms, signers: [signer] } = verifyCms(signed);
        assert.equal(cms.root.indefinite, true);
        assert.equal(signer.status, "valid", JSON.stringify(signer.findings));

        await Deno.writeFile(`${dir}/both`, ec.sign(prepareCosignature(signed, ec)));
        await gpgsm(["--verify", `${dir}/both`]);
      } finally {
        await run("gpgconf", "gpgconf", ["--homedir", dir, "--kill", "all"]);
      }
    }),
});
