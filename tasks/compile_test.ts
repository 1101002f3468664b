import assert from "node:assert/strict";
import { readWhenChosen, selfExtracting, withoutPlaces } from "./compile.ts";

/** A stand-in for the runtime: says how it was started, or how large a core file may be. */
const RUNTIME = `#!/bin/sh
[ -z "\${ASK_CORE:-}" ] || { ulimit -c; exit; }
[ -z "\${DENO_V8_FLAGS:-}\${NODE_OPTIONS:-}" ] || exit 1
printf '%s\\n' "$0" "$@"
`;

const FILES = [
  { name: "main.js", mode: 0o600, bytes: new TextEncoder().encode("// code") },
  { name: "dist/web/page.html", mode: 0o600, bytes: new Uint8Array(600).fill(32) },
  { name: "dsign", mode: 0o700, bytes: new TextEncoder().encode(RUNTIME) },
];

interface Outcome {
  code: number;
  lines: string[];
  stderr: string;
}

/** Gives the test a separate executable, a folder, and a way to start it with nothing but `env`. */
async function withExecutable(
  test: (
    folder: string,
    start: (env: Record<string, string>, ...args: string[]) => Promise<Outcome>,
    path: string,
  ) => Promise<void>,
) {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/dsign`;
  try {
    await Deno.writeFile(path, await selfExtracting(FILES, "1.2.3"), { mode: 0o755 });
    await test(folder, async (env, ...args) => {
      const { code, stdout, stderr } = await new Deno.Command(path, {
        args,
        clearEnv: true,
        env: { PATH: "/usr/bin:/bin", TMPDIR: folder, ...env },
      }).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      return { code, lines: text(stdout).trimEnd().split("\n"), stderr: text(stderr) };
    }, path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const unix = { ignore: Deno.build.os === "windows" };
const root = { ignore: Deno.build.os === "windows" || Deno.uid() !== 0 };

Deno.test(
  "the self-extracting form unpacks once, privately, and passes arguments on",
  unix,
  async () => {
    await withExecutable(async (folder, start) => {
      const { code, lines, stderr } = await start(
        { HOME: folder, NODE_OPTIONS: "--require ./a.cjs", DENO_V8_FLAGS: "--none" },
        "sign",
        "a file.pdf",
        "$(id)",
        "",
      );
      assert.equal(code, 0, stderr);
      const dir = lines[0]!.replace(/\/dsign$/, "");
      assert.match(dir, new RegExp(`^${folder}/\\.cache/dsign/[0-9a-f]{64}$`));
      assert.deepEqual(lines.slice(lines.indexOf(`${dir}/main.js`) + 1), [
        "sign",
        "a file.pdf",
        "$(id)",
      ]);
      for (const each of [`${folder}/.cache/dsign`, dir]) {
        assert.equal((await Deno.stat(each)).mode! & 0o777, 0o700);
      }
      const before = await Deno.stat(`${dir}/dsign`);
      assert.equal((await start({ HOME: folder })).code, 0);
      assert.equal((await Deno.stat(`${dir}/dsign`)).ino, before.ino);
      const sparing = "--v8-flags=--max-semi-space-size=2,--heap-growing-percent=60";
      const lavish = "--v8-flags=--max-semi-space-size=4,--heap-growing-percent=300";
      for (
        const [args, flags] of [
          [[], [sparing]],
          [["agent"], [sparing]],
          [["verify-service"], [lavish]],
          [["sign"], []],
        ] as const
      ) {
        const { lines } = await start({ HOME: folder }, ...args);
        assert.deepEqual(lines.filter((line) => line.startsWith("--v8-flags")), flags);
      }
      const entries = await Array.fromAsync(Deno.readDir(`${folder}/.cache/dsign`));
      assert.equal(entries.length, 1, "nothing of the unpacking is left");
    });
  },
);

Deno.test("XDG_CACHE_HOME is used; without a home the temporary folder is", unix, async () => {
  await withExecutable(async (folder, start) => {
    const xdg = await start({ HOME: folder, XDG_CACHE_HOME: `${folder}/xdg` });
    assert.match(xdg.lines[0]!, new RegExp(`^${folder}/xdg/dsign/`));
    for (
      const env of [{}, { HOME: "" }, { HOME: "/" }, { HOME: "/nonexistent/home" }, {
        XDG_CACHE_HOME: "relative",
      }] as Record<string, string>[]
    ) {
      const { code, lines, stderr } = await start(env);
      assert.equal(code, 0, stderr);
      assert.match(lines[0]!, new RegExp(`^${folder}/dsign-${Deno.uid()}/`));
    }
  });
});

Deno.test("a folder that others can write to, or a link, is not started from", unix, async () => {
  await withExecutable(async (folder, start) => {
    const { lines } = await start({ HOME: folder });
    const dir = lines[0]!.replace(/\/dsign$/, "");
    const refused = async (env: Record<string, string> = { HOME: folder }) => {
      const { code, stderr } = await start(env);
      assert.equal(code, 1);
      assert.match(stderr, /not a private folder of yours/);
    };
    await Deno.chmod(dir, 0o770);
    await refused();
    await Deno.chmod(dir, 0o700);
    await Deno.chmod(`${folder}/.cache/dsign`, 0o755);
    await refused();
    await Deno.chmod(`${folder}/.cache/dsign`, 0o700);
    assert.equal((await start({ HOME: folder })).code, 0);

    await Deno.symlink(`${folder}/.cache/dsign`, `${folder}/dsign-${Deno.uid()}`);
    await refused({});
  });
});

Deno.test("another user's folder is not started from (optional: needs root)", root, async () => {
  await withExecutable(async (folder, start) => {
    const planted = `${folder}/dsign-0`;
    const { lines } = await start({});
    const id = lines[0]!.split("/").at(-2)!;
    await Deno.chown(planted, 65534, 65534);
    const base = await start({});
    assert.match(base.stderr, /not a private folder of yours/);
    await Deno.chown(planted, 0, 0);
    await Deno.chown(`${planted}/${id}`, 65534, 65534);
    const inside = await start({});
    assert.match(inside.stderr, /not a private folder of yours/);
    assert.equal(inside.code, 1);

    // a home that is another's, as sudo can leave it, is not used for root
    const home = `${folder}/home`;
    await Deno.mkdir(`${home}/.cache`, { recursive: true });
    await Deno.chown(`${home}/.cache`, 65534, 65534);
    await Deno.chown(`${planted}/${id}`, 0, 0);
    assert.match((await start({ HOME: home })).lines[0]!, new RegExp(`^${planted}/`));
  });
});

Deno.test("a damaged or cut file says so and leaves nothing behind", unix, async () => {
  await withExecutable(async (folder, start, path) => {
    const whole = await Deno.readFile(path);
    for (const damage of ["cut", "changed"]) {
      const bytes = damage === "cut" ? whole.slice(0, -9) : whole.slice();
      if (damage === "changed") bytes[bytes.length - 6]! ^= 1; // in gzip's checksum
      await Deno.writeFile(path, bytes, { mode: 0o755 });
      const { code, stderr } = await start({ HOME: folder });
      assert.equal(code, 1, damage);
      assert.match(stderr, /damaged/);
      assert.deepEqual(await Array.fromAsync(Deno.readDir(`${folder}/.cache/dsign`)), []);
    }
  });
});

Deno.test("starts at the same time do not disturb one another", unix, async () => {
  await withExecutable(async (folder, start) => {
    const all = await Promise.all(Array.from({ length: 8 }, () => start({ HOME: folder })));
    assert.deepEqual(all.map(({ code }) => code), Array(8).fill(0), all[0]!.stderr);
    const dir = all[0]!.lines[0]!.replace(/\/dsign$/, "");
    const names = (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name).sort();
    assert.deepEqual(names, ["dist", "dsign", "main.js", "whole"]);
  });
});

Deno.test("the same files make the same executable", async () => {
  assert.deepEqual(await selfExtracting(FILES, "1.2.3"), await selfExtracting(FILES, "1.2.3"));
});

Deno.test(
  "the self-extracting form leaves no core file, in which a PIN could stand",
  unix,
  async () => {
    await withExecutable(async (folder, _, path) => {
      const { stdout } = await new Deno.Command("sh", {
        args: ["-c", 'ulimit -S -c "$(ulimit -H -c)"; exec "$0"', path],
        env: { HOME: folder, TMPDIR: folder, ASK_CORE: "1" },
      }).output();
      assert.equal(new TextDecoder().decode(stdout).trim(), "0");
    });
  },
);

Deno.test("pieces are the same wherever they were bundled; one that nothing refers to is not lost", () => {
  const pieces = (npm: string, one: string, two: string) =>
    Object.entries({
      "main.js": `// ${npm}hono/x.js\nimport "./chunk-${one}.js";`,
      [`chunk-${one}.js`]: `import("./chunk-${two}.js");`,
      [`chunk-${two}.js`]: `require["${npm}y"]`,
    }).map(([name, text]) => ({ name, mode: 0o600, bytes: new TextEncoder().encode(text) }));
  const here = pieces("../../root/.cache/deno/", "ZZZZZZZZ", "AAAAAAAA");
  const there = pieces("../cache/", "BBBBBBBB", "CCCCCCCC");
  const same = withoutPlaces(here, "../../root/.cache/deno/");
  assert.deepEqual(withoutPlaces(there, "../cache/"), same);
  assert.deepEqual(same.map(({ name }) => name), ["chunk-1.js", "chunk-2.js", "main.js"]);
  const more = [...here, { ...here[0], name: "chunk-DDDDDDDD.js" }];
  assert.throws(() => withoutPlaces(more, "x/"), /chunk-DDDDDDDD/);
});

Deno.test("what a command needs is read when it is needed; hosts and threads name what they may load", () => {
  const texts = {
    "main.js": `import "./a-1.js"; await import("./host-2.js");`,
    "program-3.js": `const of = async () => (await import("./c-4.js")).c;`,
    "host-2.js": `import "./d-5.js"; await import("./e-6.js");`,
    "d-5.js": `await import("./f-7.js");`,
    "cli/thread.js": `import "../g-8.js";`,
    "g-8.js": `await import("./f-7.js");`,
  };
  const pieces = Object.entries(texts).map(([name, text]) => ({
    name,
    mode: 0o600,
    bytes: new TextEncoder().encode(text),
  }));
  const read = readWhenChosen(pieces).map(({ name, bytes }) => [
    name,
    new TextDecoder().decode(bytes),
  ]);
  assert.deepEqual(Object.fromEntries(read), {
    ...texts,
    "main.js": `import "./a-1.js"; await import(String("./host-2.js"));`,
    "program-3.js": `const of = async () => (await import(String("./c-4.js"))).c;`,
  });
});
