/**
 * Every command of docs/operations.md, in its order, by a shell: with the real program, PostgreSQL, pg_dump and openssl. The
 * machine's own folders are below a temporary one. What would change this machine is stood in for: apt-get and useradd do
 * nothing, runuser changes no user, install no owner, systemctl starts and stops the instances itself, and nginx is left to
 * deploy_test.ts, which runs it with the same file.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { OIDS } from "../protocol/csc.ts";
import { readDoc, ROOT } from "./fixtures/docs.ts";
import { freePort } from "./fixtures/free_port.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import {
  authorization,
  challenge,
  Instance,
  mailServer,
  PIN,
  signing,
} from "./fixtures/otp_process.ts";
import { startPostgres } from "./fixtures/postgres.ts";
import { MAIN } from "./fixtures/program.ts";

const HASH = createHash("sha256").update("order").digest("base64");

/** Programs that stand in for the machine's. */
const PROGRAMS = (dir: string): Record<string, string> => ({
  dsign: `exec ${Deno.execPath()} run -A --quiet ${MAIN} "$@"`,
  "apt-get": "true",
  useradd: "true",
  nginx: "true",
  runuser: `while [ "$1" != -- ]; do shift; done; shift; exec "$@"`,
  install: `args=()
    while [ $# -gt 0 ]; do if [ "$1" = -o ]; then shift; else args+=("$1"); fi; shift; done
    exec /usr/bin/install "\${args[@]}"`,
  systemctl: `verb=$1; shift; units=()
    for unit in "$@"; do case $unit in dsign-otp@*) units+=(\${unit#*@});; esac; done
    if [ $verb = stop ] || [ $verb = restart ]; then
      for n in "\${units[@]}"; do kill -TERM $(cat ${dir}/$n.pid); done
      for n in "\${units[@]}"; do while kill -0 $(cat ${dir}/$n.pid) 2>/dev/null; do sleep 0.05; done; done
    fi
    [ $verb != stop ] || exit 0
    for n in "\${units[@]}"; do
      rm -f ${dir}/$n.out
      setsid dsign otp-service --config ${dir}/etc/dsign-otp/$n.json --json \\
        > ${dir}/$n.out 2>> ${dir}/$n.err < /dev/null &
      echo $! > ${dir}/$n.pid
    done
    for n in "\${units[@]}"; do
      until [ -s ${dir}/$n.out ]; do kill -0 $(cat ${dir}/$n.pid) 2>/dev/null || exit 1; sleep 0.05; done
      ! grep '"error"' ${dir}/$n.out >&2
    done`,
});

Deno.test("the operations guide's commands work as written, from an empty machine on", () =>
  inTempDir(async (dir) => {
    const [server, mail] = [await startPostgres(), await mailServer()];
    try {
      const url = new URL(await server.createDatabase());
      const bin = join(dir, "usr/bin");
      const folders = [
        "usr/bin",
        "etc/nginx/conf.d",
        "etc/systemd/system",
        "var/lib",
        "var/backups",
      ];
      for (const folder of folders) await Deno.mkdir(join(dir, folder), { recursive: true });
      for (const [name, text] of Object.entries(PROGRAMS(dir))) {
        await Deno.writeTextFile(join(bin, name), `#!/bin/bash\nset -e\n${text}\n`, {
          mode: 0o755,
        });
      }
      await Deno.copyFile(join(bin, "dsign"), join(dir, "dsign"));
      await Deno.symlink(join(ROOT, "deploy"), join(dir, "deploy"));
      const ports = new Map(["7795", "7796", "7805", "7806"].map((port) => [port, freePort()]));
      const here = (text: string) =>
        text.replace(
          /postgres:\/\/dsign-otp@\S*\/dsign_otp/,
          `postgres://dsign-otp@${url.host}/dsign_otp`,
        )
          .replaceAll(/(?<![\w.])\/(etc|usr\/bin|var)(?=[/ ])/g, `${dir}/$1`)
          .replaceAll(/\b(7795|7796|7805|7806)\b/g, (port) => `${ports.get(port)}`);
      const env = {
        PATH: `${bin}:${Deno.env.get("PATH")}`,
        PGHOST: url.hostname,
        PGPORT: url.port,
        PGUSER: "dsign",
        PGDATABASE: "postgres",
      };
      const blocks = [
        ...(await readDoc("docs/operations.md")).text.matchAll(/^```(sh|json)\n(.*?)^```/gms),
      ]
        .map(([, language, text]) => ({ language, text: text! }));
      const kept = blocks.flatMap(({ text }) => text.split("\n"))
        .filter((line) => /^(export |\w+\(\))/.test(line)).map(here);
      const configs = ["1.json", "2.json"].map((name) => join(dir, "etc/dsign-otp", name));
      let secret = "";
      let token = "";
      const instance = (port: string) => new Instance(null!, ports.get(port)!);
      const sign = async () => {
        const stored = { kind: "stored", mode: "explicit" };
        const path = "/portal/v1/persons/asen/credentials";
        const { body: { credentialID } } = await instance("7795").call(path, stored, token);
        const sent = await instance("7795").call(
          "/csc/v2/credentials/getChallenge",
          challenge(credentialID, HASH),
          token,
        );
        assert.equal(sent.status, 204);
        const given = authorization(credentialID, mail.lastOtp(), HASH);
        const { body: { SAD } } = await instance("7805").call(
          "/csc/v2/credentials/authorize",
          given,
          token,
        );
        const request = signing(credentialID, SAD, OIDS.ecdsaWithSha256, HASH);
        return (await instance("7795").call("/csc/v2/signatures/signHash", request, token)).status;
      };
      /** What happens around the commands, by what stands in their block. */
      const after: Record<string, (output: string) => void | Promise<void>> = {
        "otp init": (output) => {
          secret = /Client secret: +(\S+)/.exec(output)![1]!;
        },
        "user add": async () => {
          const text = mail.mails.at(-1)!.replaceAll("=\r\n", "").replaceAll("=3D", "=");
          const code = /#(enrol-[\w-]+)/.exec(text)![1]!;
          const set = await instance("7795").call(
            "/otp/answer",
            { decision: "set_pin", pin: PIN },
            code,
          );
          assert.deepEqual(set.body, { ok: true });
          token = await instance("7795").token(secret);
        },
        "pg_dump -Fc -f /var/backups/dsign-otp/otp.dump": async () => {
          assert.equal(await sign(), 200);
          // a start files the checkpoint, as every hour does
          await run("systemctl restart dsign-otp@1");
        },
        "seal --proof": (output) => assert.match(output, /can go on/),
        "the audit was cut": (output) =>
          assert.match(output, /the audit was cut\n[^]*Lines at the end are missing/),
        "checkpoint-before-restore": async () => {
          token = await instance("7795").token(secret);
          assert.equal(await sign(), 200);
        },
        "rotate secret --use\notp rotate secret\n": async (output) => {
          assert.match(output, /in use; PINs: 0\n.*retire it after/);
          const file = join(dir, "etc/dsign-otp/secret");
          const text = await Deno.readTextFile(file);
          await Deno.writeTextFile(file, text.replace(/20\d\d-\S+Z/, "2026-01-01T00:00:00Z"));
        },
        "rotate secret --retire\n": (output) => assert.match(output, /for PINs alone; PINs: 1/),
        "rotate client portal --also": async (output) => {
          assert.ok(await instance("7795").token(secret), "the old secret");
          secret = /Client secret: +(\S+)/.exec(output)![1]!;
          assert.ok(await instance("7805").token(secret), "the new one");
        },
        "metrics": (output) => assert.match(output, /^dsign_otp_audit_lines_overdue 0$/m),
        "certificate.issued": (output) => assert.match(output, /^1$/m),
      };
      const run = async (text: string): Promise<string> => {
        const script = ["set -euo pipefail", ...kept, here(text)].join("\n");
        const { code, stdout, stderr } = await new Deno.Command("bash", {
          args: ["-c", script],
          cwd: dir,
          env,
        }).output();
        const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
        const logs = await Promise.all(
          ["1.err", "2.err"].map((name) => Deno.readTextFile(join(dir, name)).catch(() => "")),
        );
        assert.equal(code, 0, [text, out, err, ...logs].join("\n"));
        return out + err;
      };
      const hooks = new Set(Object.keys(after));
      for (const { language, text } of blocks) {
        if (language === "json") {
          const more = JSON.parse(here(text));
          for (const path of configs) {
            const config = JSON.parse(here(await Deno.readTextFile(path)));
            const smtp = { ...more.smtp, host: "127.0.0.1", port: mail.port, tls: "none" };
            await Deno.writeTextFile(path, JSON.stringify({ ...config, ...more, smtp }));
          }
          continue;
        }
        const output = await run(text);
        const key = [...hooks].find((each) => text.includes(each));
        if (key === undefined) continue;
        hooks.delete(key);
        await after[key]!(output);
      }
      assert.deepEqual([...hooks], [], "everything was met");
    } finally {
      for (const name of ["1.pid", "2.pid"]) {
        try {
          Deno.kill(Number(await Deno.readTextFile(join(dir, name))), "SIGKILL");
        } catch {
          // it has ended, or was not begun
        }
      }
      await mail.close();
      await server.close();
    }
  }));
