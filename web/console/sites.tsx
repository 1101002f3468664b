/** Sites that the person, or the administrator, has allowed. */
import { useEffect, useState } from "preact/hooks";
import type { Site } from "../../protocol/console.ts";
import type { Speech } from "../../words/agent.ts";
import { Origin, Section } from "../parts.tsx";
import { originParts } from "../text.ts";
import { ask } from "./api.ts";

/** @param shown read anew each time the person comes to look */
export function Sites({ speech, shown }: { speech: Speech; shown: boolean }) {
  const { say, date } = speech;
  const [sites, setSites] = useState<Site[]>([]);
  /** The site that is to be revoked once this is confirmed. */
  const [asked, setAsked] = useState<string | null>(null);
  const [told, setTold] = useState("");
  const look = () => ask<Site[]>("sites").then(setSites, () => setTold(say("error_unreachable")));
  useEffect(() => {
    if (shown) look();
  }, [shown]);
  async function revoke(origin: string) {
    try {
      await ask("revoke", { origin });
      setTold(say("sites_revoked", { site: origin }));
    } catch {
      setTold(say("error_unreachable"));
    }
    setAsked(null);
    await look();
  }
  return (
    <Section title={say("sites_title")}>
      <p role="status">{told}</p>
      {sites.length === 0 && <p>{say("sites_none")}</p>}
      <ul class="plain">
        {sites.map(({ origin, scopes, grantedAt, expiresAt }) => {
          const { host } = originParts(origin);
          return (
            <li key={origin} class="row">
              <span class="facts">
                <span class="origin">
                  <Origin origin={origin} />
                </span>
                <ul class="scopes">
                  {scopes.map((scope) => <li key={scope}>{say(`scope_${scope}`)}</li>)}
                </ul>
                <span class="aside">
                  {grantedAt === null
                    ? say("trusted_by_administrator")
                    : say("trusted_since", { date: date(grantedAt) })}{" "}
                  {expiresAt !== null && say("grant_until", { date: date(expiresAt) })}
                </span>
              </span>
              {grantedAt !== null && (
                <span class="actions">
                  {asked === origin
                    ? (
                      <>
                        <button
                          type="button"
                          class="secondary"
                          onClick={() => setAsked(null)}
                        >
                          {say("sites_keep")}
                        </button>
                        <button type="button" class="danger" onClick={() => revoke(origin)}>
                          {say("sites_do_revoke")}
                        </button>
                      </>
                    )
                    : (
                      <button
                        type="button"
                        class="secondary"
                        aria-label={say("sites_revoke_one", { site: host })}
                        onClick={() => setAsked(origin)}
                      >
                        {say("sites_revoke")}
                      </button>
                    )}
                </span>
              )}
            </li>
          );
        })}
      </ul>
    </Section>
  );
}
