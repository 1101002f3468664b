import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { inTempDir, run } from "../tests/fixtures/openssl.ts";
import { Autostart } from "./autostart.ts";
import { desktopEntry, launchAgent, runKeyLine, systemdUnit } from "./autostart_entries.ts";

/** Everything that one of the formats takes for something else. */
const ODD = `/opt/My "best" 100% \\signer\\ & <co>/$HOME/\`id\`/ডি-সাইন/dsign`;
/** The same without what systemd refuses in a path. */
const ODD_UNIT = ODD.replaceAll(/["\\]/g, "");
const PLAIN = "/usr/bin/dsign";
const LINUX = { ignore: Deno.build.os !== "linux" };

/** Whether an optional program is installed. */
async function has(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function golden(name: string, text: string): Promise<void> {
  const path = new URL(`../tests/golden/autostart/${name}`, import.meta.url);
  if (Deno.env.has("DSIGN_UPDATE_GOLDEN")) await Deno.writeTextFile(path, text);
  assert.equal(text, await Deno.readTextFile(path), name);
}

Deno.test("each system's autostart entry is correct for plain and for odd paths", async () => {
  for (const [name, program] of [["plain", PLAIN], ["odd", ODD]]) {
    await golden(`${name}.desktop`, desktopEntry([program, "agent"]));
    await golden(
      `${name}.service`,
      systemdUnit([program === ODD ? ODD_UNIT : program, "agent", "$x"]),
    );
    await golden(`${name}.plist`, launchAgent("dsign.agent", [program, "agent"]));
  }
  const windows = [
    runKeyLine(["C:\\dsign\\dsign.exe", "agent"]),
    runKeyLine(["C:\\Program Files\\100%\\D-Sign\\dsign.exe", "agent"]),
    runKeyLine(["C:\\a b\\", 'say "hi"', 'back\\"slash\\ \\']),
  ];
  await golden("run_key.txt", windows.join("\n") + "\n");
});

Deno.test("a command that an entry cannot hold is refused", () => {
  for (const render of [desktopEntry, systemdUnit, runKeyLine]) {
    assert.throws(() => render(["/opt/a\nExec=evil", "agent"]), RangeError);
  }
  assert.throws(() => systemdUnit([ODD, "agent"]), RangeError);
  assert.throws(() => launchAgent("x", ["/opt/\u0000"]), RangeError);
  assert.throws(() => runKeyLine([`C:\\${"x".repeat(260)}.exe`]), RangeError);
});

/** Arguments as the C runtime of Windows splits them (CommandLineToArgvW). */
function splitWindows(line: string): string[] {
  const args: string[] = [];
  let current = "", quoted = false, any = false;
  for (let i = 0; i < line.length; i++) {
    const slashes = /^\\*/.exec(line.slice(i))![0].length;
    if (slashes > 0 && line[i + slashes] === '"') {
      current += "\\".repeat(slashes >> 1);
      i += slashes - 1;
      if (slashes % 2 === 1) current += line[++i];
      any = true;
    } else if (line[i] === '"') {
      quoted = !quoted;
      any = true;
    } else if (/\s/.test(line[i]) && !quoted) {
      if (any) args.push(current);
      current = "";
      any = false;
    } else {
      current += line[i];
      any = true;
    }
  }
  return any ? [...args, current] : args;
}

Deno.test("Windows parses the command line back into the same arguments", () => {
  for (
    const args of [["C:\\a b\\", "x"], ['a"b', 'c\\"d e', "f\\\\"], [
      "100% $x",
      "\\\\server\\a b\\",
    ]]
  ) assert.deepEqual(splitWindows(runKeyLine(args)), args);
});

/** A program at an odd path, and a home. */
const atHome =
  (use: (program: string, home: string, dir: string) => Promise<void>, odd = ODD) => () =>
    inTempDir(async (dir) => {
      const program = dir + odd;
      await Deno.mkdir(dirname(program), { recursive: true });
      await Deno.writeTextFile(program, "#!/bin/sh\n", { mode: 0o755 });
      await use(program, join(dir, "home"), dir);
    });

const environment = (home: string, more: Record<string, string> = {}) => (name: string) =>
  ({ HOME: home, XDG_CONFIG_DIRS: join(home, "xdg"), ...more })[name];

Deno.test(
  "enable and disable can be repeated, and a systemd unit replaces the XDG entry",
  LINUX,
  atHome(async (program, home) => {
    const autostart = new Autostart([program, "agent"], environment(home), "linux");
    const entry = join(home, ".config/autostart/dsign.desktop");
    const off = { enabled: false, kind: null, place: null, current: false };
    assert.deepEqual(await autostart.status(), off);
    for (let i = 0; i < 2; i++) {
      await autostart.enable();
      assert.deepEqual(await autostart.status(), {
        enabled: true,
        kind: "xdg",
        place: entry,
        current: true,
      });
    }
    const unit = join(home, ".config/systemd/user/dsign.service");
    for (let i = 0; i < 2; i++) {
      await autostart.enable(true);
      assert.deepEqual(await autostart.status(), {
        enabled: true,
        kind: "systemd",
        place: unit,
        current: true,
      });
      assert.equal(await has(entry), false, "not started twice");
    }
    await autostart.enable();
    assert.equal(await has(unit), false);
    for (let i = 0; i < 2; i++) {
      await autostart.disable();
      assert.deepEqual(await autostart.status(), off);
    }
    const left = await Array.fromAsync(Deno.readDir(dirname(entry)), ({ name }) => name);
    assert.deepEqual(left, [], "nothing half written is left");
  }, ODD_UNIT),
);

Deno.test(
  "an entry that starts another program is reported and corrected; the user's entry hides the administrator's",
  LINUX,
  atHome(async (program, home) => {
    const env = environment(home);
    await new Autostart(["/elsewhere/dsign", "agent"], env, "linux").enable();
    const autostart = new Autostart([program, "agent"], env, "linux");
    assert.equal((await autostart.status()).current, false);
    await autostart.enable();
    assert.equal((await autostart.status()).current, true);

    await autostart.disable();
    const system = join(home, "xdg/autostart");
    await Deno.mkdir(system, { recursive: true });
    await Deno.writeTextFile(join(system, "dsign.desktop"), desktopEntry([PLAIN, "agent"]));
    assert.equal((await autostart.status()).enabled, true);
    await autostart.disable();
    assert.equal((await autostart.status()).enabled, false);
    await autostart.enable();
    assert.equal((await autostart.status()).enabled, true);
  }),
);

Deno.test(
  "an unwritable folder is reported with its path",
  LINUX,
  atHome(async (program, home) => {
    await Deno.mkdir(home);
    await Deno.writeTextFile(join(home, ".config"), "a file");
    await assert.rejects(
      new Autostart([program, "agent"], environment(home), "linux").enable(),
      (error: Error) => error.message.includes(join(home, ".config")),
    );
  }),
);

Deno.test(
  "on macOS a LaunchAgent is added and removed",
  LINUX,
  atHome(async (program, home) => {
    const autostart = new Autostart([program, "agent"], environment(home), "darwin");
    await autostart.enable();
    const { place, current } = await autostart.status();
    assert.equal(place, join(home, "Library/LaunchAgents/dsign.agent.plist"));
    assert.equal(current, true);
    await run("xmllint", "libxml2-utils", ["--noout", "--nonet", place!]);
    await autostart.disable();
    assert.equal((await autostart.status()).enabled, false);
  }),
);

Deno.test(
  "desktop-file-validate accepts the entry",
  LINUX,
  atHome(async (program, home) => {
    const autostart = new Autostart([program, "agent"], environment(home), "linux");
    await autostart.enable();
    const { place } = await autostart.status();
    await run("desktop-file-validate", "desktop-file-utils", [place!]);
  }),
);

Deno.test(
  "systemd finds the unit's program at an odd path, and reports one that is missing",
  LINUX,
  atHome(async (program, home) => {
    const autostart = new Autostart([program, "agent"], environment(home), "linux");
    await autostart.enable(true);
    const { place } = await autostart.status();
    // It says what it does not like, but does not always fail for it.
    const verify = async () => {
      const { stderr } = await new Deno.Command("systemd-analyze", {
        args: ["verify", "--user", "--man=no", place!],
        env: { HOME: home, XDG_RUNTIME_DIR: home, SYSTEMD_UNIT_PATH: `${dirname(place!)}:` },
      }).output();
      return new TextDecoder().decode(stderr).split("\n")
        .filter((line) => line.includes("dsign.service")).join("\n");
    };
    assert.equal(await verify(), "");
    await Deno.remove(program);
    assert.match(await verify(), /not executable/);
  }, ODD_UNIT),
);

const GENERATOR = "/usr/lib/systemd/user-generators/systemd-xdg-autostart-generator";
Deno.test({
  name: "systemd reads the same command from the XDG entry (optional: needs systemd 247)",
  ignore: !await has(GENERATOR),
  fn: atHome(async (program, home, dir) => {
    await new Autostart([program, "agent"], environment(home), "linux").enable();
    const out = join(dir, "units");
    await Deno.mkdir(out);
    await run("env", "coreutils", [
      `HOME=${home}`,
      `XDG_CONFIG_HOME=${home}/.config`,
      "XDG_CURRENT_DESKTOP=X",
      GENERATOR,
      ...[out, out, out],
    ]);
    const unit = await Deno.readTextFile(join(out, "app-dsign@autostart.service"));
    const line = /^ExecStart=:?(.*)$/m.exec(unit)![1];
    const words = [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, plain]) =>
      (quoted ?? plain).replaceAll("%%", "%").replace(
        /\\x([\da-f]{2})|\\(.)/g,
        (_, hex, letter) => hex ? String.fromCharCode(parseInt(hex, 16)) : letter,
      )
    );
    assert.deepEqual(words, [program, "agent"], line);
    // systemd 252 looks for the program before it makes one percent sign of two
  }, ODD_UNIT.replaceAll("%", "")),
});
