/** One suite over every PKCS#11 module that this machine can have. */
import assert from "node:assert/strict";
import { constants, createHash, verify } from "node:crypto";
import {
  makeKeys,
  nss,
  opencryptoki,
  PIN,
  softhsm,
  type TestKey,
  type TestToken,
} from "../tests/fakes/pkcs11_tokens.ts";
import { type Hash, Pkcs11Client, type Pkcs11Session, type Scheme } from "./client.ts";

const HASHES: Hash[] = ["SHA-256", "SHA-384", "SHA-512"];
const RSA_KEYS = ["rsa2048", "rsa3072", "rsa4096"];
const EC_KEYS = ["p256", "p384"];

const MODULES: {
  name: string;
  keys: string[];
  ignore?: boolean;
  make(dir: string, keys: TestKey[]): Promise<TestToken>;
}[] = [
  { name: "SoftHSM 2", keys: [...RSA_KEYS, ...EC_KEYS], make: softhsm },
  { name: "NSS softoken", keys: [...RSA_KEYS, ...EC_KEYS], make: nss },
  // Debian's software token has no elliptic curves.
  {
    name: Deno.uid() === 0 ? "openCryptoki" : "openCryptoki (optional: needs root)",
    keys: RSA_KEYS,
    ignore: Deno.uid() !== 0,
    make: opencryptoki,
  },
];

for (const { name, keys: names, ignore, make } of MODULES) {
  Deno.test({
    name: `${name}: signs with every key, scheme and hash`,
    ignore,
    fn: async () => {
      const dir = Deno.makeTempDirSync({ prefix: "dsign-pkcs11-" });
      try {
        const token = await make(dir, await makeKeys(dir, names));
        try {
          await signWithAll(token);
        } finally {
          await token.close();
        }
      } finally {
        Deno.removeSync(dir, { recursive: true });
      }
    },
  });
}

async function signWithAll(token: TestToken): Promise<void> {
  const client = new Pkcs11Client(token);
  try {
    const found = (await client.tokens()).find(({ label }) => label === token.label);
    assert.ok(found, "the token is listed");
    const session = await client.openSession(found.uri);
    await session.login(new TextEncoder().encode(PIN));
    for (const key of token.keys) await signAndVerify(session, key);
    await session.close();
  } finally {
    await client.close();
  }
}

/** Finds the key by its certificate, as the agent does, and signs in every way. */
async function signAndVerify(session: Pkcs11Session, test: TestKey): Promise<void> {
  const { type, name, certificate } = test;
  const listed = (await session.certificates()).find(({ der }) => certificate.raw.equals(der));
  assert.ok(listed, `the certificate of ${name} is listed`);
  const key = await session.key({ id: listed.id, certificate: listed.der });
  assert.equal(key.info.type, type);
  assert.equal(key.info.bits, Number(name.match(/\d+$/)![0]));
  const schemes: Scheme[] = type === "ec" ? ["ECDSA"] : ["RSASSA-PKCS1-v1_5", "RSA-PSS"];
  for (const scheme of schemes) {
    for (const hash of HASHES) {
      const message = crypto.getRandomValues(new Uint8Array(1000));
      const node = hash.replace("-", "");
      const digest = createHash(node).update(message).digest();
      const signatures = await Promise.all([
        key.sign({ scheme, hash, input: "message", data: message }),
        key.sign({ scheme, hash, input: "digest", data: digest }),
      ]);
      const padding = scheme === "RSA-PSS"
        ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: digest.length }
        : {};
      const publicKey = { key: certificate.publicKey, ...padding };
      for (const [i, signature] of signatures.entries()) {
        const what = `${name} ${scheme} ${hash} ${i === 0 ? "message" : "digest"}`;
        assert.ok(verify(node, message, publicKey, signature), what);
      }
    }
  }
}
