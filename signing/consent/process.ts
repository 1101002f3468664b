/** Programs that ask the person: started so that they end with what they started themselves. */

/** Options of a program that leads a group of its own, where the system has groups. */
export const OWN_GROUP = { detached: Deno.build.os !== "windows" };

/** Ends a program and, where it leads a group, all that it started: a wrapper's child would hold its pipe. */
export function endGroup(child: Deno.ChildProcess): void {
  if (Deno.build.os !== "windows") {
    try {
      return Deno.kill(-child.pid, "SIGTERM");
    } catch {
      // It leads no group, or it has ended: so may have what it started.
    }
  }
  try {
    child.kill();
  } catch {
    // It has ended already.
  }
}
