/**
 * The Linux packages: made twice, judged by the tools of their systems, installed, upgraded and removed in a separate
 * root folder; nothing is installed on this machine.
 */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv } from "ajv";
import { packageAll } from "../tasks/package.ts";
import { debName } from "../tasks/package/deb.ts";
import { rpmName } from "../tasks/package/rpm.ts";
import type { Release } from "../tasks/package/tree.ts";
import { inTempDir, run as runTool } from "./fixtures/openssl.ts";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const DSIGN = join(ROOT, "dist/dsign");
const EPOCH = 1795219200; // 2026-11-21
const isRoot = Deno.build.os === "linux" && Deno.uid() === 0;

const decoder = new TextDecoder();
const run = async (program: string, debian: string, ...args: string[]) =>
  decoder.decode(await runTool(program, debian, args));
const release = (version: string): Release => ({
  version,
  epoch: EPOCH,
  arch: Deno.build.arch === "aarch64" ? "arm64" : "x64",
});
const contents = async (folder: string, names: string[]) =>
  await Promise.all(names.map((name) => Deno.readFile(join(folder, name))));

/** Runs an installed `dsign` in a separate home folder. */
async function dsign(dir: string, program: string, env: Record<string, string>, ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin", HOME: join(dir, "home"), ...env },
    stdin: "null",
  }).output();
  assert.equal(code, 0, decoder.decode(stderr));
  return decoder.decode(stdout);
}

Deno.test(
  "the Linux packages install and run",
  { ignore: Deno.build.os !== "linux" },
  async (t) => {
    const isMade = await Deno.stat(DSIGN).then(() => true, () => false);
    if (!isMade) {
      await runTool(Deno.execPath(), "deno", ["run", "-A", join(ROOT, "tasks/compile.ts")]);
    }
    await inTempDir(async (dir) => {
      const [first, second, later] = ["first", "second", "later"].map((name) => join(dir, name));
      const binary = join(dir, "dsign");
      await Deno.copyFile(DSIGN, binary);
      await Deno.mkdir(join(dir, "home"));
      const names = await packageAll(binary, release("0.1.0"), first);

      await t.step("the same input makes the same bytes", async () => {
        await new Promise((done) => setTimeout(done, 1100 - Date.now() % 1000)); // another second
        assert.deepEqual(await packageAll(binary, release("0.1.0"), second), names);
        const [before, after] = [await contents(first, names), await contents(second, names)];
        names.forEach((name, i) => assert.ok(before[i].every((b, at) => b === after[i][at]), name));
        await Deno.remove(second, { recursive: true });
      });

      await t.step("every file has a correct checksum", async () => {
        const sums = await Deno.readTextFile(join(first, "SHA256SUMS"));
        assert.deepEqual(
          sums.trim().split("\n").map((line) => line.slice(66)).concat("SHA256SUMS").sort(),
          names.toSorted(),
        );
        await run("sh", "dash", "-c", `cd '${first}' && sha256sum --check --strict SHA256SUMS`);
      });

      await t.step(
        "the bill of materials matches its schema and names every bundled package",
        async () => {
          const bom = JSON.parse(await Deno.readTextFile(join(first, "dsign-0.1.0.cdx.json")));
          await validateBom(bom);
          const scopes = new Map<string, string>(
            bom.components.map((
              each: Record<string, string>,
            ) => [each.purl ?? each.name, each.scope]),
          );
          assert.equal(
            [...scopes].find(([name]) => name.startsWith("pkg:npm/zod@"))?.[1],
            "required",
          );
          assert.equal(
            [...scopes].find(([name]) => name.startsWith("pkg:npm/playwright-core@"))?.[1],
            "excluded",
          );
          const { npm } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.lock")));
          for (const id of Object.keys(npm)) {
            const purl = `pkg:npm/${id.replace(/^@/, "%40").replace(/_.*/, "")}`;
            assert.ok(scopes.has(purl), purl);
          }
        },
      );

      const deb = join(first, debName(release("0.1.0")));
      const unpacked = join(dir, "unpacked");
      await t.step("the desktop entries and the manual page are valid", async () => {
        await run("dpkg-deb", "dpkg", "--extract", deb, unpacked);
        for (const entry of ["usr/share/applications", "etc/xdg/autostart"]) {
          await run(
            "desktop-file-validate",
            "desktop-file-utils",
            join(unpacked, entry, "dsign.desktop"),
          );
        }
        const page = join(unpacked, "usr/share/man/man1/dsign.1.gz");
        const { stdout, stderr } = await new Deno.Command("man", {
          args: ["--warnings", "-l", page],
          env: { LC_ALL: "C.UTF-8", MANWIDTH: "100" },
        }).output();
        assert.equal(decoder.decode(stderr), "");
        for (const part of ["dsign sign", "--detached", "dsign modules add", "EXIT CODES"]) {
          assert.ok(decoder.decode(stdout).includes(part), part);
        }
        const notices = await Deno.readTextFile(join(unpacked, "usr/share/doc/dsign/copyright"));
        for (const name of ["hono", "pdfjs-dist", "Apache License", "SIL OPEN FONT LICENSE"]) {
          assert.ok(notices.includes(name), name);
        }
        await Deno.remove(unpacked, { recursive: true });
      });

      await packageAll(binary, release("0.1.1"), later);
      const needsRoot = isRoot ? "" : " (optional: needs root)";
      await t.step({
        name: `dpkg installs, upgrades and removes it${needsRoot}`,
        ignore: !isRoot,
        fn: () => throughDpkg(dir, deb, join(later, debName(release("0.1.1")))),
      });
      await t.step({
        name: `rpm installs, upgrades and removes it${needsRoot}`,
        ignore: !isRoot,
        fn: () => throughRpm(dir, first, later),
      });

      await t.step("the portable form runs where it is unpacked", async () => {
        const name = names.find((each) => each.endsWith(".tar.gz"))!;
        await run("tar", "tar", "-xzf", join(first, name), "-C", dir);
        const program = join(dir, name.replace(".tar.gz", ""), "dsign");
        assert.match(await dsign(dir, program, {}, "--version"), /^\d+\.\d+\.\d+\n$/);
      });
    });
  },
);

/** Against CycloneDX's own schema. */
async function validateBom(bom: unknown): Promise<void> {
  const require = createRequire(import.meta.url);
  const folder = join(
    dirname(require.resolve("@cyclonedx/cyclonedx-library/package.json")),
    "res/schema",
  );
  const schema = async (name: string) =>
    JSON.parse(await Deno.readTextFile(join(folder, `${name}.SNAPSHOT.schema.json`)));
  const ajv = new Ajv({ strict: false, validateFormats: false });
  for (const name of ["spdx", "jsf-0.82"]) {
    ajv.addSchema(await schema(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`);
  }
  const validate = ajv.compile(await schema("bom-1.6"));
  assert.ok(validate(bom), JSON.stringify(validate.errors?.slice(0, 3)));
}

/** The life of a .deb in a root folder that knows of nothing but its dependencies. */
async function throughDpkg(dir: string, deb: string, newer: string): Promise<void> {
  const root = join(dir, "debian");
  const state = join(root, "var/lib/dpkg");
  for (const each of ["info", "updates", "triggers"]) {
    await Deno.mkdir(join(state, each), { recursive: true });
  }
  const have = ["libc6", "libgcc-s1"].map((name) =>
    `Package: ${name}\nStatus: install ok installed\nArchitecture: ${
      debName(release("0")).slice(8, -4)
    }\nVersion: 999\nMaintainer: nobody\nDescription: there\n\n`
  );
  await Deno.writeTextFile(join(state, "status"), have.join(""));
  const dpkg = (...args: string[]) => run("dpkg", "dpkg", `--root=${root}`, ...args);
  const program = join(root, "usr/bin/dsign");
  const entry = join(root, "etc/xdg/autostart/dsign.desktop");
  const isEnabled = async () => {
    const env = { XDG_CONFIG_DIRS: join(root, "etc/xdg") };
    return JSON.parse(await dsign(dir, program, env, "autostart", "status", "--json")).enabled;
  };
  const status = async () => /^Status: .*/m.exec(await dpkg("--status", "dsign"))?.[0];

  await dpkg("--install", deb);
  assert.equal(await status(), "Status: install ok installed");
  assert.equal(await dpkg("--verify", "dsign"), "");
  assert.match(await dsign(dir, program, {}, "--version"), /^\d+\.\d+\.\d+\n$/);
  assert.equal(await isEnabled(), false);

  // the administrator starts it for all
  const text = await Deno.readTextFile(entry);
  await Deno.writeTextFile(entry, text.replace("Hidden=true\n", ""));
  assert.equal(await isEnabled(), true);
  await dpkg("--force-confold", "--install", newer);
  assert.match(await dpkg("--status", "dsign"), /^Version: 0\.1\.1$/m);
  assert.equal(await isEnabled(), true);

  await dpkg("--remove", "dsign");
  await assert.rejects(Deno.stat(program), Deno.errors.NotFound);
  assert.equal(await status(), "Status: deinstall ok config-files");
  await Deno.stat(entry);
  await dpkg("--purge", "dsign");
  const left = await run("find", "findutils", root, "-name", "*dsign*");
  assert.equal(left, "");
}

async function throughRpm(dir: string, first: string, later: string): Promise<void> {
  const root = join(dir, "fedora");
  await Deno.mkdir(root);
  const rpm = (...args: string[]) =>
    run("rpm", "rpm", `--root=${root}`, "--dbpath=/var/lib/rpm", ...args);
  const program = join(root, "usr/bin/dsign");
  // there is no other package in this root that it could depend on
  await rpm("--install", "--nodeps", join(first, rpmName(release("0.1.0"))));
  assert.match(await dsign(dir, program, {}, "--version"), /^\d+\.\d+\.\d+\n$/);
  assert.equal(await rpm("--verify", "--nodeps", "dsign"), "");
  await rpm("--upgrade", "--nodeps", join(later, rpmName(release("0.1.1"))));
  assert.equal(
    await rpm("--query", "dsign"),
    `dsign-0.1.1-1.${rpmName(release("0")).split(".").at(-2)}\n`,
  );
  await rpm("--erase", "dsign");
  await assert.rejects(Deno.stat(program), Deno.errors.NotFound);
}
