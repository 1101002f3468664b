/** The files for a data centre (`deploy/otp-service/`): each is read by its own program, and nginx runs with two instances. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { OIDS } from "../protocol/csc.ts";
import { Metrics } from "../otp_service/metrics.ts";
import { checkUnit, startNginx } from "./fixtures/deploy.ts";
import { ROOT } from "./fixtures/docs.ts";
import { freePort } from "./fixtures/free_port.ts";
import { finish, inTempDir } from "./fixtures/openssl.ts";
import {
  authorization,
  challenge,
  enrol,
  initialise,
  Instance,
  mailServer,
  signing,
} from "./fixtures/otp_process.ts";
import { startPostgres } from "./fixtures/postgres.ts";

const FILES = join(ROOT, "deploy/otp-service");
const HASH = createHash("sha256").update("order").digest("base64");

async function has(program: string): Promise<boolean> {
  try {
    await new Deno.Command(program, { args: ["--version"], stdout: "null", stderr: "null" })
      .output();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

Deno.test("systemd understands the unit, and finds little exposed", () =>
  inTempDir((dir) => checkUnit(dir, join(FILES, "dsign-otp@.service"), "dsign-otp@1.service")));

Deno.test("every figure that the dashboard shows exists", async () => {
  const metrics = new Metrics();
  metrics.watch({
    pins: { waiting: () => ({ answer: 0, known: 0, stranger: 0 }) },
    inFlight: () => ({ known: 0, stranger: 0 }),
    overdue: () => Promise.resolve(0),
    clockDifference: () => Promise.resolve(0),
  });
  const { text } = await metrics.text();
  const { panels } = JSON.parse(await Deno.readTextFile(join(FILES, "grafana.json")));
  const shown = new Set<string>();
  for (const { targets } of panels) {
    for (const { expr } of targets) {
      for (const [name] of expr.matchAll(/dsign_otp_\w+/g)) {
        shown.add(name.replace(/_(bucket|count|sum)$/, ""));
      }
    }
  }
  const known = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  assert.deepEqual([...shown].sort(), known.sort(), "and every figure is shown");
});

Deno.test({
  name: "buildah builds the container, without its base (optional: needs buildah)",
  ignore: !(await has("buildah")),
  fn: () =>
    inTempDir(async (dir) => {
      const store = ["--storage-driver=vfs", `--root=${dir}/root`, `--runroot=${dir}/run`];
      const build = async (text: string) => {
        await Deno.writeTextFile(join(dir, "Containerfile"), text);
        return await finish("buildah", { args: [...store, "build", "-t", "dsign-otp", dir] });
      };
      await Deno.writeTextFile(join(dir, "dsign"), "the program");
      const text = await Deno.readTextFile(join(FILES, "Containerfile"));
      // the base cannot be fetched everywhere, and without it nothing runs
      const alone = text.replace(/^FROM .*$/m, "FROM scratch").replace(/^RUN .*\n/m, "");
      const { code, stderr } = await build(alone);
      assert.equal(code, 0, stderr);
      const { stdout } = await finish("buildah", {
        args: [...store, "inspect", "--type=image", "dsign-otp"],
      });
      const { config } = JSON.parse(stdout).OCIv1;
      assert.equal(config.User, "dsign-otp");
      assert.deepEqual(config.Entrypoint, ["/usr/bin/dsign", "otp-service", "--log-json"]);
      assert.match((await build(alone.replace("USER", "USES"))).stderr, /unknown instruction/i);
    }),
});

Deno.test("nginx in front of two instances: signs, goes on when one dies, holds strangers off, logs no names", () =>
  inTempDir(async (dir) => {
    const [server, mail] = [await startPostgres(), await mailServer()];
    const [portal, front] = [join(dir, "portal"), join(dir, "nginx")];
    await Promise.all([portal, front].map((folder) => Deno.mkdir(folder)));
    try {
      const database = await server.createDatabase();
      const { config, secret } = await initialise(portal, mail.port, {
        database,
        monitor: "127.0.0.1:0",
      });
      const [one, two] = await Promise.all([Instance.start(config), Instance.start(config)]);
      const http = freePort();
      const nginx = await startNginx(front, join(FILES, "nginx.conf"), [
        ["127.0.0.1:7795", `127.0.0.1:${one.port}`],
        ["127.0.0.1:7805", `127.0.0.1:${two.port}`],
        ["listen 80;", `listen 127.0.0.1:${http};`],
        [/^ *127\.0\.0\.1 +0;\n/m, ""], // this computer is limited like any other
      ]);
      try {
        const post = async (path: string, body: unknown, token?: string) => {
          const response = await nginx.ask(path, {
            method: "POST",
            body: body instanceof URLSearchParams ? body : JSON.stringify(body),
            headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
          });
          const text = await response.text();
          const { status, headers } = response;
          return { status, headers, body: text.startsWith("{") ? JSON.parse(text) : text };
        };
        const redirected = await fetch(`http://127.0.0.1:${http}/otp`, {
          redirect: "manual",
        });
        await redirected.body?.cancel();
        assert.deepEqual(
          [redirected.status, redirected.headers.get("location")],
          [301, "https://127.0.0.1/otp"],
        );

        const client = { grant_type: "client_credentials", client_id: "portal" };
        const form = new URLSearchParams({ ...client, client_secret: secret });
        const token = (await post("/oauth2/token", form)).body.access_token;
        const credentialID = await enrol(one, token, mail.mails);
        const sent = await post(
          "/csc/v2/credentials/getChallenge",
          challenge(credentialID, HASH),
          token,
        );
        assert.equal(sent.status, 204);
        assert.match(sent.headers.get("x-request-id")!, /^[0-9a-f]{32}$/, "nginx's");
        assert.match(sent.headers.get("strict-transport-security")!, /^max-age=/);
        await two.end("SIGKILL");
        // whichever is asked next: a request that no instance has got goes to the other one
        const otp = mail.lastOtp();
        const { body: { SAD } } = await post(
          "/csc/v2/credentials/authorize",
          authorization(credentialID, otp, HASH),
          token,
        );
        const signed = await post(
          "/csc/v2/signatures/signHash",
          signing(credentialID, SAD, OIDS.ecdsaWithSha256, HASH),
          token,
        );
        assert.equal(signed.status, 200, JSON.stringify(signed.body));

        const crowd = await Promise.all(
          Array.from({ length: 100 }, () => post("/csc/v2/info", {})),
        );
        const statuses = new Set(crowd.map(({ status }) => status));
        assert.deepEqual([...statuses].sort(), [200, 429]);
        await post("/otp/enrol?name=Anita", {});
        const log = await Deno.readTextFile(join(front, "dsign-otp.log"));
        assert.match(log, new RegExp(` ${sent.headers.get("x-request-id")} POST 204 `));
        assert.doesNotMatch(log, /Anita|asen|otp\//);
      } finally {
        await nginx.close();
        await one.end("SIGTERM");
        await two.end("SIGKILL");
      }
    } finally {
      await mail.close();
      await server.close();
    }
  }));
