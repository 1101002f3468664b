/** The entries that make each system start a program at login. Pure: text from a command. */
import { escapeText } from "../formats/xml/document.ts";
import { desktopLines } from "../words/desktop.ts";

/** Letters that no path or argument of ours has, and that would break a line of these formats. */
function refuseControls(command: readonly string[]): void {
  // deno-lint-ignore no-control-regex -- they are what is refused
  if (command.some((part) => /[\u0000-\u001f\u007f]/.test(part))) {
    throw new RangeError("a path with control characters cannot be started automatically");
  }
}

/**
 * An entry for `autostart/` of the XDG Desktop Application Autostart Specification.
 *
 * @param command absolute program, and arguments
 * @throws {RangeError} for control characters
 */
export function desktopEntry(command: readonly string[]): string {
  refuseControls(command);
  return `[Desktop Entry]
Type=Application
Name=D-Sign
${desktopLines("Comment")}
TryExec=${desktopString(command[0])}
Exec=${command.map((part) => desktopString(desktopQuote(part))).join(" ")}
Icon=dsign
Terminal=false
NoDisplay=true
`;
}

/** An entry that says no, where one of the administrator's says yes. */
export const HIDDEN_ENTRY = `[Desktop Entry]
Type=Application
Name=D-Sign
Hidden=true
`;

/** Desktop Entry Specification, "The Exec key": quoted, with field codes made harmless. */
function desktopQuote(part: string): string {
  const plain = part.replaceAll("%", "%%");
  return /^[\w@%+=:,./-]+$/.test(plain) ? plain : `"${plain.replace(/["\`$\\]/g, "\\$&")}"`;
}

/** Desktop Entry Specification, "Possible value types": a backslash is an escape in every string. */
const desktopString = (text: string) => text.replaceAll("\\", "\\\\");

/**
 * A unit for `systemd/user/`, in the place of the XDG entry: it starts again what crashed.
 *
 * @param command absolute program, and arguments
 * @throws {RangeError} for control characters; for quotes and backslashes in the program's path
 */
export function systemdUnit(command: readonly string[]): string {
  refuseControls(command);
  const [program, ...args] = command;
  if (/["'\\]/.test(program)) {
    throw new RangeError("systemd starts no program with a quote or a backslash in its path");
  }
  // systemd.service(5), "Command lines": variables are filled in in arguments, but not in the program's own path.
  const line = [
    systemdQuote(program),
    ...args.map((part) => systemdQuote(part).replaceAll("$", "$$$$")),
  ];
  return `[Unit]
Description=D-Sign, signing agent
PartOf=graphical-session.target
After=graphical-session.target

[Service]
ExecStart=${line.join(" ")}
# Not on an exit code of its own: where an agent runs already, this one ends.
Restart=on-abnormal
RestartSec=2

[Install]
WantedBy=graphical-session.target
`;
}

/** systemd.syntax(7), "Quoting"; systemd.unit(5), "Specifiers". */
const systemdQuote = (part: string) =>
  `"${part.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%")}"`;

/**
 * A property list for `Library/LaunchAgents/`.
 *
 * @param command absolute program, and arguments
 * @throws {RangeError} for control characters
 */
export function launchAgent(label: string, command: readonly string[]): string {
  refuseControls(command);
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${escapeText(label)}</string>
  <key>ProgramArguments</key>
  <array>
${command.map((part) => `    <string>${escapeText(part)}</string>`).join("\n")}
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>LimitLoadToSessionType</key>
  <string>Aqua</string>
  <key>ProcessType</key>
  <string>Interactive</string>
</dict>
</plist>
`;
}

/** Windows does not start a command of the Run key that is longer. */
const RUN_KEY_LIMIT = 260;

/**
 * A command line for the Run key, to be stored as REG_SZ: REG_EXPAND_SZ would fill in `%`.
 *
 * @param command absolute program, and arguments
 * @throws {RangeError} for control characters, and where the line is longer than Windows takes
 */
export function runKeyLine(command: readonly string[]): string {
  refuseControls(command);
  const line = command.map(windowsQuote).join(" ");
  if (line.length > RUN_KEY_LIMIT) {
    throw new RangeError(`Windows starts no command of more than ${RUN_KEY_LIMIT} letters`);
  }
  return line;
}

/** As CommandLineToArgvW reads it: backslashes are doubled before a quote alone. */
function windowsQuote(part: string): string {
  if (/^[^\s"]+$/.test(part)) return part;
  return `"${part.replace(/(\\*)"/g, '$1$1\\"').replace(/\\+$/, "$&$&")}"`;
}
