import assert from "node:assert/strict";
import { join } from "node:path";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { issueIdentity } from "./tls.ts";
import {
  type Authority,
  authorityOf,
  debianStore,
  macStore,
  nssStore,
  readAuthority,
  replaceAuthority,
  type Run,
  run,
  type TrustStore,
  trustStores,
  windowsStore,
} from "./trust.ts";

async function authorityIn(dir: string, name = "authority.pem"): Promise<Authority> {
  const path = join(dir, name);
  await Deno.writeTextFile(path, (await issueIdentity(new Date())).authority);
  return await readAuthority(path);
}

/** Notes commands; those in which `failing` occurs fail. */
function noting(failing = "never", output = "") {
  const commands: string[] = [];
  const run: Run = (command) => {
    const line = command.join(" ");
    commands.push(line);
    return Promise.resolve({ code: line.includes(failing) ? 1 : 0, output });
  };
  return { commands, run };
}

Deno.test("Windows and macOS: the user's own store, by the systems' own commands", () =>
  inTempDir(async (dir) => {
    const authority = await authorityIn(dir);
    const { path, thumbprint } = authority;
    assert.match(thumbprint, /^[0-9A-F]{40}$/);
    const windows = noting();
    const store = windowsStore(windows.run);
    await store.install(authority);
    assert.equal(await store.has(authority), true);
    await store.remove(authority);
    assert.deepEqual(windows.commands, [
      `certutil.exe -user -f -addstore Root ${path}`,
      `certutil.exe -user -verifystore Root ${thumbprint}`,
      `certutil.exe -user -delstore Root ${thumbprint}`,
    ]);
    assert.equal(await windowsStore(noting("verifystore").run).has(authority), false);

    const mac = noting("never", `SHA-1 hash: ${thumbprint}`);
    const keychain = "/Users/a/Library/Keychains/login.keychain-db";
    const macOs = macStore(mac.run, "/Users/a");
    await macOs.install(authority);
    assert.equal(await macOs.has(authority), true);
    await macOs.remove(authority);
    assert.deepEqual(mac.commands, [
      `/usr/bin/security add-trusted-cert -r trustRoot -p ssl -k ${keychain} ${path}`,
      `/usr/bin/security find-certificate -a -Z ${keychain}`,
      `/usr/bin/security remove-trusted-cert ${path}`,
      `/usr/bin/security delete-certificate -Z ${thumbprint} ${keychain}`,
    ]);
    assert.equal(await macStore(noting().run, "/Users/a").has(authority), false);
    await assert.rejects(windowsStore(noting("addstore").run).install(authority), {
      code: "storage_failed",
    });
  }));

Deno.test("Debian: a file for update-ca-certificates", () =>
  inTempDir(async (dir) => {
    const authority = await authorityIn(dir);
    const { commands, run } = noting();
    const store = debianStore(run, dir);
    assert.equal(await store.has(authority), false);
    await store.install(authority);
    assert.equal(await store.has(authority), true);
    await store.remove(authority);
    assert.equal(await store.has(authority), false);
    assert.deepEqual(commands, ["update-ca-certificates", "update-ca-certificates --fresh"]);
  }));

Deno.test(
  {
    name: "Debian: the system's own tools believe it",
    ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
  },
  () =>
    inTempDir(async (dir) => {
      const authority = await authorityIn(dir);
      const store = debianStore(run);
      const pem = authority.der.toBase64().slice(0, 40);
      const bundle = async () =>
        (await Deno.readTextFile("/etc/ssl/certs/ca-certificates.crt")).includes(pem);
      try {
        await store.install(authority);
        assert.equal(await bundle(), true);
      } finally {
        await store.remove(authority);
      }
      assert.equal(await bundle(), false);
    }),
);

Deno.test("NSS: into a new database, and into one that is there; out again", () =>
  inTempDir(async (dir) => {
    if ((await run(["certutil", "-H"])).code === null) {
      throw new Error("This test needs certutil: apt-get install libnss3-tools");
    }
    const authority = await authorityIn(dir);
    const other = await authorityIn(dir, "other.pem");
    const store = nssStore(run, join(dir, "nssdb"), "Chromium");
    assert.equal(await store.has(authority), false);
    await store.install(authority);
    await store.install(other);
    assert.deepEqual([await store.has(authority), await store.has(other)], [true, true]);
    const { output } = await run(["certutil", "-L", "-d", `sql:${join(dir, "nssdb")}`]);
    assert.match(output, new RegExp(`${authority.name} +C,,`));
    await store.remove(authority);
    assert.deepEqual([await store.has(authority), await store.has(other)], [false, true]);
  }));

Deno.test("stores are found where browsers keep them", () =>
  inTempDir(async (dir) => {
    for (const profile of ["a.default", "b.work"]) {
      await Deno.mkdir(join(dir, ".mozilla/firefox", profile), { recursive: true });
      await Deno.writeTextFile(join(dir, ".mozilla/firefox", profile, "cert9.db"), "");
    }
    await Deno.mkdir(join(dir, ".mozilla/firefox/Crash Reports"));
    const names = async (os: "linux" | "windows" | "darwin") =>
      (await trustStores(dir, noting().run, os)).map(({ name }) => name.replace(dir, "~"));
    assert.deepEqual(await names("linux"), [
      "this computer (ca-certificates)",
      "Chromium, Chrome, Edge (~/.pki/nssdb)",
      "Firefox (~/.mozilla/firefox/a.default)",
      "Firefox (~/.mozilla/firefox/b.work)",
    ]);
    assert.deepEqual(await names("windows"), ["this user of Windows"]);
    assert.deepEqual(await names("darwin"), ["this user of macOS"]);
  }));

Deno.test("another certificate than ours is never put among the trusted", () =>
  inTempDir(async (dir) => {
    const { certificate } = await issueIdentity(new Date());
    for (
      const text of [certificate, "", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"]
    ) {
      await Deno.writeTextFile(join(dir, "x.pem"), text);
      await assert.rejects(readAuthority(join(dir, "x.pem")), { code: "invalid_params" });
    }
    await assert.rejects(readAuthority(join(dir, "absent")), { code: "storage_failed" });
  }));

Deno.test("a new authority takes the place of the old one where that was trusted", async () => {
  const trusted = new Map<string, string[]>();
  const store = (name: string, fails = false): TrustStore => ({
    name,
    administrator: fails,
    has: (authority) => Promise.resolve(trusted.get(name)?.includes(authority.name) ?? false),
    install: (authority) => {
      if (fails) return Promise.reject(new Error("only root may"));
      trusted.set(name, [...trusted.get(name) ?? [], authority.name]);
      return Promise.resolve();
    },
    remove: (authority) => {
      trusted.set(name, trusted.get(name)!.filter((each) => each !== authority.name));
      return Promise.resolve();
    },
  });
  const old = authorityOf((await issueIdentity(new Date())).authority, "old");
  const next = authorityOf((await issueIdentity(new Date())).authority, "next");
  trusted.set("firefox", [old.name]);
  trusted.set("system", [old.name]);
  const { left } = await replaceAuthority(
    [store("firefox"), store("chromium"), store("system", true)],
    old,
    next,
  );
  assert.deepEqual(left.map(({ name }) => name), ["system"]);
  assert.deepEqual([...trusted], [["firefox", [next.name]], ["system", [old.name]]]);
});
