/** Which file of a release a person needs: the release's manifest, and what the browser tells of the computer. */

/** A file of a release. */
export interface ReleaseFile {
  /** As in `x86_64-unknown-linux-gnu`. */
  target: string;
  name: string;
  url: string;
  /** Bytes. */
  size: number;
  /** Hex. */
  sha256: string;
}

/** A release, as shown on the page. */
export interface Release {
  version: string;
  files: ReleaseFile[];
}

/**
 * Reads the manifest that `deno task manifest` makes. Its signature is for the program's own check: this page comes from
 * the same server as the manifest, and could say anything.
 *
 * @param base address of the page; a file's own may be relative to it
 * @returns null where it is none
 */
export function readRelease(text: string, base: string): Release | null {
  try {
    const { payload } = JSON.parse(text);
    const bytes = Uint8Array.from(
      atob(payload.replaceAll("-", "+").replaceAll("_", "/")),
      (letter) => letter.charCodeAt(0),
    );
    const { version, files } = JSON.parse(new TextDecoder().decode(bytes));
    const isText = (value: unknown) => typeof value === "string";
    const isFile = (file: Record<string, unknown>) =>
      [file.target, file.name, file.url, file.sha256].every(isText) &&
      typeof file.size === "number" && /^https?:$/.test(new URL(file.url as string, base).protocol);
    return isText(version) && files.every(isFile) ? { version, files } : null;
  } catch {
    return null;
  }
}

/** The browser's facts about the computer; only Chromium has `userAgentData`. */
export interface Browser {
  userAgent: string;
  userAgentData?: {
    platform: string;
    mobile?: boolean;
    getHighEntropyValues(hints: string[]): Promise<{ architecture?: string }>;
  };
}

export type System = "windows" | "macos" | "linux" | "other";

/** The computer's system and, where the browser tells it, its kind of processor. */
export async function detect(
  { userAgent, userAgentData }: Browser,
): Promise<{ system: System; arch: "x86_64" | "aarch64" | null }> {
  const platform = userAgentData?.platform ?? "";
  const isPhone = userAgentData?.mobile || /Android|iPhone|iPad|CrOS/.test(userAgent);
  const system = isPhone
    ? "other"
    : platform === "Windows" || /Windows NT/.test(userAgent)
    ? "windows"
    : platform === "macOS" || /Macintosh/.test(userAgent)
    ? "macos"
    : platform === "Linux" || /Linux/.test(userAgent)
    ? "linux"
    : "other";
  // All browsers of a Mac call its processor Intel; only this question is answered truly.
  const { architecture } = await userAgentData?.getHighEntropyValues(["architecture"]) ?? {};
  const arch = architecture === "arm" || /aarch64|arm64/i.test(userAgent)
    ? "aarch64"
    : architecture === "x86" || (system !== "macos" && /x86_64|x64|Win64/.test(userAgent))
    ? "x86_64"
    : null;
  return { system, arch };
}

const MARKS: Record<System, string | null> = {
  windows: "-windows-",
  macos: "-apple-",
  linux: "-linux-",
  other: null,
};

/** The system that a file is for. */
export const systemOf = ({ target }: ReleaseFile): System =>
  (Object.keys(MARKS) as System[]).find((system) => target.includes(MARKS[system] ?? "\0")) ??
    "other";

/** Which Linux a file is for, by its ending: browsers do not tell. The names are the same in all languages. */
const LINUXES: readonly [ending: string, name: string][] = [
  [".deb", "Debian, Ubuntu"],
  [".rpm", "Fedora, RHEL"],
  [".tar.gz", "Linux"],
];

/** The Linux that a file is for; empty where it is for another system. */
export const linuxOf = ({ name }: ReleaseFile): string =>
  LINUXES.find(([ending]) => name.endsWith(ending))?.[1] ?? "";

const rankOf = ({ name }: ReleaseFile): number =>
  LINUXES.findIndex(([ending]) => name.endsWith(ending));

/** Files that fit the computer, those for the most usual Linux first. An unknown processor excludes none. */
export function fittingFiles(
  files: readonly ReleaseFile[],
  { system, arch }: Awaited<ReturnType<typeof detect>>,
): ReleaseFile[] {
  return files.filter((file) =>
    system !== "other" && systemOf(file) === system &&
    (arch === null || file.target.startsWith(arch))
  ).sort((a, b) => rankOf(a) - rankOf(b));
}

/** The command that prints a file's SHA-256 on a system. */
export function checkCommand(file: ReleaseFile): string {
  switch (systemOf(file)) {
    case "windows":
      return `certutil -hashfile ${file.name} SHA256`;
    case "macos":
      return `shasum -a 256 ${file.name}`;
    default:
      return `sha256sum ${file.name}`;
  }
}
