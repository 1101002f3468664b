/** Finds who may write to a file on Windows from its security descriptor as text (MS-DTYP §2.5.1). */

/** How far a file can be trusted; `writable`: an administrator owns it, but others can change it. */
export type Trust = "administrator" | "foreign" | "writable";

/** Administrators, the system, the installer of Windows. */
const ADMINISTRATORS = [
  /^(?:BA|S-1-5-32-544)$/,
  /^(?:SY|S-1-5-18)$/,
  /^(?:LA|S-1-5-21-[\d-]+-500)$/,
  /^(?:DA|S-1-5-21-[\d-]+-512)$/,
  /^S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464$/,
];

/** Rights to change a file's content, its permissions or its owner. */
const WRITING_NAMES = ["FA", "FW", "GA", "GW", "SD", "WD", "WO", "DC", "LC", "DT", "KA", "KW"];
/** FILE_WRITE_DATA, FILE_APPEND_DATA, FILE_DELETE_CHILD, DELETE, WRITE_DAC, WRITE_OWNER, GENERIC_ALL, GENERIC_WRITE */
const WRITING_BITS = 0x2 | 0x4 | 0x40 | 0x10000 | 0x40000 | 0x80000 | 0x10000000 | 0x40000000;

/**
 * Judges whether only administrators can have written a file.
 *
 * @param sddl e.g. `O:BAG:SYD:PAI(A;;FA;;;BA)(A;;0x1200a9;;;BU)`; anything not understood counts as unsafe
 */
export function sddlTrust(sddl: string): Trust {
  const owner = /^O:(S-1-[\d-]+|[A-Z]{2})(?=[GDS]:|$)/.exec(sddl)?.[1];
  if (!owner || !isAdministrator(owner)) return "foreign";
  const list = /D:[A-Z_]*((?:\([^()]*\))*)(?:S:.*)?$/.exec(sddl);
  // Without a list everybody has every right.
  if (!list || /D:[A-Z_]*NO_ACCESS_CONTROL/.test(sddl)) return "writable";
  const entries = list[1].match(/\([^()]*\)/g) ?? [];
  return entries.every((entry) => isHarmless(entry.slice(1, -1))) ? "administrator" : "writable";
}

const isAdministrator = (sid: string) => ADMINISTRATORS.some((known) => known.test(sid));

/** Whether an access control entry lets only administrators write. */
function isHarmless(entry: string): boolean {
  const [type, flags = "", rights = "", , , sid = ""] = entry.split(";");
  if (type === "D" || type === "OD") return true;
  // IO (inherit only): no effect on the file itself
  if (flags.match(/../g)?.includes("IO") || isAdministrator(sid)) return true;
  if (/^0x[\da-f]+$/i.test(rights)) return (Number(rights) & WRITING_BITS) === 0;
  const names = rights.match(/../g) ?? [];
  return names.join("") === rights && !names.some((name) => WRITING_NAMES.includes(name));
}
