/** Mutated key files: without the password, and with the right one. */
import { publicCertificates, readPkcs12 } from "../../signers/pkcs12_read.ts";
import { SignerError } from "../../signers/provider.ts";
import { writePkcs12 } from "../../signers/pkcs12_write.ts";
import { inTempDir, openssl } from "../fixtures/openssl.ts";
import { makePki } from "../fixtures/pki.ts";

const PASSWORD = "password";

/** Tags, lengths, and the parts of identifiers that say what follows. */
export const words = [
  ...["\x30", "\x31", "\x02\x01", "\x05\x00", "\x04", "\x24\x7f", "\x30\x7f", "\x30\x00", "\xa0"],
  ...["\x02\x02\x7f\xff", "\x02\x05\x00\x80\x00\x00\x00", "\x0c\x0a\x01\x03", "\x0c\x0a\x01\x06"],
];

export async function seeds(): Promise<Uint8Array[]> {
  const { officers: [{ certificate, chain, key }] } = makePki({
    officers: [{ name: "Asha", key: "p-256" }],
  });
  const password = new TextEncoder().encode(PASSWORD);
  const ours = await writePkcs12({
    key: key.pkcs8,
    certificates: [certificate.der, ...chain],
    password,
    friendlyName: "Asha",
    iterations: 2,
  });
  const theirs: Uint8Array[] = [];
  await inTempDir(async (dir) => {
    await Deno.writeFile(`${dir}/ours.p12`, ours);
    const pass = `pass:${PASSWORD}`;
    const pem = ["-in", `${dir}/ours.p12`, "-passin", pass, "-nodes", "-out", `${dir}/all.pem`];
    await openssl(["pkcs12", ...pem]);
    for (const how of [[], ["-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES"]]) {
      const out = `${dir}/${theirs.length}.p12`;
      const to = ["-out", out, "-passout", pass, "-iter", "2", ...how];
      await openssl(["pkcs12", "-export", "-in", `${dir}/all.pem`, ...to]);
      theirs.push(await Deno.readFile(out));
    }
  });
  return [ours, ...theirs];
}

/** @throws whatever no reader may throw */
export function exercise(bytes: Uint8Array): void {
  for (
    const run of [
      () => publicCertificates(bytes),
      () => readPkcs12(bytes, new TextEncoder().encode(PASSWORD)),
    ]
  ) {
    try {
      run();
    } catch (error) {
      if (!(error instanceof SignerError)) throw error;
    }
  }
}
