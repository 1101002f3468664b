/** Two instances of `dsign verify-service` as `deploy/verify-service/` runs them: behind nginx, and one of them killed. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pem } from "../formats/asn1/pem.ts";
import { FetchedAnswers } from "../verify_service/fetched.ts";
import { createHandler } from "../verify_service/service.ts";
import { TrustSets } from "../verify_service/trust_sets.ts";
import { dsign, environment, startDsign } from "./fixtures/cli.ts";
import { checkUnit, startNginx } from "./fixtures/deploy.ts";
import { ROOT } from "./fixtures/docs.ts";
import { freePort } from "./fixtures/free_port.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import { classicPdf, documentObjects } from "./fixtures/pdf.ts";
import { makePki } from "./fixtures/pki.ts";
import { signPdf } from "./fixtures/sign_pdf.ts";

// deno-lint-ignore no-explicit-any -- stands for what is not asked
const NOBODY = {} as any;
const FILES = join(ROOT, "deploy/verify-service");

Deno.test("verify-service: systemd understands the unit, and finds little exposed", () =>
  inTempDir((dir) =>
    checkUnit(dir, join(FILES, "dsign-verify@.service"), "dsign-verify@1.service")
  ));

Deno.test("verify-service: every figure that the dashboard shows exists, and every figure is shown", async () => {
  const fetched = new FetchedAnswers(() => Promise.reject(new Error("not asked")), Date.now);
  const handle = createHandler({
    ...{ version: "1.2.3", sets: await TrustSets.load({}), fetched, now: () => new Date() },
    ...{ reader: NOBODY, online: NOBODY, spool: ".", processes: () => 0 },
    ...{ requests: 1, uploadBytes: 1, diskBytes: 1, uploadTime: 1 },
  });
  const { body } = await handle({
    ...{ method: "GET", target: "/metrics", headers: {} },
    ...{ body: Readable.from([]), signal: new AbortController().signal, proceed() {} },
  });
  const known = [...String(body).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  const { panels } = JSON.parse(await Deno.readTextFile(join(FILES, "grafana.json")));
  const shown = new Set<string>();
  for (const { expr } of panels.flatMap(({ targets }: { targets: unknown[] }) => targets)) {
    for (const [name] of expr.matchAll(/dsign_verify_\w+/g)) {
      shown.add(name.replace(/_(bucket|count|sum)$/, ""));
    }
  }
  assert.deepEqual([...shown].sort(), known.sort());
});

Deno.test("verify-service: a wrong configuration is told in a sentence", () =>
  inTempDir(async (dir) => {
    const config = join(dir, "config.json");
    const wrong: [unknown, RegExp][] = [
      [{}, /"trust"/],
      [{ trust: {} }, /must name a folder/],
      [{ trust: { india: "missing" } }, /missing cannot be read/],
      [{ trust: { india: "." }, listen: "0.0.0.0:80" }, /a proxy is for the outer world/],
      [{ trust: { india: "." }, more: 1 }, /unknown setting "more"/],
    ];
    for (const [value, sentence] of wrong) {
      await Deno.writeTextFile(config, JSON.stringify(value));
      const { code, stderr } = await dsign(
        ["verify-service", "--config", config],
        environment(dir),
      );
      assert.notEqual(code, 0);
      assert.match(stderr, sentence);
    }
  }));

/** Ends the reader of an instance, as soon as it has one. */
async function killReader(instance: number): Promise<void> {
  for (let tries = 1000; tries > 0; tries--) {
    const { stdout } = await new Deno.Command("ps", {
      args: ["-o", "pid=,args=", "--ppid", `${instance}`],
    }).output();
    const [, pid] = /^\s*(\d+) .* reader$/m.exec(new TextDecoder().decode(stdout)) ?? [];
    if (pid) return Deno.kill(Number(pid), "SIGKILL");
  }
  throw new Error("The instance has started no reader.");
}

Deno.test("verify-service: behind nginx every request gets its verdict when readers and an instance are killed", () =>
  inTempDir(async (dir) => {
    const pki = makePki({ officers: [{ name: "Asha", key: "p-256" }] });
    await Deno.mkdir(join(dir, "trust"));
    await Deno.writeTextFile(
      join(dir, "trust/root.crt"),
      pem("CERTIFICATE", pki.root.certificate.der),
    );
    const ports = [freePort(), freePort()];
    const instances = await Promise.all(ports.map(async (port) => {
      const config = join(dir, `${port}.json`);
      const settings = {
        listen: `127.0.0.1:${port}`,
        trust: { india: "trust" },
        online: false,
        readers: 1,
        requests: 100,
        spool: ".",
      };
      await Deno.writeTextFile(config, JSON.stringify(settings));
      const child = startDsign(["verify-service", "--json", "--config", config], environment(dir));
      const output = child.stdout.getReader();
      await output.read(); // it listens
      output.releaseLock();
      return child;
    }));
    const nginx = await startNginx(dir, join(FILES, "nginx.conf"), [
      ["127.0.0.1:7797", `127.0.0.1:${ports[0]}`],
      ["127.0.0.1:7807", `127.0.0.1:${ports[1]}`],
    ]);
    try {
      const file = signPdf(classicPdf(documentObjects()), pki.officers[0]);
      const ask = async () => {
        const form = new FormData();
        form.set("file", new Blob([file as Uint8Array<ArrayBuffer>]));
        form.set("trust", "india");
        form.set("revocation", "if-available");
        const response = await nginx.ask("/v1/verify", { method: "POST", body: form });
        return [response.status, (await response.json()).ok];
      };
      const asked = Array.from({ length: 30 }, async (_, i) => {
        if (i === 5) await killReader(instances[1].pid);
        if (i === 10) instances[0].kill("SIGKILL");
        for (let n = 0; n < 2; n++) assert.deepEqual(await ask(), [200, true]);
      });
      await Promise.all(asked);
      const refused = await nginx.ask("/readyz");
      await refused.body?.cancel();
      assert.equal(refused.status, 404, "the proxy passes on /v1/ alone");
    } finally {
      await nginx.close();
      for (const child of instances) {
        try {
          child.kill("SIGTERM");
        } catch {
          // it was killed
        }
        await child.stdout.cancel();
        await child.status;
      }
    }
  }));
