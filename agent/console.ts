/** The console's requests: sites, history, settings. Only the agent's own pages reach this (server.ts). */
import * as z from "zod";
import type { ConsoleSettings, History, HistoryReport, Site } from "../protocol/console.ts";
import type { Audit } from "../signing/audit.ts";
import { toDsignError } from "../signing/errors.ts";
import { json, read } from "./first_start.ts";
import type { Origins } from "./origins.ts";
import { type ConsolePins, PinTaskRequest } from "./console_pins.ts";
import type { KeyFiles } from "./key_files.ts";
import { holderOf } from "./port_holder.ts";
import type { Roots } from "./roots.ts";

/** The person's settings, except for the phrase. */
export interface Settings {
  language(): string;
  keepLanguage(language: string): Promise<void>;
  /** Ends the agent once what it is asked for now is answered. */
  quit(): void;
}

/** Entries of the history that are shown at a time. */
const PAGE = 50;

const RevokeRequest = z.strictObject({ origin: z.string() });
const HistoryRequest = z.strictObject({ before: z.int().optional() });
const LanguageRequest = z.strictObject({ language: z.enum(["en", "bn", "hi"]) });

export class ConsolePages {
  /** @param ended called when a site may do nothing more */
  constructor(
    readonly origins: Origins,
    readonly audit: Audit,
    readonly settings: Settings | undefined,
    readonly takenPorts: readonly number[],
    readonly roots: Roots,
    readonly pins: ConsolePins,
    readonly keyFiles: KeyFiles | undefined,
    readonly ended: (origin: string) => void,
  ) {}

  /** null: not a request of the console. */
  async respond(request: Request, path: string): Promise<Response | null> {
    try {
      if (request.method === "POST" && /^\/console\/roots(\/|$)/.test(path)) {
        return await this.roots.respond(request, path);
      }
      if (request.method === "POST" && /^\/console\/key-files(\/|$)/.test(path)) {
        return await this.keyFiles?.respond(request, path) ?? json({}, 404);
      }
      switch (`${request.method} ${path}`) {
        case "POST /console/sites":
          return json(this.origins.list() satisfies Site[]);
        case "POST /console/ports":
          return json(await Promise.all(this.takenPorts.map(holderOf)));
        case "POST /console/pins":
          return json(await this.pins.list());
        case "POST /console/pin":
          await this.pins.ask(await read(request, PinTaskRequest), request.signal);
          return json({});
        case "POST /console/revoke":
          await this.#revoke((await read(request, RevokeRequest)).origin);
          return json({});
        case "POST /console/history":
          return json(await this.#history(await read(request, HistoryRequest)));
        case "POST /console/verify": {
          const { entries, fault } = await this.audit.verify();
          const report: HistoryReport = {
            entries,
            fault: fault && { file: fault.file, line: fault.line },
          };
          return json(report);
        }
        case "POST /console/settings": {
          if (!this.settings) return json({}, 404);
          return json({ language: this.settings.language() } satisfies ConsoleSettings);
        }
        case "POST /console/quit":
          if (!this.settings) return json({}, 404);
          this.settings.quit();
          return json({});
        case "POST /console/language":
          if (!this.settings) return json({}, 404);
          await this.settings.keepLanguage((await read(request, LanguageRequest)).language);
          return json({});
      }
    } catch (error) {
      const failure = toDsignError(error);
      return json(failure.toJSON(), failure.code === "invalid_params" ? 400 : 500);
    }
    return null;
  }

  async #revoke(origin: string): Promise<void> {
    const scopes = this.origins.get(origin)?.scopes;
    await this.origins.revoke(origin);
    this.ended(origin);
    await this.audit.record({ action: "revoke", origin, scopes, outcome: "done" });
  }

  async #history({ before }: { before?: number }): Promise<History> {
    const entries = await this.audit.newest(PAGE + 1, before);
    return {
      entries: entries.slice(0, PAGE).map(({ previous: _, hash: __, ...entry }) => entry),
      more: entries.length > PAGE,
    };
  }
}
