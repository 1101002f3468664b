/**
 * Keys of the certificate store of a real Windows: PowerShell makes software keys of each kind in the person's store
 * MY, and removes them. CI runs it by `deno task test:windows`; elsewhere it is skipped.
 */
import assert from "node:assert/strict";
import { constants, createHash, verify, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { Pkcs11Client } from "../pkcs11_ffi/client.ts";
import type { Certificate } from "../protocol/methods.ts";
import { selectorOf } from "../signers/certificates.ts";
import { WindowsStoreProvider } from "../signers/windows_store.ts";
import { finish, inTempDir } from "./fixtures/openssl.ts";

const ROOT = join(import.meta.dirname!, "..");
const MESSAGE = new TextEncoder().encode("Sanctioned.");

/** Parameters of New-SelfSignedCertificate. */
const KINDS = {
  "RSA by CNG":
    "-KeyAlgorithm RSA -KeyLength 2048 -Provider 'Microsoft Software Key Storage Provider'",
  "ECDSA by CNG":
    "-KeyAlgorithm ECDSA_nistP256 -CurveExport CurveName -Provider 'Microsoft Software Key Storage Provider'",
  "RSA by a CSP":
    "-KeyAlgorithm RSA -KeyLength 2048 -KeySpec Signature -Provider 'Microsoft Enhanced RSA and AES Cryptographic Provider'",
} as const;

Deno.test(
  "software keys in the store of this Windows sign (only on Windows)",
  { ignore: Deno.build.os !== "windows" },
  async (t) => {
    const made = new Map<string, string>();
    const child = {
      command: [
        ...[Deno.execPath(), "run", "--quiet", "--no-prompt", "--cached-only", "--allow-ffi"],
        join(ROOT, "windows_ffi", "host.ts"),
      ],
    };
    const provider = new WindowsStoreProvider({ ...child, keys: "all", pin: "windows" });
    try {
      for (const [kind, parameters] of Object.entries(KINDS)) {
        const thumbprint = await powershell(
          `(New-SelfSignedCertificate -Type Custom -Subject 'CN=D-Sign test: ${kind}' ` +
            `-KeyUsage DigitalSignature,NonRepudiation -CertStoreLocation Cert:\\CurrentUser\\My ` +
            `${parameters}).Thumbprint`,
        );
        assert.match(thumbprint, /^[0-9A-F]{40}$/);
        made.set(kind, thumbprint.toLowerCase());
      }
      const { keys, problems } = await provider.list();
      assert.deepEqual(problems, []);
      const keyOf = (kind: string) =>
        keys.find(({ certificate }) =>
          createHash("sha1").update(certificate).digest("hex") === made.get(kind)
        )!;

      for (const kind of made.keys()) {
        await t.step(kind, async () => {
          const key = keyOf(kind);
          assert.equal(key.hasKey, true);
          assert.equal(key.token.loginRequired, false);
          const { publicKey } = new X509Certificate(key.certificate);
          for (const hash of ["SHA-256", "SHA-384", "SHA-512"] as const) {
            const signer = await provider.open(key, { hash, askPin: notAsked });
            const signature = await signer.sign({ message: MESSAGE });
            await signer.close();
            const name = hash.replace("-", "").toLowerCase();
            assert.ok(verify(name, MESSAGE, publicKey, signature), `${kind} ${hash}`);
          }
        });
      }

      await t.step("PSS", async () => {
        const { certificate, token } = keyOf("RSA by CNG");
        const client = new Pkcs11Client({ ...child, modulePath: "" });
        try {
          const session = await client.openSession(token.uri);
          const key = await session.key(selectorOf(certificate));
          const signature = await key.sign({
            scheme: "RSASSA-PSS",
            hash: "SHA-256",
            input: "message",
            data: MESSAGE,
          }, { pin: null });
          const { publicKey } = new X509Certificate(certificate);
          const padding = constants.RSA_PKCS1_PSS_PADDING;
          const pss = { key: publicKey, padding, saltLength: 32 };
          assert.ok(verify("sha256", MESSAGE, pss, signature));
        } finally {
          await client.close();
        }
      });

      await t.step("by default software keys are not listed", async () => {
        const byDefault = new WindowsStoreProvider({ ...child, keys: "hardware", pin: "windows" });
        try {
          const { keys } = await byDefault.list();
          const of = ({ certificate }: { certificate: Uint8Array }) =>
            createHash("sha1").update(certificate).digest("hex");
          assert.deepEqual(keys.map(of).filter((each) => [...made.values()].includes(each)), []);
        } finally {
          await byDefault.close();
        }
      });

      await t.step("the program lists them", () =>
        inTempDir(async (dir) => {
          await Deno.mkdir(join(dir, "dsign"));
          await Deno.writeTextFile(
            join(dir, "dsign", "config.json"),
            JSON.stringify({ windowsStore: "all", searchModules: false }),
          );
          const { code, stdout, stderr } = await finish(Deno.execPath(), {
            args: ["run", "-A", "--quiet", "main.ts", "tokens", "--json"],
            cwd: ROOT,
            env: { APPDATA: dir },
          });
          assert.equal(code, 0, stderr);
          const { certificates } = JSON.parse(stdout) as { certificates: Certificate[] };
          for (const kind of made.keys()) {
            const listed = certificates.find(({ commonName }) =>
              commonName === `D-Sign test: ${kind}`
            );
            assert.ok(listed?.usable, stdout);
          }
        }));
    } finally {
      await provider.close();
      for (const thumbprint of made.values()) {
        await powershell(`Remove-Item Cert:\\CurrentUser\\My\\${thumbprint} -DeleteKey`);
      }
    }
  },
);

const notAsked = () => Promise.reject(new Error("A PIN was asked for."));

async function powershell(script: string): Promise<string> {
  const { code, stdout, stderr } = await finish("powershell.exe", {
    args: [
      "-NoProfile",
      "-NonInteractive",
      "-Command",
      `$ErrorActionPreference = 'Stop'; ${script}`,
    ],
  });
  assert.equal(code, 0, stderr);
  return stdout.trim();
}
