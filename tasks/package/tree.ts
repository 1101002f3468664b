/** Files of every Linux package, with their paths. */
import { desktopLines } from "../../words/desktop.ts";
import { HIDDEN_ENTRY } from "../../cli/autostart_entries.ts";
import { commandsOf, type Help, manPage } from "./man_page.ts";

/** A file of a package. */
export interface PackageFile {
  /** Below the root, without a leading slash. */
  path: string;
  mode: number;
  bytes: Uint8Array;
  /** Whether the administrator may change it, and an upgrade keeps that. */
  isConfig?: boolean;
}

/** Common facts of the packages of one build. */
export interface Release {
  version: string;
  /** Seconds since 1970 that all files bear (SOURCE_DATE_EPOCH). */
  epoch: number;
  arch: "x64" | "arm64";
}

const APPLICATION_ENTRY = `[Desktop Entry]
Type=Application
Name=D-Sign
${desktopLines("GenericName")}
${desktopLines("Comment")}
Exec=dsign
TryExec=dsign
Icon=dsign
Terminal=false
Categories=Office;Security;
Keywords=signature;token;DSC;smartcard;PKCS11;
`;

/** For all persons of the computer; removing `Hidden=true` starts the agent at everybody's login. */
export const AUTOSTART_ENTRY = HIDDEN_ENTRY.replace(
  "Hidden=true\n",
  `# Without the next line the agent starts whenever somebody logs in.
Hidden=true
TryExec=/usr/bin/dsign
Exec=/usr/bin/dsign agent
Icon=dsign
NoDisplay=true
`,
);

const text = (content: string) => new TextEncoder().encode(content);

/** gzip without a name and time in it: the same bytes for the same input. */
export async function gzip(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes as BlobPart]).stream();
  return await new Response(stream.pipeThrough(new CompressionStream("gzip"))).bytes();
}

/** Asks the program for the help of all its commands, and makes the manual page of them. */
export async function manPageOf(binary: string, { version, epoch }: Release): Promise<string> {
  const home = await Deno.makeTempDir({ prefix: "dsign-package-" });
  try {
    const help = async (...command: string[]): Promise<Help> => {
      const { success, stdout, stderr } = await new Deno.Command(binary, {
        args: [...command, "--help"],
        env: { HOME: home, XDG_CACHE_HOME: `${home}/.cache`, NO_COLOR: "1" },
        stdin: "null",
      }).output();
      if (!success) throw new Error(new TextDecoder().decode(stderr));
      return { command, text: new TextDecoder().decode(stdout) };
    };
    const main = await help();
    const all = await Promise.all(
      commandsOf(main.text).map(async (name) => {
        const own = await help(name);
        const inner = commandsOf(own.text);
        return inner.length === 0
          ? [own]
          : await Promise.all(inner.map((each) => help(name, each)));
      }),
    );
    return manPage(main, all.flat(), version, new Date(epoch * 1000).toISOString().slice(0, 10));
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

/** The files of every Linux package. */
export async function packageTree(
  parts: { binary: Uint8Array; man: string; icon: string; changelog: string; notices: string },
): Promise<PackageFile[]> {
  const file = (path: string, bytes: Uint8Array, mode = 0o644) => ({ path, mode, bytes });
  return [
    {
      ...file("etc/xdg/autostart/dsign.desktop", text(AUTOSTART_ENTRY)),
      isConfig: true,
    },
    file("usr/bin/dsign", parts.binary, 0o755),
    file("usr/share/applications/dsign.desktop", text(APPLICATION_ENTRY)),
    file("usr/share/doc/dsign/changelog.gz", await gzip(text(parts.changelog))),
    file("usr/share/doc/dsign/copyright", text(parts.notices)),
    file("usr/share/icons/hicolor/scalable/apps/dsign.svg", text(parts.icon)),
    file("usr/share/man/man1/dsign.1.gz", await gzip(text(parts.man))),
  ];
}

/** Lays the files out in a folder, with everything's time at `epoch`. Rights do not depend on the umask. */
export async function layOut(folder: string, files: PackageFile[], epoch: number): Promise<void> {
  const folders = new Set([folder]);
  for (const { path, mode, bytes } of files) {
    const names = path.split("/").slice(0, -1);
    for (let i = 1; i <= names.length; i++) folders.add(`${folder}/${names.slice(0, i).join("/")}`);
    await Deno.mkdir(`${folder}/${names.join("/")}`, { recursive: true });
    await Deno.writeFile(`${folder}/${path}`, bytes);
    await Deno.chmod(`${folder}/${path}`, mode);
    await Deno.utime(`${folder}/${path}`, epoch, epoch);
  }
  // the inner ones first: making a file changes the time of its folder
  for (const each of [...folders].sort().reverse()) {
    await Deno.chmod(each, 0o755);
    await Deno.utime(each, epoch, epoch);
  }
}

/** Runs a program that makes packages. */
export async function runTool(
  program: string,
  debian: string,
  args: string[],
  env: Record<string, string>,
): Promise<void> {
  let output;
  try {
    output = await new Deno.Command(program, { args, env: { LC_ALL: "C", ...env }, stdin: "null" })
      .output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(`${program} is missing: install the Debian package ${debian}`);
  }
  if (!output.success) {
    const said = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
    throw new Error(`${program}: ${said.join("")}`);
  }
}
