/** The audit log: signed and refused requests. */
import { useEffect, useState } from "preact/hooks";
import type { History as Page, HistoryEntry, HistoryReport } from "../../protocol/console.ts";
import type { Speech, Word } from "../../words/agent.ts";
import { Foreign, Origin, Section } from "../parts.tsx";
import { ask } from "./api.ts";
import { failure } from "./failure.ts";

const ACTIONS: Record<HistoryEntry["action"], Word> = {
  sign: "history_sign",
  authenticate: "history_authenticate",
  grant: "history_grant",
  revoke: "history_revoke",
  unlock: "history_unlock",
  change_pin: "history_change_pin",
};

/** @param shown read anew each time the person comes to look */
export function History({ speech, shown }: { speech: Speech; shown: boolean }) {
  const { say } = speech;
  const [entries, setEntries] = useState<HistoryEntry[]>([]);
  const [more, setMore] = useState(false);
  const [report, setReport] = useState<HistoryReport | "failed" | null>(null);
  async function load(before?: number) {
    const page = await ask<Page>("history", { before });
    setEntries((known) => before === undefined ? page.entries : [...known, ...page.entries]);
    setMore(page.more);
  }
  useEffect(() => {
    if (shown) load().catch(() => {}); // the agent is gone, and the page says so
  }, [shown]);
  return (
    <Section title={say("history_title")}>
      <div class="row">
        <p role="status">
          {report === null ? <span class="aside">{say("history_explain")}</span> : <Told />}
        </p>
        <span class="actions">
          <button
            type="button"
            class="secondary"
            onClick={() => ask<HistoryReport>("verify").then(setReport, () => setReport("failed"))}
          >
            {say("history_verify")}
          </button>
          <button type="button" class="secondary" onClick={() => load().catch(() => {})}>
            {say("history_reload")}
          </button>
        </span>
      </div>
      {entries.length === 0
        ? <p>{say("history_none")}</p>
        : (
          <div class="table" tabIndex={0} role="region" aria-label={say("history_title")}>
            <table>
              <thead>
                <tr>
                  {(["history_time", "history_what", "history_who", "history_outcome"] as const)
                    .map(
                      (word) => <th key={word} scope="col">{say(word)}</th>,
                    )}
                </tr>
              </thead>
              <tbody>
                {entries.map((entry) => <Row key={entry.number} entry={entry} speech={speech} />)}
              </tbody>
            </table>
          </div>
        )}
      {more && (
        <p>
          <button
            type="button"
            class="secondary"
            onClick={() => load(entries.at(-1)?.number).catch(() => {})}
          >
            {say("history_more")}
          </button>
        </p>
      )}
    </Section>
  );

  function Told() {
    if (report === "failed") return <strong class="bad">{say("error_unreachable")}</strong>;
    return report!.fault
      ? <strong class="bad">{say("history_fault", { ...report!.fault })}</strong>
      : <strong class="good">{say("history_sound", { count: report!.entries })}</strong>;
  }
}

function Row({ entry, speech }: { entry: HistoryEntry; speech: Speech }) {
  const { say, moment } = speech;
  const { documents = [], certificate, origin, outcome, format, scopes, token } = entry;
  const count = entry.documentCount ?? documents.length;
  const name = documents[0]?.name ?? token?.label;
  return (
    <tr>
      <td>{moment(entry.time)}</td>
      <td>
        <strong>{say(ACTIONS[entry.action])}</strong>
        {name && (
          <>
            {" "}
            <Foreign text={name} />
          </>
        )}
        {count > 1 && ` ${say("history_documents", { count })}`}
        {scopes && (
          <span class="aside">
            {" "}
            {scopes.map((scope) => say(`scope_${scope}`)).join("; ")}
          </span>
        )}
        {format && <span class="aside">{` ${format}`}</span>}
        {documents[0] && (
          <code class="hash" title={documents[0].hash}>{documents[0].hash.slice(0, 16)}…</code>
        )}
      </td>
      <td>
        {origin === null ? say("history_here") : <Origin origin={origin} />}
        {certificate && (
          <span class="aside">
            {" "}
            <Foreign text={certificate.name} />
          </span>
        )}
      </td>
      <td class={outcome === "done" ? "good" : outcome === "begun" ? undefined : "bad"}>
        {outcome === "done"
          ? say("history_done")
          : outcome === "begun"
          ? say("history_begun")
          : outcome === "user_cancelled"
          ? say("history_declined")
          : outcome === "request_cancelled"
          ? say("history_withdrawn")
          : outcome === "consent_timeout"
          ? say("history_timeout")
          : failure(speech, outcome)}
        {entry.signed !== undefined && (
          <span class="aside">
            {" "}
            {say("route_count", { done: entry.signed, quorum: count })}
          </span>
        )}
      </td>
    </tr>
  );
}
