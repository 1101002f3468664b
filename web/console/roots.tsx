/** Root certificates by which signatures are verified: seen, added from a file, removed. */
import { useEffect, useState } from "preact/hooks";
import type { Root } from "../../protocol/console.ts";
import type { Speech, Word } from "../../words/agent.ts";
import { FileButton, Foreign, Section } from "../parts.tsx";
import { commonNameOf } from "../text.ts";
import { ask, base64Of } from "./api.ts";

const REFUSALS: Record<NonNullable<Root["refused"]>, Word> = {
  issued_by_another: "roots_refused_issued",
  not_an_authority: "roots_refused_authority",
  not_self_signed: "roots_refused_signed",
  of_trial: "roots_refused_trial",
};

export function Roots({ speech }: { speech: Speech }) {
  const { say } = speech;
  const [roots, setRoots] = useState<Root[]>([]);
  /** A file that was chosen, in Base64, and the certificates in it. */
  const [chosen, setChosen] = useState<{ file: string; roots: Root[] } | null>(null);
  /** The fingerprint of the root that is to be removed once this is confirmed. */
  const [asked, setAsked] = useState<string | null>(null);
  const [told, setTold] = useState("");
  const look = () => ask<Root[]>("roots").then(setRoots, () => setTold(say("error_unreachable")));
  useEffect(() => {
    look();
  }, []);
  async function choose(given: File) {
    setTold("");
    try {
      const file = await base64Of(given);
      setChosen({ file, roots: await ask<Root[]>("roots/read", { file }) });
    } catch {
      setChosen(null);
      setTold(say("roots_unreadable", { file: given.name }));
    }
  }
  async function act(name: string, body: unknown, done: string) {
    try {
      await ask(name, body);
      setTold(done);
    } catch {
      setTold(say("error_unreachable"));
    }
    setChosen(null);
    setAsked(null);
    await look();
  }
  return (
    <Section title={say("roots_title")}>
      <p class="aside">{say("roots_explain")}</p>
      <p role="status">
        <Foreign text={told} />
      </p>
      {roots.length === 0 && <p>{say("roots_none")}</p>}
      <ul class="plain">
        {roots.map((root) => {
          const name = commonNameOf(root.subject);
          return (
            <li key={root.sha256} class="row">
              <Facts root={root} speech={speech} />
              {root.isAdministrators
                ? <span class="aside">{say("roots_administrator")}</span>
                : (
                  <span class="actions">
                    {asked === root.sha256
                      ? (
                        <>
                          <button type="button" class="secondary" onClick={() => setAsked(null)}>
                            {say("sites_keep")}
                          </button>
                          <button
                            type="button"
                            class="danger"
                            onClick={() =>
                              act(
                                "roots/remove",
                                { sha256: root.sha256 },
                                say("roots_removed", { root: name }),
                              )}
                          >
                            {say("roots_do_remove")}
                          </button>
                        </>
                      )
                      : (
                        <button
                          type="button"
                          class="secondary"
                          aria-label={say("roots_remove_one", { root: name })}
                          onClick={() => setAsked(root.sha256)}
                        >
                          {say("roots_remove")}
                        </button>
                      )}
                  </span>
                )}
            </li>
          );
        })}
      </ul>
      <p>
        <FileButton
          label={say("roots_choose")}
          secondary
          accept=".crt,.cer,.pem,.der,application/x-x509-ca-cert"
          choose={([file]) => choose(file!)}
        />
      </p>
      {chosen && <Chosen />}
    </Section>
  );

  function Chosen() {
    const { file, roots } = chosen!;
    const shown = roots.map(({ sha256 }) => sha256);
    const names = roots.map(({ subject }) => commonNameOf(subject)).join(", ");
    return (
      <div class="warning" role="group" aria-label={say("roots_choose")}>
        {roots.map((root) => <Facts key={root.sha256} root={root} speech={speech} />)}
        {roots.every(({ refused }) => refused === null) && roots.length > 0 && (
          <p>
            <strong>
              {say(roots.some(({ isOfCca }) => isOfCca) ? "roots_compare_cca" : "roots_compare")}
            </strong>{" "}
            {say("roots_meaning")}
          </p>
        )}
        <p class="actions">
          <button type="button" class="secondary" onClick={() => setChosen(null)}>
            {say("roots_do_not")}
          </button>
          {roots.every(({ refused }) => refused === null) && (
            <button
              type="button"
              onClick={() => act("roots/add", { file, shown }, say("roots_added", { root: names }))}
            >
              {say("roots_add")}
            </button>
          )}
        </p>
      </div>
    );
  }
}

function Facts({ root, speech: { say, date } }: { root: Root; speech: Speech }) {
  const { subject, issuer, notBefore, notAfter, sha256, known, refused } = root;
  return (
    <span class="facts">
      <strong>
        <Foreign text={commonNameOf(subject)} />
      </strong>
      <span class="aside">
        <Foreign text={subject} />
      </span>
      <span>{say("roots_valid", { from: date(notBefore), to: date(notAfter) })}</span>
      <code>{sha256.toUpperCase().replace(/..(?=.)/g, "$& ")}</code>
      {known && <span>{say("roots_known", { root: known })}</span>}
      {refused && (
        <span class="bad">
          <Foreign text={say(REFUSALS[refused], { issuer: commonNameOf(issuer) })} />
        </span>
      )}
    </span>
  );
}
