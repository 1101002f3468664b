/** The facts beside a question: who asks, the kind of signature, the certificates. */
import type { Asker, Choice } from "../../protocol/consent.ts";
import type { Speech } from "../../words/agent.ts";
import { CertificateFacts, Foreign, Origin } from "../parts.tsx";

export function WhoAsks(
  { asker, kind, speech }: {
    asker: Asker;
    /** Of signature, where something is signed. */
    kind?: Choice["kind"] | null;
    speech: Speech;
  },
) {
  const { say, date } = speech;
  return (
    <>
      <section id="asker">
        <h2>{say("asked_by")}</h2>
        <p class="origin" data-see="">
          {asker.origin !== null
            ? <Origin origin={asker.origin} />
            : <strong>{say(asker.own ? "asked_by_own" : "asked_by_program")}</strong>}
        </p>
        {asker.own && <p class="aside">{say("asked_by_own_check")}</p>}
        {asker.origin !== null && (
          <p class="aside">
            {asker.trustedSince
              ? say("trusted_since", { date: date(asker.trustedSince) })
              : say(asker.allowedByAdministrator ? "trusted_by_administrator" : "not_trusted_yet")}
            {" "}
            {say("check_address")}
          </p>
        )}
      </section>
      {kind && <Kind kind={kind} speech={speech} />}
      {asker.purpose !== null && <Purpose title={say("purpose")} text={asker.purpose} />}
    </>
  );
}

/** The asker's own words. */
export function Purpose({ title, text }: { title: string; text: string }) {
  return (
    <figure class="purpose" data-see="">
      <figcaption>{title}</figcaption>
      <blockquote dir="auto" tabIndex={-1}>
        <Foreign text={text} />
      </blockquote>
    </figure>
  );
}

/** The kind of signature that a certificate makes, in a few words; what that means in law can be opened. */
function Kind({ kind, speech: { say } }: { kind: Choice["kind"]; speech: Speech }) {
  return (
    <section class="kind">
      <h2>{say("law")}</h2>
      <p data-see="">
        <strong>{say(`signature_${kind}`)}</strong>
      </p>
      <details>
        <summary>{say("law_more")}</summary>
        <p class="aside">{say(`law_${kind}`)}</p>
      </details>
    </section>
  );
}

export function Certificates(
  { choices, chosen, choose, disabled, speech }: {
    choices: Choice[];
    chosen: string;
    choose: (id: string) => void;
    disabled: boolean;
    speech: Speech;
  },
) {
  const { say } = speech;
  if (choices.length === 1) {
    return (
      <section class="certificates">
        <h2>{say("certificate_one")}</h2>
        <div class="certificate">
          <CertificateFacts {...choices[0]!} speech={speech} />
        </div>
      </section>
    );
  }
  return (
    <fieldset class="certificates" disabled={disabled}>
      <legend>{say("certificate_many")}</legend>
      {choices.map((choice) => (
        <label class="certificate">
          <input
            type="radio"
            name="certificate"
            checked={choice.id === chosen}
            onChange={() => choose(choice.id)}
          />
          <CertificateFacts {...choice} speech={speech} />
        </label>
      ))}
    </fieldset>
  );
}
