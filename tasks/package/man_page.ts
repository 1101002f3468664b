/** The manual page, made from what the commands' `--help` says. Pure: text to text (groff_man(7)). */

/** A command's help: its arguments after `dsign`, and what `--help` printed. */
export interface Help {
  command: string[];
  text: string;
}

interface Parts {
  usage: string;
  description: string;
  /** `Options`, `Arguments`, `Commands`, and their terms. */
  lists: { title: string; items: [term: string, description: string][] }[];
  /** Paragraphs after these. */
  rest: string[];
}

/** Takes a help text apart, as commander lays it out. */
function readHelp(text: string): Parts {
  const parts: Parts = { usage: "", description: "", lists: [], rest: [] };
  for (const block of text.trimEnd().split(/\n{2,}/)) {
    const [first, ...lines] = block.split("\n");
    const title = /^(Options|Arguments|Commands):$/.exec(first)?.[1];
    if (first.startsWith("Usage: ")) parts.usage = [first.slice(7), ...lines].join(" ");
    else if (title !== undefined) parts.lists.push({ title, items: itemsOf(lines) });
    else if (parts.description === "" && parts.lists.length === 0) {
      parts.description = [first, ...lines].join(" ");
    } else parts.rest.push(block);
  }
  return parts;
}

/** `  term   description`, with lines that go on further to the right. */
function itemsOf(lines: string[]): [string, string][] {
  const items: [string, string][] = [];
  for (const line of lines) {
    const [, term, description] = /^ {2}(\S.*?)(?: {2,}(\S.*))?$/.exec(line) ?? [];
    if (term !== undefined) items.push([term, description ?? ""]);
    else {
      const last = items.at(-1)!;
      last[1] = `${last[1]} ${line.trim()}`.trim();
    }
  }
  return items;
}

/** Names of the commands that a help text lists. */
export function commandsOf(text: string): string[] {
  return readHelp(text).lists
    .filter(({ title }) => title === "Commands")
    .flatMap(({ items }) => items.map(([term]) => term.split(" ")[0]))
    .filter((name) => name !== "help");
}

/** Text as groff reads it: no requests, no escapes, hyphens that can be copied. */
function roff(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replace(/^(['.])/gm, "\\&$1");
}

/** Lines shown verbatim. */
const literal = (text: string) => `.nf\n${roff(text)}\n.fi\n`;

const list = (items: [string, string][]) =>
  items.map(([term, description]) => `.TP\n.B ${roff(term)}\n${roff(description)}\n`).join("");

/**
 * @param main help of `dsign` itself
 * @param commands helps of its commands, in their order
 * @param date `2026-11-21`
 */
export function manPage(main: Help, commands: Help[], version: string, date: string): string {
  const { description, lists, rest } = readHelp(main.text);
  const options = lists.find(({ title }) => title === "Options")?.items ?? [];
  let page = `.TH DSIGN 1 ${date} "dsign ${version}" "User Commands"
.SH NAME
dsign \\- signs documents and data with the keys on this computer's tokens
.SH SYNOPSIS
.B dsign
.RI [ options ]
.RI [ command ]
.SH DESCRIPTION
${roff(description)}
.PP
${roff("Without a command it starts the agent, which answers web pages, and opens its console.")}
.SH OPTIONS
${list(options)}.SH COMMANDS
`;
  for (const { text } of commands) {
    const { usage, description, lists, rest } = readHelp(text);
    page += `.SS ${roff(usage)}\n${roff(description)}\n`;
    for (const { title, items } of lists) if (title !== "Commands") page += list(items);
    for (const block of rest) page += `.PP\n${literal(block)}`;
  }
  for (const block of rest) {
    const [title, ...lines] = block.split("\n");
    page += `.SH ${roff(title.replace(/:$/, "").toUpperCase())}\n${literal(lines.join("\n"))}`;
  }
  return `${page}.SH FILES
.TP
.I ~/.config/dsign/config.json
${roff("What a person has set.")}
.TP
.I /etc/dsign/policy.json
${roff("What the administrator has set for all; it wins.")}
.TP
.I ~/.local/state/dsign
${roff("Grants of sites, audit log, log.")}
`;
}
