/** The doctor's findings in words. */
import { DOCTOR_WORDS } from "../../words/doctor.ts";
import type { Language } from "../../words/speech.ts";
import { type CheckStatus, type Finding, type Ticket, TICKETS } from "./tickets.ts";

/** A finding in words. `meaning` and `action` are empty if there is nothing to do. */
export interface Check {
  id: Ticket;
  status: CheckStatus;
  seen: string;
  meaning: string;
  action: string;
}

/** Puts findings into words, in the order of {@linkcode TICKETS}. */
export function toChecks(findings: readonly Finding[], language: Language): Check[] {
  const words = DOCTOR_WORDS[language];
  const sorted = [...findings].sort((a, b) => TICKETS.indexOf(a.id) - TICKETS.indexOf(b.id));
  return sorted.map(({ id, status, values = {} }) => {
    const ticket = words.tickets[id];
    if (status === "ok") return { id, status, seen: ticket.ok, meaning: "", action: "" };
    if (status === "skipped") return { id, status, seen: words.skipped, meaning: "", action: "" };
    // A placeholder in quotes is a word of a shell command.
    const fill = (text: string) =>
      text.replace(/'\{(\w+)\}'|\{(\w+)\}/g, (place, word, name) => {
        const value = `${values[word ?? name] ?? place}`;
        return word ? `'${value.replaceAll("'", `'\\''`)}'` : value;
      });
    return {
      id,
      status,
      seen: fill(ticket.seen),
      meaning: fill(ticket.meaning),
      action: fill(ticket.action),
    };
  });
}
