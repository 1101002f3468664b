/** The entries that make each system start a program at login. Pure: text from a command. */
import { escapeText } from "../formats/xml/escape.ts";
import { desktopLines } from "../words/desktop.ts";

/** A control character would break a line of these formats. */
function refuseControls(command: readonly string[]): void {
  // deno-lint-ignore no-control-regex -- refused here
  if (command.some((part) => /[\u0000-\u001f\u007f]/.test(part))) {
    throw new RangeError("a path or argument contains control characters");
  }
}

/**
 * An entry for `autostart/` of the XDG Desktop Application Autostart Specification.
 *
 * @param command absolute path of the program, then its arguments
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

/** An entry that disables the administrator's entry of the same name. */
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
 * A unit for `systemd/user/`, as an alternative to the XDG entry: it restarts the program after a crash.
 *
 * @param command absolute path of the program, then its arguments
 * @throws {RangeError} for control characters; for quotes and backslashes in the program's path
 */
export function systemdUnit(command: readonly string[]): string {
  refuseControls(command);
  const [program, ...args] = command;
  if (/["'\\]/.test(program)) {
    throw new RangeError("systemd cannot start a program with a quote or a backslash in its path");
  }
  // systemd.service(5), "Command lines": variables are expanded in arguments, not in the program's path.
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
 * @param command absolute path of the program, then its arguments
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

/** Longest command that Windows starts from the Run key, in characters. */
const RUN_KEY_LIMIT = 260;

/**
 * A command line for the Run key, to be stored as REG_SZ: REG_EXPAND_SZ would expand `%`.
 *
 * @param command absolute path of the program, then its arguments
 * @throws {RangeError} for control characters, and for a line longer than Windows accepts
 */
export function runKeyLine(command: readonly string[]): string {
  refuseControls(command);
  const line = command.map(windowsQuote).join(" ");
  if (line.length > RUN_KEY_LIMIT) {
    throw new RangeError(`the command is longer than ${RUN_KEY_LIMIT} characters`);
  }
  return line;
}

/** Quotes for CommandLineToArgvW, which reads doubled backslashes only before a quote. */
function windowsQuote(part: string): string {
  if (/^[^\s"]+$/.test(part)) return part;
  return `"${part.replace(/(\\*)"/g, '$1$1\\"').replace(/\\+$/, "$&$&")}"`;
}
