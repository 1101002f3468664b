/** Whether the person works here through a remote desktop: then the token has to be forwarded to this session. */
import type { Machine } from "./machine.ts";
import { type Finding, ok } from "./tickets.ts";

/** Variables that ways into a session set, and how the value begins. */
const WAYS: readonly [name: string, begins: string, way: string][] = [
  ["SESSIONNAME", "RDP-", "RDP"],
  ["SESSIONNAME", "ICA-", "Citrix"],
  ["XRDP_SESSION", "", "xrdp"],
  ["XRDP_SOCKET_PATH", "", "xrdp"],
  ["VNCDESKTOP", "", "VNC"],
  ["SSH_CONNECTION", "", "SSH"],
];

/** @param hasToken whether a token has reached this session; a key file is here already */
export function checkRemoteSession(machine: Pick<Machine, "env">, hasToken: boolean): Finding {
  const way = WAYS.find(([name, begins]) => (machine.env(name) || undefined)?.startsWith(begins))
    ?.[2];
  if (way === undefined || hasToken) return ok("token_not_forwarded");
  return { id: "token_not_forwarded", status: "error", values: { session: way } };
}
