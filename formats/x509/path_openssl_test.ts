/** Certificates of every algorithm, made by OpenSSL, judged by OpenSSL and by us. */
import assert from "node:assert/strict";
import { validateCertificate } from "./path.ts";
import { type Certificate, readCertificate } from "./certificate.ts";
import { inTempDir, openssl } from "../../tests/fixtures/openssl.ts";
import { pem } from "../asn1/pem.ts";

const kinds: [name: string, newKey: string[], signing: string[], outcome: string][] = [
  ["RSA-3072 with SHA-384", ["rsa:3072"], ["-sha384"], "trusted"],
  [
    "RSA-PSS",
    ["rsa:2048"],
    [..."-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32".split(" ")],
    "trusted",
  ],
  [
    "key for RSA-PSS alone",
    [..."rsa-pss -pkeyopt rsa_keygen_bits:2048".split(" ")],
    ["-sha256", "-sigopt", "rsa_pss_saltlen:digest"],
    "trusted",
  ],
  [
    "P-256 with SHA-512",
    [..."ec -pkeyopt ec_paramgen_curve:P-256".split(" ")],
    ["-sha512"],
    "trusted",
  ],
  [
    "P-384 with SHA-256",
    [..."ec -pkeyopt ec_paramgen_curve:P-384".split(" ")],
    ["-sha256"],
    "trusted",
  ],
  [
    "P-521 with SHA-256",
    [..."ec -pkeyopt ec_paramgen_curve:P-521".split(" ")],
    ["-sha256"],
    "trusted",
  ],
  ["Ed25519", ["ed25519"], [], "trusted"],
  ["RSA-1024", ["rsa:1024"], ["-sha256"], "algorithm_weak"],
  ["SHA-1", ["rsa:2048"], ["-sha1"], "algorithm_weak"],
  [
    "curve with parameters of its own",
    [..."ec -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit".split(" ")],
    ["-sha256"],
    "algorithm_unsupported",
  ],
  [
    "secp256k1",
    [..."ec -pkeyopt ec_paramgen_curve:secp256k1".split(" ")],
    ["-sha256"],
    "algorithm_unsupported",
  ],
];

Deno.test("certificates of every algorithm that OpenSSL makes are judged correctly", async (test) => {
  for (const [name, newKey, signing, outcome] of kinds) {
    await test.step(name, () =>
      inTempDir(async (dir) => {
        const path = (file: string) => `${dir}/${file}`;
        const request = (subject: string, key: string, more: string[]) =>
          openssl([
            ...["req", "-x509", "-newkey", ...newKey, "-nodes", "-keyout", path(key)],
            ...["-subj", subject, "-days", "30", "-outform", "DER", ...signing, ...more],
          ]);
        const root = await request("/CN=Root", "root.key", ["-out", path("root.der")])
          .then(() => Deno.readFile(path("root.der")));
        await request("/CN=End", "end.key", [
          ...["-CA", path("root.der"), "-CAkey", path("root.key"), "-out", path("end.der")],
          ...["-addext", "basicConstraints=critical,CA:false"],
        ]);
        const end = readCertificate(await Deno.readFile(path("end.der")));
        const judge = (certificate: Certificate) => {
          const result = validateCertificate(certificate, {
            anchors: [readCertificate(root)],
            at: new Date(),
            revocation: "none",
          });
          return result.trusted ? "trusted" : result.failure.code;
        };
        assert.equal(judge(end), outcome);
        const altered = end.der.slice();
        altered[altered.length - 9] ^= 1; // in the signature's value
        assert.notEqual(judge(readCertificate(altered)), "trusted");
        if (outcome === "trusted") {
          await Deno.writeTextFile(path("root.pem"), pem("CERTIFICATE", root));
          await openssl(["verify", "-CAfile", path("root.pem"), path("end.der")]);
        }
      }));
  }
});
