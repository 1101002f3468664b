/** The recipes of a release, as far as they can be judged away from the systems that they are for. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { manifestFile } from "../tasks/release_manifest.ts";
import { inTempDir, run } from "./fixtures/openssl.ts";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const read = (path: string) => Deno.readTextFile(join(ROOT, path));
const { version } = JSON.parse(await read("deno.json"));

const TARGETS = [
  "aarch64-apple-darwin",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "x86_64-pc-windows-msvc",
  "x86_64-unknown-linux-gnu",
];

interface Step {
  uses?: string;
  run?: string;
  env?: Record<string, string>;
}
interface Job {
  steps: Step[];
  strategy?: { matrix: { include: { target: string }[] } };
}

const unix = { ignore: Deno.build.os === "windows" };

Deno.test(
  "the release workflow has five targets, pinned actions and sound scripts",
  unix,
  async () => {
    const { jobs, permissions, env } = parse(await read(".github/workflows/release.yml")) as {
      jobs: Record<string, Job>;
      permissions: unknown;
      env: Record<string, string>;
    };
    assert.deepEqual(permissions, { contents: "read" });
    assert.ok(
      (await read(".ci/run")).includes(`exec ${env.DENO} task test`),
      "one version of Deno",
    );
    assert.deepEqual(
      jobs.build.strategy!.matrix.include.map(({ target }) => target).sort(),
      TARGETS,
    );
    const { tasks } = JSON.parse(await read("deno.json"));
    for (const { uses, run: script } of Object.values(jobs).flatMap(({ steps }) => steps)) {
      if (uses) assert.match(uses, /^actions\/[\w-]+@[0-9a-f]{40}$/);
      if (!script) continue;
      // what comes from outside goes through the environment, never into a script's text
      assert.ok(!script.includes("${{"), script);
      for (const [, task] of script.matchAll(/\$DENO task (\S+)/g)) {
        assert.ok(Object.hasOwn(tasks, task), task);
      }
      const bytes = new TextEncoder().encode(`#!/bin/bash\nexport DENO\n${script}`);
      // SC2086: $DENO is a command with its arguments
      await run("shellcheck", "shellcheck", ["--exclude=SC2086", "-"], { input: bytes });
    }
  },
);

Deno.test("each package's name tells the manifest its platform", () =>
  inTempDir(async (dir) => {
    const names = [
      `dsign_${version}_amd64.deb`,
      `dsign_${version}_arm64.deb`,
      `dsign-${version}-1.x86_64.rpm`,
      `dsign-${version}-1.aarch64.rpm`,
      `dsign-${version}-linux-x64.tar.gz`,
      `dsign-${version}-linux-arm64.tar.gz`,
      `dsign-${version}-macos-x64.pkg`,
      `dsign-${version}-macos-arm64.pkg`,
      `dsign-${version}-windows-x64.exe`,
    ];
    const targets = await Promise.all(names.map(async (name) => {
      await Deno.writeTextFile(join(dir, name), name);
      return (await manifestFile(join(dir, name), "https://example.org/"))?.target;
    }));
    assert.deepEqual([...new Set(targets)].sort(), TARGETS);
    await Deno.writeTextFile(join(dir, "SHA256SUMS"), "");
    assert.equal(await manifestFile(join(dir, "SHA256SUMS"), "https://example.org/"), null);
  }));

Deno.test("the Windows recipe installs what is built, under the name that is looked for", async () => {
  const text = await read("tasks/package/windows.iss");
  const sections = [...text.matchAll(/^\[(\w+)\]$/gm)].map(([, name]) => name);
  assert.deepEqual(sections, ["Setup", "Files", "Icons", "Tasks", "Run", "UninstallRun"]);
  const [, setup] = text.split(/^\[\w+\]$/m);
  for (const line of setup.split("\n").filter((each) => !/^\s*(;|#|$)/.test(each))) {
    assert.match(line, /^[A-Z]\w+=\S/, line);
  }
  for (const line of text.slice(text.indexOf("[Files]")).split("\n")) {
    if (!/^\s*(;|\[|$)/.test(line)) assert.match(line, /^(\w+: ("[^"]*"|[\w ]+)(; |$))+$/, line);
  }
  assert.match(text, /^OutputBaseFilename=dsign-\{#Version\}-windows-x64$/m);
  assert.match(text, /^SetupIconFile=\{#Root\}\\dist\\dsign\.ico$/m);
  assert.match(text, /^PrivilegesRequired=lowest$/m);
  for (const [, source] of text.matchAll(/^Source: "\{#Root\}\\([^"]+)"/gm)) {
    if (!source.startsWith("dist")) await Deno.stat(join(ROOT, source));
  }
});

Deno.test("the macOS recipe lays out the application (its own tools replaced)", unix, async () => {
  const script = join(ROOT, "tasks/package/macos.sh");
  await run("shellcheck", "shellcheck", [script]);
  await inTempDir(async (dir) => {
    const bin = join(dir, "bin");
    await Deno.mkdir(bin);
    // pkgbuild --root FOLDER … OUTPUT and productbuild --package INPUT OUTPUT: archives of what they are given
    const fakes = {
      pkgbuild: 'for last; do :; done; tar -cf "$last" -C "$2" .',
      productbuild: 'cp "$2" "$3"',
    };
    for (const [name, body] of Object.entries(fakes)) {
      await Deno.writeTextFile(join(bin, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    }
    await Deno.writeTextFile(join(dir, "dsign"), "#!/bin/sh\necho here\n");
    await Deno.writeTextFile(join(dir, "dsign.icns"), "icon");
    const make = (...args: string[]) =>
      new Deno.Command(script, {
        args,
        clearEnv: true,
        env: { PATH: `${bin}:/usr/bin:/bin`, TMPDIR: dir },
      }).output();
    const { success, stderr } = await make(join(dir, "dsign"), "1.2.3", "arm64", join(dir, "out"));
    assert.ok(success, new TextDecoder().decode(stderr));
    const unpacked = join(dir, "unpacked");
    await Deno.mkdir(unpacked);
    await run("tar", "tar", ["-xf", join(dir, "out/dsign-1.2.3-macos-arm64.pkg"), "-C", unpacked]);
    const app = "Applications/D-Sign.app/Contents";
    assert.equal((await Deno.stat(join(unpacked, app, "MacOS/dsign"))).mode! & 0o777, 0o755);
    assert.equal(await Deno.readTextFile(join(unpacked, app, "Resources/dsign.icns")), "icon");
    assert.equal(await Deno.readLink(join(unpacked, "usr/local/bin/dsign")), `/${app}/MacOS/dsign`);
    const plist = await Deno.readTextFile(join(unpacked, app, "Info.plist"));
    assert.match(plist, /<key>CFBundleShortVersionString<\/key>\s*<string>1\.2\.3<\/string>/);
    await run("xmllint", "libxml2-utils", [
      "--noout",
      "--nonet",
      join(unpacked, app, "Info.plist"),
    ]);
    const names = [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
    assert.deepEqual(
      names,
      ["bin", "dsign", "dsign.icns", "out", "unpacked"],
      "nothing is left behind",
    );

    assert.equal((await make("dsign", "1;2", "arm64", "out")).code, 2);
    assert.equal((await make("dsign", "1.2.3", "ppc", "out")).code, 2);
  });
});
