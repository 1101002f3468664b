/** Two instances of `dsign verify-service` as `deploy/verify-service/` runs them: behind nginx, and one of them killed. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { pem } from "../formats/asn1/pem.ts";
import { dsign, environment, startDsign } from "./fixtures/cli.ts";
import { checkUnit, startNginx } from "./fixtures/deploy.ts";
import { ROOT } from "./fixtures/docs.ts";
import { freePort } from "./fixtures/free_port.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import { classicPdf, documentObjects } from "./fixtures/pdf.ts";
import { makePki } from "./fixtures/pki.ts";
import { signPdf } from "./fixtures/sign_pdf.ts";

const FILES = join(ROOT, "deploy/verify-service");

Deno.test("verify-service: systemd understands the unit, and finds little exposed", () =>
  inTempDir((dir) =>
    checkUnit(dir, join(FILES, "dsign-verify@.service"), "dsign-verify@1.service")
  ));

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

Deno.test("verify-service: behind nginx no request stays without an answer when an instance is killed", () =>
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
