/** Tokens, the certificates on them, and drivers with a fault. */
import type { Certificate } from "../../protocol/methods.ts";
import type { Result } from "../client.ts";
import type { Speech } from "../../words/agent.ts";
import { CertificateFacts, Foreign, Section } from "../parts.tsx";
import type { TokenPin } from "../../protocol/console.ts";
import { TokenPinActions } from "./token_pin.tsx";

const STATE_LOOKS: Record<Inventory["tokens"][number]["state"], string> = {
  ready: "good",
  empty: "aside",
  pin_low: "bad",
  pin_final_try: "bad",
  pin_locked: "bad",
  pin_not_set: "bad",
};

export interface Inventory {
  tokens: Result<"token.list">["tokens"];
  certificates: Certificate[];
  problems: Result<"token.list">["problems"];
  pins: TokenPin[];
}

export function Tokens(
  { inventory: { tokens, certificates, problems, pins }, lookAgain, speech }: {
    inventory: Inventory;
    lookAgain: () => void;
    speech: Speech;
  },
) {
  const { say } = speech;
  const forSigning = certificates.filter(({ reason }) => reason !== "certificate_not_for_signing");
  const others = certificates.filter((each) => !forSigning.includes(each));
  return (
    <>
      <Section title={say("console_tokens")}>
        {tokens.length === 0 && (
          <p>{say(problems.length > 0 ? "console_none_found" : "console_no_tokens")}</p>
        )}
        <ul class="plain">
          {tokens.map((token) => (
            <li key={`${token.driver} ${token.uri}`} class="row">
              <span class="facts">
                <strong>
                  <Foreign text={token.label} />
                </strong>
                <span class={STATE_LOOKS[token.state]}>
                  {say(`state_${token.state}`)}
                </span>
                <span class="aside">
                  <Foreign
                    text={[token.manufacturer, token.model, token.serialNumber]
                      .filter((each) => each !== "").join(", ")}
                  />
                </span>
              </span>
              {pins.filter(({ uri, driver }) => uri === token.uri && driver === token.driver).map(
                (pin) => (
                  <TokenPinActions key={pin.uri} pin={pin} done={lookAgain} speech={speech} />
                ),
              )}
            </li>
          ))}
        </ul>
      </Section>
      <Section title={say("console_certificates")}>
        {forSigning.length === 0 && <p>{say("console_no_certificates")}</p>}
        <CertificateList certificates={forSigning} speech={speech} />
        {others.length > 0 && (
          <details>
            <summary>{say("console_other_certificates", { count: others.length })}</summary>
            <CertificateList certificates={others} speech={speech} />
          </details>
        )}
      </Section>
      {problems.length > 0 && (
        <Section title={say("console_drivers")}>
          <ul class="plain">
            {problems.map(({ driver, code, message }) => (
              <li key={`${driver} ${code}`} class="facts">
                <strong>
                  <Foreign text={driver} />
                </strong>
                <span>
                  <Foreign text={speech.error(code, message)} />
                </span>
              </li>
            ))}
          </ul>
        </Section>
      )}
    </>
  );
}

function CertificateList(
  { certificates, speech }: { certificates: Certificate[]; speech: Speech },
) {
  const { say } = speech;
  return (
    <ul class="plain">
      {certificates.map((certificate) => (
        <li key={certificate.uri} class="facts">
          <CertificateFacts certificate={certificate} speech={speech} />
          {certificate.usable && <span class="good">{say("console_usable")}</span>}
          {certificate.reason && certificate.reason !== "certificate_not_for_signing" && (
            <span class="bad">{speech.error(certificate.reason)}</span>
          )}
        </li>
      ))}
    </ul>
  );
}
