/** One suite over every PKCS#11 module that this machine can have. */
import assert from "node:assert/strict";
import { constants, createHash, verify, X509Certificate } from "node:crypto";
import {
  findModule,
  HOST_COMMAND,
  makeKeys,
  nss,
  opencryptoki,
  PIN,
  softhsm,
  type TestKey,
  type TestToken,
} from "../tests/fakes/pkcs11_tokens.ts";
import { p11KitServer, tpm2 } from "../tests/fakes/pkcs11_modules.ts";
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
  { name: "tpm2-pkcs11 on swtpm", keys: [], make: tpm2 },
  { name: "p11-kit server", keys: ["rsa2048", "p256"], make: p11KitServer },
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
  const schemes: Scheme[] = type === "ec" ? ["ECDSA"] : ["RSASSA-PKCS1-v1_5", "RSASSA-PSS"];
  for (const scheme of schemes) {
    for (const hash of HASHES) {
      const message = crypto.getRandomValues(new Uint8Array(1000));
      const node = hash.replace("-", "");
      const digest = createHash(node).update(message).digest();
      const signatures = await Promise.all([
        key.sign({ scheme, hash, input: "message", data: message }),
        key.sign({ scheme, hash, input: "digest", data: digest }),
      ]);
      const padding = scheme === "RSASSA-PSS"
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

/** Modules that need no key to be tried: each must load, name itself and list its tokens. */
const OTHERS: { name: string; file: string; debianPackage: string; certificates?: true }[] = [
  { name: "OpenSC", file: "opensc-pkcs11.so", debianPackage: "opensc-pkcs11" },
  {
    name: "p11-kit trust",
    file: "pkcs11/p11-kit-trust.so",
    debianPackage: "p11-kit-modules",
    certificates: true,
  },
];

for (const { name, file, debianPackage, certificates } of OTHERS) {
  Deno.test(`${name}: names itself and its tokens`, async () => {
    const modulePath = findModule([file], debianPackage);
    const client = new Pkcs11Client({ modulePath, command: HOST_COMMAND });
    try {
      assert.match((await client.info()).cryptokiVersion, /^[23]\.\d+$/);
      const tokens = await client.tokens();
      if (!certificates) return;
      // A token without a login, and with more objects than one search gives at once.
      assert.equal(tokens[0].loginRequired, false);
      const list = await client.certificates(tokens[0].uri);
      assert.ok(list.length > 64, "install the Debian package ca-certificates");
      for (const { der } of list) assert.ok(new X509Certificate(der).subject);
    } finally {
      await client.close();
    }
  });
}

/** A token that only its owner has: one C_Login, and a signature with each certificate's key. */
const OWN_MODULE = Deno.env.get("DSIGN_TEST_MODULE");
const OWN_PIN_FILE = Deno.env.get("DSIGN_TEST_PIN_FILE");
const own = OWN_MODULE !== undefined && OWN_PIN_FILE !== undefined;

Deno.test({
  name: `a token of your own${
    own ? "" : " (optional: needs DSIGN_TEST_MODULE and DSIGN_TEST_PIN_FILE)"
  }`,
  ignore: !own,
  fn: async () => {
    const client = new Pkcs11Client({ modulePath: OWN_MODULE!, command: HOST_COMMAND });
    try {
      const token = (await client.tokens()).find(({ initialised }) => initialised);
      assert.ok(token, "a token is plugged in");
      assert.equal(token.triesLeft, "unknown", "not with the last tries of a PIN");
      const session = await client.openSession(token.uri);
      const pin = () => new TextEncoder().encode(Deno.readTextFileSync(OWN_PIN_FILE!).trim());
      await session.login(pin());
      for (const { id, der } of await session.certificates()) {
        const certificate = new X509Certificate(der);
        const key = await session.key({ id, certificate: der });
        const each = key.info.alwaysAuthenticate ? { pin: pin() } : {};
        const scheme = key.info.type === "rsa" ? "RSASSA-PKCS1-v1_5" : "ECDSA";
        const data = new TextEncoder().encode("test");
        const signature = await key.sign({ scheme, hash: "SHA-256", input: "message", data }, each);
        assert.ok(verify("sha256", data, certificate.publicKey, signature), certificate.subject);
      }
      await session.close();
    } finally {
      await client.close();
    }
  },
});
