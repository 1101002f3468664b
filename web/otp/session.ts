/**
 * What this tab remembers of the ticket it was opened with: a reload, Back, or a tab that the phone threw away goes on where
 * it was, or says that it is over. The ticket stands in the tab's own storage, not in its address: the browser's history may
 * be synchronised with other computers.
 */

/** In the address instead of the ticket. */
const MARK = "#signing";
const KEY = "dsign.otp";

interface Remembered {
  /** Absent: it is over. */
  ticket?: string;
  /** Where "back to the portal" leads. */
  portal?: string;
}

export interface Session {
  /** How the page starts: with a ticket, with one that is over, or, without a ticket, with changing the PIN. */
  readonly begin: { ticket: string } | "over" | "change";
  /** The front door of the portal, where it is known. */
  readonly portal: string | undefined;
  /** Goes on with another ticket, or with what is known now about this one. */
  enter(ticket: string, portal?: string): void;
  /** Nothing is to be done with the ticket any more. */
  end(): void;
}

/** Reads the address and the tab's storage. */
export function openSession(): Session {
  let remembered: Remembered = {};
  const save = (value: Remembered) => {
    remembered = value;
    try {
      sessionStorage.setItem(KEY, JSON.stringify(value));
    } catch {
      // A browser that keeps nothing: a reload will say that it is over.
    }
  };
  const { hash, pathname } = location;
  const given = hash.slice(1);
  if (hash === MARK) {
    try {
      remembered = JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
    } catch {
      // as above
    }
  } else if (given !== "") {
    save({ ticket: given });
    history.replaceState(null, "", pathname + MARK);
  }
  const { ticket } = remembered;
  return {
    begin: ticket !== undefined ? { ticket } : given === "" ? "change" : "over",
    get portal() {
      return remembered.portal;
    },
    enter(ticket, portal = remembered.portal) {
      save({ ticket, portal });
      history.replaceState(null, "", pathname + MARK);
    },
    end: () => save({ portal: remembered.portal }),
  };
}
