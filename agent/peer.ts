/**
 * Whose program is at the other end of a loopback connection. Other users of the same computer can reach the loopback
 * address too; they are refused.
 *
 * Linux: the kernel's socket tables name the owner of each socket. Other systems: not checked yet, every peer counts
 * as ours.
 */

import { Buffer } from "node:buffer";

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
      // A kernel without IPv6 has no second table. Without the first one, refuse everybody.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** A reading of the tables that has not begun: it serves all who ask until then. */
let next: Promise<string[]> | undefined;
let reading: Promise<unknown> = Promise.resolve();

/** Root counts as the same user. `unknown`: the connection has ended, or its owner was not found. */
export type Peer = "ours" | "other" | "unknown";

/**
 * The owner of the socket that is bound to `peerPort` and connected to our `port`, both on 127.0.0.1.
 *
 * The tables are as long as there are connections on the computer, and a program can make many: they are read off the
 * main thread, one reading at a time for all who wait.
 */
export async function findPeer(peerPort: number, port: number): Promise<Peer> {
  if (!tables) return Deno.build.os === "linux" ? "unknown" : "ours";
  // While others connect, a row can move between two pieces of the table as it is read, and be missed.
  const owner = await findOwner(tables, peerPort, port) ?? await findOwner(tables, peerPort, port);
  if (owner === null) return "unknown";
  return owner === Deno.uid() || owner === 0 ? "ours" : "other";
}

async function findOwner(
  files: Deno.FsFile[],
  peerPort: number,
  port: number,
): Promise<number | null> {
  next ??= reading.then(() => {
    // Who asks from now on may have connected after the reading began.
    next = undefined;
    const texts = Promise.all(files.map(readTable));
    reading = texts.catch(() => {});
    return texts;
  });
  for (const table of await next) {
    const owner = ownerOf(table, peerPort, port);
    if (owner !== null) return owner;
  }
  return null;
}

async function readTable(file: Deno.FsFile): Promise<string> {
  await file.seek(0, Deno.SeekMode.Start);
  // The kernel gives a page at a time, however much is asked for: one buffer for all of them.
  let table = Buffer.alloc(64 * 1024);
  let length = 0;
  for (;;) {
    if (length === table.length) table = Buffer.concat([table], 2 * length);
    const n = await file.read(table.subarray(length));
    if (!n) return table.toString("latin1", 0, length);
    length += n;
  }
}

/**
 * The user id that owns the socket from `peerPort` to `port`; null if there is none, or none that a program still
 * holds (proc(5): such rows have inode 0 and say user 0).
 *
 * @param table text of `/proc/net/tcp` or `/proc/net/tcp6`
 */
export function ownerOf(table: string, peerPort: number, port: number): number | null {
  const [local, remote] = [hexPort(peerPort), hexPort(port)];
  for (const address of LOOPBACK) {
    // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode; 01: established (net/tcp_states.h)
    const at = table.indexOf(` ${address}${local} ${address}${remote} 01 `);
    if (at < 0) continue;
    const [, , , , , , uid, , inode] = table.slice(at, at + ROW).trim().split(/\s+/);
    if (inode !== "0") return Number(uid);
  }
  return null;
}

/** Longer than the part of a row that is read. */
const ROW = 200;

const hexPort = (port: number) => ":" + port.toString(16).toUpperCase().padStart(4, "0");

/** 127.0.0.1, and the same mapped into IPv6; words are in the byte order of the machine (little-endian). */
const LOOPBACK = ["0100007F", "0000000000000000FFFF00000100007F"];
