import assert from "node:assert/strict";
import { join } from "node:path";
import { readCertificate } from "../formats/x509/certificate.ts";
import { testAgent } from "../tests/fixtures/agent.ts";
import { inTempDir, openssl } from "../tests/fixtures/openssl.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { rereadCertificate } from "../tests/fixtures/second_reader.ts";
import {
  authorityPath,
  derOf,
  ensureIdentity,
  isLoopbackAuthority,
  issueIdentity,
  watchIdentity,
} from "./tls.ts";

const NOW = new Date("2026-11-21T10:00:00Z");
const DAY = 24 * 3600 * 1000;

Deno.test("the certificate and its authority are only for loopback names", () =>
  inTempDir(async (dir) => {
    const { key, certificate, authority } = await issueIdentity(new Date());
    const path = (name: string) => join(dir, name);
    const [certificateDer, authorityDer] = [derOf(certificate)!, derOf(authority)!];
    await rereadCertificate(authorityDer);
    await rereadCertificate(certificateDer, authorityDer);
    await Deno.writeTextFile(path("ca.pem"), authority);
    await Deno.writeTextFile(path("cert.pem"), certificate);
    await Deno.writeTextFile(path("key.pem"), key);
    for (const name of [["-verify_ip", "127.0.0.1"], ["-verify_hostname", "localhost"]]) {
      await openssl([
        ...["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", path("ca.pem")],
        ...name,
        path("cert.pem"),
      ]);
    }
    for (
      const name of [
        ["-verify_ip", "127.0.0.2"],
        ["-verify_ip", "::1"],
        ["-verify_hostname", "portal.example"],
      ]
    ) {
      await assert.rejects(
        openssl(["verify", "-CAfile", path("ca.pem"), ...name, path("cert.pem")]),
      );
    }
    const text = new TextDecoder().decode(
      await openssl(["x509", "-in", path("ca.pem"), "-noout", "-text"]),
    );
    assert.match(
      text,
      /Name Constraints: critical\s+Permitted:\s+DNS:localhost\s+IP:127.0.0.1\/255.255.255.255/,
    );
    assert.match(text, /CA:TRUE, pathlen:0/);
    assert.ok(isLoopbackAuthority(readCertificate(authorityDer)));
    assert.ok(!isLoopbackAuthority(readCertificate(certificateDer)));
    assert.ok(!isLoopbackAuthority(makePki({ officers: [] }).root.certificate));
  }));

Deno.test("an identity is kept, and replaced before it ends or when it is damaged", () =>
  inTempDir(async (dir) => {
    const folder = join(dir, "tls");
    const at = (days: number) => new Date(NOW.getTime() + days * DAY);
    const { identity, replaced } = await ensureIdentity(folder, NOW);
    assert.equal(replaced, null);
    assert.equal(await Deno.readTextFile(authorityPath(folder)), identity.authority);
    if (Deno.build.os !== "windows") {
      assert.equal((await Deno.stat(join(folder, "identity.json"))).mode! & 0o777, 0o600);
    }
    assert.deepEqual(await ensureIdentity(folder, at(700)), { identity, replaced: null });
    const next = await ensureIdentity(folder, at(765));
    assert.equal(next.replaced, identity.authority);
    assert.notEqual(next.identity.authority, identity.authority);
    for (
      const damage of ["{", "{}", '{"key":1}', '{"key":"x","certificate":"x","authority":"x"}']
    ) {
      await Deno.writeTextFile(join(folder, "identity.json"), damage);
      const { identity, replaced } = await ensureIdentity(folder, at(765));
      assert.equal(replaced, null);
      assert.ok(isLoopbackAuthority(readCertificate(derOf(identity.authority)!)));
    }
  }));

Deno.test("the agent answers with TLS too, under the same rules", async () => {
  const tls = await issueIdentity(new Date());
  await using test = await testAgent({ tls, securePorts: [0] });
  const { securePort, port } = test.agent;
  const client = Deno.createHttpClient({ caCerts: [tls.authority] });
  const http1 = Deno.createHttpClient({
    caCerts: [tls.authority],
    http2: false,
    allowHost: true,
  });
  try {
    for (const host of ["127.0.0.1", "localhost"]) {
      const status = await (await fetch(`https://${host}:${securePort}/status`, { client })).json();
      assert.deepEqual([status.port, status.securePort], [port, securePort]);
    }
    const other = await fetch(`https://127.0.0.1:${securePort}/status`, {
      client: http1,
      headers: { host: `127.0.0.1:${port}` },
    });
    await other.body?.cancel();
    assert.equal(other.status, 421, "another port's name");
    await assert.rejects(fetch(`https://127.0.0.1:${securePort}/status`));
  } finally {
    client.close();
    http1.close();
  }
});

Deno.test("an agent that runs for years answers with a new certificate before the old one ends", () =>
  inTempDir(async (dir) => {
    // So long ago that it is due today, and still valid.
    let now = new Date(Date.now() - 765 * DAY);
    let troubled = false;
    const ready = async () => {
      if (troubled) {
        troubled = false;
        throw new Error("of this test");
      }
      return (await ensureIdentity(dir, now)).identity;
    };
    const old = await ready();
    await using test = await testAgent({ tls: old, securePorts: [0] });
    const { securePort, renewTls } = test.agent;
    const failures: unknown[] = [];
    const renewed = Promise.withResolvers<string>();
    const stop = watchIdentity(
      old,
      ready,
      (identity) => {
        renewTls(identity);
        renewed.resolve(identity.authority);
      },
      (error) => failures.push(error),
      10,
    );
    const ask = async (authority: string) => {
      using client = Deno.createHttpClient({ caCerts: [authority] });
      const response = await fetch(`https://localhost:${securePort}/status`, { client });
      return (await response.json()).name;
    };
    try {
      assert.equal(await ask(old.authority), "dsign");
      troubled = true;
      now = new Date();
      assert.equal(await ask(await renewed.promise), "dsign");
      await assert.rejects(ask(old.authority));
      assert.equal(failures.length, 1);
    } finally {
      stop();
    }
  }));
