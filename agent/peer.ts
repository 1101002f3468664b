/**
 * Whose program is at the other end of a loopback connection. Other users of the same computer can reach the loopback
 * address too; they are refused.
 *
 * Linux: the kernel's socket tables name the owner of each socket. Other systems: not checked yet, every peer counts
 * as ours.
 */

/** IPv4, and IPv6 for clients whose IPv6 socket speaks to an IPv4 address. */
const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"];

let tables: Deno.FsFile[] | undefined;

/**
 * Opens the kernel's tables, once for the life of the process. Deno wants all permissions for that: a program that
 * gives some up calls this before.
 */
export function openSocketTables(): void {
  if (tables || Deno.build.os !== "linux") return;
  tables = [];
  for (const path of TABLES) {
    try {
      tables.push(Deno.openSync(path));
    } catch (error) {
      // A kernel without IPv6 has no second table; without the first, nobody is let in.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** Whether the socket bound to `peerPort` and connected to our `port`, both on loopback, is this user's or root's. */
export function isOurUser(peerPort: number, port: number): boolean {
  if (!tables) return Deno.build.os !== "linux";
  for (const table of tables) {
    const owner = ownerOf(readTable(table), peerPort, port);
    if (owner !== null) return owner === Deno.uid() || owner === 0;
  }
  return false;
}

function readTable(file: Deno.FsFile): string {
  file.seekSync(0, Deno.SeekMode.Start);
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(64 * 1024);
  let text = "";
  for (let n = file.readSync(buffer); n; n = file.readSync(buffer)) {
    text += decoder.decode(buffer.subarray(0, n), { stream: true });
  }
  return text;
}

/**
 * The user id that owns the socket from `peerPort` to `port`; null where there is none, or none that a program still
 * holds (proc(5): such rows have inode 0 and say user 0).
 *
 * @param table text of `/proc/net/tcp` or `/proc/net/tcp6`
 */
export function ownerOf(table: string, peerPort: number, port: number): number | null {
  const local = hexPort(peerPort);
  const remote = hexPort(port);
  for (const line of table.split("\n")) {
    // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
    const fields = line.trim().split(/\s+/);
    if (fields.length < 10) continue;
    const [, localAddress, remoteAddress, , , , , uid, , inode] = fields;
    if (!isLoopback(localAddress) || !isLoopback(remoteAddress)) continue;
    if (localAddress.endsWith(local) && remoteAddress.endsWith(remote) && inode !== "0") {
      return Number(uid);
    }
  }
  return null;
}

const hexPort = (port: number) => ":" + port.toString(16).toUpperCase().padStart(4, "0");

/** 127.0.0.0/8, ::1, or 127.0.0.0/8 mapped into IPv6; words are in the byte order of the machine (little-endian). */
const isLoopback = (address: string) =>
  /^(0{16}FFFF0000)?[0-9A-F]{6}7F:/.test(address) || /^0{24}01000000:/.test(address);
