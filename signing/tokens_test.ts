import assert from "node:assert/strict";
import { MemoryProvider } from "../tests/fakes/memory_provider.ts";
import { keyUsage } from "../tests/fixtures/extensions.ts";
import { issue } from "../tests/fixtures/issue.ts";
import { makeKey } from "../tests/fixtures/keys.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import type { KeyInfo } from "../signers/provider.ts";
import { Tokens } from "./tokens.ts";

const { officers } = makePki({
  officers: [{ name: "Anita Das (TEST)" }, { name: "Bimal (TEST)" }],
});

Deno.test("a listing is never older than its request, and many requests share one look at the tokens", async () => {
  const provider = new MemoryProvider(officers);
  const bimal = provider.tokens.pop()!;
  const look = provider.list.bind(provider);
  const slow = Promise.withResolvers<void>();
  provider.list = async () => {
    const listing = structuredClone(await look());
    await slow.promise;
    return listing;
  };
  const tokens = new Tokens([provider], () => new Date());
  const before = tokens.list();
  await Promise.resolve();
  provider.tokens.push(bimal);
  const after = Array.from({ length: 100 }, () => tokens.list());
  slow.resolve();
  assert.equal((await before).tokens.length, 1);
  for (const each of after) assert.equal((await each).tokens.length, 2);
  assert.equal(provider.lists, 2);
});

Deno.test("a certificate found through two drivers is listed once, through the driver with its key", async () => {
  const [without, having, again] = [1, 2, 3].map(() => new MemoryProvider(officers));
  without.hasKey = false;
  const tokens = new Tokens([without, having, again], () => new Date());
  const { credentials } = await tokens.list();
  assert.deepEqual(credentials.map(({ provider }) => provider), [having, having]);
  assert.ok(tokens.describe(credentials[0]).usable);
});

Deno.test("a certificate on two tokens is listed under both, and each can be chosen", async () => {
  const [one, other] = [1, 2].map(() => new MemoryProvider(officers.slice(0, 1)));
  Object.assign(other.tokens[0], { uri: "pkcs11:token=Copy", serialNumber: "9", driver: "other" });
  const tokens = new Tokens([one, other], () => new Date());
  const { credentials } = await tokens.list();
  assert.deepEqual(credentials.map(({ key }) => key.token.driver), ["memory", "other"]);
  assert.equal(new Set(credentials.map(({ id }) => id)).size, 1);
  assert.equal(new Set(credentials.map((each) => tokens.choice(each).id)).size, 2);
  // The same token by another driver, which writes its serial number in its own way.
  Object.assign(other.tokens[0], { serialNumber: "00-0", driver: "other" });
  assert.equal((await tokens.list()).credentials.length, 1);
});

Deno.test("a token of the Windows store is listed for what no other driver shows, and says why it cannot sign", async () => {
  const [anita, bimal] = [officers.slice(0, 1), officers.slice(1)];
  const store = (of: typeof officers, missing?: KeyInfo["missing"]) => {
    const provider = new MemoryProvider(of);
    const driver = "Windows certificate store";
    const more = { uri: "pkcs11:model=Windows%20store", serialNumber: "", driver };
    Object.assign(provider.tokens[0], more);
    const look = provider.list.bind(provider);
    provider.list = async () => {
      const { keys, ...rest } = await look();
      const away = keys.map((key) => ({ ...key, hasKey: false, missing }));
      return missing ? { ...rest, tokens: [], keys: away } : { ...rest, keys };
    };
    return provider;
  };
  const listed = async (windows: MemoryProvider) => {
    const tokens = new Tokens([new MemoryProvider(anita), windows], () => new Date());
    const { credentials, tokens: found } = await tokens.list();
    return {
      drivers: found.map(({ driver }) => driver),
      reasons: credentials.map((each) => tokens.describe(each).reason),
    };
  };
  assert.deepEqual(await listed(store(anita)), { drivers: ["memory"], reasons: [null] });
  assert.deepEqual(await listed(store(anita, "token_not_present")), {
    drivers: ["memory"],
    reasons: [null],
  });
  assert.deepEqual(await listed(store(bimal)), {
    drivers: ["memory", "Windows certificate store"],
    reasons: [null, null],
  });
  assert.deepEqual(await listed(store(bimal, "driver_sha1_only")), {
    drivers: ["memory"],
    reasons: [null, "driver_sha1_only"],
  });
});

Deno.test("a certificate that cannot be read is a problem, and hides no other", async () => {
  const provider = new MemoryProvider(officers);
  const look = provider.list.bind(provider);
  provider.list = async () => {
    const listing = await look();
    listing.keys[0].certificate = Uint8Array.of(0x30, 0x03, 1);
    return listing;
  };
  const { credentials, problems } = await new Tokens([provider], () => new Date()).list();
  assert.equal(credentials.length, 1);
  assert.deepEqual(problems.map(({ code }) => code), ["certificate_malformed"]);
});

Deno.test("usable certificates come first, those for nonRepudiation before those for login", async () => {
  const provider = new MemoryProvider(officers);
  const key = makeKey("p-256");
  const look = provider.list.bind(provider);
  const issued = ([["keyEncipherment"], ["digitalSignature"], [
    "digitalSignature",
    "nonRepudiation",
  ]] as const).map((uses) =>
    issue({
      subject: [["CN", uses.join()]],
      notBefore: new Date("2026-01-01"),
      notAfter: new Date("2028-01-01"),
      key,
      extensions: [keyUsage(...uses)],
    }).certificate.der
  );
  provider.list = async () => {
    const listing = await look();
    const [first] = listing.keys;
    return { ...listing, keys: issued.map((certificate) => ({ ...first, certificate })) };
  };
  const tokens = new Tokens([provider], () => new Date("2026-06-01"));
  const { credentials } = await tokens.list();
  assert.deepEqual(credentials.map((each) => tokens.describe(each).commonName), [
    "digitalSignature,nonRepudiation",
    "digitalSignature",
    "keyEncipherment",
  ]);
});

Deno.test("the digests that keys may need are known before one of them is chosen", async () => {
  const { officers } = makePki({
    officers: [
      { name: "Asha" },
      { name: "Bimal", key: "p-384" },
      { name: "Chitra", key: "p-384", kind: "expired" },
      { name: "Dipa", key: "p-384", kind: "encryption_only" },
    ],
  });
  const of = (...which: number[]) =>
    new Tokens([new MemoryProvider(which.map((each) => officers[each]))], () => new Date());
  assert.deepEqual(await of(0).usualHashes(), ["SHA-256"]);
  assert.deepEqual(await of(1).usualHashes(), ["SHA-384"]);
  assert.deepEqual((await of(0, 1).usualHashes()).toSorted(), ["SHA-256", "SHA-384"]);
  // What cannot sign needs none, unless it is asked for by name: then the refusal comes later, with its reason.
  assert.deepEqual(await of(0, 2, 3).usualHashes(), ["SHA-256"]);
  assert.deepEqual(await of(0, 2).usualHashes(officers[2].certificate.fingerprint), ["SHA-384"]);
  assert.deepEqual(await of().usualHashes(), []);

  const tokens = of(1);
  assert.deepEqual(tokens.otherHashes(undefined), ["SHA-384", "SHA-512"], "nothing is known yet");
  await tokens.list();
  assert.deepEqual(tokens.otherHashes(undefined), ["SHA-384"]);
  assert.deepEqual(tokens.otherHashes("SHA-256"), []);
  const [provider] = tokens.providers;
  provider.list = () => Promise.resolve({ tokens: [], keys: [], problems: [] });
  await tokens.list();
  assert.deepEqual(tokens.otherHashes(undefined), ["SHA-384"], "away for a moment");
});

Deno.test("an ML-DSA key of a service that signs digests only is listed, and not usable", async () => {
  const provider = new MemoryProvider(
    makePki({ officers: [{ name: "Chitra (TEST)", key: "ml-dsa-44" }] }).officers,
  );
  const reason = async () => {
    const tokens = new Tokens([provider], () => new Date(), [], true);
    const { credentials: [credential] } = await tokens.list();
    return tokens.whyNot(credential);
  };
  assert.equal(await reason(), null);
  const look = provider.list.bind(provider);
  provider.list = async () => {
    const { keys, ...listing } = await look();
    return { ...listing, keys: keys.map((key) => ({ ...key, digestsOnly: true })) };
  };
  assert.equal(await reason(), "mechanism_unsupported");
});
